//! Which requests begin warm: with which arguments, and through which listener.

use crate::support::admin::Administered;
use crate::support::http1::{Answer, Connection};
use crate::support::site::Site;

use crate::warm_start::{asked, guest, ready, status, variables, warm_requests};

/// A guest whose arguments are asked for before its checkpoint and printed after it.
fn arguments_guest() -> String {
    guest("(call $ask_arguments) (call $checkpoint)", "(call $print_arguments)")
}

/// The arguments that a guest has printed.
fn arguments(answer: &Answer) -> Vec<String> {
    let text = answer.text();
    // A variable has a name in capital letters before its `=`.
    let is_variable = |line: &&str| line.split_once('=').is_some_and(|(name, _)| name == name.to_ascii_uppercase());
    text.lines().take_while(|line| !is_variable(line)).map(str::to_owned).collect()
}

#[test]
fn a_pointer_to_an_argument_leads_to_that_of_the_request() {
    let served = Administered::start(Site::new().text_module("/a/...", &arguments_guest(), "warm_start = true"), &[]);
    ready(&served, "/a/...", 1);
    let long = format!("/a/{}", "x".repeat(900));
    let paths = ["/a", "/a/b", "/a/a/much/longer/path%20of/the%C3%A9request", "/a/c", long.as_str()];
    for path in paths {
        let answer = asked(&served.wagi, &format!("GET {path} HTTP/1.1"), "");
        assert_eq!(arguments(&answer), [path]);
        assert_eq!(variables(&answer)["REQUEST_URI"], path);
    }
    assert_eq!(warm_requests(&served, "/a/..."), paths.len() as u64, "{}", status(&served, "/a/..."));
    asked(&served.wagi, "GET /a?x=1 HTTP/1.1", "");
    ready(&served, "/a/...", 2);
    let begun = warm_requests(&served, "/a/...");
    let ask = |query: &str| {
        let answer = asked(&served.wagi, &format!("GET /a/b?{query} HTTP/1.1"), "");
        let expected: Vec<&str> = std::iter::once("/a/b").chain(query.split('&')).collect();
        assert_eq!(arguments(&answer), expected);
        warm_requests(&served, "/a/...") - begun
    };
    assert_eq!(["x=1", "other=a+longer+one%20", "q="].map(ask), [1, 2, 3]);
    // Another number of arguments needs another snapshot.
    assert_eq!(ask("a=1&b=2"), 3);
    ready(&served, "/a/...", 3);
    assert_eq!(["a=1&b=2", "c&d=a+longer+one%20", "a=1"].map(ask), [4, 5, 6]);
    assert_eq!(ask(&format!("q={}", "x".repeat(5000))), 6);
    assert_eq!(status(&served, "/a/...")["requests"]["unfit"], 1, "{}", status(&served, "/a/..."));
}

#[test]
fn a_guest_that_asks_for_its_arguments_after_its_checkpoint_begins_warm_with_any() {
    let module = guest("(call $checkpoint)", "(call $ask_arguments) (call $print_arguments)");
    let served = Administered::start(Site::new().text_module("/a/...", &module, "warm_start = true"), &[]);
    ready(&served, "/a/...", 1);
    asked(&served.wagi, "GET /a?x=1 HTTP/1.1", "");
    ready(&served, "/a/...", 2);
    let begun = warm_requests(&served, "/a/...");
    for query in ["x=1", "a=1&b=2&c=3", "a=1&&&&&&&&&&&&&&&&&&&&&&&&&&&&z"] {
        let answer = asked(&served.wagi, &format!("GET /a/b?{query} HTTP/1.1"), "");
        let expected: Vec<&str> = std::iter::once("/a/b").chain(query.split('&')).collect();
        assert_eq!(arguments(&answer), expected);
    }
    assert_eq!(warm_requests(&served, "/a/...") - begun, 3, "{}", status(&served, "/a/..."));
}

/// Rust, and CPython: what they have copied cannot be replaced.
#[test]
fn a_guest_that_has_copied_its_arguments_begins_warm_only_with_the_same_ones() {
    let copy = "(call $ask_arguments) (memory.copy (i32.const 300000) (i32.const 400000) (i32.const 4096))";
    let print = "(i32.store (i32.const 2048) (i32.const 300000)) (call $print_arguments)";
    let module = guest(&format!("{copy} (call $checkpoint)"), print);
    let served = Administered::start(Site::new().text_module("/a/...", &module, "warm_start = true"), &[]);
    ready(&served, "/a/...", 1);
    for (path, count) in [("/a", 1), ("/a/b", 1), ("/a", 2), ("/a/c/d", 2)] {
        let answer = asked(&served.wagi, &format!("GET {path} HTTP/1.1"), "");
        assert_eq!(arguments(&answer), [path]);
        assert_eq!(warm_requests(&served, "/a/..."), count, "{path}: {}", status(&served, "/a/..."));
    }
}

#[test]
fn a_guest_that_reads_its_body_begins_warm_with_other_arguments() {
    // Its checkpoint is the first read of the body.
    let read = "(i32.store (i32.const 16) (i32.const 800)) (i32.store (i32.const 20) (i32.const 10)) \
        (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))";
    let module = guest(&format!("(call $ask_arguments) {read}"), "(call $print_arguments)");
    let served = Administered::start(Site::new().text_module("/a/...", &module, "warm_start = true"), &[]);
    ready(&served, "/a/...", 1);
    for path in ["/a/x", "/a", "/a/y/z"] {
        assert_eq!(arguments(&asked(&served.wagi, &format!("POST {path} HTTP/1.1"), "a body")), [path]);
    }
    assert_eq!(warm_requests(&served, "/a/..."), 3, "{}", status(&served, "/a/..."));
}

#[test]
fn requests_through_a_proxy_and_over_a_unix_socket_begin_warm() {
    let module = guest("(call $checkpoint)", "");
    let site = Site::new()
        .text_module("/warm", &module, "warm_start = true")
        .text_module("/cold", &module, "")
        .top("[server]\ntrusted_proxies = ['127.0.0.1', 'unix']");
    let served = Administered::start(site, &["-l", "unix:web.sock"]);
    ready(&served, "/warm", 1);
    let socket = served.wagi.directory().join("web.sock");
    let mut count = 0;
    for is_unix in [false, true] {
        for fields in [
            "",
            "X-Forwarded-For: 192.0.2.9\r\n",
            "X-Forwarded-Proto: https\r\n",
            "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: www.example.com\r\n",
        ] {
            let ask = |route: &str| {
                let connection = || Connection::open(served.wagi.address());
                let mut connection = if is_unix { Connection::open_unix(&socket) } else { connection() };
                connection.send(format!("GET {route} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
                connection.answer()
            };
            let (warm, cold) = (ask("/warm"), ask("/cold"));
            assert_eq!((warm.status, variables(&warm)), (cold.status, variables(&cold)), "{fields}");
            let is_https = variables(&warm).contains_key("HTTPS");
            assert_eq!(is_https, fields.contains("https"), "{fields}");
            count += 1;
            assert_eq!(warm_requests(&served, "/warm"), count, "{fields}: {}", status(&served, "/warm"));
        }
    }
}
