//! TLS on the real port: keys in every usual form, both protocols, and clients that do not play along.

use std::net::TcpStream;
use std::process::{Command, Output};

use crate::support::caller::Caller;
use crate::support::http1::Connection;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;
use crate::support::tls::fixture;
use crate::support::{LONG, guest};

/// The probe behind TLS.
pub fn secure(cert: &str, key: &str) -> Wagi {
    Site::probe("").start(&["--tls-cert", &fixture(cert), "--tls-key", &fixture(key)])
}

/// What curl says of `path`, its certificate checked, ended by a line with the protocol's version.
pub fn curl(wagi: &Wagi, cert: &str, arguments: &[&str], path: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--write-out", "HTTP/%{http_version}"]);
    curl.args(["--max-time", &LONG.as_secs().to_string(), "--cacert", &fixture(cert)]);
    let output = curl.args(arguments).arg(format!("{}{path}", wagi.url())).output().expect("curl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(arguments: &[&str]) -> Output {
    let probe = guest::probe();
    let mut all = vec![probe.to_str().expect("a path in UTF-8"), "-l", "127.0.0.1:0"];
    all.extend(arguments);
    process::run(std::env::temp_dir().as_path(), &all)
}

#[test]
fn every_usual_form_of_a_key_serves_both_protocols() {
    for (cert, key) in
        [("ec.cert.pem", "ec.pkcs8.pem"), ("ec.cert.pem", "ec.sec1.pem"), ("rsa.cert.pem", "rsa.pkcs1.pem")]
    {
        let wagi = secure(cert, key);
        assert!(wagi.url().starts_with("https://127.0.0.1:"), "{}", wagi.url());
        assert_eq!(curl(&wagi, cert, &["--http1.1"], "/args"), "\"/args\"\nHTTP/1.1", "{key}");
        assert_eq!(curl(&wagi, cert, &["--http2"], "/args"), "\"/args\"\nHTTP/2", "{key}");
    }
}

#[test]
fn a_program_that_calls_out_believes_the_authorities_the_operator_names() {
    let callee = secure("ec.cert.pem", "ec.pkcs8.pem");
    let module = Caller::new().get(format!("{}/args", callee.url())).module();
    let called = |arguments: &[&str]| {
        let wagi = Site::new().text_module("/", &module, "allowed_hosts = ['https://127.0.0.1']").start(arguments);
        Connection::open(wagi.address()).get("/").text()
    };
    assert_eq!(called(&["--outbound-ca", &fixture("ec.cert.pem")]), "0 200 0\n");
    assert_eq!(called(&[]), "11\n");
    let missing = Site::new().text_module("/", &module, "allowed_hosts = ['https://127.0.0.1']");
    let refused = missing.run(&["--outbound-ca", "no/such.pem"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("cannot read certificates from `no/such.pem`"), "{said}");
}

#[test]
fn a_script_behind_tls_sees_https() {
    let wagi = secure("ec.cert.pem", "ec.pkcs8.pem");
    let url = format!("X_FULL_URL={}/env?a=b\n", wagi.url());
    for (protocol, name) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        let answer = curl(&wagi, "ec.cert.pem", &[protocol], "/env?a=b");
        assert!(answer.contains(&url), "{url} in {answer}");
        assert!(answer.contains(&format!("SERVER_PROTOCOL={name}")), "{answer}");
        for variable in ["HTTPS=on\n", "REQUEST_SCHEME=https\n", "REQUEST_URI=/env?a=b\n"] {
            assert!(answer.contains(variable), "{variable} in {answer}");
        }
    }
}

#[test]
fn a_component_behind_tls_sees_https() {
    let tls = ["--tls-cert", &fixture("ec.cert.pem"), "--tls-key", &fixture("ec.pkcs8.pem")];
    let wagi = Site::new().module("/p/...", &guest::component("http-probe.wasm"), "").start(&tls);
    let expected = format!("Method::Get Scheme::Https {} /p/request?a=b\n", wagi.address());
    for protocol in ["--http1.1", "--http2"] {
        let answer = curl(&wagi, "ec.cert.pem", &[protocol], "/p/request?a=b");
        assert!(answer.starts_with(&expected), "{expected} in {answer}");
        assert!(answer.contains("\nwagi-path-info: /request\n"), "{answer}");
    }
}

#[test]
fn bodies_go_both_ways_through_tls() {
    let wagi = secure("ec.cert.pem", "ec.pkcs8.pem");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("body");
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    std::fs::write(&file, &body).expect("a file can be written");
    let upload = format!("@{}", file.display());
    let back = directory.path().join("back");
    let back = back.to_str().expect("a path in UTF-8");
    for protocol in ["--http1.1", "--http2"] {
        curl(&wagi, "ec.cert.pem", &[protocol, "--data-binary", &upload, "--output", back], "/echo");
        assert!(std::fs::read(back).expect("curl wrote it") == body, "{protocol}: the body is not what was sent");
    }
}

#[test]
fn silent_vanishing_and_babbling_clients_disturb_nobody() {
    let mut wagi = secure("ec.cert.pem", "ec.pkcs8.pem");
    let silent: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(wagi.address()).expect("the server listens")).collect();
    for _ in 0..20 {
        drop(TcpStream::connect(wagi.address()).expect("the server listens"));
        let mut babbling = Connection::open(wagi.address());
        babbling.send("GET / HTTP/1.1\r\nHost: plain\r\n\r\n");
        babbling.rest();
    }
    assert_eq!(curl(&wagi, "ec.cert.pem", &[], "/args"), "\"/args\"\nHTTP/2");
    assert!(wagi.end().is_none());
    drop(silent);
    assert_eq!(curl(&wagi, "ec.cert.pem", &["--http1.1"], "/args"), "\"/args\"\nHTTP/1.1");
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    let fixtures = [fixture("ec.cert.pem"), fixture("ec.pkcs8.pem")];
    let site = Site::probe("").top("[limits]\ntls_handshake = '200ms'");
    let wagi = site.start(&["--tls-cert", &fixtures[0], "--tls-key", &fixtures[1]]);
    let mut half = Connection::open(wagi.address());
    half.send(b"\x16\x03\x01");
    half.rest();
}

#[test]
fn a_key_that_belongs_to_another_certificate_stops_the_start_and_both_are_named() {
    let (cert, key) = (fixture("ec.cert.pem"), fixture("rsa.pkcs1.pem"));
    let output = refused(&["--tls-cert", &cert, "--tls-key", &key]);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains(&cert) && shown.contains(&key) && shown.contains("does not belong"), "{shown}");
    assert!(output.stdout.is_empty(), "it is not ready");
}

#[test]
fn a_file_that_is_missing_or_holds_something_else_stops_the_start_and_is_named() {
    let (cert, key) = (fixture("ec.cert.pem"), fixture("ec.pkcs8.pem"));
    let other = fixture("../manifests/files/hello.wat");
    for (cert, key, named) in [
        ("/no/such.pem", key.as_str(), "/no/such.pem"),
        (&cert, "/no/such.pem", "/no/such.pem"),
        (&other, &key, &other),
        (&cert, &other, &other),
        (&key, &key, &key),
        (&cert, &cert, &cert),
    ] {
        let output = refused(&["--tls-cert", cert, "--tls-key", key]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(shown.contains(named) && shown.contains("help: "), "{named}: {shown}");
    }
}

#[test]
fn a_check_reads_the_files_of_tls_and_reports_them_with_all_other_problems() {
    let key = fixture("ec.pkcs8.pem");
    let site = Site::new().text_module("/", "(module (func (export \"_start\")))", "argv = 7");
    let tls = ["--tls-cert", &key, "--tls-key", "no/such.key", "--outbound-ca", "no/such.ca", "--registry-ca", &key];
    for check in [&["--check"][..], &[]] {
        let output = site.run(&[&tls[..], check].concat());
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        for part in ["`argv` must be a string", "holds a private key", "--outbound-ca", "no/such.ca", "--registry-ca"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}

#[test]
fn certificates_that_clients_refuse_and_keys_that_others_read_are_reported() {
    let site = Site::probe("");
    let key = site.file("key.pem", std::fs::read(fixture("ec.pkcs8.pem")).expect("a key"));
    for (cert, mode, code, message) in [
        ("expired.cert.pem", 0o600, 0, "expired.cert.pem`: it expired on 2020-02-01"),
        ("early.cert.pem", 0o600, 0, "early.cert.pem`: it is not valid before 2090-01-01"),
        ("version1.cert.pem", 0o600, 1, "is of X.509 version 1"),
        ("ec.cert.pem", 0o644, 0, "other users can read or change the TLS key"),
        ("ec.cert.pem", 0o640, 0, ""),
    ] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&key, mode).expect("it is ours");
        let output = site.run(&["--tls-cert", &fixture(cert), "--tls-key", "key.pem", "--check"]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{shown}");
        assert!(shown.contains(message) && shown.contains("help: ") != message.is_empty(), "{message}: {shown}");
    }
}

#[test]
fn http_on_the_port_of_tls_is_answered_and_logged() {
    let wagi = secure("ec.cert.pem", "ec.pkcs8.pem");
    let mut plain = Connection::open(wagi.address());
    plain.send("GET / HTTP/1.1\r\nHost: plain\r\n\r\n");
    let answer = plain.answer();
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("HTTPS is served here"), "{}", answer.text());
    wagi.logged(&["a client spoke HTTP where HTTPS is served"]);
}

#[test]
fn a_certificate_without_a_key_is_a_usage_error() {
    for (option, file) in [("--tls-cert", fixture("ec.cert.pem")), ("--tls-key", fixture("ec.pkcs8.pem"))] {
        let output = refused(&[option, &file]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{shown}");
        assert!(shown.contains("--tls-cert") && shown.contains("--tls-key"), "{shown}");
    }
}

#[test]
fn http_2_without_tls_is_spoken_to_clients_that_know() {
    let wagi = Site::probe("").start(&[]);
    assert_eq!(curl(&wagi, "ec.cert.pem", &["--http2-prior-knowledge"], "/args"), "\"/args\"\nHTTP/2");
    assert_eq!(curl(&wagi, "ec.cert.pem", &["--http1.1"], "/args"), "\"/args\"\nHTTP/1.1");
    assert_eq!(curl(&wagi, "ec.cert.pem", &["--http1.0"], "/args"), "\"/args\"\nHTTP/1");
    let posted = curl(&wagi, "ec.cert.pem", &["--http2-prior-knowledge", "--data", "a=b"], "/env");
    for line in ["SERVER_PROTOCOL=HTTP/2", "CONTENT_LENGTH=3\n", "REQUEST_METHOD=POST\n"] {
        assert!(posted.contains(line), "{line}: {posted}");
    }
    let host = format!("HTTP_HOST={}\n", wagi.address());
    assert!(posted.contains(&host), "the authority is the host: {posted}");
}
