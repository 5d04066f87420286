//! Which response does a request get?

use crate::static_files::{serve, tree};
use crate::support::guest::printing;
use crate::support::http1::{Answer, Connection};
use crate::support::make_pipe;
use crate::support::process::Wagi;
use crate::support::site::Site;

/// The answer to a request with these lines after the first.
fn ask(wagi: &Wagi, method: &str, target: &str, fields: &str) -> Answer {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"));
    if method == "HEAD" { connection.head() } else { connection.answer() }
}

#[test]
fn files_are_sent_with_what_is_known_of_them() {
    let wagi = serve("");
    for (target, status, media_type, body) in [
        ("/", 200, "text/html; charset=utf-8", "<h1>home</h1>"),
        ("/index.html", 200, "text/html; charset=utf-8", "<h1>home</h1>"),
        ("/app.js?v=1", 200, "text/javascript; charset=utf-8", "app()"),
        ("/style.css", 200, "text/css; charset=utf-8", "body {}"),
        ("/data.bin", 200, "application/octet-stream", "0123456789"),
        ("/inside", 200, "application/octet-stream", "0123456789"),
        ("/empty.txt", 200, "text/plain; charset=utf-8", ""),
        ("/with%20blank.txt", 200, "text/plain; charset=utf-8", "blank"),
        ("/sub/", 200, "text/html; charset=utf-8", "sub"),
        ("/sub//index.html", 200, "text/html; charset=utf-8", "sub"),
        ("/.well-known/security.txt", 200, "text/plain; charset=utf-8", "Contact: a"),
    ] {
        let answer = ask(&wagi, "GET", target, "");
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{target}");
        for (name, value) in [
            ("content-type", media_type),
            ("content-length", &body.len().to_string()),
            ("x-content-type-options", "nosniff"),
            ("accept-ranges", "bytes"),
            ("vary", "Accept-Encoding"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{target}: {name}");
        }
        assert!(answer.header("etag").is_some_and(|etag| etag.starts_with('"')), "{target}");
        assert!(answer.header("last-modified").is_some() && answer.header("content-encoding").is_none(), "{target}");
        let head = ask(&wagi, "HEAD", target, "");
        let without_date = |answer: &Answer| {
            let fields = answer.headers.iter().filter(|(name, _)| name != "date");
            let mut fields: Vec<_> = fields.cloned().collect();
            fields.sort();
            fields
        };
        assert_eq!((head.status, without_date(&head)), (status, without_date(&answer)), "{target}");
    }
    wagi.logged(&["\"GET /style.css HTTP/1.1\" 200 7B", "end=static route=\"/...\" id="]);
}

#[test]
fn what_is_no_file_of_the_directory_is_404() {
    let site = tree();
    make_pipe(&site.path().join("public/pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(site.path().join("public/socket")).expect("a socket");
    let wagi = site.top("[[static]]\nroute = '/...'\ndirectory = 'public'").start(&[]);
    for target in [
        "/missing",
        "/bare/",
        "/style.css/",
        "/style.css/x",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/sub/../.env",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/outside",
        "/up/secret.txt",
        "/absolute",
        "/data.bin%00.html",
        "/sub%2findex.html",
        "/pipe",
        "/socket",
        "//etc/passwd",
        "/%2fetc/passwd",
    ] {
        let answer = ask(&wagi, "GET", target, "");
        assert_eq!((answer.status, answer.text().as_str()), (404, ""), "{target}");
    }
    assert_eq!(ask(&wagi, "GET", &format!("/{}", "x/".repeat(3_000)), "").status, 404);
    wagi.logged(&["\"GET /outside HTTP/1.1\" 404", "end=static", "reason=\"it leads out of the directory\""]);
}

#[test]
fn other_methods_are_405() {
    let wagi = serve("");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
        for target in ["/style.css", "/missing", "/.env"] {
            let answer = ask(&wagi, method, target, "Content-Length: 0\r\n");
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {target}");
        }
    }
}

#[test]
fn a_directory_without_a_slash_leads_to_one_with() {
    let wagi = tree()
        .top("[[static]]\nroute = '/a/...'\ndirectory = 'public'\n[[static]]\nroute = '/...'\ndirectory = 'public'");
    let wagi = wagi.start(&[]);
    for (target, location) in [
        ("/sub", "/sub/"),
        ("/sub?a=b", "/sub/?a=b"),
        ("/bare", "/bare/"),
        ("/a", "/a/"),
        ("/a/sub", "/a/sub/"),
        ("//sub", "/sub/"),
        ("///sub?x", "/sub/?x"),
        ("/.well-known", "/.well-known/"),
    ] {
        let answer = ask(&wagi, "GET", target, "");
        assert_eq!((answer.status, answer.header("location")), (301, Some(location)), "{target}");
    }
}

#[test]
fn conditions_and_ranges_follow_rfc_9110() {
    let wagi = serve("precompressed = false");
    let first = ask(&wagi, "GET", "/data.bin", "");
    let (etag, date) = (first.header("etag").expect("a tag"), first.header("last-modified").expect("a date"));
    for (fields, status, body, range) in [
        (format!("If-None-Match: {etag}\r\n"), 304, "", None),
        (format!("If-None-Match: W/{etag}, \"x\"\r\n"), 304, "", None),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200, "0123456789", None),
        (format!("If-Modified-Since: {date}\r\n"), 304, "", None),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), 200, "0123456789", None),
        (format!("If-Match: {etag}\r\n"), 200, "0123456789", None),
        ("If-Match: \"x\"\r\n".to_owned(), 412, "", None),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), 412, "", None),
        ("Range: bytes=2-4\r\n".to_owned(), 206, "234", Some("bytes 2-4/10")),
        ("Range: bytes=-3\r\n".to_owned(), 206, "789", Some("bytes 7-9/10")),
        ("Range: bytes=7-99\r\n".to_owned(), 206, "789", Some("bytes 7-9/10")),
        ("Range: bytes=10-\r\n".to_owned(), 416, "", Some("bytes */10")),
        ("Range: bytes=0-1,3-4\r\n".to_owned(), 200, "0123456789", None),
        (format!("Range: bytes=2-4\r\nIf-Range: {etag}\r\n"), 206, "234", Some("bytes 2-4/10")),
        ("Range: bytes=2-4\r\nIf-Range: \"x\"\r\n".to_owned(), 200, "0123456789", None),
        (format!("Range: bytes=2-4\r\nIf-None-Match: {etag}\r\n"), 304, "", None),
    ] {
        let answer = ask(&wagi, "GET", "/data.bin", &fields);
        let found = (answer.status, answer.text(), answer.header("content-range"));
        assert_eq!(found, (status, body.to_owned(), range), "{fields}");
        let known = (answer.header("etag"), answer.header("last-modified"));
        assert!(known == (Some(etag), Some(date)) || status >= 400, "{fields}");
    }
    let head = ask(&wagi, "HEAD", "/data.bin", "Range: bytes=2-4\r\n");
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
}

#[test]
fn a_compressed_file_beside_a_file_is_sent_to_those_who_take_it() {
    let wagi = serve("");
    let plain = ask(&wagi, "GET", "/app.js", "");
    for (accepted, coding, body) in [
        ("gzip, deflate, br, zstd", Some("br"), "app, in br"),
        ("gzip", Some("gzip"), "app, in gzip"),
        ("br;q=0.5, gzip", Some("gzip"), "app, in gzip"),
        ("zstd", None, "app()"),
        ("gzip;q=0", None, "app()"),
        ("identity, gzip;q=0.1", None, "app()"),
        ("identity;q=0, zstd", None, "app()"),
    ] {
        let answer = ask(&wagi, "GET", "/app.js", &format!("Accept-Encoding: {accepted}\r\n"));
        assert_eq!((answer.header("content-encoding"), answer.text().as_str()), (coding, body), "{accepted}");
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert_eq!(answer.header("etag") == plain.header("etag"), coding.is_none(), "{accepted}");
    }
    let off = serve("precompressed = false");
    let answer = ask(&off, "GET", "/app.js", "Accept-Encoding: gzip\r\n");
    assert_eq!((answer.text().as_str(), answer.header("vary")), ("app()", None));
}

#[test]
fn keys_change_what_is_sent() {
    let wagi = serve(
        "index = ['none.html', 'file.txt']\nfallback = 'index.html'\ncache_control = 'max-age=60'\n\
         headers = { X-Frame-Options = 'DENY', Vary2 = 'x' }",
    );
    for (target, status, body) in [
        ("/bare/", 200, "bare"),
        ("/sub/", 200, "<h1>home</h1>"),
        ("/some/page", 200, "<h1>home</h1>"),
        ("/projects/group%2Fname", 200, "<h1>home</h1>"),
        ("/a%2Fb/.env", 404, ""),
        ("/..%2Fb", 404, ""),
        ("/.env", 404, ""),
        ("/outside", 404, ""),
    ] {
        let answer = ask(&wagi, "GET", target, "");
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{target}");
        let fields = (answer.header("cache-control"), answer.header("x-frame-options"), answer.header("vary2"));
        let expected = if status == 200 { (Some("max-age=60"), Some("DENY"), Some("x")) } else { (None, None, None) };
        assert_eq!(fields, expected, "{target}");
    }
}

#[test]
fn the_first_entry_of_the_file_that_matches_wins_and_nothing_falls_through() {
    let site = tree();
    let guest = site.file("guest.wat", printing("Content-Type: text/plain\n\nguest"));
    let module = |route: &str| format!("[[module]]\nroute = '{route}'\nmodule = '{}'\n", guest.display());
    let files = |route: &str, more: &str| format!("[[static]]\nroute = '{route}'\n{more}\n");
    let wagi = site
        .top(
            &[
                module("/first/..."),
                files("/first/...", "directory = 'public'"),
                files("/a/...", "directory = 'public'"),
                module("/a/..."),
                files("/robots.txt", "file = 'secret.txt'"),
                files("/...", "directory = 'public/sub'\nhost = 'files.test'"),
                module("/..."),
            ]
            .concat(),
        )
        .start(&[]);
    for (target, status, body) in [
        ("/first/style.css", 200, "guest"),
        ("/a/style.css", 200, "body {}"),
        ("/a/missing", 404, ""),
        ("/robots.txt", 200, "secret"),
        ("/robots.txt/", 200, "guest"),
        ("/index.html", 200, "guest"),
    ] {
        let answer = ask(&wagi, "GET", target, "");
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{target}");
    }
    let mut connection = Connection::open(wagi.address());
    connection.send("GET /index.html HTTP/1.1\r\nHost: files.test\r\n\r\n");
    assert_eq!(connection.answer().text(), "sub");
}

#[test]
fn a_check_lists_the_routes_of_files() {
    let site = tree().top("[[static]]\nroute = '/assets/...'\ndirectory = 'public'");
    let checked = site.run(&["--check"]);
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && text.contains("/assets/...\tpublic\n"), "{text}");
    let hidden = tree().top(&"[[static]]\nroute = '/...'\ndirectory = 'public'\n".repeat(2)).run(&["--check"]);
    let problems = String::from_utf8_lossy(&hidden.stderr).into_owned();
    assert!(problems.contains("comes first and matches the same"), "{problems}");
}

#[test]
fn a_directory_that_the_start_cannot_open_is_an_error_at_its_key() {
    let site = Site::new().top("[[static]]\nroute = '/...'\ndirectory = 'missing'");
    let checked = site.run(&["--check"]);
    let problems = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && problems.contains("modules.toml:3:13"), "{problems}");
}

#[test]
fn a_reload_applies_another_directory_and_other_keys() {
    let wagi = serve("");
    let configure = |toml: &str| {
        std::fs::write(wagi.directory().join("modules.toml"), toml).expect("writable");
        wagi.signal("HUP");
    };
    configure("[[static]]\nroute = '/...'\ndirectory = 'public/bare'\ncache_control = 'no-store'");
    wagi.logged(&["reloaded generation=2 routes=1"]);
    let answer = ask(&wagi, "GET", "/file.txt", "");
    assert_eq!((answer.text().as_str(), answer.header("cache-control")), ("bare", Some("no-store")));
    configure("[[static]]\nroute = '/...'\ndirectory = 'missing'");
    wagi.logged(&["reload refused: "]);
    wagi.logged(&["`missing` does not exist"]);
    assert_eq!(ask(&wagi, "GET", "/file.txt", "").status, 200);
}

#[test]
fn a_directory_that_was_replaced_is_taken_at_a_reload() {
    let wagi = serve("");
    let path = |name: &str| wagi.directory().join(name);
    std::fs::rename(path("public"), path("old")).expect("it can be renamed");
    std::fs::create_dir(path("public")).expect("it can be made");
    std::fs::write(path("public/style.css"), "new").expect("writable");
    assert_eq!(ask(&wagi, "GET", "/style.css", "").text(), "body {}");
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=2"]);
    assert_eq!(ask(&wagi, "GET", "/style.css", "").text(), "new");
}

#[test]
fn the_example_of_the_page_is_taken_as_it_is() {
    let page = include_str!("../../../docs/static-files.md");
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let site = tree();
    site.file("api.wat", printing("Content-Type: text/plain\n\nthe program"));
    site.file("public/assets/a.css", "a {}");
    site.file("public/robots.txt", "User-agent: *");
    let wagi = site.top(block).start(&["--strict"]);
    for (target, body, cache) in [
        ("/api/x", "the program", None),
        ("/assets/a.css", "a {}", Some("max-age=31536000, immutable")),
        ("/robots.txt", "User-agent: *", None),
        ("/some/page", "<h1>home</h1>", None),
    ] {
        let answer = ask(&wagi, "GET", target, "");
        assert_eq!((answer.text().as_str(), answer.header("cache-control")), (body, cache), "{target}");
    }
    assert_eq!(ask(&wagi, "GET", "/assets/missing", "").status, 404);
}
