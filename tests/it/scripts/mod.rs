//! Directories of scripts: which script a request runs, what the guest is told, and what no client gets.

mod attack;
mod together;
mod variables;

use std::os::unix::fs::symlink;

use crate::support::http1::{Answer, Connection};
use crate::support::make_pipe;
use crate::support::process::Wagi;
use crate::support::site::Site;

/// Prints the script that its first argument names.
const INTERPRETER: &str = include_str!("interpreter.wat");

/// The keys of an entry with scripts.
const SCRIPTS: &str = "scripts = { directory = 'www', extensions = ['php'] }";

/// The files of a small site. Each script says its path.
fn tree() -> Site {
    let site = Site::new();
    for script in [
        "index.php",
        "blog.php",
        "app/index.php",
        "app/deep/page.php",
        "a b.php",
        "ä.php",
        "x.php/index.php",
        "x.php/y.php",
    ] {
        site.file(&format!("www/{script}"), format!("run {script}"));
    }
    for (name, content) in [
        ("www/style.css", "body {}"),
        ("www/docs/index.html", "documents"),
        ("www/data.txt", "text"),
        ("www/data.txt.gz", "text, in gzip"),
        ("www/bare/notes.txt", "notes"),
        ("www/x.php/logo.png", "logo"),
        ("www/.env.php", "secret"),
        ("www/.git/config.php", "secret"),
        ("www/.well-known/security.txt", "Contact: a"),
        ("www/.well-known/run.php", "secret"),
        ("www/OLD.PHP", "secret"),
        ("www/blog.php~", "secret"),
        ("www/blog.php.bak", "secret"),
        ("www/blog.php.gz", "secret"),
        ("www/config.inc.PhP5", "secret"),
        ("secret.php", "secret"),
        ("outside/secret.php", "secret"),
    ] {
        site.file(name, content);
    }
    for (target, link) in [
        ("blog.php", "alias.php"),
        ("blog.php", "source.txt"),
        ("source.txt", "source-again.txt"),
        ("data.txt", "inside.txt"),
        ("../secret.php", "outside.php"),
        ("../outside", "up"),
        ("/etc/passwd", "absolute.php"),
        ("loop.php", "loop.php"),
        ("nothing.php", "dangling.php"),
    ] {
        symlink(target, site.path().join("www").join(link)).expect("a symlink");
    }
    make_pipe(&site.path().join("www/pipe.php"));
    site
}

/// A server whose interpreter prints the scripts of [`tree`], with more keys.
fn serve(keys: &str) -> Wagi {
    tree().text_module("/...", INTERPRETER, &format!("{SCRIPTS}\n{keys}")).start(&[])
}

fn ask(wagi: &Wagi, method: &str, target: &str) -> Answer {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ));
    if method == "HEAD" { connection.head() } else { connection.answer() }
}

#[test]
fn a_path_runs_its_script() {
    let wagi = serve("");
    for (target, script) in [
        ("/", "index.php"),
        ("/index.php", "index.php"),
        ("/blog.php", "blog.php"),
        ("/blog.php?a=b&-s", "blog.php"),
        ("/blog.php/", "blog.php"),
        ("/blog.php/a/index.php", "blog.php"),
        ("/blog.php/style.css", "blog.php"),
        ("/app/", "app/index.php"),
        ("/app/deep/page.php/1", "app/deep/page.php"),
        ("//app//deep/page.php", "app/deep/page.php"),
        ("/a%20b.php", "a b.php"),
        ("/%C3%A4.php", "ä.php"),
        ("/%62log%2Ephp", "blog.php"),
        ("/x.php/", "x.php/index.php"),
        ("/x.php/y.php/z.php", "x.php/y.php"),
        ("/alias.php", "blog.php"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
            let answer = ask(&wagi, method, target);
            assert_eq!((answer.status, answer.text()), (200, format!("run {script}")), "{method} {target}");
        }
        let answer = ask(&wagi, "HEAD", target);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")), "{target}");
    }
    wagi.logged(&["\"GET /blog.php HTTP/1.1\" 200 ", " end=ok route=\"/...\" module=\"", "/guest0.wat\""]);
}

#[test]
fn a_path_that_leads_to_no_script_is_404_and_starts_no_guest() {
    let wagi = serve("");
    for target in [
        "/missing",
        "/missing.php",
        "/missing/blog.php",
        "/bare/",
        "/docs/",
        "/docs/index.html",
        "/style.css",
        "/style.css/blog.php",
        "/blog.PHP",
        "/OLD.PHP",
        "/blog.php~",
        "/blog.php.bak",
        "/blog.php%00",
        "/blog.php%2Fx",
        "/app%2Findex.php",
        "/app/../blog.php",
        "/app/%2e%2e/blog.php",
        "/.env.php",
        "/%2eenv.php",
        "/.git/config.php",
        "/.well-known/run.php",
        "/outside.php",
        "/outside.php/x",
        "/up/secret.php",
        "/absolute.php",
        "/loop.php",
        "/dangling.php",
        "/pipe.php",
        "/pipe.php/x",
        "/data.txt",
        "/source.txt",
        "/.well-known/security.txt",
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let answer = ask(&wagi, method, target);
            assert_eq!((answer.status, answer.text().as_str()), (404, ""), "{method} {target}");
        }
        let path = target.replace('\\', "\\\\");
        let reason = "end=none route=\"/...\" module=";
        let line = wagi.logged(&[&format!("\"GET {path} HTTP/1.1\" 404 0B"), reason]);
        assert!(line.contains(" guest=0us ") && line.contains("reason=\"the path leads to no script\""), "{line}");
    }
}

#[test]
fn a_directory_without_its_slash_is_redirected_with_its_query() {
    for wagi in [serve(""), serve("static = true")] {
        for (method, target, expected) in [
            ("GET", "/app", (301, "/app/")),
            ("GET", "/app?a=b/c&d", (301, "/app/?a=b/c&d")),
            ("HEAD", "/app/deep?", (301, "/app/deep/?")),
            ("POST", "/app?a", (308, "/app/?a")),
            ("GET", "/x.php", (301, "/x.php/")),
            ("GET", "/bare", (301, "/bare/")),
            ("GET", "//app", (301, "/app/")),
        ] {
            let answer = ask(&wagi, method, target);
            let location = answer.header("location").unwrap_or_default();
            assert_eq!((answer.status, location), expected, "{method} {target}");
        }
    }
    let below = tree().text_module("/php/...", INTERPRETER, SCRIPTS).start(&[]);
    assert_eq!(ask(&below, "GET", "/php?a").header("location"), Some("/php/?a"));
    assert_eq!(ask(&below, "GET", "/php/").text(), "run index.php");
    assert_eq!(ask(&below, "GET", "/blog.php").status, 404);
}

#[test]
fn with_static_other_files_are_sent_and_sources_never_are() {
    let wagi = serve("static = true");
    for (target, media_type, body) in [
        ("/style.css", "text/css; charset=utf-8", "body {}"),
        ("/style.css?v=1", "text/css; charset=utf-8", "body {}"),
        ("/inside.txt", "text/plain; charset=utf-8", "text"),
        ("/x.php/logo.png", "image/png", "logo"),
        ("/bare/notes.txt", "text/plain; charset=utf-8", "notes"),
        ("/docs/", "text/html; charset=utf-8", "documents"),
        ("/docs/index.html", "text/html; charset=utf-8", "documents"),
        ("/.well-known/security.txt", "text/plain; charset=utf-8", "Contact: a"),
    ] {
        let answer = ask(&wagi, "GET", target);
        let fields = (answer.header("content-type"), answer.header("x-content-type-options"));
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{target}");
        assert_eq!(fields, (Some(media_type), Some("nosniff")), "{target}");
        assert!(answer.header("etag").is_some() && answer.header("last-modified").is_some(), "{target}");
        let refused = ask(&wagi, "POST", target);
        assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{target}");
    }
    assert_eq!(ask(&wagi, "GET", "/blog.php/style.css").text(), "run blog.php");
    for target in [
        "/OLD.PHP",
        "/blog.PHP",
        "/blog.php~",
        "/blog.php.bak",
        "/blog.php.gz",
        "/config.inc.PhP5",
        "/source.txt",
        "/source-again.txt",
        "/outside.php",
        "/up/secret.php",
        "/.env.php",
        "/.well-known/run.php",
        "/pipe.php",
        "/missing",
        "/bare/",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let answer = ask(&wagi, method, target);
            assert_eq!((answer.status, answer.text().as_str()), (404, ""), "{method} {target}");
        }
    }
    wagi.logged(&["\"GET /source.txt HTTP/1.1\" 404", "end=static", "reason=\"it may be the source of a script\""]);
    wagi.logged(&["\"GET /style.css HTTP/1.1\" 200 7B", "guest=0us", "end=static route=\"/...\""]);
}

#[test]
fn compressed_files_ranges_and_conditions_are_those_of_files() {
    let wagi = serve("static = true");
    let ask = |fields: &str| {
        let mut connection = Connection::open(wagi.address());
        connection.send(format!("GET /data.txt HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n"));
        connection.answer()
    };
    let compressed = ask("Accept-Encoding: gzip");
    assert_eq!((compressed.header("content-encoding"), compressed.text().as_str()), (Some("gzip"), "text, in gzip"));
    let part = ask("Range: bytes=1-2");
    assert_eq!((part.status, part.text().as_str()), (206, "ex"));
    let tag = ask("X-A: b").header("etag").expect("a tag").to_owned();
    assert_eq!(ask(&format!("If-None-Match: {tag}")).status, 304);
}

#[test]
fn the_first_index_that_is_there_stands_for_its_directory() {
    let index = "scripts = { directory = 'www', extensions = ['php', 'phtml'], index = ['main.phtml', 'index.html', 'index.php'] }";
    let site = tree();
    site.file("www/index.html", "home");
    site.file("www/app/main.phtml", "run main");
    let wagi = site.text_module("/...", INTERPRETER, &format!("{index}\nstatic = true")).start(&[]);
    for (target, body) in
        [("/", "home"), ("/app/", "run main"), ("/x.php/", "run x.php/index.php"), ("/docs/", "documents")]
    {
        assert_eq!(ask(&wagi, "GET", target).text(), body, "{target}");
    }
}

#[test]
fn a_script_that_changes_is_what_the_next_request_runs() {
    let wagi = serve("static = true");
    let path = wagi.directory().join("www");
    let mut connection = Connection::open(wagi.address());
    for number in 0..20 {
        std::fs::write(path.join("blog.php"), format!("run {number}")).expect("writable");
        assert_eq!(connection.get("/blog.php").text(), format!("run {number}"));
        std::fs::write(path.join("new"), format!("renamed {number}")).expect("writable");
        std::fs::rename(path.join("new"), path.join("blog.php")).expect("it can be renamed");
        assert_eq!(connection.get("/blog.php").text(), format!("renamed {number}"));
    }
    std::fs::remove_file(path.join("blog.php")).expect("it can be removed");
    assert_eq!(connection.get("/blog.php").status, 404);
    std::fs::create_dir(path.join("blog.php")).expect("it can be made");
    std::fs::write(path.join("blog.php/index.php"), "run inside").expect("writable");
    assert_eq!(connection.get("/blog.php").status, 301);
    assert_eq!(connection.get("/blog.php/").text(), "run inside");
}
