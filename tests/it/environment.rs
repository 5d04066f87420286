//! Meta-variables as a guest reads them.

use bytes::Bytes;
use http::{Request, Version};

use crate::support::harness::{Answer, Test};

const ENV: &str = include_str!("../../examples/env.wat");

async fn at(route: &str, target: &str) -> Answer {
    Test::at(route, ENV).get(target).await
}

/// route, path, X_MATCHED_ROUTE, SCRIPT_NAME, PATH_INFO = PATH_TRANSLATED, X_RAW_PATH_INFO
#[tokio::test]
async fn path_variables() {
    let rows = [
        ("/", "/", "/", "/", "", ""),
        ("/foo", "/foo", "/foo", "/foo", "", ""),
        ("/foo/", "/foo/", "/foo/", "/foo/", "", ""),
        ("/foo/...", "/foo", "/foo/...", "/foo", "", ""),
        ("/foo/...", "/foo/", "/foo/...", "/foo", "/", "/"),
        ("/foo/...", "/foo/bar/baz", "/foo/...", "/foo", "/bar/baz", "/bar/baz"),
        ("/path/...", "/path/test%3brun", "/path/...", "/path", "/test;run", "/test%3brun"),
        ("/foo/...", "/foo/a%2Fb%20c", "/foo/...", "/foo", "/a/b c", "/a%2Fb%20c"),
        ("/foo/...", "/foo/a+b", "/foo/...", "/foo", "/a+b", "/a+b"),
        ("/foo/...", "/foo/%ff", "/foo/...", "/foo", "/\u{fffd}", "/%ff"),
        ("/foo/...", "/foo/../x", "/foo/...", "/foo", "/../x", "/../x"),
        ("/...", "/", "/...", "/", "/", "/"),
        ("/...", "/a/b", "/...", "/", "/a/b", "/a/b"),
    ];
    for (route, path, matched, script_name, path_info, raw) in rows {
        let answer = at(route, path).await;
        for (name, value) in [
            ("X_MATCHED_ROUTE", matched),
            ("SCRIPT_NAME", script_name),
            ("PATH_INFO", path_info),
            ("PATH_TRANSLATED", path_info),
            ("X_RAW_PATH_INFO", raw),
        ] {
            assert_eq!(answer.variable(name).as_deref(), Some(value), "{route} {path} {name}");
        }
    }
}

#[tokio::test]
async fn an_encoded_nul_in_the_path_is_400() {
    assert_eq!(at("/...", "/a%00b").await.status, 400);
}

/// RFC 3875 §4.1: a request with a bit of everything.
#[tokio::test]
async fn the_variables_of_a_request() {
    let running = Test::at("/path/...", ENV).options(|options| options.hostname = "example.com:3000".parse().ok());
    let request = Request::post("/path/test%3brun?foo=bar")
        .header("Host", "example.com:3000")
        .header("X-Test-Header", "hello")
        .header("Accept", "text/html")
        .header("User-Agent", "test")
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("Authorization", "Basic x")
        .header("Proxy-Authorization", "Basic y")
        .header("Proxy", "http://evil")
        .header("Connection", "keep-alive, X-Hop")
        .header("X-Hop", "1")
        .header("X_Underscore", "1")
        .body(Bytes::from(vec![b'x'; 1234]))
        .unwrap();
    let answer = running.start().await.send(request).await;
    let expected = [
        ("AUTH_TYPE", ""),
        ("CONTENT_LENGTH", "1234"),
        ("CONTENT_TYPE", "text/plain; charset=utf-8"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("PATH_INFO", "/test;run"),
        ("QUERY_STRING", "foo=bar"),
        ("REMOTE_ADDR", "192.168.0.1"),
        ("REMOTE_HOST", "192.168.0.1"),
        ("REMOTE_USER", ""),
        ("REQUEST_METHOD", "POST"),
        ("SERVER_NAME", "example.com"),
        ("SERVER_PORT", "3000"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", "WAGI/1"),
        ("X_FULL_URL", "http://example.com:3000/path/test%3brun?foo=bar"),
        ("HTTP_X_TEST_HEADER", "hello"),
        ("HTTP_ACCEPT", "text/html"),
        ("HTTP_HOST", "example.com:3000"),
        ("HTTP_CONTENT_TYPE", "text/plain; charset=utf-8"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.variable(name).as_deref(), Some(value), "{name}");
    }
    for name in ["AUTHORIZATION", "PROXY_AUTHORIZATION", "PROXY", "CONNECTION", "X_HOP", "X_UNDERSCORE"] {
        assert_eq!(answer.variable(&format!("HTTP_{name}")), None, "{name}");
    }
    assert_eq!(answer.variable("X_RELATIVE_PATH"), None);
}

#[tokio::test]
async fn without_a_body_the_length_is_0_and_the_type_is_empty() {
    let answer = at("/", "/").await;
    assert_eq!(answer.variable("CONTENT_LENGTH").unwrap(), "0");
    assert_eq!(answer.variable("CONTENT_TYPE").unwrap(), "");
    assert_eq!(answer.variable("QUERY_STRING").unwrap(), "");
}

/// Host field, `--hostname`, SERVER_NAME, SERVER_PORT
#[tokio::test]
async fn name_and_port_of_the_server() {
    let rows = [
        (Some("wagi.net:31337"), Some("example.com:1234"), "wagi.net", "31337"),
        (Some("wagi.net"), Some("example.com:1234"), "wagi.net", "1234"),
        (None, Some("example.com:1234"), "example.com", "1234"),
        (Some("[::1]:3000"), None, "[::1]", "3000"),
        (Some("wagi.net"), None, "wagi.net", "80"),
        (None, None, "localhost", "3000"),
    ];
    for (host, hostname, name, port) in rows {
        let test = Test::at("/", ENV).options(|options| options.hostname = hostname.and_then(|text| text.parse().ok()));
        let mut request = Request::get("/");
        if let Some(host) = host {
            request = request.header("Host", host);
        }
        let answer = test.start().await.send(request.body(Bytes::new()).unwrap()).await;
        assert_eq!(answer.variable("SERVER_NAME").as_deref(), Some(name), "{host:?} {hostname:?}");
        assert_eq!(answer.variable("SERVER_PORT").as_deref(), Some(port), "{host:?} {hostname:?}");
    }
}

/// RFC 3875 §4.1.18: the same field several times means its values joined.
#[tokio::test]
async fn repeated_fields_are_joined() {
    let request = Request::get("/")
        .header("X-A", "1")
        .header("X-A", "2")
        .header("Cookie", "a=1")
        .header("Cookie", "b=2")
        .header("X-Text", http::HeaderValue::from_bytes("é".as_bytes()).unwrap())
        .version(Version::HTTP_2)
        .body(Bytes::new())
        .unwrap();
    let answer = Test::at("/", ENV).start().await.send(request).await;
    assert_eq!(answer.variable("HTTP_X_A").unwrap(), "1, 2");
    assert_eq!(answer.variable("HTTP_COOKIE").unwrap(), "a=1; b=2");
    assert_eq!(answer.variable("HTTP_X_TEXT").unwrap(), "é");
    assert_eq!(answer.variable("SERVER_PROTOCOL").unwrap(), "HTTP/2.0");
}

#[tokio::test]
async fn operator_variables_give_way_to_cgi_and_to_nothing_else() {
    let test = Test::new()
        .module("/", ENV, "environment = { A = 'module', B = 'module', HTTP_X_A = 'mine' }")
        .options(|options| options.env = vec![("B".into(), "typed".into())]);
    let request = Request::get("/").header("X-A", "from the client").body(Bytes::new()).unwrap();
    let answer = test.start().await.send(request).await;
    assert_eq!(answer.variable("A").unwrap(), "module");
    assert_eq!(answer.variable("B").unwrap(), "typed");
    assert_eq!(answer.variable("HTTP_X_A").unwrap(), "mine");

    let test = Test::new().module("/", ENV, "environment = { REMOTE_ADDR = 'mine' }");
    let (running, problems) = test.try_start().await;
    assert_eq!(running.unwrap().get("/").await.variable("REMOTE_ADDR").unwrap(), "192.168.0.1");
    assert!(problems.contains("REMOTE_ADDR"), "{problems}");
}

#[tokio::test]
async fn one_module_does_not_see_the_variables_of_another() {
    let test = Test::new().module("/a", ENV, "environment = { SECRET = 'a' }").module("/b", ENV, "");
    assert_eq!(test.start().await.get("/b").await.variable("SECRET"), None);
}

#[tokio::test]
async fn the_servers_own_environment_is_never_visible() {
    let answer = at("/", "/").await;
    assert!(std::env::var_os("PATH").is_some());
    assert_eq!(answer.variable("PATH"), None);
    assert_eq!(answer.variable("HOME"), None);
}

/// RFC 9112 §3.2.
#[tokio::test]
async fn several_host_fields_are_400() {
    let request = Request::get("/").header("Host", "a").header("Host", "b").body(Bytes::new()).unwrap();
    assert_eq!(Test::at("/", ENV).start().await.send(request).await.status, 400);
}
