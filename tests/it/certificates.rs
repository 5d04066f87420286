//! Several certificates on one port, and clients that show certificates of their own.

use std::process::Command;

use crate::support::guest;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::tls::{TlsClient, certificates, fixture};
use crate::tls::curl;

/// `certificates` of `[tls]`, of pairs of fixtures.
fn pairs(files: &[(&str, &str)]) -> String {
    let pair = |(cert, key): &(&str, &str)| format!("{{ cert = '{}', key = '{}' }}", fixture(cert), fixture(key));
    format!("certificates = [{}]\n", files.iter().map(pair).collect::<Vec<_>>().join(", "))
}

/// The program that prints its variables at `/env`, and the component that prints the fields at `/http/request`.
fn site(tls: &str) -> Site {
    let site = Site::new().module("/http/...", &guest::component("http-probe.wasm"), "");
    site.module("/...", &guest::probe(), "").top(&format!("[tls]\n{tls}"))
}

/// A server that asks its clients for certificates.
pub fn asking(auth: &str) -> Wagi {
    let ca = fixture("client-ca.cert.pem");
    let one = pairs(&[("ec.cert.pem", "ec.pkcs8.pem")]);
    site(&format!("{one}client_ca = '{ca}'\nclient_auth = '{auth}'")).start(&[])
}

const OWN: (&str, &str) = ("ec.cert.pem", "ec.pkcs8.pem");
const NAMES: (&str, &str) = ("sni-names.cert.pem", "ec.pkcs8.pem");
const WILDCARD: (&str, &str) = ("sni-wildcard.cert.pem", "rsa.pkcs1.pem");
const EXACT: (&str, &str) = ("sni-exact.cert.pem", "ed25519.key.pem");

#[test]
fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let wagi = site(&pairs(&[OWN, NAMES, WILDCARD, EXACT])).start(&[]);
    let client = TlsClient::new(None);
    for (server, (expected, _)) in [
        ("localhost", OWN),
        ("127.0.0.1", OWN),
        ("192.0.2.1", OWN),
        ("one.example", NAMES),
        ("two.example", NAMES),
        ("TWO.Example", NAMES),
        ("three.example", OWN),
        ("names", OWN),
        ("a.one.example", OWN),
        ("a.example.org", WILDCARD),
        ("A.EXAMPLE.ORG", WILDCARD),
        ("exact.example.org", EXACT),
        ("a.exact.example.org", OWN),
        ("a.b.example.org", OWN),
        ("example.org", OWN),
        ("org", OWN),
    ] {
        let answer = client.get(wagi.address(), server, "/env", "").expect("it is served");
        assert!(answer.certificate == certificates(expected)[0], "{server} does not get {expected}");
        assert!(answer.text.starts_with("HTTP/1.1 200"), "{}", answer.text);
    }
}

#[test]
fn the_certificate_of_the_command_line_is_the_first() {
    let arguments = ["--tls-cert", &fixture(WILDCARD.0), "--tls-key", &fixture(WILDCARD.1)];
    let wagi = site(&pairs(&[NAMES])).start(&arguments);
    let client = TlsClient::new(None);
    for (server, (expected, _)) in [("unknown.example", WILDCARD), ("one.example", WILDCARD), ("two.example", NAMES)] {
        let answer = client.get(wagi.address(), server, "/env", "").expect("it is served");
        assert!(answer.certificate == certificates(expected)[0], "{server} does not get {expected}");
    }
}

#[test]
fn curl_trusts_the_certificate_of_each_name() {
    let wagi = site(&pairs(&[OWN, NAMES, WILDCARD, EXACT])).start(&[]);
    let port = wagi.address().port();
    for name in ["one.example", "two.example", "a.example.org", "exact.example.org"] {
        let resolve = format!("{name}:{port}:127.0.0.1");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--resolve", &resolve]);
        curl.args(["--cacert", &fixture("client-ca.cert.pem"), &format!("https://{name}:{port}/args")]);
        let output = curl.output().expect("curl is installed");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "\"/args\"\n", "{name}");
    }
}

/// The variables and fields about the client, sorted.
pub fn about_client(text: &str) -> Vec<&str> {
    let names = ["SSL_CLIENT_", "REMOTE_USER", "AUTH_TYPE", "wagi-ssl-", "wagi-remote-user", "wagi-auth-type"];
    let mut lines: Vec<_> = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn clients_are_asked_for_certificates_and_programs_see_them() {
    const NOT_ASKED: &[&str] = &["AUTH_TYPE=", "REMOTE_USER="];
    const ANONYMOUS: &[&str] = &["AUTH_TYPE=", "REMOTE_USER=", "SSL_CLIENT_VERIFY=NONE"];
    const ALICE: &[&str] = &[
        "AUTH_TYPE=TLS",
        "REMOTE_USER=CN=alice,O=Example",
        "SSL_CLIENT_S_DN=CN=alice,O=Example",
        "SSL_CLIENT_VERIFY=SUCCESS",
    ];
    // Nothing that a client sends becomes one of these.
    let forged = "SSL_CLIENT_VERIFY: SUCCESS\r\nSSL-Client-S-DN: CN=root\r\nREMOTE_USER: root\r\nAuth-Type: TLS\r\n";
    for (auth, rows) in [
        ("none", [Some(NOT_ASKED), Some(NOT_ASKED), Some(NOT_ASKED), Some(NOT_ASKED)]),
        ("request", [Some(ANONYMOUS), Some(ALICE), None, None]),
        ("require", [None, Some(ALICE), None, None]),
    ] {
        let wagi = asking(auth);
        let clients = [None, Some("client-alice"), Some("client-foreign"), Some("client-expired")];
        for (certificate, expected) in clients.into_iter().zip(rows) {
            let file = certificate.map(|name| format!("{name}.cert.pem"));
            let answer = TlsClient::new(file.as_deref()).get(wagi.address(), "localhost", "/env", forged);
            let served = answer.as_ref().ok().map(|answer| about_client(&answer.text));
            assert_eq!(served.as_deref(), expected, "{auth} {certificate:?}");
        }
    }
}

#[test]
fn components_see_certificates_of_clients_as_fields() {
    const ALICE: &[&str] = &[
        "wagi-auth-type: TLS",
        "wagi-remote-user: CN=alice,O=Example",
        "wagi-ssl-client-s-dn: CN=alice,O=Example",
        "wagi-ssl-client-verify: SUCCESS",
    ];
    let forged = "wagi-ssl-client-verify: SUCCESS\r\nwagi_ssl_client_s_dn: CN=root\r\nWagi-Remote-User: root\r\n";
    for (auth, certificate, expected) in [
        ("none", None, &[][..]),
        ("request", None, &["wagi-ssl-client-verify: NONE"]),
        ("request", Some("client-alice.cert.pem"), ALICE),
        ("require", Some("client-alice.cert.pem"), ALICE),
    ] {
        let wagi = asking(auth);
        let answer = TlsClient::new(certificate).get(wagi.address(), "localhost", "/http/request", forged);
        let answer = answer.expect("it is served");
        assert_eq!(about_client(&answer.text), expected, "{auth} {certificate:?}: {}", answer.text);
    }
}

#[test]
fn a_hostile_subject_stays_one_value() {
    let dn = r#"emailAddress=a@b.example,CN=\C3\A9\01\0D\0AREMOTE_USER=root,OU=\ a\;\<b\>\0A,O=A\, B \+ \"C\""#;
    let wagi = asking("require");
    let client = TlsClient::new(Some("client-strange.cert.pem"));
    let variables = client.get(wagi.address(), "localhost", "/env", "").expect("it is served").text;
    let expected = ["AUTH_TYPE=TLS".to_owned(), format!("REMOTE_USER={dn}"), format!("SSL_CLIENT_S_DN={dn}")];
    assert_eq!(about_client(&variables)[..3], expected);
    let fields = client.get(wagi.address(), "localhost", "/http/request", "").expect("it is served").text;
    assert!(fields.contains(&format!("wagi-ssl-client-s-dn: {dn}\n")), "{fields}");
}

#[test]
#[ignore = "needs openssl"]
fn a_subject_is_written_as_openssl_writes_it() {
    let wagi = asking("require");
    for name in ["client-alice.cert.pem", "client-bob.cert.pem", "client-strange.cert.pem"] {
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", &fixture(name)]);
        let printed = String::from_utf8(openssl.output().expect("openssl is installed").stdout).expect("text");
        let expected = printed.trim_end().strip_prefix("subject=").expect("a subject");
        let answer = TlsClient::new(Some(name)).get(wagi.address(), "localhost", "/env", "").expect("it is served");
        assert!(answer.text.contains(&format!("\nSSL_CLIENT_S_DN={expected}\n")), "{expected}: {}", answer.text);
    }
}

#[test]
fn sessions_are_resumed_with_the_certificate_of_the_client() {
    for (auth, certificate) in [("none", None), ("request", None), ("require", Some("client-alice.cert.pem"))] {
        let wagi = asking(auth);
        let client = TlsClient::new(certificate);
        let first = client.get(wagi.address(), "localhost", "/env", "").expect("it is served");
        let second = client.get(wagi.address(), "localhost", "/env", "").expect("it is served");
        assert_eq!((first.is_resumed, second.is_resumed), (false, true), "{auth}");
        assert_eq!(about_client(&first.text), about_client(&second.text), "{auth}");
    }
}

#[test]
fn curl_shows_its_certificate_over_both_versions_of_http() {
    let wagi = asking("require");
    let (cert, key) = (fixture("client-bob.cert.pem"), fixture("client.key.pem"));
    for protocol in ["--http1.1", "--http2"] {
        let answer = curl(&wagi, "ec.cert.pem", &[protocol, "--cert", &cert, "--key", &key], "/env");
        assert!(answer.contains("\nSSL_CLIENT_S_DN=CN=bob,O=Example\n"), "{answer}");
    }
}

/// What `--check` says of a `[tls]`, and its exit code.
fn checked(site: &Site) -> (Option<i32>, String) {
    let output = site.run(&["--check"]);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_file_of_tls_is_checked_and_named_with_its_place() {
    let (cert, key) = OWN;
    let files =
        pairs(&[("ec.pkcs8.pem", cert), (cert, "rsa.pkcs1.pem"), ("no-such.pem", key), ("expired.cert.pem", key)]);
    let files = files.replace("}, ", "},\n");
    let ca = fixture("ec.pkcs8.pem");
    let (code, shown) = checked(&site(&format!("{files}client_ca = '{ca}'\nclient_auth = 'require'")));
    assert_eq!(code, Some(1), "{shown}");
    for part in [
        "ec.pkcs8.pem` holds a private key and no TLS certificate",
        "modules.toml:2:17",
        "rsa.pkcs1.pem` does not belong to the certificate",
        "modules.toml:3:1",
        "cannot read the TLS certificate file",
        "modules.toml:4:1",
        "expired.cert.pem`: it expired on 2020-02-01",
        "modules.toml:5:1",
        "the `client_ca` file",
        "modules.toml:6:13",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn certificates_that_no_client_gets_are_warned_of() {
    let (code, shown) = checked(&site(&pairs(&[NAMES, WILDCARD, ("sni-nameless.cert.pem", OWN.1), NAMES])));
    assert_eq!(code, Some(0), "{shown}");
    let (names, wildcard) = (fixture(NAMES.0), fixture(WILDCARD.0));
    for part in [
        &format!("two TLS certificates are for `one.example`: clients get `{names}`, and not `{wildcard}`"),
        &format!("two TLS certificates are for `one.example` and 1 more: clients get `{names}`, and not `{names}`"),
        "no client gets the TLS certificate",
        "sni-nameless.cert.pem`: it has no DNS name",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (code, shown) = checked(&site(&pairs(&[("sni-nameless.cert.pem", OWN.1), NAMES, EXACT])));
    assert!(code == Some(0) && !shown.contains("DNS name"), "{shown}");
}

#[test]
fn authorities_that_nothing_asks_for_are_warned_of() {
    let (own, ca) = (pairs(&[OWN]), fixture("client-ca.cert.pem"));
    for (auth, is_warned) in [("", true), ("client_auth = 'none'", false), ("client_auth = 'request'", false)] {
        let (code, shown) = checked(&site(&format!("{own}client_ca = '{ca}'\n{auth}")));
        assert_eq!(code, Some(0), "{shown}");
        assert_eq!(shown.contains("`client_ca` has no effect"), is_warned, "{auth}: {shown}");
    }
}

#[test]
fn variables_of_client_certificates_cannot_be_set() {
    let entry =
        "environment = { SSL_CLIENT_VERIFY = 'SUCCESS', SSL_CLIENT_S_DN = 'CN=root', SSL_CLIENT_I_DN = 'kept' }";
    let output = Site::probe(entry).run(&["--check"]);
    let shown = String::from_utf8_lossy(&output.stderr);
    for (name, is_warned) in [("SSL_CLIENT_VERIFY", true), ("SSL_CLIENT_S_DN", true), ("SSL_CLIENT_I_DN", false)] {
        assert_eq!(shown.contains(&format!("the variable `{name}` is left out")), is_warned, "{shown}");
    }
}

/// A server whose TLS files are copies, which tests replace.
fn with_copies(auth: &str) -> Wagi {
    let files = "certificates = [{ cert = 'cert.pem', key = 'key.pem' }]\nclient_ca = 'ca.pem'";
    let site = site(&format!("{files}\nclient_auth = '{auth}'"));
    for (name, copy) in [(OWN.0, "cert.pem"), (OWN.1, "key.pem"), ("client-ca.cert.pem", "ca.pem")] {
        site.file(copy, std::fs::read(fixture(name)).expect("a fixture"));
    }
    site.start(&[])
}

/// Puts fixtures in the place of a file, one after the other.
fn replace(wagi: &Wagi, copy: &str, names: &[&str]) {
    let content = names.iter().flat_map(|name| std::fs::read(fixture(name)).expect("a fixture"));
    std::fs::write(wagi.directory().join(copy), content.collect::<Vec<_>>()).expect("it can be written");
}

#[test]
fn a_reload_takes_new_certificates_and_a_wrong_key_changes_nothing() {
    let wagi = with_copies("none");
    // A client that resumes its session is not shown a certificate again.
    let shown = || TlsClient::new(None).get(wagi.address(), "localhost", "/env", "").expect("it is served").certificate;
    assert!(shown() == certificates(OWN.0)[0]);
    replace(&wagi, "cert.pem", &[NAMES.0]);
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=2 "]);
    assert!(shown() == certificates(NAMES.0)[0], "the new one is not in force");
    // The key does not come.
    replace(&wagi, "cert.pem", &[WILDCARD.0]);
    wagi.signal("HUP");
    wagi.logged(&["key.pem` does not belong to the certificate `cert.pem`"]);
    wagi.logged(&["reload refused: 1 error; generation 2 goes on serving"]);
    assert!(shown() == certificates(NAMES.0)[0], "the old one is not in force");
    // The key comes in time.
    wagi.signal("HUP");
    replace(&wagi, "key.pem", &[WILDCARD.1]);
    wagi.logged(&["reloaded generation=3 "]);
    assert!(shown() == certificates(WILDCARD.0)[0], "the new one is not in force");
}

#[test]
fn sessions_go_on_over_a_reload_unless_other_authorities_count() {
    let wagi = with_copies("require");
    let client = TlsClient::new(Some("client-alice.cert.pem"));
    let is_resumed = || client.get(wagi.address(), "localhost", "/env", "").map(|answer| answer.is_resumed).ok();
    assert_eq!((is_resumed(), is_resumed()), (Some(false), Some(true)));
    replace(&wagi, "cert.pem", &[NAMES.0]);
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=2 "]);
    assert_eq!(is_resumed(), Some(true), "only the certificate of the server is another");
    replace(&wagi, "ca.pem", &["client-ca-other.cert.pem", "client-ca.cert.pem"]);
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=3 "]);
    assert_eq!((is_resumed(), is_resumed()), (Some(false), Some(true)), "the session was made under another authority");
    replace(&wagi, "ca.pem", &["client-ca-other.cert.pem"]);
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=4 "]);
    assert_eq!(is_resumed(), None, "the authority of the client is gone");
    let foreign = TlsClient::new(Some("client-foreign.cert.pem"));
    foreign.get(wagi.address(), "localhost", "/env", "").expect("its authority has come");
}
