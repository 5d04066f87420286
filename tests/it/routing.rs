//! Which route answers.

use http::{Request, StatusCode};

use crate::support::guest::{printing, printing_then};
use crate::support::harness::Test;
use crate::support::site::Site;
use crate::support::{LONG, http2};

const ENV: &str = include_str!("../../examples/env.wat");

fn named(name: &str) -> String {
    printing(format!("Content-Type: text/plain\n\n{name}"))
}

#[tokio::test]
async fn exact_and_prefix_patterns_match_what_they_say() {
    let rows: [(&str, &[&str], &[&str]); 5] = [
        ("/", &["/"], &["/x"]),
        ("/foo", &["/foo", "/foo?a=b"], &["/foo/", "/foo/bar", "/foobar"]),
        ("/foo/", &["/foo/"], &["/foo"]),
        ("/foo/...", &["/foo", "/foo/", "/foo/bar", "/foo//x"], &["/foobar", "/Foo", "/%66oo"]),
        ("/...", &["/", "/a", "/a/b/c"], &[]),
    ];
    for (pattern, matching, others) in rows {
        let running = Test::at(pattern, &named("it")).start().await;
        for path in matching {
            assert_eq!(running.get(path).await.text(), "it", "{pattern} {path}");
        }
        for path in others {
            let answer = running.get(path).await;
            assert_eq!((answer.status, answer.body.len()), (StatusCode::NOT_FOUND, 0), "{pattern} {path}");
            assert!(!answer.headers.contains_key("content-type"));
        }
    }
}

#[tokio::test]
async fn a_prefix_ends_at_a_slash() {
    let running = Test::at("/blah/...", &named("it")).start().await;
    assert_eq!(running.get("/blahahahaha").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_first_entry_that_matches_wins() {
    let test = Test::new().module("/a/...", &named("first"), "").module("/...", &named("second"), "");
    let running = test.start().await;
    assert_eq!(running.get("/a/b").await.text(), "first");
    assert_eq!(running.get("/b").await.text(), "second");
}

#[tokio::test]
async fn a_route_that_can_never_match_is_warned_about_with_its_place() {
    let test = Test::new().module("/...", &named("first"), "").module("/a", &named("second"), "");
    let (running, problems) = test.try_start().await;
    assert_eq!(running.unwrap().get("/a").await.text(), "first");
    for part in ["warning", "modules.toml:6", "`/a`", "`/...`"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[tokio::test]
async fn healthz_is_built_in_and_comes_first() {
    let (running, problems) = Test::at("/healthz", &named("mine")).try_start().await;
    let running = running.unwrap();
    let answer = running.get("/healthz?x").await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "OK"));
    assert!(!answer.headers.contains_key("content-type"));
    assert_eq!(running.get("/healthz/").await.status, StatusCode::NOT_FOUND);
    assert!(problems.contains("/healthz"), "{problems}");
}

/// RFC 9113 §8.1.1: content in the response to HEAD is an error of the stream.
#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_the_answer_to_head_ends_with_its_head() {
    let site = Site::new().text_module("/a", &printing("Content-Type: text/plain\n\nhello"), "");
    let wagi = site.text_module("/trap", &printing_then("Content-Type: a/b\n\n", "(unreachable)"), "").start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    for (path, status, length) in
        [("/healthz", 200, Some("2")), ("/nowhere", 404, None), ("/a", 200, Some("5")), ("/trap", 500, None)]
    {
        for method in ["GET", "HEAD"] {
            let request = Request::builder().method(method).uri(format!("http://localhost{path}"));
            let (answer, _stream) = connection.send(request, true).await;
            let answer = tokio::time::timeout(LONG, answer).await.expect("in time").expect("an answer");
            let found = answer.headers().get("content-length").map(|length| length.to_str().expect("digits"));
            assert_eq!((answer.status().as_u16(), found), (status, length), "{method} {path}");
            assert!(method == "GET" || answer.body().is_end_stream(), "{method} {path}");
            let mut body = answer.into_body();
            while let Some(piece) = http2::piece(&mut body).await {
                piece.expect("no reset");
            }
        }
    }
}

/// Tells by X_MATCHED_ROUTE which of its functions was called.
fn with_sub_routes(list: &str) -> String {
    let body = ENV.trim_end().strip_suffix(')').expect("a module");
    let list_length = list.len();
    let list = super::support::guest::escaped(list.as_bytes());
    format!(
        r#"{body}
        (data (i32.const 512) "{list}")
        (func (export "_routes") (call $print (i32.const 512) (i32.const {list_length})))
        (func (export "on_exact") (call 2) )
        (func (export "on_wildcard") (call 2)))"#
    )
    .replace("(func (export \"_start\")", "(func $start (export \"_start\")")
    .replace("(call 2)", "(call $start)")
}

#[tokio::test]
async fn sub_routes_are_joined_to_the_route_of_their_module() {
    let guest = with_sub_routes("/exact on_exact\n/wildcard/... on_wildcard\n\n/main _start\r\n");
    for (route, parent) in [
        ("/", ""),
        ("/exactparent", "/exactparent"),
        ("/exactparentslash/", "/exactparentslash"),
        ("/wildcardparent/...", "/wildcardparent"),
    ] {
        let running = Test::at(route, &guest).start().await;
        let rows = [
            (format!("{parent}/exact"), format!("{parent}/exact"), String::new()),
            (format!("{parent}/wildcard/fizz/buzz"), format!("{parent}/wildcard/..."), "/fizz/buzz".into()),
            (format!("{parent}/main"), format!("{parent}/main"), String::new()),
        ];
        for (path, matched, path_info) in rows {
            let answer = running.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{route} {path}");
            assert_eq!(answer.variable("X_MATCHED_ROUTE"), Some(matched.clone()), "{route} {path}");
            assert_eq!(answer.variable("SCRIPT_NAME").unwrap(), matched.trim_end_matches("/..."));
            assert_eq!(answer.variable("PATH_INFO"), Some(path_info));
        }
    }
    let running = Test::at("/wildcardparent/...", &guest).start().await;
    let answer = running.get("/wildcardparent/fizz/buzz").await;
    assert_eq!(answer.variable("PATH_INFO").unwrap(), "/fizz/buzz");
    assert_eq!(answer.variable("X_MATCHED_ROUTE").unwrap(), "/wildcardparent/...");
}

#[tokio::test]
async fn among_sub_routes_the_last_printed_wins() {
    let rows = [
        ("/one/... on_exact\n/one/two/... on_wildcard\n", "/p/one/two/..."),
        ("/one/two/... on_wildcard\n/one/... on_exact\n", "/p/one/..."),
    ];
    for (list, matched) in rows {
        let (running, _) = Test::at("/p", &with_sub_routes(list)).try_start().await;
        let answer = running.unwrap().get("/p/one/two/three/x").await;
        assert_eq!(answer.variable("X_MATCHED_ROUTE").unwrap(), matched);
    }
}

#[tokio::test]
async fn a_wildcard_sub_route_covers_the_whole_of_its_parent() {
    for (parent, path) in [("/example", "/example/a"), ("/", "/a")] {
        let (running, _) = Test::at(parent, &with_sub_routes("/... on_wildcard\n")).try_start().await;
        let answer = running.unwrap().get(path).await;
        assert_eq!(answer.variable("PATH_INFO").unwrap(), "/a");
    }
}

#[tokio::test]
async fn a_list_of_sub_routes_that_is_none_stops_the_start() {
    let rows = [("/a\n", "/a"), ("/a b c\n", "/a b c"), ("   \n", "list of routes"), ("/a nowhere\n", "nowhere")];
    for (list, part) in rows {
        let (running, problems) = Test::at("/p", &with_sub_routes(list)).try_start().await;
        assert!(running.is_none(), "{list:?}");
        for part in [part, "error", "modules.toml:3", "/p"] {
            assert!(problems.contains(part), "{list:?}: {part} is not in {problems}");
        }
    }
}

#[tokio::test]
async fn an_empty_list_of_sub_routes_is_a_warning() {
    let guest = printing("Content-Type: a/b\n\n").trim_end().strip_suffix(')').unwrap().to_owned()
        + "(func (export \"_routes\")))";
    let (running, problems) = Test::at("/", &guest).try_start().await;
    assert_eq!(running.unwrap().get("/").await.status, StatusCode::OK);
    assert!(problems.contains("warning") && problems.contains("_routes"), "{problems}");
}

#[tokio::test]
async fn sub_routes_end_well_with_exit_code_0_and_badly_otherwise() {
    for (code, starts) in [(0, true), (1, false)] {
        let guest = format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
               (func (export "_start")) (func (export "_routes") (call $exit (i32.const {code}))))"#
        );
        let (running, problems) = Test::at("/", &guest).try_start().await;
        assert_eq!(running.is_some(), starts, "{problems}");
    }
}

#[tokio::test]
async fn methods_that_are_not_a_scripts_to_answer_are_405() {
    let running = Test::at("/...", &named("it")).start().await;
    let trace = http::Request::builder().method("TRACE").uri("/").body(bytes::Bytes::new()).unwrap();
    let answer = running.send(trace).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.header("allow").contains("GET"));
    let other = http::Request::builder().method("BREW").uri("/").body(bytes::Bytes::new()).unwrap();
    assert_eq!(running.send(other).await.text(), "it");
}
