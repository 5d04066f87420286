//! What programs see of a request, and what wagi answers by itself.

use super::{are_the_same, fits, promised};
use crate::certificates::{about_client, asking};
use crate::support::guest::{component, probe};
use crate::support::http1::{Answer, Connection};
use crate::support::site::Site;
use crate::support::tls::TlsClient;
use crate::tls::{curl, secure};

/// Compares what a program sees with what is promised, in any order.
#[track_caller]
fn are_as_promised(what: &str, seen: &[&str]) {
    let promised = promised(&["programs", what]);
    let missing: Vec<_> = promised.iter().filter(|kept| !seen.iter().any(|seen| fits(kept, seen))).collect();
    let unlisted: Vec<_> = seen.iter().filter(|seen| !promised.iter().any(|kept| fits(kept, seen))).collect();
    assert!(
        missing.is_empty() && unlisted.is_empty(),
        "{what}: gone: {missing:#?}\nnot in tests/frozen.toml: {unlisted:#?}"
    );
}

#[test]
fn variables_of_a_request_are_as_promised() {
    let wagi = Site::new().module("/probe/...", &probe(), "").start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.send("GET /probe/env?a=b HTTP/1.1\r\nHost: example.com:81\r\n\r\n");
    let text = connection.answer().text();
    are_as_promised("variables", &text.lines().collect::<Vec<_>>());
}

#[test]
fn variables_about_a_script_are_as_promised() {
    let keys = "scripts = { directory = 'www', extensions = ['php'] }";
    let site = Site::new().module("/s/...", &probe(), keys);
    site.file("www/a.php", "");
    let text = Connection::open(site.start(&[]).address()).get("/s/a.php/env").text();
    for variable in promised(&["programs", "variables_of_scripts"]) {
        assert!(text.lines().any(|line| line == variable), "{variable} in {text}");
    }
}

#[test]
fn variables_behind_tls_are_as_promised() {
    let wagi = secure("ec.cert.pem", "ec.pkcs8.pem");
    let environment = curl(&wagi, "ec.cert.pem", &["--http1.1"], "/env");
    for variable in promised(&["programs", "variables_of_tls"]) {
        assert!(environment.lines().any(|line| line == variable), "{variable} in {environment}");
    }
}

#[test]
fn what_is_said_of_clients_with_certificates_is_as_promised() {
    let wagi = asking("request");
    for (certificate, path, list) in [
        (Some("client-alice.cert.pem"), "/env", "variables_of_client_certificates"),
        (None, "/env", "variables_without_client_certificate"),
        (Some("client-alice.cert.pem"), "/http/request", "fields_of_client_certificates"),
        (None, "/http/request", "fields_without_client_certificate"),
    ] {
        let answer = TlsClient::new(certificate).get(wagi.address(), "localhost", path, "").expect("it is served");
        are_the_same(list, &promised(&["programs", list]), about_client(&answer.text).into_iter().map(str::to_owned));
    }
}

#[test]
fn fields_for_components_are_as_promised() {
    let wagi = Site::new().module("/http/...", &component("http-probe.wasm"), "").start(&[]);
    let text = Connection::open(wagi.address()).get("/http/request").text();
    // The first line is the request itself.
    are_as_promised("fields", &text.lines().skip(1).collect::<Vec<_>>());
}

/// Status and fields, in the order of the alphabet.
fn shown(answer: &Answer) -> Vec<String> {
    let mut fields: Vec<String> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    fields.insert(0, answer.status.to_string());
    fields
}

#[track_caller]
pub fn is_as_promised(name: &str, answer: &Answer) {
    let (promised, shown) = (promised(&["responses", name]), shown(answer));
    let is_kept = promised.len() == shown.len() && promised.iter().zip(&shown).all(|(kept, field)| fits(kept, field));
    assert!(is_kept, "{name} is promised to be {promised:#?} and is {shown:#?}");
}

#[test]
fn responses_of_wagi_s_own_are_as_promised() {
    let wagi =
        Site::new().top("[limits]\nqueue = 0").module("/one/...", &probe(), "limits = { concurrency = 1 }").start(&[]);
    let answer = |request: &str| {
        let mut connection = Connection::open(wagi.address());
        connection.send(request);
        connection.answer()
    };
    let get = |target: &str| answer(&format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    is_as_promised("health", &get("/healthz"));
    is_as_promised("no_route", &get("/missing"));
    is_as_promised("method_not_served", &answer("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let with_id = Site::probe("").top("[server]\nrequest_id_header = true").start(&[]);
    is_as_promised("with_request_id", &Connection::open(with_id.address()).get("/healthz"));
    let mut holding = Connection::begin(wagi.address(), "/one/sleep?60000");
    assert_eq!(holding.head().status, 200);
    is_as_promised("busy", &get("/one/args"));
}
