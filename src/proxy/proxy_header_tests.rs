//! PROXY headers: which are read, how far, and which are refused.

use crate::proxy::proxy_header::*;

/// What a header means, as text: its length is added where something stands behind it.
fn read(bytes: &[u8]) -> String {
    match read_proxy_header(bytes) {
        Ok(None) => "more".to_owned(),
        Ok(Some((header, length))) => {
            let behind = &bytes[length..];
            let behind = if behind.is_empty() { String::new() } else { format!(" | {}", behind.escape_ascii()) };
            match header {
                ProxyHeader::Own => format!("own{behind}"),
                ProxyHeader::Unix => format!("unix{behind}"),
                ProxyHeader::Ip { source, destination } => format!("{source} > {destination}{behind}"),
            }
        }
        Err(error) => format!("{error:?}"),
    }
}

/// A header of version 2 with these four parts behind the signature.
fn binary(command: u8, family: u8, length: usize, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(length).expect("a length").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

const V4: &[u8] = &[192, 0, 2, 1, 203, 0, 113, 9, 0x10, 0x67, 0x01, 0xbb];

/// The PROXY protocol, section 2.1
#[test]
fn a_line_of_version_1_is_read_to_its_end() {
    for (line, expected) in [
        ("PROXY TCP4 192.0.2.1 203.0.113.9 4199 443\r\n", "192.0.2.1:4199 > 203.0.113.9:443"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 4199 443\r\nGET / H", "192.0.2.1:4199 > 203.0.113.9:443 | GET / H"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 4199 443\r\nPROXY ", "192.0.2.1:4199 > 203.0.113.9:443 | PROXY "),
        ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0 > 255.255.255.255:65535"),
        ("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1 > [::1]:2"),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "[::ffff:192.0.2.1]:1 > [::1]:2"),
        ("PROXY UNKNOWN\r\n", "own"),
        ("PROXY UNKNOWN ffff:f:f anything at all\r\nx", "own | x"),
        ("", "more"),
        ("P", "more"),
        ("PROXY", "more"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 4199 443", "more"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 4199 443\r", "more"),
        ("PROXZ", "Missing"),
        ("POST / HTTP/1.1\r\n", "Missing"),
        ("PRI * HTTP/2.0\r\n", "Missing"),
        ("GET / HTTP/1.1\r\n", "Missing"),
        (" PROXY UNKNOWN\r\n", "Missing"),
        ("proxy UNKNOWN\r\n", "Missing"),
        ("PROXY \r\n", "Line"),
        ("PROXY UNKNOWNS\r\n", "Line"),
        ("PROXY TCP5 192.0.2.1 203.0.113.9 1 2\r\n", "Line"),
        ("PROXY UDP4 192.0.2.1 203.0.113.9 1 2\r\n", "Line"),
        ("PROXY tcp4 192.0.2.1 203.0.113.9 1 2\r\n", "Line"),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", "Line"),
        ("PROXY TCP6 192.0.2.1 203.0.113.9 1 2\r\n", "Line"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 1\r\n", "Line"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 1 2 3\r\n", "Line"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 1 2 \r\n", "Line"),
        ("PROXY TCP4  192.0.2.1 203.0.113.9 1 2\r\n", "Line"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 1 65536\r\n", "Line"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 +1 2\r\n", "Line"),
        ("PROXY TCP4 192.0.2.1 203.0.113.9 01 2\r\n", "Line"),
        ("PROXY TCP4 192.0.2.256 203.0.113.9 1 2\r\n", "Line"),
        ("PROXY TCP4 192.0.2.01 203.0.113.9 1 2\r\n", "Line"),
        ("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "Line"),
        ("PROXY UNKNOWN\n\nGET / HTTP/1.1\r\nx: y\r\n", "Line"),
    ] {
        assert_eq!(read(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn a_line_has_at_most_107_bytes() {
    let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16));
    assert_eq!(read(line(107).as_bytes()), "own");
    assert_eq!(read(line(108).as_bytes()), "Line");
    assert_eq!(read(&line(108).as_bytes()[..106]), "more");
}

/// The PROXY protocol, section 2.2
#[test]
fn a_header_of_version_2_is_read_to_its_end() {
    let v6 = [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[1], &[0; 15], &[1], &[0, 1, 0, 2]].concat();
    let mapped = [&[0; 10][..], &[255, 255, 192, 0, 2, 1], &[0; 15], &[1], &[0, 1, 0, 2]].concat();
    let with_more = [V4, &[0x03, 0, 4, 1, 2, 3, 4]].concat();
    for (bytes, expected) in [
        (binary(0x21, 0x11, 12, V4), "192.0.2.1:4199 > 203.0.113.9:443"),
        ([&binary(0x21, 0x11, 12, V4)[..], b"GET"].concat(), "192.0.2.1:4199 > 203.0.113.9:443 | GET"),
        ([&binary(0x21, 0x11, 19, &with_more)[..], &[22, 3]].concat(), "192.0.2.1:4199 > 203.0.113.9:443 | \\x16\\x03"),
        (binary(0x21, 0x12, 12, V4), "192.0.2.1:4199 > 203.0.113.9:443"),
        (binary(0x21, 0x10, 12, V4), "192.0.2.1:4199 > 203.0.113.9:443"),
        (binary(0x21, 0x21, 36, &v6), "[2001:db8::1]:1 > [::1]:2"),
        (binary(0x21, 0x21, 36, &mapped), "[::ffff:192.0.2.1]:1 > [::1]:2"),
        (binary(0x21, 0x31, 216, &[0; 216]), "unix"),
        (binary(0x21, 0x32, 216, &[b'/'; 216]), "unix"),
        (binary(0x21, 0x00, 0, b""), "own"),
        (binary(0x21, 0x00, 3, b"abcx"), "own | x"),
        (binary(0x20, 0x00, 0, b""), "own"),
        (binary(0x20, 0x11, 12, V4), "own"),
        (binary(0x20, 0xff, 2, b"ab"), "own"),
        (binary(0x21, 0x00, 16 << 10, &[0; 16 << 10]), "own"),
        (binary(0x21, 0x00, (16 << 10) + 1, b""), "Long"),
        (binary(0x20, 0x00, 0xffff, b""), "Long"),
        (binary(0x21, 0x11, 12, &V4[..11]), "more"),
        (binary(0x21, 0x11, 11, V4), "Short"),
        (binary(0x21, 0x11, 0, b""), "Short"),
        (binary(0x21, 0x21, 12, V4), "Short"),
        (binary(0x21, 0x31, 215, &[0; 215]), "Short"),
        (binary(0x21, 0x41, 12, V4), "Unknown"),
        (binary(0x21, 0x13, 12, V4), "Unknown"),
        (binary(0x22, 0x11, 12, V4), "Unknown"),
        (binary(0x2f, 0x11, 12, V4), "Unknown"),
        (binary(0x11, 0x11, 12, V4), "Version"),
        (binary(0x31, 0x11, 12, V4), "Version"),
        (b"\r\n\r\n\0\r\nQUIT".to_vec(), "more"),
        (b"\r\n\r\n\0\r\nQUIT\n".to_vec(), "more"),
        (b"\r\n\r\n\0\r\nQUIX\n".to_vec(), "Missing"),
        (b"\r\n\r\nGET / HTTP/1.1\r\n".to_vec(), "Missing"),
        (b"\x16\x03\x01".to_vec(), "Missing"),
        (b"\0".to_vec(), "Missing"),
    ] {
        assert_eq!(read(&bytes), expected, "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn a_header_is_the_same_however_it_is_cut_and_changed_bytes_are_no_panic() {
    let headers = [
        b"PROXY TCP4 192.0.2.1 203.0.113.9 4199 443\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        binary(0x21, 0x11, 12, V4),
        binary(0x21, 0x31, 218, &[7; 218]),
        binary(0x20, 0, 0, b""),
    ];
    for header in headers {
        for end in 0..header.len() {
            assert_eq!(read_proxy_header(&header[..end]), Ok(None), "{end}");
        }
        for at in 0..header.len() {
            for value in 0..=255 {
                let mut changed = header.clone();
                changed[at] = value;
                if let Ok(Some((_, length))) = read_proxy_header(&changed) {
                    assert!(length <= changed.len());
                }
            }
        }
    }
}
