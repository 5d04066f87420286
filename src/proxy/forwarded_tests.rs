//! What is believed of forwarded fields: value by value, honest ones and hostile ones.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::config::{ForwardedFields, TrustedProxies};
use crate::proxy::read_forwarded;

fn trusted(unix: bool) -> TrustedProxies {
    let mut trusted = TrustedProxies::default();
    for text in ["10.0.0.0/8", "2001:db8:1::/48"].into_iter().chain(unix.then_some("unix")) {
        trusted.add(text).expect(text);
    }
    trusted
}

/// What these header lines say, as text.
fn read(fields: ForwardedFields, lines: &[(&str, &[u8])], trusted: &TrustedProxies) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    let forwarded = read_forwarded(&headers, fields, trusted);
    let client = forwarded.client.map(|client| match client.port() {
        0 => client.ip().to_canonical().to_string(),
        port => format!("{} {port}", client.ip().to_canonical()),
    });
    let scheme = forwarded.https.map(|https| if https { "https".to_owned() } else { "http".to_owned() });
    let host = forwarded.host.map(|host| format!("host {host}"));
    let port = forwarded.port.map(|port| format!("port {port}"));
    let malformed = forwarded.malformed.iter().map(|name| format!("malformed {name}"));
    let said = [client, scheme, host, port].into_iter().flatten().chain(malformed);
    said.collect::<Vec<String>>().join(", ")
}

fn x_forwarded(lines: &[(&str, &str)]) -> String {
    let lines: Vec<(&str, &[u8])> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    read(ForwardedFields::XForwarded, &lines, &trusted(false))
}

fn forwarded(lines: &[&str]) -> String {
    let lines: Vec<(&str, &[u8])> = lines.iter().map(|value| ("forwarded", value.as_bytes())).collect();
    read(ForwardedFields::Forwarded, &lines, &trusted(false))
}

#[test]
fn the_client_is_the_last_address_that_is_not_trusted() {
    const BAD: &str = "malformed x-forwarded-for";
    for (value, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 192.0.2.2", "192.0.2.2"),
        ("192.0.2.1, 10.0.0.1", "192.0.2.1"),
        ("192.0.2.1,10.0.0.1,10.0.0.2", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1,\t10.0.0.1", "192.0.2.1"),
        ("10.0.0.3, 10.0.0.1", "10.0.0.3"),
        ("192.0.2.1:4711", "192.0.2.1 4711"),
        ("192.0.2.1:4711, 10.0.0.1:80", "192.0.2.1 4711"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1 4711"),
        ("2001:DB8::1, 2001:db8:1::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"),
        ("192.0.2.1, [::ffff:10.0.0.1]:1", "192.0.2.1"),
        ("192.0.2.1, unknown", ""),
        ("192.0.2.1, _hidden", ""),
        ("192.0.2.1, unknown, 10.0.0.1", "10.0.0.1"),
        ("192.0.2.1, UNKNOWN:4711, 10.0.0.1:80", "10.0.0.1 80"),
        ("192.0.2.1, _a.B-c_1:_d, 10.0.0.1", "10.0.0.1"),
        ("unknown", ""),
        ("192.0.2.1, unix:, 10.0.0.1", "10.0.0.1"),
        ("192.0.2.1:_port", "192.0.2.1"),
        // Empty elements are none.
        ("", ""),
        (" ", ""),
        (",", ""),
        (",192.0.2.1,, 10.0.0.1 ,", "192.0.2.1"),
        // What stands behind the client is the word of the client.
        ("<script>, 192.0.2.1", "192.0.2.1"),
        ("\", 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, <script>, 10.0.0.1", BAD),
        ("<script>", BAD),
        ("192.0.2.1, localhost", BAD),
        ("192.0.2.1 10.0.0.1", BAD),
        ("192.0.2.1;", BAD),
        ("192.0.2.1:", BAD),
        ("192.0.2.1:0", BAD),
        ("192.0.2.1:65536", BAD),
        ("192.0.2.1:+80", BAD),
        ("192.0.2.1:000080", BAD),
        ("192.0.2.1:80:80", BAD),
        ("192.0.2", BAD),
        ("192.0.2.01", BAD),
        ("192.0.2.256", BAD),
        ("3232235521", BAD),
        ("0x7f.1", BAD),
        ("[192.0.2.1]", BAD),
        ("[192.0.2.1]:80", BAD),
        ("[2001:db8::1", BAD),
        ("[2001:db8::1]80", BAD),
        ("[2001:db8::1]]:80", BAD),
        ("2001:db8::1]", BAD),
        ("[]", BAD),
        ("[", BAD),
        (":80", BAD),
        ("fe80::1%eth0", BAD),
        ("_", BAD),
        ("_a b", BAD),
        ("unknown:x", BAD),
        ("for=192.0.2.1", BAD),
        ("\"192.0.2.1\"", BAD),
        ("192.0.2.0/24", BAD),
        ("unix:/run/a.sock", BAD),
    ] {
        assert_eq!(x_forwarded(&[("x-forwarded-for", value)]), expected, "{value:?}");
    }
}

#[test]
fn several_lines_are_one_list() {
    assert_eq!(
        x_forwarded(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2, 10.0.0.1")]),
        "192.0.2.2"
    );
    assert_eq!(x_forwarded(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.1")]), "192.0.2.1");
    assert_eq!(x_forwarded(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "")]), "192.0.2.1");
    assert_eq!(x_forwarded(&[("x-forwarded-proto", "http"), ("x-forwarded-proto", "https")]), "https");
    assert_eq!(forwarded(&["for=192.0.2.1;proto=http", "for=10.0.0.1;proto=https"]), "192.0.2.1, https");
}

#[test]
fn a_proxy_on_a_unix_socket_is_trusted_if_unix_is() {
    let lines: [(&str, &[u8]); 1] = [("x-forwarded-for", b"192.0.2.1, unix:, 10.0.0.1")];
    assert_eq!(read(ForwardedFields::XForwarded, &lines, &trusted(true)), "192.0.2.1");
    assert_eq!(read(ForwardedFields::XForwarded, &lines, &trusted(false)), "10.0.0.1");
}

#[test]
fn scheme_host_and_port_are_those_of_the_nearest_proxy() {
    for (name, value, expected) in [
        ("proto", "https", "https"),
        ("proto", "HTTP", "http"),
        ("proto", "https, http", "http"),
        ("proto", "gopher, https ", "https"),
        ("proto", "https,", "https"),
        ("proto", "", ""),
        ("proto", "wss", "malformed x-forwarded-proto"),
        ("proto", "https, on", "malformed x-forwarded-proto"),
        ("proto", "https://", "malformed x-forwarded-proto"),
        ("proto", "http s", "malformed x-forwarded-proto"),
        ("host", "example.com", "host example.com"),
        ("host", "example.com:8443", "host example.com:8443"),
        ("host", "Example.COM:", "host Example.COM:"),
        ("host", "[2001:db8::1]:443", "host [2001:db8::1]:443"),
        ("host", "a.example, b.example", "host b.example"),
        ("host", "a b, b.example", "host b.example"),
        ("host", "", ""),
        ("host", ":443", "malformed x-forwarded-host"),
        ("host", "a b", "malformed x-forwarded-host"),
        ("host", "a.example/path", "malformed x-forwarded-host"),
        ("host", "user@a.example", "malformed x-forwarded-host"),
        ("host", "a.example:0", "malformed x-forwarded-host"),
        ("host", "a.example:99999", "malformed x-forwarded-host"),
        ("host", "2001:db8::1", "malformed x-forwarded-host"),
        ("host", "http://a.example", "malformed x-forwarded-host"),
        ("host", "\"a.example\"", "malformed x-forwarded-host"),
        ("port", "8443", "port 8443"),
        ("port", "1, 65535", "port 65535"),
        ("port", "0443", "port 443"),
        ("port", "0", "malformed x-forwarded-port"),
        ("port", "65536", "malformed x-forwarded-port"),
        ("port", "-1", "malformed x-forwarded-port"),
        ("port", "+1", "malformed x-forwarded-port"),
        ("port", "443.", "malformed x-forwarded-port"),
        ("port", "00000443", "malformed x-forwarded-port"),
        ("port", "https", "malformed x-forwarded-port"),
    ] {
        assert_eq!(x_forwarded(&[(&format!("x-forwarded-{name}"), value)]), expected, "{name} {value:?}");
    }
}

#[test]
fn a_field_that_makes_no_sense_does_not_harm_the_others() {
    let lines = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "ftp"),
        ("x-forwarded-host", "a.example"),
        ("x-forwarded-port", "x"),
    ];
    let expected = "192.0.2.1, host a.example, malformed x-forwarded-proto, malformed x-forwarded-port";
    assert_eq!(x_forwarded(&lines), expected);
}

/// RFC 7239 §4 to §6
#[test]
fn the_field_forwarded_is_read_element_by_element() {
    const BAD: &str = "malformed forwarded";
    for (value, expected) in [
        ("for=192.0.2.1", "192.0.2.1"),
        ("For=192.0.2.1;Proto=HTTPS;By=203.0.113.43", "192.0.2.1, https"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60, http"),
        ("for=\"192.0.2.1:4711\"", "192.0.2.1 4711"),
        ("for=192.0.2.1:4711", "192.0.2.1 4711"),
        ("for=\"[2001:db8::1]:4711\"", "2001:db8::1 4711"),
        ("for=\"[2001:db8::1]\"", "2001:db8::1"),
        ("for=[2001:db8::1]:4711", "2001:db8::1 4711"),
        ("for=\"[::ffff:192.0.2.1]\"", "192.0.2.1"),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
        ("for=192.0.2.43, for=10.0.0.1;proto=https", "192.0.2.43, https"),
        ("for=192.0.2.43;proto=https, for=10.0.0.1", "192.0.2.43"),
        ("for=192.0.2.43;host=a.example, for=10.0.0.1;host=b.example", "192.0.2.43, host b.example"),
        ("for=10.0.0.3,for=10.0.0.1", "10.0.0.3"),
        ("for=unknown", ""),
        ("for=_hidden, for=_SEVKISEK", ""),
        ("for=192.0.2.1, for=unknown, for=10.0.0.1", "10.0.0.1"),
        ("for=192.0.2.1, for=\"_gazonk\", for=10.0.0.1;proto=https", "10.0.0.1, https"),
        ("for=192.0.2.1, proto=https", "https"),
        ("for=192.0.2.1, by=10.0.0.9, for=10.0.0.1", "10.0.0.1"),
        ("host=\"a.example:8443\"", "host a.example:8443"),
        ("host=a.example:8443", "host a.example:8443"),
        ("host=\"a\\.example\"", "host a.example"),
        ("for=\"192.0.2\\.1\"", "192.0.2.1"),
        ("for=192.0.2.1;secret=\"a, b;c=\\\"d\\\\\"", "192.0.2.1"),
        ("for=192.0.2.1 ; proto=https", "192.0.2.1, https"),
        (";for=192.0.2.1;;proto=https;", "192.0.2.1, https"),
        ("", ""),
        (" , ,", ""),
        (";", ""),
        // What stands behind the client is the word of the client.
        ("for=\", for=192.0.2.1", "192.0.2.1"),
        ("for=\"a, for=192.0.2.1;proto=https", "192.0.2.1, https"),
        ("x=\"\\\\\\\", for=192.0.2.1", "192.0.2.1"),
        ("for=6.6.6.6;host=\"evil.example, for=\"[2001:db8::1]\"", "2001:db8::1"),
        ("for=, for=192.0.2.1", "192.0.2.1"),
        ("for=<script>, for=10.0.0.1", BAD),
        ("for=\"192.0.2.1", BAD),
        ("for=192.0.2.1\"", BAD),
        ("for=\"192.0.2.1\\\"", BAD),
        ("for=\"192.0.2.1\"x", BAD),
        ("for=\"\"", BAD),
        ("for=", BAD),
        ("for", BAD),
        ("=192.0.2.1", BAD),
        ("for =192.0.2.1", BAD),
        ("for= 192.0.2.1", BAD),
        ("192.0.2.1", BAD),
        ("for=192.0.2.1 proto=https", BAD),
        ("for=192.0.2.1;for=192.0.2.2", BAD),
        ("for=192.0.2.1;proto=ftp", BAD),
        ("for=192.0.2.1;proto=https;PROTO=https", BAD),
        ("for=192.0.2.1;host=\"a b\"", BAD),
        ("for=192.0.2.1;host=a/b", BAD),
        ("for=2001:db8::1", BAD),
        ("for=\"2001:db8::1\"", BAD),
        ("for=[2001:db8::1", BAD),
        ("for=\"192.0.2.1:99999\"", BAD),
        ("for=a.example", BAD),
        ("f\u{f6}r=192.0.2.1", BAD),
        ("for=192.0.2.1;x=\u{e9}", BAD),
    ] {
        assert_eq!(forwarded(&[value]), expected, "{value:?}");
    }
}

#[test]
fn the_other_family_is_ignored() {
    let lines: [(&str, &[u8]); 3] =
        [("forwarded", b"for=192.0.2.1;proto=https"), ("x-forwarded-for", b"192.0.2.2"), ("x-real-ip", b"192.0.2.3")];
    assert_eq!(read(ForwardedFields::XForwarded, &lines, &trusted(false)), "192.0.2.2");
    assert_eq!(read(ForwardedFields::Forwarded, &lines, &trusted(false)), "192.0.2.1, https");
    assert_eq!(read(ForwardedFields::Forwarded, &lines[1..], &trusted(false)), "");
}

#[test]
fn no_more_than_64_elements_and_512_bytes_of_each_are_read() {
    let chain = |count: usize, element: &str| vec![element; count].join(",");
    for (count, is_read) in [(63, true), (64, false)] {
        let addresses = format!("192.0.2.1,{}", chain(count, "10.0.0.1"));
        let expected = if is_read { "192.0.2.1" } else { "malformed x-forwarded-for" };
        assert_eq!(x_forwarded(&[("x-forwarded-for", &addresses)]), expected, "{count}");
        let elements = format!("for=192.0.2.1,{}", chain(count, "for=10.0.0.1"));
        let expected = if is_read { "192.0.2.1" } else { "malformed forwarded" };
        assert_eq!(forwarded(&[&elements]), expected, "{count}");
    }
    // However long the word of a client is, it is not looked at.
    let long = format!("{},192.0.2.1", chain(9_000, "6.6.6.6"));
    assert_eq!(x_forwarded(&[("x-forwarded-for", &long)]), "192.0.2.1");
    assert_eq!(x_forwarded(&[("x-forwarded-for", &",".repeat(64))]), "malformed x-forwarded-for");
    let name = |length: usize| "a".repeat(length);
    assert_eq!(x_forwarded(&[("x-forwarded-host", &name(512))]), format!("host {}", name(512)));
    assert_eq!(x_forwarded(&[("x-forwarded-host", &name(513))]), "malformed x-forwarded-host");
    assert_eq!(forwarded(&[&format!("x={}", name(511))]), "malformed forwarded");
    assert_eq!(forwarded(&[&format!("{}\"", "\\".repeat(60_000))]), "malformed forwarded");
}

#[test]
fn bytes_that_are_no_text_are_no_panic() {
    for byte in (0x20..=0xff).filter(|byte| *byte != 0x7f) {
        for value in [
            &[byte][..],
            &[byte, byte, b','],
            b"192.0.2.1,".iter().chain([&byte]).copied().collect::<Vec<_>>().as_slice(),
        ] {
            for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "forwarded"] {
                for fields in [ForwardedFields::XForwarded, ForwardedFields::Forwarded] {
                    let _ = read(fields, &[(name, value)], &trusted(true));
                }
            }
        }
    }
}
