//! What if others look for sources, and for a way out of the directory?

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::scripts::{INTERPRETER, SCRIPTS, serve, tree};
use crate::support::http1::Connection;
use crate::support::{Dice, SetAtEnd};

/// Pieces of paths that lead out, or to sources, where paths are put together carelessly.
const PIECES: [&str; 32] = [
    "/",
    "/",
    "/",
    "..",
    "%2e%2e",
    ".",
    "%2f",
    "%2F",
    "\\",
    "%5c",
    "%00",
    ".php",
    ".PHP",
    "%2ephp",
    "blog",
    "blog.php",
    "OLD",
    "~",
    ".bak",
    ".gz",
    "source",
    ".txt",
    "up",
    "outside",
    "absolute",
    "secret",
    ".env",
    ".git",
    "app",
    "x.php",
    "style.css",
    "%20",
];

#[test]
fn no_path_shows_a_source_or_leads_out() {
    let wagi = serve("static = true");
    let mut dice = Dice(15);
    let mut connection = Connection::open(wagi.address());
    let mut ran = 0;
    for _ in 0..3_000 {
        let path: String = (0..=dice.below(8)).map(|_| PIECES[dice.below(PIECES.len() as u64) as usize]).collect();
        let answer = connection.get(&format!("/{path}"));
        let text = answer.text();
        assert!([200, 301, 400, 404].contains(&answer.status), "/{path}: {}", answer.status);
        assert!(!text.contains("secret") && !text.contains("root:"), "/{path}: {text}");
        // A script that is printed was run: the response has no tag of a file.
        assert!(!text.starts_with("run ") || answer.header("etag").is_none(), "/{path}: {text}");
        ran += u32::from(text.starts_with("run "));
    }
    assert!(ran > 10, "only {ran} paths ran a script");
}

#[test]
fn a_file_that_becomes_a_source_again_and_again_is_never_sent_as_one() {
    let site = tree();
    site.file("www/flip.txt", "public");
    let (flip, aside) = (site.path().join("www/flip.txt"), site.path().join("www/aside.txt"));
    let link = site.path().join("www/link.txt");
    symlink("OLD.PHP", &link).expect("a symlink");
    let wagi = site.text_module("/...", INTERPRETER, &format!("{SCRIPTS}\nstatic = true")).start(&[]);
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
        for _ in 0..2_000 {
            let answer = connection.get("/flip.txt");
            let is_fine = match answer.status {
                200 => answer.text() == "public",
                status => [404, 503].contains(&status),
            };
            assert!(is_fine, "{} {}", answer.status, answer.text());
        }
    });
}
