//! Directories given to a guest: what it finds in them, and that there is no way out.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

/// Beside the volumes, where no guest should get.
const SECRET: &str = "nobody but the server may read this";

/// The probe over a volume `web` with a few files and many ways out.
fn served(volumes: &str) -> Wagi {
    let site = Site::probe(&format!("volumes = {volumes}"));
    site.file("secret.txt", SECRET);
    site.file("web/index.html", "<p>index</p>");
    site.file("web/below/deep.txt", "deep");
    site.file("data/facts.txt", "facts");
    let web = site.path().join("web");
    for (target, link) in [
        ("/etc", "absolute"),
        ("../secret.txt", "relative"),
        ("..", "up"),
        ("below/../../secret.txt", "winding"),
        ("up", "twice"),
        ("loop", "loop"),
        ("index.html", "inside"),
        ("below", "inside-directory"),
    ] {
        symlink(target, web.join(link)).expect("a link can be made");
    }
    site.start(&[])
}

/// What the guest reads below its first volume; `None` if it does not get to read.
fn read(wagi: &Wagi, name: &str) -> Option<String> {
    let answer = Connection::open(wagi.address()).get(&format!("/files/{name}"));
    match answer.status {
        200 => Some(answer.text()),
        403 | 404 => None,
        status => panic!("{name}: {status} {}", answer.text()),
    }
}

fn list(wagi: &Wagi, directory: &str) -> Vec<String> {
    let answer = Connection::open(wagi.address()).get(&format!("/list?{directory}"));
    assert_eq!(answer.status, 200, "{directory}: {}", answer.text());
    answer.text().lines().map(str::to_owned).collect()
}

#[test]
fn files_below_a_volume_are_read_and_links_inside_are_followed() {
    let wagi = served("{ '/' = 'web' }");
    assert_eq!(read(&wagi, "index.html").as_deref(), Some("<p>index</p>"));
    assert_eq!(read(&wagi, "below/deep.txt").as_deref(), Some("deep"));
    assert_eq!(read(&wagi, "below/../index.html").as_deref(), Some("<p>index</p>"));
    assert_eq!(read(&wagi, "inside").as_deref(), Some("<p>index</p>"));
    assert_eq!(read(&wagi, "inside-directory/deep.txt").as_deref(), Some("deep"));
    assert_eq!(read(&wagi, "missing.html"), None);
}

#[test]
fn the_first_volume_written_is_the_first_the_guest_has() {
    for (volumes, first) in [
        ("{ '/z' = 'web', '/a' = 'data' }", "web"),
        ("{ '/a' = 'data', '/z' = 'web' }", "data"),
        ("{ '/z' = { path = 'data', read_only = true }, '/a' = 'web' }", "data"),
    ] {
        let wagi = served(volumes);
        assert_eq!(read(&wagi, "index.html").is_some(), first == "web", "{volumes}");
        assert_eq!(read(&wagi, "facts.txt").is_some(), first == "data", "{volumes}");
    }
}

#[test]
fn every_volume_is_found_under_its_path_in_the_guest() {
    let wagi = served("{ '/' = 'web', '/etc/app' = 'data', '/again' = 'data' }");
    assert!(list(&wagi, "/").contains(&"index.html".to_owned()));
    assert_eq!(list(&wagi, "/etc/app"), ["facts.txt"]);
    assert_eq!(list(&wagi, "/again"), ["facts.txt"]);
    assert_eq!(list(&wagi, "/below"), ["deep.txt"]);
}

#[test]
fn a_guest_without_volumes_finds_no_files() {
    let wagi = Site::probe("").start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/list?/").status, 403);
    let answer = Connection::open(wagi.address()).get("/open-escape?/etc/passwd").text();
    assert!(!answer.contains("opened"), "{answer}");
}

#[test]
fn a_volume_is_written_to_and_a_read_only_one_is_not() {
    let wagi = served("{ '/' = 'data' }");
    assert_eq!(Connection::open(wagi.address()).post("/write/new.txt", "fresh").text(), "wrote 5 bytes\n");
    assert_eq!(Connection::open(wagi.address()).post("/write/facts.txt", "altered").text(), "wrote 7 bytes\n");
    let data = wagi.directory().join("data");
    assert_eq!(std::fs::read_to_string(data.join("new.txt")).expect("it is there"), "fresh");
    assert_eq!(std::fs::read_to_string(data.join("facts.txt")).expect("it is there"), "altered");

    let wagi = served("{ '/' = { path = 'data', read_only = true } }");
    assert_eq!(read(&wagi, "facts.txt").as_deref(), Some("facts"));
    for name in ["new.txt", "facts.txt"] {
        assert_eq!(Connection::open(wagi.address()).post(&format!("/write/{name}"), "x").status, 403, "{name}");
    }
    let data = wagi.directory().join("data");
    assert!(!data.join("new.txt").exists());
    assert_eq!(std::fs::read_to_string(data.join("facts.txt")).expect("it is there"), "facts");
}

#[test]
fn no_name_leads_out_of_a_volume() {
    let wagi = served("{ '/' = 'web' }");
    let absolute = wagi.directory().join("secret.txt").display().to_string();
    for name in [
        "../secret.txt",
        "below/../../secret.txt",
        "./../secret.txt",
        "below/../below/../../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        &absolute,
        &format!("/{absolute}"),
        "absolute/passwd",
        "relative",
        "up/secret.txt",
        "twice/secret.txt",
        "winding",
        "loop",
        "inside-directory/../../secret.txt",
        "inside-directory/../up/secret.txt",
    ] {
        assert_eq!(read(&wagi, name), None, "{name}");
        let answer = Connection::open(wagi.address()).get(&format!("/open-escape?{name}"));
        assert_eq!(answer.status, 200, "{name}");
        assert!(!answer.text().contains("opened"), "{name}: {}", answer.text());
    }
    for directory in ["/up", "/absolute", "/..", "/below/../.."] {
        let answer = Connection::open(wagi.address()).get(&format!("/list?{directory}"));
        assert!(!answer.text().contains("secret.txt") && !answer.text().contains("passwd"), "{directory}");
    }
}

#[test]
fn nothing_is_written_outside_of_a_volume() {
    let wagi = served("{ '/' = 'web' }");
    for name in ["relative", "../secret.txt", "up/secret.txt", "up/planted.txt", "winding"] {
        assert_eq!(Connection::open(wagi.address()).post(&format!("/write/{name}"), "gotcha").status, 403, "{name}");
    }
    assert_eq!(std::fs::read_to_string(wagi.directory().join("secret.txt")).expect("it is there"), SECRET);
    assert!(!wagi.directory().join("planted.txt").exists());
}

#[test]
fn a_directory_that_is_missing_or_a_file_stops_the_start() {
    for (volumes, problem) in [
        ("{ '/' = '.', '/data' = 'missing' }", "`missing` does not exist"),
        ("{ '/' = { path = 'missing', read_only = true } }", "`missing` does not exist"),
        ("{ '/' = 'file.txt' }", "`file.txt`"),
    ] {
        let site = Site::probe(&format!("volumes = {volumes}"));
        site.file("file.txt", "no directory");
        let output = site.run(&[]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(shown.contains(problem) && shown.contains("modules.toml:4:"), "{shown}");
        assert!(output.stdout.is_empty(), "it is not ready");
    }
}

/// A directory that is replaced while the server runs stays the one it opened: nobody slips another one in.
#[test]
fn a_volume_is_the_directory_that_was_there_at_the_start() {
    let wagi = served("{ '/' = 'data' }");
    let data = wagi.directory().join("data");
    std::fs::rename(&data, wagi.directory().join("moved")).expect("it can be moved");
    symlink(Path::new("/etc"), &data).expect("a link can be made");
    assert_eq!(read(&wagi, "facts.txt").as_deref(), Some("facts"));
    assert_eq!(read(&wagi, "passwd"), None);
}

/// What one call may copy is renewed for each: a file of any size can be read and written.
#[tokio::test(flavor = "multi_thread")]
async fn files_larger_than_a_guests_memory_pass_through_it() {
    let volume = tempfile::tempdir().expect("a directory");
    let size = 40 << 20;
    std::fs::write(volume.path().join("large"), vec![b'x'; size]).expect("a file can be written");
    let keys = format!("volumes = {{ '/' = '{}' }}\nlimits = {{ memory = '16MiB' }}", volume.path().display());
    let test = crate::support::harness::Test::new();
    let running = test.file_module("/...", &crate::support::guest::probe(), &keys).start().await;
    let answer = running.get("/files/large").await;
    assert_eq!((answer.status.as_u16(), answer.body.len(), answer.cut), (200, size, false));
}
