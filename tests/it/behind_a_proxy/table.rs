//! What guests and clients see, request by request. `{port}` is the port that the client connects to.

use std::net::SocketAddr;

use crate::behind_a_proxy::CLIENT;
use crate::support::http1::{Answer, Connection};

/// A request and what must be in its response.
struct Row {
    /// Method and target.
    request: &'static str,
    /// More header lines than Host; one that begins with `Host:` replaces it.
    fields: &'static [&'static str],
    body: &'static str,
    status: u16,
    /// Lines of the body; one that begins with `!` must not be there as the beginning of a line.
    lines: &'static [&'static str],
}

const fn get(request: &'static str, lines: &'static [&'static str]) -> Row {
    Row { request, fields: &[], body: "", status: 200, lines }
}

const fn with(fields: &'static [&'static str], lines: &'static [&'static str]) -> Row {
    Row { request: "GET /env/x", fields, body: "", status: 200, lines }
}

const fn sent(request: &'static str, body: &'static str, status: u16, lines: &'static [&'static str]) -> Row {
    Row { request, fields: &["Content-Type: text/plain"], body, status, lines }
}

/// What a client that forges fields must not change.
const UNCHANGED: &[&str] = &[
    "REMOTE_ADDR=127.0.0.2",
    "REMOTE_HOST=127.0.0.2",
    "REQUEST_SCHEME=http",
    "SERVER_NAME=example.test",
    "SERVER_PORT={port}",
    "HTTP_HOST=example.test:{port}",
    "X_FULL_URL=http://example.test:{port}/env/x",
    "!HTTPS=",
];

const ROWS: [Row; 54] = [
    get("GET /env/x", UNCHANGED),
    get("GET /env/x", &["REQUEST_METHOD=GET", "CONTENT_LENGTH=0", "CONTENT_TYPE=", "QUERY_STRING="]),
    get("GET /env/x", &["SERVER_PROTOCOL=HTTP/1.1", "GATEWAY_INTERFACE=CGI/1.1", "SERVER_SOFTWARE=WAGI/1"]),
    get("GET /env/x", &["SCRIPT_NAME=/env", "PATH_INFO=/x", "X_MATCHED_ROUTE=/env/..."]),
    get("GET /env", &["REQUEST_URI=/env", "SCRIPT_NAME=/env", "PATH_INFO="]),
    get("GET /env/", &["REQUEST_URI=/env/", "PATH_INFO=/"]),
    get("GET /env/a?x=1&y=%20z", &["REQUEST_URI=/env/a?x=1&y=%20z", "QUERY_STRING=x=1&y=%20z"]),
    get("GET /env/a?", &["QUERY_STRING="]),
    get("GET /env/a%2Fb%20c", &["REQUEST_URI=/env/a%2Fb%20c", "PATH_INFO=/a/b c", "X_RAW_PATH_INFO=/a%2Fb%20c"]),
    get("GET /env/a//b", &["REQUEST_URI=/env/a//b", "PATH_INFO=/a//b"]),
    get("GET /env/%c3%a9+~-._", &["REQUEST_URI=/env/%c3%a9+~-._", "PATH_INFO=/\u{e9}+~-._"]),
    get("GET /env/a;b=c,d", &["REQUEST_URI=/env/a;b=c,d"]),
    get("GET /status?404", &["status 404"]).with_status(404),
    get("GET /status?500", &["status 500"]).with_status(500),
    get("GET /status?418", &["status 418"]).with_status(418),
    get("GET /nothing/here", &["no behaviour `/nothing/here`"]).with_status(404),
    get("GET /exit?1", &[]).with_status(500),
    get("GET /cookies", &["two cookies"]),
    sent("POST /env/x", "12345", 200, &["REQUEST_METHOD=POST", "CONTENT_LENGTH=5", "CONTENT_TYPE=text/plain"]),
    sent("PUT /env/x", "1", 200, &["REQUEST_METHOD=PUT", "CONTENT_LENGTH=1"]),
    sent("PATCH /env/x", "1", 200, &["REQUEST_METHOD=PATCH"]),
    sent("DELETE /env/x", "", 200, &["REQUEST_METHOD=DELETE"]),
    sent("OPTIONS /env/x", "", 200, &["REQUEST_METHOD=OPTIONS"]),
    sent("POST /echo", "what goes in\ncomes out", 200, &["what goes in", "comes out"]),
    with(&["Cookie: a=1; b=2"], &["HTTP_COOKIE=a=1; b=2"]),
    with(&["X-Mine: one, two"], &["HTTP_X_MINE=one, two"]),
    with(&["Authorization: Basic eA=="], &["!HTTP_AUTHORIZATION"]),
    with(&["Proxy: http://evil.test"], &["!HTTP_PROXY"]),
    with(&["User-Agent: t"], &["HTTP_USER_AGENT=t"]),
    with(&["Host: other.test"], &["SERVER_NAME=other.test", "HTTP_HOST=other.test"]),
    Row { request: "GET /host", ..with(&["Host: other.test"], &["SCRIPT_NAME=/host", "SERVER_NAME=other.test"]) },
    get("GET /host", &["no behaviour `/host`"]).with_status(404),
    Row {
        request: "GET /host",
        status: 404,
        ..with(&["X-Forwarded-Host: other.test", "Forwarded: host=other.test"], &["no behaviour `/host`"])
    },
    // What a client writes in the fields of proxies.
    with(&["X-Forwarded-For: 6.6.6.6"], UNCHANGED),
    with(&["X-Forwarded-For: 127.0.0.1"], UNCHANGED),
    with(&["X-Forwarded-For: 127.0.0.1, 127.0.0.1"], UNCHANGED),
    with(&["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7"], UNCHANGED),
    with(&["X-Forwarded-For: unknown"], UNCHANGED),
    with(&["X-Forwarded-For: unix:"], UNCHANGED),
    with(&["X-Forwarded-For: <script>"], UNCHANGED),
    with(&["X-Forwarded-For: \""], UNCHANGED),
    with(&["X-Forwarded-Proto: https"], UNCHANGED),
    with(&["X-Forwarded-Host: evil.test"], UNCHANGED),
    with(&["X-Forwarded-Host: evil.test:1", "X-Forwarded-Port: 1", "X-Forwarded-Proto: https"], UNCHANGED),
    with(&["Forwarded: for=6.6.6.6;proto=https;host=evil.test"], UNCHANGED),
    with(&["Forwarded: for=127.0.0.1, for=127.0.0.1;proto=https"], UNCHANGED),
    with(&["Forwarded: for=\""], UNCHANGED),
    with(&["Forwarded: for=6.6.6.6;host=\"evil.test"], UNCHANGED),
    with(&["X-Real-IP: 6.6.6.6", "X-Client-IP: 6.6.6.6", "X-Forwarded-Server: evil.test"], UNCHANGED),
    with(&["HTTPS: on", "X-Forwarded-Ssl: on", "Front-End-Https: on"], UNCHANGED),
    with(&["X_Forwarded_For: 6.6.6.6", "X_Forwarded_Proto: https"], UNCHANGED),
    Row {
        request: "GET /component/request?a=%2F",
        ..with(
            &["X-Forwarded-Host: evil.test", "wagi-remote-addr: 6.6.6.6"],
            &["Method::Get Scheme::Http example.test:{port} /component/request?a=%2F", "wagi-remote-addr: 127.0.0.2"],
        )
    },
    Row {
        request: "GET /component/request",
        ..with(
            &["Forwarded: for=6.6.6.6;proto=https", "X-Forwarded-Proto: https"],
            &["Method::Get Scheme::Http example.test:{port} /component/request", "wagi-remote-addr: 127.0.0.2"],
        )
    },
    get("GET /env/the-last", &["REMOTE_ADDR=127.0.0.2"]),
];

impl Row {
    const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sends the request on a connection of its own.
    fn answer(&self, address: SocketAddr) -> Answer {
        let host = format!("Host: example.test:{}", address.port());
        let has_host = self.fields.iter().any(|field| field.starts_with("Host:"));
        let host = (!has_host).then_some(host.as_str());
        let length = format!("Content-Length: {}", self.body.len());
        let length = (!self.body.is_empty()).then_some(length.as_str());
        let fields: Vec<&str> = host.into_iter().chain(self.fields.iter().copied()).chain(length).collect();
        let mut connection = Connection::open_from(CLIENT, address);
        let fields = fields.join("\r\n");
        connection.send(format!("{} HTTP/1.1\r\n{fields}\r\nConnection: close\r\n\r\n{}", self.request, self.body));
        connection.answer()
    }
}

/// Sends all requests.
pub fn check(address: SocketAddr) {
    let port = address.port().to_string();
    for row in ROWS {
        let answer = row.answer(address);
        let text = answer.text();
        let request = format!("{} {:?} {:?}", row.request, row.fields, row.body);
        assert_eq!(answer.status, row.status, "{request}: {text}");
        for line in row.lines.iter().map(|line| line.replace("{port}", &port)) {
            let is_there = match line.strip_prefix('!') {
                Some(beginning) => !text.lines().any(|found| found.starts_with(beginning)),
                None => text.lines().any(|found| found == line),
            };
            assert!(is_there, "{request}: {line} in {text}");
        }
    }
}
