//! What if others look for a way out of the directory, or take what they get slowly?

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::static_files::{serve, tree};
use crate::support::http1::Connection;
use crate::support::{Dice, SetAtEnd, eventually};

/// Pieces of paths that lead out where paths are put together carelessly.
const PIECES: [&str; 22] = [
    "/",
    "..",
    "%2e%2e",
    ".%2e",
    "%2f",
    "%2F",
    "\\",
    "%5c",
    "%00",
    ".",
    "sub",
    "up",
    "outside",
    "absolute",
    "secret.txt",
    "etc",
    "passwd",
    "..;",
    "%252e%252e",
    "%c0%ae",
    ".env",
    ".git",
];

#[test]
fn no_path_leads_out_of_the_directory() {
    try_paths(3_000);
}

#[test]
fn a_directory_that_becomes_a_symlink_again_and_again_never_leads_out() {
    try_races(2_000);
}

#[test]
#[ignore = "needs a minute"]
fn nothing_outside_is_found_in_100_000_tries() {
    try_paths(50_000);
    try_races(50_000);
}

fn try_paths(tries: usize) {
    let wagi = serve("fallback = 'index.html'");
    let mut dice = Dice(11);
    let mut connection = Connection::open(wagi.address());
    for _ in 0..tries {
        let path: String = (0..=dice.below(9)).map(|_| PIECES[dice.below(PIECES.len() as u64) as usize]).collect();
        let answer = connection.get(&format!("/{path}"));
        let text = answer.text();
        assert!(!text.contains("secret") && !text.contains("root:"), "/{path}: {text}");
        assert!([200, 301, 404].contains(&answer.status), "/{path}: {}", answer.status);
        let location = answer.header("location").unwrap_or("/x");
        assert!(location.starts_with('/') && !location.starts_with("//") && !location.starts_with("/\\"), "{location}");
    }
}

/// Asks for a file of a directory that becomes a symlink again and again.
fn try_races(tries: usize) {
    let site = tree();
    site.file("public/flip/secret.txt", "public");
    let (flip, aside) = (site.path().join("public/flip"), site.path().join("public/aside"));
    symlink(site.path(), site.path().join("public/link")).expect("a symlink");
    let link = site.path().join("public/link");
    let wagi = site.top("[[static]]\nroute = '/...'\ndirectory = 'public'").start(&[]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = SetAtEnd(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (from, to) in [(&flip, &aside), (&link, &flip), (&flip, &link), (&aside, &flip)] {
                    std::fs::rename(from, to).expect("it can be renamed");
                }
            }
        });
        let mut connection = Connection::open(wagi.address());
        for _ in 0..tries {
            let answer = connection.get("/flip/secret.txt");
            let is_fine = match answer.status {
                200 => answer.text() == "public",
                status => [404, 503].contains(&status),
            };
            assert!(is_fine, "{} {}", answer.status, answer.text());
        }
    });
}

#[test]
fn a_hundred_slow_clients_of_a_large_file_take_little_memory() {
    let site = tree();
    let large = std::fs::File::create(site.path().join("public/large")).expect("a file");
    large.set_len(1 << 30).expect("it is mostly a hole");
    let wagi = site.top("[[static]]\nroute = '/...'\ndirectory = 'public'").start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/style.css").status, 200);
    let before = wagi.resident();
    let mut clients: Vec<_> = (0..100)
        .map(|_| {
            let mut client = Connection::begin(wagi.address(), "/large");
            assert_eq!(client.head().header("content-length"), Some("1073741824"));
            client
        })
        .collect();
    for client in &mut clients {
        client.skip(1 << 20);
    }
    let grown = wagi.resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{} KiB more", grown >> 10);
    drop(clients);
    let left = "reason=\"the client left, or stopped reading, before the end of the file\"";
    eventually(|| (wagi.log().matches(left).count() == 100).then_some(()));
    assert!(wagi.log().lines().filter(|line| line.contains(left)).all(|line| line.contains(" end=static ")));
}

#[test]
fn a_file_that_becomes_shorter_cuts_its_transfer() {
    let site = tree();
    let large = std::fs::File::create(site.path().join("public/large")).expect("a file");
    large.set_len(64 << 20).expect("it is mostly a hole");
    let wagi = site.top("[[static]]\nroute = '/...'\ndirectory = 'public'").start(&[]);
    let mut client = Connection::begin(wagi.address(), "/large");
    assert_eq!(client.head().status, 200);
    large.set_len(0).expect("it can be cut");
    assert!(client.rest().len() < 64 << 20);
    wagi.logged(&["end=static", "reason=\"cut after the head: the file cannot be read: the file has become shorter\""]);
}
