//! Does nginx respond in the same way over the same directory?

use std::net::SocketAddr;

use crate::behind_a_proxy::proxies::Proxy;
use crate::static_files::tree;
use crate::support::http1::{Answer, Connection};
use crate::support::make_pipe;

/// A row: method, target, and fields, in which `{etag}` and `{date}` stand for what the server says of `/data.bin`.
pub type Row = (&'static str, &'static str, &'static str);

/// What both respond in the same way to.
pub const SAME: [Row; 62] = [
    ("GET", "/", ""),
    ("HEAD", "/", ""),
    ("GET", "/index.html", ""),
    ("GET", "/index.html?a=b", ""),
    ("GET", "/style.css", ""),
    ("HEAD", "/style.css", ""),
    ("GET", "/app.js", ""),
    ("GET", "/data.bin", ""),
    ("GET", "/inside", ""),
    ("GET", "/empty.txt", ""),
    ("HEAD", "/empty.txt", ""),
    ("GET", "/with%20blank.txt", ""),
    ("GET", "/with+blank.txt", ""),
    ("GET", "/%73tyle.css", ""),
    ("GET", "/sub/", ""),
    ("HEAD", "/sub/", ""),
    ("GET", "/sub", ""),
    ("HEAD", "/sub", ""),
    ("GET", "/sub?a=b", ""),
    ("GET", "/bare", ""),
    ("GET", "//style.css", ""),
    ("GET", "/sub//index.html", ""),
    ("GET", "//sub", ""),
    ("GET", "/.well-known/security.txt", ""),
    ("GET", "/missing", ""),
    ("HEAD", "/missing", ""),
    ("GET", "/sub/missing", ""),
    ("GET", "/missing/", ""),
    ("GET", "/style.css/", ""),
    ("GET", "/style.css/x", ""),
    ("GET", "/STYLE.CSS", ""),
    ("GET", "/.env", ""),
    ("GET", "/%2eenv", ""),
    ("GET", "/.git/config", ""),
    ("GET", "/pipe", ""),
    ("GET", "/%2e%2e%2e", ""),
    ("POST", "/style.css", "Content-Length: 0\r\n"),
    ("PUT", "/style.css", "Content-Length: 0\r\n"),
    ("DELETE", "/style.css", ""),
    ("OPTIONS", "/style.css", ""),
    ("PATCH", "/style.css", "Content-Length: 0\r\n"),
    ("GET", "/data.bin", "If-None-Match: {etag}\r\n"),
    ("HEAD", "/data.bin", "If-None-Match: {etag}\r\n"),
    ("GET", "/data.bin", "If-None-Match: W/{etag}\r\n"),
    ("GET", "/data.bin", "If-None-Match: \"x\", {etag}\r\n"),
    ("GET", "/data.bin", "If-None-Match: *\r\n"),
    ("GET", "/data.bin", "If-None-Match: \"x\"\r\n"),
    ("GET", "/data.bin", "If-None-Match: \"x\"\r\nIf-Modified-Since: {date}\r\n"),
    ("GET", "/data.bin", "If-Modified-Since: {date}\r\n"),
    ("GET", "/data.bin", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
    ("GET", "/data.bin", "If-Match: {etag}\r\n"),
    ("GET", "/data.bin", "If-Match: \"x\"\r\n"),
    ("GET", "/data.bin", "If-Match: *\r\n"),
    ("GET", "/data.bin", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
    ("GET", "/data.bin", "If-Unmodified-Since: {date}\r\n"),
    ("GET", "/data.bin", "Range: bytes=2-4\r\n"),
    ("GET", "/data.bin", "Range: bytes=7-99\r\n"),
    ("GET", "/data.bin", "Range: bytes=-3\r\n"),
    ("GET", "/data.bin", "Range: bytes=10-\r\n"),
    ("GET", "/data.bin", "Range: bytes=0-1,3-4\r\n"),
    ("GET", "/data.bin", "Range: bytes=2-4\r\nIf-Range: {etag}\r\n"),
    ("GET", "/data.bin", "Range: bytes=2-4\r\nIf-Range: \"x\"\r\n"),
];

/// What they respond differently to: the status of wagi, that of nginx, and why.
pub const DIFFERENT: [(Row, u16, u16, &str); 12] = [
    (("GET", "/bare/", ""), 404, 403, "that there is a directory is not said"),
    (("GET", "/outside", ""), 404, 200, "a symlink that leads out of the directory"),
    (("GET", "/absolute", ""), 404, 200, "the same"),
    (("GET", "/up/secret.txt", ""), 404, 200, "the same"),
    (("GET", "/sub/../style.css", ""), 404, 200, "names that begin with a dot are never served; clients resolve them"),
    (("GET", "/./style.css", ""), 404, 200, "the same"),
    (("GET", "/../secret.txt", ""), 404, 400, "the same"),
    (("GET", "/sub%2findex.html", ""), 404, 200, "an encoded slash separates nothing"),
    (("GET", "/data.bin%00.html", ""), 404, 400, "no file has such a name"),
    (("GET", "/100%", ""), 404, 400, "no file has such a name"),
    (("HEAD", "/data.bin", "Range: bytes=2-4\r\n"), 200, 206, "RFC 9110 §14.2: only a GET has ranges"),
    (("GET", "/data.bin", "Range: bytes=4-2\r\n"), 200, 416, "RFC 9110 §14.2: a range that makes no sense is ignored"),
];

pub fn ask(address: SocketAddr, (method, target, fields): Row) -> Answer {
    let mut connection = Connection::open(address);
    let request = |method: &str, target: &str, fields: &str| {
        format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")
    };
    connection.send(request(method, target, &filled_in(address, fields)));
    if method == "HEAD" { connection.head() } else { connection.answer() }
}

/// The fields with what the server says of `/data.bin`.
pub fn filled_in(address: SocketAddr, fields: &str) -> String {
    if !fields.contains('{') {
        return fields.to_owned();
    }
    let known = Connection::open(address).get("/data.bin");
    let field = |name| known.header(name).expect("nginx and wagi say it").to_owned();
    fields.replace("{etag}", &field("etag")).replace("{date}", &field("last-modified"))
}

/// What has to be the same.
fn essence(answer: &Answer) -> Vec<String> {
    let mut essence = vec![answer.status.to_string()];
    let names = ["location", "content-range", "last-modified"];
    let of_files = ["content-type", "content-length", "content-encoding"];
    let is_file = answer.status == 200 || answer.status == 206;
    for name in names.iter().chain(of_files.iter().filter(|_| is_file)) {
        essence.push(format!("{name}: {}", answer.header(name).unwrap_or("-")));
    }
    if is_file {
        essence.push(answer.text());
    }
    essence
}

#[test]
#[ignore = "needs nginx"]
fn nginx_responds_in_the_same_way() {
    let site = tree();
    make_pipe(&site.path().join("public/pipe"));
    let root = site.path().join("public").display().to_string();
    let wagi = site.top("[[static]]\nroute = '/...'\ndirectory = 'public'\nprecompressed = false").start(&[]);
    let nginx = Proxy::nginx(&format!(
        "types {{ text/html html; text/css css; text/javascript js; text/plain txt; }}
         default_type application/octet-stream;
         charset utf-8;
         charset_types text/css text/javascript text/plain;
         server {{
             listen 80;
             listen 443 ssl;
             ssl_certificate /etc/ssl/example.com.crt;
             ssl_certificate_key /etc/ssl/example.com.key;
             root {root};
             absolute_redirect off;
             max_ranges 1;
             if_modified_since before;
             location ~ /\\.(?!well-known/) {{ return 404; }}
         }}"
    ));
    let mut differences = Vec::new();
    for row in SAME {
        let (ours, theirs) = (essence(&ask(wagi.address(), row)), essence(&ask(nginx.plain(), row)));
        if ours != theirs {
            differences.push(format!("{row:?}\n  wagi {ours:?}\n nginx {theirs:?}"));
        }
    }
    for (row, ours, theirs, why) in DIFFERENT {
        let found = (ask(wagi.address(), row).status, ask(nginx.plain(), row).status);
        if found != (ours, theirs) {
            differences.push(format!("{row:?}: {found:?}, and not {ours} and {theirs}: {why}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
