//! Bindles from a server: what it is asked for, and what becomes of a start when it does not play along.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wagi::observe::sha256_hex;

use crate::compile_limits::slow;
use crate::support::guest::{hello, printing};
use crate::support::http1::Connection;
use crate::support::process::{Wagi, command};
use crate::support::site::Site;
use crate::support::upstream::{Received, Upstream, reply};

const ID: &str = "example.com/site/1.0.0";
const INVOICE: &str = "/v1/_i/example.com/site/1.0.0";

fn other() -> String {
    printing("Content-Type: text/plain\n\nother")
}

fn parcel_path(content: &str) -> String {
    format!("{INVOICE}@{}", sha256_hex(content.as_bytes()))
}

fn label(name: &str, content: &str, route: &str, conditions: &str) -> String {
    format!(
        "[[parcel]]\nlabel = {{ name = '{name}', mediaType = 'application/wasm', size = {}, sha256 = '{}', \
        feature.wagi = {{ route = '{route}' }} }}\nconditions = {{ {conditions} }}\n",
        content.len(),
        sha256_hex(content.as_bytes())
    )
}

/// What a server has, by path: an invoice and its two programs.
fn shelf() -> HashMap<String, Vec<u8>> {
    let head = "bindleVersion = '1.0.0'\nbindle = { name = 'example.com/site', version = '1.0.0' }\n";
    let invoice =
        head.to_owned() + &label("other.wat", &other(), "/other", "") + &label("hello.wat", &hello(), "/hello", "");
    let content = [(INVOICE.to_owned(), invoice), (parcel_path(&hello()), hello()), (parcel_path(&other()), other())];
    content.into_iter().map(|(path, content)| (path, content.into_bytes())).collect()
}

fn path_of(received: &Received) -> &str {
    received.line.strip_prefix("GET ").expect("nothing is sent but GET")
}

fn serve(shelf: &HashMap<String, Vec<u8>>, received: &Received) -> Vec<u8> {
    match shelf.get(path_of(received)) {
        Some(content) => reply("200 OK", "", content),
        None => reply("404 Not Found", "", "error = 'not found'"),
    }
}

/// A server with a shelf that does not change.
fn upstream() -> Upstream {
    let shelf = shelf();
    Upstream::start(move |received| serve(&shelf, received))
}

fn wagi(directory: &TempDir, url: &str) -> Command {
    let mut command = command(directory.path());
    command.args(["-l", "127.0.0.1:0", "-b", ID, "--bindle-url", url]);
    command
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// What a start says that is refused.
#[track_caller]
fn refusal(command: &mut Command) -> String {
    // A start that succeeds would never end.
    let Output { status, stdout, stderr } = command.arg("--check").output().expect("wagi can be started");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!((status.code(), stdout.as_slice()), (Some(1), &b""[..]), "{stderr}");
    stderr
}

/// A start that succeeds, and both programs answer.
#[track_caller]
fn works(command: &mut Command) -> Wagi {
    let wagi = Wagi::spawn(command);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/hello").text(), "hello");
    assert_eq!(connection.get("/other").text(), "other");
    wagi
}

#[test]
fn a_bindle_of_a_server_is_served() {
    let (server, directory) = (upstream(), temporary());
    for base in ["/v1", "/v1/"] {
        works(&mut wagi(&directory, &server.url(base)));
    }
    let received = server.received();
    let mut asked: Vec<_> = received.iter().map(|received| (path_of(received), received.header("accept"))).collect();
    asked.sort_unstable();
    asked.dedup();
    let (hello, other) = (parcel_path(&hello()), parcel_path(&other()));
    let mut expected =
        [(INVOICE, Some("application/toml")), (hello.as_str(), Some("*/*")), (other.as_str(), Some("*/*"))];
    expected.sort_unstable();
    assert_eq!(asked, expected);
    assert!(received.len() == 6 && received.iter().all(|received| received.header("authorization").is_none()));
}

#[test]
fn parcels_in_the_module_cache_are_not_fetched_again() {
    let (server, directory) = (upstream(), temporary());
    for _ in 0..2 {
        works(wagi(&directory, &server.url("/v1")).args(["--module-cache", "cache"]));
    }
    assert_eq!(server.received().len(), 4, "{:?}", server.received());
    // One that is damaged is.
    std::fs::write(directory.path().join("cache").join(sha256_hex(hello().as_bytes())), "damage").expect("writable");
    works(wagi(&directory, &server.url("/v1")).args(["--module-cache", "cache"]));
    assert_eq!(server.received().len(), 6);
}

/// A server that is down, or says no, when the switch says so.
fn switched(mode: &Arc<AtomicUsize>) -> Upstream {
    let (shelf, mode) = (shelf(), mode.clone());
    Upstream::start_with(move |received, stream| match mode.load(Ordering::SeqCst) {
        0 => stream.write_all(&serve(&shelf, received)),
        1 => stream.write_all(&reply("503 Service Unavailable", "", "")),
        2 => Err(io::ErrorKind::ConnectionReset.into()),
        status => stream.write_all(&reply(&format!("{status} No"), "", "")),
    })
}

#[test]
fn the_last_invoice_stands_in_for_a_server_that_is_down_but_not_for_one_that_says_no() {
    let (mode, directory) = (Arc::new(AtomicUsize::new(0)), temporary());
    let server = switched(&mode);
    let start = |url: &str| {
        let mut command = wagi(&directory, url);
        command.args(["--module-cache", "cache"]);
        command
    };
    works(&mut start(&server.url("/v1")));
    for (down, reason) in [(1, "answers with the status 503"), (2, "no response from")] {
        mode.store(down, Ordering::SeqCst);
        let stale = works(&mut start(&server.url("/v1")));
        stale.logged(&[&format!("warning: serving bindle `{ID}` as it was when the bindle server last answered")]);
        stale.logged(&[reason]);
    }
    for status in [401, 403, 404] {
        mode.store(status, Ordering::SeqCst);
        assert!(refusal(&mut start(&server.url("/v1"))).contains("cannot fetch the invoice"), "{status}");
    }
    // What one server has sent does not stand in for another, and without its parcels an invoice is of no use.
    assert!(refusal(&mut start("http://127.0.0.1:1/v1")).contains("cannot reach"));
    mode.store(1, Ordering::SeqCst);
    std::fs::remove_file(directory.path().join("cache").join(sha256_hex(hello().as_bytes()))).expect("removable");
    assert!(refusal(&mut start(&server.url("/v1"))).contains("cannot fetch parcel `hello.wat`"));
}

#[test]
fn the_last_invoice_stands_in_for_a_bindle_module_as_well() {
    let mode = Arc::new(AtomicUsize::new(0));
    let server = switched(&mode);
    let site = site_with(&entry("/a", &server.url("/v1")));
    site.write();
    let start = || {
        let mut command = command(site.path());
        command.args(["-l", "127.0.0.1:0", "-c", "modules.toml", "--module-cache", "cache"]);
        Wagi::spawn(&mut command)
    };
    for down in [0, 2] {
        mode.store(down, Ordering::SeqCst);
        let wagi = start();
        assert_eq!(Connection::open(wagi.address()).get("/a").text(), "other");
        if down > 0 {
            wagi.logged(&[&format!("warning: serving `bindle:{ID}` as it was")]);
            wagi.logged(&["modules.toml:3:10"]);
        }
    }
}

#[test]
fn a_login_is_sent_to_a_server_that_wants_one() {
    let shelf = shelf();
    let server = Upstream::start(move |received| match received.header("authorization") {
        // The base64 of `me:open sesame`.
        Some("Basic bWU6b3BlbiBzZXNhbWU=") => serve(&shelf, received),
        _ => reply("401 Unauthorized", "WWW-Authenticate: Basic\r\n", ""),
    });
    let directory = temporary();
    let login = |password| {
        let mut command = wagi(&directory, &server.url("/v1"));
        command.args(["--bindle-http-user", "me", "--bindle-http-password", password]);
        command
    };
    works(&mut login("open sesame"));
    let wrong = refusal(&mut login("0pen sesame"));
    assert!(wrong.contains("refuses the login") && !wrong.contains("sesame"), "{wrong}");
    let none = refusal(&mut wagi(&directory, &server.url("/v1")));
    assert!(none.contains("wants a login, and none was given") && none.contains("--bindle-http-user"), "{none}");
}

#[test]
fn a_bindle_that_is_not_there_is_named() {
    let (server, directory) = (upstream(), temporary());
    let missing = refusal(&mut wagi(&directory, &server.url("/v2")));
    assert!(missing.contains(&format!("cannot fetch the invoice of bindle `{ID}`")), "{missing}");
    assert!(missing.contains("/v2/_i/example.com/site/1.0.0` is not there"), "{missing}");
    assert_eq!(server.received().len(), 1);
    let forbidding = Upstream::start(|_| reply("403 Forbidden", "", ""));
    let forbidden = refusal(&mut wagi(&directory, &forbidding.url("")));
    assert!(forbidden.contains("is yanked, or needs another login"), "{forbidden}");
    for (url, message) in [
        ("ftp://127.0.0.1/", "is not the URL of a bindle server"),
        ("localhost:8080/v1", "is not the URL of a bindle server"),
        ("http://me:hunter2@127.0.0.1/", "holds a name or a password"),
    ] {
        let refused = refusal(&mut wagi(&directory, url));
        assert!(refused.contains(message) && !refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_parcel_that_is_missing_or_tampered_with_stops_the_start() {
    let directory = temporary();
    for (content, message) in [
        (None, "is not in the bindle, but needed"),
        (Some(hello().replace("(module", "(m0dule")), "is not what the invoice says"),
        (Some(hello() + " "), "more than the"),
    ] {
        let mut shelf = shelf();
        shelf.remove(&parcel_path(&hello()));
        shelf.extend(content.map(|content| (parcel_path(&hello()), content.into_bytes())));
        let server = Upstream::start(move |received| serve(&shelf, received));
        let refused = refusal(wagi(&directory, &server.url("/v1")).args(["--module-cache", "cache"]));
        assert!(refused.contains("parcel `hello.wat`") && refused.contains(message), "{refused}");
        assert!(!directory.path().join("cache").join(sha256_hex(hello().as_bytes())).exists());
    }
}

#[test]
fn endless_bodies_come_to_an_end() {
    let directory = temporary();
    for endless in [INVOICE.to_owned(), parcel_path(&hello())] {
        let shelf = shelf();
        let server = Upstream::start_with(move |received, stream| {
            if path_of(received) != endless {
                return stream.write_all(&serve(&shelf, received));
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            let piece = [b'#'; 1 << 16];
            loop {
                stream.write_all(&piece)?;
            }
        });
        let refused = refusal(&mut wagi(&directory, &server.url("/v1")));
        assert!(refused.contains("larger than 4 MiB") || refused.contains("it has more than"), "{refused}");
    }
}

#[test]
fn redirects_are_followed_and_the_login_stays_behind() {
    let storage = upstream();
    let target = storage.url("");
    let server = Upstream::start(move |received| {
        assert!(received.header("authorization").is_some());
        let location = format!("Location: {target}{}\r\n", path_of(received));
        reply("307 Temporary Redirect", &location, "elsewhere")
    });
    let directory = temporary();
    let login = ["--bindle-http-user", "me", "--bindle-http-password", "secret"];
    works(wagi(&directory, &server.url("/v1")).args(login));
    assert_eq!((server.received().len(), storage.received().len()), (3, 3));
    assert!(storage.received().iter().all(|received| received.header("authorization").is_none()));
}

#[test]
fn redirects_that_lead_nowhere_are_refused() {
    let directory = temporary();
    for (location, message) in [
        ("/v1/_i/again", "more than 5 redirects"),
        ("file:///etc/passwd", "which is not the URL of a server"),
        ("http://169.254.169.254/latest", "surroundings"),
    ] {
        let server = Upstream::start(move |_| reply("302 Found", &format!("Location: {location}\r\n"), ""));
        let refused = refusal(&mut wagi(&directory, &server.url("/v1")));
        assert!(refused.contains(message), "{refused}");
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let (shelf, asked) = (shelf(), AtomicUsize::new(0));
    let server = Upstream::start_with(move |received, stream| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => stream.write_all(&reply("503 Service Unavailable", "", "")),
        1 => Err(io::ErrorKind::ConnectionAborted.into()),
        _ => stream.write_all(&serve(&shelf, received)),
    });
    let directory = temporary();
    works(&mut wagi(&directory, &server.url("/v1")));
}

#[test]
fn a_server_that_stays_broken_stops_the_start_after_a_few_seconds() {
    let directory = temporary();
    let server = Upstream::start(|_| reply("500 Internal Server Error", "", ""));
    let begun = Instant::now();
    let refused = refusal(&mut wagi(&directory, &server.url("/v1")));
    assert!(refused.contains("answers with the status 500"), "{refused}");
    assert_eq!(server.received().len(), 4);
    // Nobody listens there.
    let refused = refusal(&mut wagi(&directory, "http://127.0.0.1:1/v1"));
    assert!(refused.contains("cannot reach `http://127.0.0.1:1/") && refused.contains("refused"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_accepted_only_if_asked_for() {
    let fixture = |name| format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut site = Site::new();
    for (path, content) in shelf() {
        let content = String::from_utf8(content).expect("text");
        site = site.text_module(&path, &printing(format!("Content-Type: text/plain\n\n{content}")), "");
    }
    let server = site.start(&["--tls-cert", &fixture("ec.cert.pem"), "--tls-key", &fixture("ec.pkcs8.pem")]);
    let (directory, url) = (temporary(), format!("{}/v1", server.url()));
    works(wagi(&directory, &url).arg("--bindle-insecure"));
    let refused = refusal(&mut wagi(&directory, &url));
    assert!(refused.contains("cannot agree on TLS") && refused.contains("certificate"), "{refused}");
}

/// An entry with a `bindle:` module.
fn entry(route: &str, url: &str) -> String {
    format!("[[module]]\nroute = '{route}'\nmodule = 'bindle:{ID}'\nbindle_server = '{url}'\n")
}

fn site_with(entries: &str) -> Site {
    Site::new().top(entries)
}

#[test]
fn a_bindle_module_is_the_first_program_of_its_bindle() {
    let server = upstream();
    let site = site_with(&(entry("/a", &server.url("/v1")) + &entry("/b", &server.url("/v1"))));
    let wagi = site.start(&["--module-cache", "cache"]);
    let mut connection = Connection::open(wagi.address());
    for route in ["/a", "/b"] {
        assert_eq!(connection.get(route).text(), "other", "{route}");
    }
    assert_eq!(connection.get("/hello").status, 404);
    let asked: Vec<_> = server.received().iter().map(|received| path_of(received).to_owned()).collect();
    assert_eq!(asked, [INVOICE.to_owned(), parcel_path(&other())]);
    assert!(wagi.directory().join("cache").join(sha256_hex(other().as_bytes())).is_file());
}

#[test]
fn a_bindle_module_that_cannot_be_had_is_an_error_at_its_line() {
    let mut tampered = shelf();
    tampered.insert(parcel_path(&other()), hello().into_bytes());
    let tampered = Upstream::start(move |received| serve(&tampered, received));
    let login = Upstream::start(|_| reply("401 Unauthorized", "WWW-Authenticate: Basic\r\n", ""));
    let entries = [
        entry("/tampered", &tampered.url("/v1")),
        entry("/missing", &tampered.url("/v2")),
        entry("/login", &login.url("/v1")),
    ];
    let output = site_with(&entries.concat()).run(&[]);
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    let expected = [("/tampered", "its SHA-256 is"), ("/missing", "is not there"), ("/login", "without a login")];
    for (part, (route, message)) in expected.into_iter().enumerate() {
        let problem = shown.split("\n\n").nth(part).unwrap_or_default();
        let line = format!("modules.toml:{}:10", 3 + 4 * part);
        assert!(problem.contains(message) && problem.contains(&line), "{line} {message}\n{shown}");
        assert!(problem.contains(&format!("route `{route}`")), "{route}: {problem}");
    }
}

/// It is a module of a third party, as one of a registry is.
#[test]
fn a_parcel_that_takes_too_long_to_compile_is_an_error_at_its_line() {
    let slow = slow();
    let invoice = "bindleVersion = '1.0.0'\nbindle = { name = 'example.com/site', version = '1.0.0' }\n".to_owned()
        + &label("slow.wat", &slow, "/slow", "");
    let shelf = [(INVOICE.to_owned(), invoice), (parcel_path(&slow), slow)];
    let shelf: HashMap<_, _> = shelf.into_iter().map(|(path, content)| (path, content.into_bytes())).collect();
    let server = Upstream::start(move |received| serve(&shelf, received));
    let site = site_with(&format!("[limits]\ncompile_time = '2s'\n{}", entry("/slow", &server.url("/v1"))));
    let shown = String::from_utf8_lossy(&site.run(&[]).stderr).into_owned();
    assert!(shown.contains("compiling it takes longer than `compile_time` allows: 2s"), "{shown}");
    assert!(shown.contains("modules.toml:5:10") && shown.contains("route `/slow`"), "{shown}");
}
