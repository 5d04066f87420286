//! Registries that do not play along when something is published.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use wagi::observe::sha256_hex;

use crate::support::registry::{program, run};
use crate::support::site::Site;
use crate::support::upstream::{Received, Upstream, reply};

/// What a registry does that takes in what it is sent: nothing is there, uploads go to `place`.
fn take_in(received: &Received, place: &str) -> Vec<u8> {
    let (method, path) = received.line.split_once(' ').expect("a method and a path");
    let sent = format!("Docker-Content-Digest: sha256:{}\r\n", sha256_hex(&received.body));
    match method {
        "HEAD" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n".to_vec(),
        "POST" if path == "/v2/app/blobs/uploads/" => reply("202 Accepted", &format!("Location: {place}\r\n"), ""),
        "PUT" => reply("201 Created", &sent, ""),
        _ => reply("404 Not Found", "", ""),
    }
}

fn site() -> Site {
    let site = Site::new();
    site.file("hello.wat", program("hello"));
    site
}

fn reference(server: &Upstream) -> String {
    format!("127.0.0.1:{}/app:1", server.port())
}

fn lines(server: &Upstream) -> Vec<String> {
    server.received().into_iter().map(|received| received.line).collect()
}

#[test]
fn bytes_go_where_the_registry_wants_them_and_the_manifest_last() {
    for place in ["/upload/1?state=a%2Fb", "1?state=a%2Fb"] {
        let server = Upstream::start(move |received| take_in(received, place));
        let printed = run(&site(), &["push", "hello.wat", &reference(&server)]).well();
        let lines = lines(&server);
        let requests = server.received();
        assert_eq!(lines.len(), 7, "{lines:?}");
        let module = wat::parse_str(program("hello")).expect("valid");
        let digest = sha256_hex(&module);
        let base = if place.starts_with('/') { "/upload/" } else { "/v2/app/blobs/uploads/" };
        assert_eq!(lines[0], format!("HEAD /v2/app/blobs/sha256:{digest}"));
        assert_eq!(lines[1], "POST /v2/app/blobs/uploads/");
        assert_eq!(lines[2], format!("PUT {base}1?state=a%2Fb&digest=sha256%3A{digest}"));
        assert_eq!(requests[1].header("content-length"), Some("0"));
        assert_eq!(requests[2].body, module);
        assert_eq!(requests[2].header("content-type"), Some("application/octet-stream"));
        assert_eq!(lines[6], "PUT /v2/app/manifests/1");
        let type_of_manifest = Some("application/vnd.oci.image.manifest.v1+json");
        assert_eq!(requests[6].header("content-type"), type_of_manifest);
        assert!(printed.trim().ends_with(&sha256_hex(&requests[6].body)), "{printed}");
    }
}

#[test]
fn what_a_registry_has_is_not_sent_again() {
    let server = Upstream::start(|received| match received.line.starts_with("HEAD ") {
        true => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec(),
        false => take_in(received, "/upload"),
    });
    run(&site(), &["push", "hello.wat", &reference(&server)]).well();
    let methods: Vec<_> = lines(&server).iter().map(|line| line[..4].trim().to_owned()).collect();
    assert_eq!(methods, ["HEAD", "HEAD", "PUT"]);
}

#[test]
fn an_upload_that_fails_is_begun_again() {
    let failed = AtomicUsize::new(0);
    let server = Upstream::start(move |received| {
        let is_upload = received.line.starts_with("PUT /upload");
        match is_upload && failed.fetch_add(1, Ordering::SeqCst) < 2 {
            true => reply("502 Bad Gateway", "", "<html>"),
            false => take_in(received, "/upload"),
        }
    });
    run(&site(), &["push", "hello.wat", &reference(&server)]).well();
    let count = |start: &str| lines(&server).iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("POST "), count("PUT /upload"), count("PUT /v2/app/manifests/")), (4, 4, 1));
}

/// A registry that answers requests that begin with `line` in a way of its own.
fn stubborn(line: &'static str, answer: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |received| match received.line.starts_with(line) {
        true => answer(),
        false => take_in(received, "/upload"),
    })
}

#[test]
fn a_registry_that_does_not_take_a_module_in_is_named_with_what_it_says() {
    let wrong = format!("Docker-Content-Digest: sha256:{}\r\n", "0".repeat(64));
    let denied = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"quota\\nexceeded\"}]}";
    let bad = |answer: Vec<u8>| move || answer.clone();
    for (server, part) in [
        (stubborn("PUT /upload", bad(reply("201 Created", &wrong, ""))), "has kept the module as `sha256:000"),
        (stubborn("PUT /v2", bad(reply("201 Created", &wrong, ""))), "has kept the manifest as `sha256:000"),
        (stubborn("POST ", bad(reply("202 Accepted", "", ""))), "does not say where to put the bytes"),
        (stubborn("POST ", bad(reply("403 Forbidden", "", denied))), "it says `DENIED: quotaexceeded`"),
        (stubborn("POST ", bad(reply("200 OK", "", "<html>log in</html>"))), "answers 200 OK when it is asked to take"),
        (stubborn("POST ", bad(reply("405 Method Not Allowed", "", ""))), "answers 405 Method Not Allowed"),
        (stubborn("PUT /v2", bad(reply("400 Bad Request", "", denied))), "asked to take in the manifest; it says"),
        (stubborn("PUT /upload", bad(reply("404 Not Found", "", ""))), "when it is asked to take in the bytes"),
        (stubborn("PUT /upload", bad(reply("500 Oops", "", ""))), "fails with 500"),
        (
            stubborn("POST ", bad(reply("202 Accepted", "Location: ftp://127.0.0.1/x\r\n", ""))),
            "which is not the URL of a server",
        ),
    ] {
        let said = run(&site(), &["push", "hello.wat", &reference(&server)]).badly();
        assert!(said.contains(part) && said.contains("cannot publish"), "{part}: {said}");
        // A tag never names what is not there.
        let manifests = lines(&server).iter().filter(|line| line.starts_with("PUT /v2/app/manifests")).count();
        assert_eq!(manifests, usize::from(part.contains("manifest")), "{part}");
    }
}

#[test]
fn a_login_is_not_shown_to_a_place_for_uploads_that_is_elsewhere() {
    let elsewhere = Upstream::start(|received| take_in(received, "/never"));
    let place = elsewhere.url("/upload");
    let server = Upstream::start(move |received| match received.header("authorization") {
        Some(_) => take_in(received, &place),
        None => reply("401 Unauthorized", "WWW-Authenticate: Basic\r\n", ""),
    });
    let site = site();
    let host = format!("127.0.0.1:{}", server.port());
    site.file("docker/config.json", format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"bWU6aHVudGVyMg==\"}}}}}}"));
    run(&site, &["push", "hello.wat", &reference(&server)]).well();
    let sent = elsewhere.received();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|received| received.header("authorization").is_none()), "{sent:?}");
}

#[test]
fn an_upload_does_not_follow_a_redirect_to_another_server() {
    let elsewhere = Upstream::start(|received| take_in(received, "/never"));
    let to = Mutex::new(format!("Location: {}\r\n", elsewhere.url("/upload")));
    let server = Upstream::start(move |received| match received.line.starts_with("PUT /upload") {
        true => reply("307 Temporary Redirect", &to.lock().unwrap(), ""),
        false => take_in(received, "/upload"),
    });
    let said = run(&site(), &["push", "hello.wat", &reference(&server)]).badly();
    assert!(said.contains("a server that what is sent is not for"), "{said}");
    assert!(elsewhere.received().is_empty());
}

#[test]
fn the_right_to_push_is_asked_for() {
    let server = Upstream::start(|received| {
        if received.line.starts_with("GET /token?") {
            return reply("200 OK", "", "{\"access_token\":\"t0ken\"}");
        }
        match received.header("authorization") {
            Some("Bearer t0ken") => take_in(received, "/upload"),
            _ => {
                let realm = format!("http://{}/token", received.header("host").unwrap_or_default());
                let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
                reply("401 Unauthorized", &challenge, "")
            }
        }
    });
    run(&site(), &["push", "hello.wat", &reference(&server)]).well();
    let asked: Vec<_> = lines(&server).into_iter().filter(|line| line.contains("/token")).collect();
    assert_eq!(asked, ["GET /token?service=s&scope=repository%3Aapp%3Apull%2Cpush"]);
}
