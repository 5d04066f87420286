//! Environments, request by request.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::header::{HeaderName, HeaderValue};

use crate::cgi::meta_variables::*;
use crate::route::RouteTable;

/// A request and the endpoint where it arrives, to be varied by each test.
struct Scene {
    pattern: &'static str,
    operator: &'static [(&'static str, &'static str)],
    endpoint: Endpoint,
    method: Method,
    target: &'static str,
    version: Version,
    fields: &'static [(&'static str, &'static str)],
    content_length: u64,
    remote_address: RemoteAddress,
    local_address: Option<IpAddr>,
    client_certificate: Option<ClientCertificate<'static>>,
}

fn remote(address: impl Into<IpAddr>) -> RemoteAddress {
    SocketAddr::new(address.into(), 4321).into()
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            pattern: "/...",
            operator: &[],
            endpoint: Endpoint::new(false, None),
            method: Method::GET,
            target: "/",
            version: Version::HTTP_11,
            fields: &[],
            content_length: 0,
            remote_address: remote(Ipv4Addr::LOCALHOST),
            local_address: None,
            client_certificate: None,
        }
    }
}

impl Scene {
    fn try_environment(&self) -> Result<BTreeMap<String, String>, BadRequest> {
        let table = RouteTable::new(vec![(RoutePattern::new(self.pattern), ())]);
        let uri: Uri = self.target.parse().expect("a request target");
        let found = table.find(uri.path()).expect("a match");
        let operator: Vec<_> = self.operator.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        let mut headers = HeaderMap::new();
        for &(name, value) in self.fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).expect("a name"), HeaderValue::from_static(value));
        }
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
        let named = authority.or_else(|| headers.get(HOST).map(HeaderValue::as_bytes));
        let request = RequestHead {
            method: &self.method,
            uri: &uri,
            version: self.version,
            headers: &headers,
            host: named.map(|host| Host::parse(host).expect("a host")),
            content_length: self.content_length,
            remote_address: self.remote_address,
            local_address: self.local_address,
            request_id: "00000000000000a1",
            client_certificate: self.client_certificate,
            script: None,
        };
        let route = RouteVariables::new(found.pattern, &operator, false);
        let block = route.environment(&self.endpoint, &request, found.path_info)?;
        let split = |variable: &str| variable.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let variables: BTreeMap<_, _> = block.iter().filter_map(split).collect();
        assert_eq!(variables.len(), block.len(), "one variable per name");
        Ok(variables)
    }

    fn environment(&self) -> BTreeMap<String, String> {
        self.try_environment().expect("an environment")
    }
}

/// Asserts that each of `expected` has that value, or is not there for `None`.
fn assert_variables(scene: &Scene, expected: &[(&str, Option<&str>)]) {
    let environment = scene.environment();
    for &(name, value) in expected {
        assert_eq!(environment.get(name).map(String::as_str), value, "{name} for {}", scene.target);
    }
}

/// RFC 3875 §4.1: the smallest request has exactly these.
#[test]
fn every_request_has_the_variables_of_cgi() {
    let expected = [
        ("AUTH_TYPE", ""),
        ("CONTENT_LENGTH", "0"),
        ("CONTENT_TYPE", ""),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("PATH_INFO", "/"),
        ("PATH_TRANSLATED", "/"),
        ("QUERY_STRING", ""),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_HOST", "127.0.0.1"),
        ("REMOTE_PORT", "4321"),
        ("REMOTE_USER", ""),
        ("REQUEST_ID", "00000000000000a1"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_SCHEME", "http"),
        ("REQUEST_URI", "/"),
        ("SCRIPT_NAME", "/"),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", "3000"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_SOFTWARE", "WAGI/1"),
        ("X_FULL_URL", "http://localhost:3000/"),
        ("X_MATCHED_ROUTE", "/..."),
        ("X_RAW_PATH_INFO", "/"),
        ("X_REQUEST_ID", "00000000000000a1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(Scene::default().environment(), BTreeMap::from(expected));
}

/// RFC 3875 §4.1, all of it in one request over TLS.
#[test]
fn a_full_request_is_described_in_full() {
    let scene = Scene {
        pattern: "/path/...",
        endpoint: Endpoint::new(true, Some("example.com:3000")),
        method: Method::POST,
        target: "/path/test%3brun?foo=bar",
        fields: &[
            ("Host", "example.com:3000"),
            ("X-Test-Header", "hello"),
            ("Accept", "text/html"),
            ("User-Agent", "test"),
            ("Authorization", "supersecret"),
            ("Connection", "sensitive"),
            ("Content-Type", "text/plain"),
        ],
        content_length: 1234,
        remote_address: remote(Ipv4Addr::new(192, 168, 0, 1)),
        ..Scene::default()
    };
    assert_variables(
        &scene,
        &[
            ("X_MATCHED_ROUTE", Some("/path/...")),
            ("SCRIPT_NAME", Some("/path")),
            ("PATH_INFO", Some("/test;run")),
            ("PATH_TRANSLATED", Some("/test;run")),
            ("X_RAW_PATH_INFO", Some("/test%3brun")),
            ("QUERY_STRING", Some("foo=bar")),
            ("CONTENT_LENGTH", Some("1234")),
            ("CONTENT_TYPE", Some("text/plain")),
            ("HTTP_CONTENT_TYPE", Some("text/plain")),
            ("REQUEST_METHOD", Some("POST")),
            ("REQUEST_URI", Some("/path/test%3brun?foo=bar")),
            ("REQUEST_SCHEME", Some("https")),
            ("HTTPS", Some("on")),
            ("SERVER_NAME", Some("example.com")),
            ("SERVER_PORT", Some("3000")),
            ("SERVER_PROTOCOL", Some("HTTP/1.1")),
            ("X_FULL_URL", Some("https://example.com:3000/path/test%3brun?foo=bar")),
            ("REMOTE_ADDR", Some("192.168.0.1")),
            ("HTTP_X_TEST_HEADER", Some("hello")),
            ("HTTP_ACCEPT", Some("text/html")),
            ("HTTP_USER_AGENT", Some("test")),
            ("HTTP_HOST", Some("example.com:3000")),
            ("HTTP_AUTHORIZATION", None),
            ("HTTP_CONNECTION", None),
            ("X_RELATIVE_PATH", None),
        ],
    );
}

/// RFC 3875 §4.1.5, §4.1.6, §4.1.13: decoded once, in UTF-8, and a plus sign is no blank.
#[test]
fn path_variables_follow_from_route_and_path() {
    for (pattern, target, script_name, path_info, raw) in [
        ("/", "/", "/", "", ""),
        ("/foo", "/foo", "/foo", "", ""),
        ("/foo/", "/foo/", "/foo/", "", ""),
        ("/foo/...", "/foo", "/foo", "", ""),
        ("/foo/...", "/foo/", "/foo", "/", "/"),
        ("/foo/...", "/foo/bar/baz", "/foo", "/bar/baz", "/bar/baz"),
        ("/path/...", "/path/test%3brun", "/path", "/test;run", "/test%3brun"),
        ("/foo/...", "/foo/a%2Fb%20c", "/foo", "/a/b c", "/a%2Fb%20c"),
        ("/foo/...", "/foo/a+b", "/foo", "/a+b", "/a+b"),
        ("/foo/...", "/foo/%ff", "/foo", "/\u{fffd}", "/%ff"),
        ("/foo/...", "/foo/%c3%a9", "/foo", "/é", "/%c3%a9"),
        ("/foo/...", "/foo/%2541", "/foo", "/%41", "/%2541"),
        ("/foo/...", "/foo/%zz%4", "/foo", "/%zz%4", "/%zz%4"),
        ("/foo/...", "/foo/../x", "/foo", "/../x", "/../x"),
        ("/...", "/", "/", "/", "/"),
        ("/...", "/a/b?c", "/", "/a/b", "/a/b"),
        ("/p/w/...", "/p/w/x", "/p/w", "/x", "/x"),
    ] {
        let scene = Scene { pattern, target, ..Scene::default() };
        assert_variables(
            &scene,
            &[
                ("X_MATCHED_ROUTE", Some(pattern)),
                ("SCRIPT_NAME", Some(script_name)),
                ("PATH_INFO", Some(path_info)),
                ("PATH_TRANSLATED", Some(path_info)),
                ("X_RAW_PATH_INFO", Some(raw)),
            ],
        );
    }
}

#[test]
fn a_nul_in_the_decoded_path_is_refused() {
    let scene = Scene { target: "/a%00b", ..Scene::default() };
    assert_eq!(scene.try_environment(), Err(BadRequest::NulInPath));
    assert!(Scene { target: "/a?%00", ..Scene::default() }.try_environment().is_ok());
    assert!(Scene { target: "/a%2500", ..Scene::default() }.try_environment().is_ok());
}

/// RFC 3875 §4.1.7, and WAGI 0.8's X_FULL_URL, which always names the port.
#[test]
fn the_full_url_repeats_the_target_as_sent() {
    for (target, query, url) in [
        ("/a", "", "http://a.example:80/a"),
        ("/a?", "", "http://a.example:80/a?"),
        ("/a?b=%20&c+d", "b=%20&c+d", "http://a.example:80/a?b=%20&c+d"),
        ("http://b.example:99/a?b", "b", "http://b.example:99/a?b"),
    ] {
        let scene = Scene { target, fields: &[("Host", "a.example")], ..Scene::default() };
        assert_variables(&scene, &[("QUERY_STRING", Some(query)), ("X_FULL_URL", Some(url))]);
    }
    let scene = Scene { fields: &[("Host", "[::1]:3000")], ..Scene::default() };
    assert_variables(&scene, &[("SERVER_NAME", Some("[::1]")), ("X_FULL_URL", Some("http://[::1]:3000/"))]);
}

/// RFC 3875 §4.1.8, §4.1.16
#[test]
fn protocol_and_remote_address_have_the_format_of_cgi() {
    for (version, protocol) in
        [(Version::HTTP_10, "HTTP/1.0"), (Version::HTTP_11, "HTTP/1.1"), (Version::HTTP_2, "HTTP/2.0")]
    {
        let remote_address = remote(Ipv6Addr::LOCALHOST);
        let scene = Scene { version, remote_address, ..Scene::default() };
        assert_variables(&scene, &[("SERVER_PROTOCOL", Some(protocol)), ("REMOTE_ADDR", Some("::1"))]);
    }
}

/// RFC 9112 §3.2.2, RFC 9113 §8.3.1: the target's authority stands for Host. If there is one too, `gateway` has made it agree.
#[test]
fn a_request_names_its_host_by_the_authority_of_its_target() {
    let target = "https://a.example:8443/x";
    let scene = Scene { version: Version::HTTP_2, target, ..Scene::default() };
    let expected = [("HTTP_HOST", Some("a.example:8443")), ("SERVER_NAME", Some("a.example"))];
    assert_variables(&scene, &expected);
    let with_host = Scene { fields: &[("Host", "a.example:8443")], ..scene };
    assert_variables(&with_host, &expected);
    assert_variables(&Scene { target, ..Scene::default() }, &expected);
}

/// WAGI 0.8: CGI's variables, then the operator's, then the client's.
#[test]
fn operators_add_variables_that_neither_cgi_nor_clients_replace() {
    let scene = Scene {
        operator: &[
            ("FOO", "first"),
            ("PATH_INFO", "/evil"),
            ("SERVER_SOFTWARE", "mine"),
            ("HTTP_X_TENANT", "acme"),
            ("HTTP_HOST", "fixed"),
            ("EMPTY", ""),
            ("FOO", "last"),
        ],
        fields: &[("X-Tenant", "other"), ("Host", "a.example"), ("X-Free", "1")],
        ..Scene::default()
    };
    assert_variables(
        &scene,
        &[
            ("FOO", Some("last")),
            ("EMPTY", Some("")),
            ("PATH_INFO", Some("/")),
            ("SERVER_SOFTWARE", Some("WAGI/1")),
            ("HTTP_X_TENANT", Some("acme")),
            ("HTTP_HOST", Some("fixed")),
            ("HTTP_X_FREE", Some("1")),
            ("SERVER_NAME", Some("a.example")),
        ],
    );
    assert!(RouteVariables::defines("PATH_INFO"));
    assert!(!RouteVariables::defines("FOO"));
}

#[test]
fn names_defined_by_cgi_are_those_an_environment_has_where_everything_is_known() {
    let environment = Scene {
        endpoint: Endpoint::new(true, None),
        local_address: Some(Ipv4Addr::LOCALHOST.into()),
        client_certificate: Some(ClientCertificate::Verified { subject: "CN=alice" }),
        ..Scene::default()
    }
    .environment();
    assert_eq!(environment.keys().map(String::as_str).collect::<Vec<_>>(), CGI_NAMES);
}

/// Apache, which Go's, Python's, Perl's and PHP's libraries were written for.
#[test]
fn request_uri_is_path_and_query_as_sent_and_no_other_source_sets_it() {
    for (target, expected) in [
        ("/", "/"),
        ("/a%2Fb/../c?x=%20&y", "/a%2Fb/../c?x=%20&y"),
        ("/a?", "/a?"),
        ("/a//b;c=1", "/a//b;c=1"),
        ("http://a.example:81/x?y", "/x?y"),
        ("http://a.example", "/"),
    ] {
        let scene = Scene {
            target,
            operator: &[("REQUEST_URI", "mine"), ("HTTPS", "on"), ("REQUEST_SCHEME", "https")],
            fields: &[("Request-Uri", "/evil"), ("Https", "on"), ("Request-Scheme", "https")],
            ..Scene::default()
        };
        let expected = [("REQUEST_URI", Some(expected)), ("HTTPS", None), ("REQUEST_SCHEME", Some("http"))];
        assert_variables(&scene, &expected);
    }
}

/// RFC 3875 §4.1.1, §4.1.11; `SSL_CLIENT_` as Apache's mod_ssl has it.
#[test]
fn a_client_certificate_names_the_user() {
    let subject = r"CN=alice\0A,O=Example";
    let rows = [
        (None, "", "", None, None),
        (Some(ClientCertificate::None), "", "", Some("NONE"), None),
        (Some(ClientCertificate::Verified { subject }), "TLS", subject, Some("SUCCESS"), Some(subject)),
        (Some(ClientCertificate::Verified { subject: "" }), "TLS", "", Some("SUCCESS"), Some("")),
    ];
    let operator = &[("SSL_CLIENT_VERIFY", "SUCCESS"), ("SSL_CLIENT_S_DN", "CN=root"), ("REMOTE_USER", "root")];
    let fields = &[("ssl-client-verify", "SUCCESS"), ("ssl_client_s_dn", "CN=root"), ("remote-user", "root")];
    for (client_certificate, auth_type, user, verify, dn) in rows {
        let expected = [
            ("AUTH_TYPE", Some(auth_type)),
            ("REMOTE_USER", Some(user)),
            ("SSL_CLIENT_VERIFY", verify),
            ("SSL_CLIENT_S_DN", dn),
            ("HTTP_SSL_CLIENT_VERIFY", Some("SUCCESS")),
            ("HTTP_SSL_CLIENT_S_DN", None),
            ("HTTP_REMOTE_USER", Some("root")),
        ];
        assert_variables(&Scene { operator, fields, client_certificate, ..Scene::default() }, &expected);
    }
}

/// As Apache, lighttpd and nginx set them: a port in decimal, an address without brackets.
#[test]
fn the_ends_of_the_connection_are_named_where_they_are_known() {
    let socket = |text: &str| RemoteAddress::from(text.parse::<SocketAddr>().expect("an address"));
    let ip = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
    let operator = &[("REMOTE_PORT", "1"), ("SERVER_ADDR", "evil")];
    let fields = &[("remote-port", "1"), ("server-addr", "evil")];
    for (remote_address, local_address, port, address) in [
        (socket("192.0.2.1:65535"), ip("192.0.2.2"), Some("65535"), Some("192.0.2.2")),
        (socket("[2001:db8::1]:1"), ip("2001:db8::2"), Some("1"), Some("2001:db8::2")),
        (socket("[::ffff:192.0.2.1]:80"), ip("::ffff:192.0.2.2"), Some("80"), Some("192.0.2.2")),
        (socket("192.0.2.1:0"), ip("::"), None, Some("::")),
        (RemoteAddress::Unix, None, None, None),
    ] {
        let scene = Scene { remote_address, local_address, operator, fields, ..Scene::default() };
        assert_variables(&scene, &[("REMOTE_PORT", port), ("SERVER_ADDR", address)]);
    }
}

#[test]
fn the_id_of_a_request_is_ours_alone() {
    let operator = &[("REQUEST_ID", "evil"), ("X_REQUEST_ID", "evil")];
    let fields = &[("request-id", "evil"), ("x-request-id", "theirs"), ("x_request_id", "evil")];
    let expected = [
        ("REQUEST_ID", Some("00000000000000a1")),
        ("X_REQUEST_ID", Some("00000000000000a1")),
        ("HTTP_X_REQUEST_ID", Some("theirs")),
    ];
    assert_variables(&Scene { operator, fields, ..Scene::default() }, &expected);
}
