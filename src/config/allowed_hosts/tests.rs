//! Items, and the URLs that they match.

use url::Url;

use crate::config::allowed_hosts::*;

fn allowed(entries: &[&str]) -> AllowedHosts {
    let mut allowed = AllowedHosts::default();
    for entry in entries {
        allowed.add(entry).unwrap_or_else(|error| panic!("{entry}: {error}"));
    }
    allowed
}

fn url(text: &str) -> Url {
    Url::parse(text).expect(text)
}

#[test]
fn of_urls_only_the_host_counts() {
    let hosts = allowed(&["https://api.brigade.sh", "https://example.com:8443/path", "http://192.168.0.1"]);
    for (target, allows) in [
        ("https://api.brigade.sh/healthz", true),
        ("https://example.com/any/path", true),
        ("http://192.168.0.1/login", true),
        ("http://192.168.0.1:8080/login", true),
        ("http://EXAMPLE.com:81/", true),
        ("http://example.com./", true),
        ("https://test.brigade.sh", false),
        ("https://brigade.sh", false),
        ("https://example.com.evil.example/", false),
        ("https://evil.example/https://example.com", false),
        ("https://example.com@evil.example/", false),
        ("mailto:example.com", false),
    ] {
        assert_eq!(hosts.allows(&url(target)), allows, "{target}");
    }
    let all = allowed(&["https://example.com", " insecure:allow-all ", "https://api.brigade.sh"]);
    assert_eq!(all, AllowedHosts::All);
    assert!(all.allows(&url("https://test.brigade.sh")));
    assert!(!AllowedHosts::default().allows(&url("http://localhost")));
}

#[test]
fn entries_are_normalized() {
    for (entry, shown) in [
        ("https://API.Example.net/v1?x", "api.example.net"),
        ("https://api.example.net:8443", "api.example.net"),
        ("https://user@api.example.net", "api.example.net"),
        ("http:api.example.net", "api.example.net"),
        ("http://[0:0::1]/", "[::1]"),
        ("http://127.1:80", "127.0.0.1"),
        ("https://example.com.", "example.com"),
        ("api.example.net", "api.example.net"),
        (" api.example.net ", "api.example.net"),
        ("api.example.net/", "api.example.net"),
        ("API.example.net.", "api.example.net"),
        ("b\u{fc}cher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("localhost:3000", "localhost:3000"),
        ("example.com.:80", "example.com:80"),
        ("*.Example.com", "*.example.com"),
        ("*.b\u{fc}cher.example:8443", "*.xn--bcher-kva.example:8443"),
        ("HTTPS://*.example.com", "https://*.example.com"),
        ("https://*.example.com:443/", "https://*.example.com:443"),
        ("[::1]", "[::1]"),
        ("[::1]:3000", "[::1]:3000"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("0x0a.1", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("10.1.2.3/32", "10.1.2.3"),
        ("FD00::/8", "fd00::/8"),
        ("10.0.0.1/", "10.0.0.1"),
    ] {
        assert_eq!(format!("{:?}", allowed(&[entry])), format!("Only([\"{shown}\"])"), "{entry}");
    }
}

#[test]
fn what_is_no_host_is_refused_with_the_reason() {
    let error = |entry: &str| AllowedHosts::default().add(entry).expect_err(entry);
    for entry in [
        "",
        "  ",
        "not even a url",
        "https://",
        "mailto:me@example.com",
        "http://a b",
        "::1",
        "::1:80",
        "me@example.com",
    ] {
        assert!(matches!(error(entry), HostError::NoHost(_)), "{entry}: {}", error(entry));
    }
    for entry in ["/path", "//example.com", ".example.com", "a..example", "*..example", "[::1", "[::1]x:80", "."] {
        assert!(matches!(error(entry), HostError::NoHost(_)), "{entry}: {}", error(entry));
    }
    for entry in ["*", "*.", "a.*.com", "*example.com", "*.*.example.com", "https://*", "https://a*.com", "*.10.0.0.1"]
    {
        assert!(matches!(error(entry), HostError::Pattern(_) | HostError::NoHost(_)), "{entry}: {}", error(entry));
    }
    for entry in ["example.com/path", "https://*.example.com/path", "example.com/24", "*.example.com:80/x"] {
        assert!(matches!(error(entry), HostError::Path(_)), "{entry}: {}", error(entry));
    }
    for entry in ["example.com:0", "example.com:65536", "example.com:", "example.com:x", "*.example.com:*", "a:+1"] {
        assert!(matches!(error(entry), HostError::Port(_)), "{entry}: {}", error(entry));
    }
    for entry in ["10.0.0.0/33", "10.0.0.0/x", "fd00::/129", "10.0.0.0/8/8", "10.0.0.0/-1"] {
        assert!(matches!(error(entry), HostError::Range(_)), "{entry}: {}", error(entry));
    }
    assert_eq!(error("10.1.2.3/8").help(), "write `10.0.0.0/8`");
    for entry in [
        "ftp://*.example.com",
        "ws://*.example.com",
        "ftp://example.com",
        "ftp:example.com",
        "redis://cache.example:6379",
        "ws://[::1]/",
    ] {
        assert!(matches!(error(entry), HostError::Scheme(_)), "{entry}: {}", error(entry));
    }
}

#[test]
fn what_an_entry_says_beyond_the_host_restricts_it() {
    for (entry, target, allows) in [
        ("example.com", "https://example.com:8443/", true),
        ("example.com:8443", "https://example.com:8443/", true),
        ("example.com:8443", "http://example.com:8443/", true),
        ("example.com:8443", "https://example.com/", false),
        ("example.com:443", "https://example.com/", true),
        ("example.com:443", "http://example.com/", false),
        ("example.com:80", "http://example.com/", true),
        ("*.example.com", "http://a.example.com/", true),
        ("*.example.com", "http://a.b.EXAMPLE.com.:99/", true),
        ("*.example.com", "http://example.com/", false),
        ("*.example.com", "http://.example.com/", false),
        ("*.example.com", "http://aexample.com/", false),
        ("*.example.com", "http://a.example.com.evil.example/", false),
        ("*.example.com", "http://a.example.com@evil.example/", false),
        ("*.example.com:81", "http://a.example.com:81/", true),
        ("*.example.com:81", "http://a.example.com/", false),
        ("https://*.example.com", "https://a.example.com:8443/", true),
        ("https://*.example.com", "http://a.example.com/", false),
        ("https://*.example.com:443", "https://a.example.com/", true),
        ("https://*.example.com:443", "https://a.example.com:8443/", false),
        ("10.0.0.0/8", "http://10.255.0.1:9/", true),
        ("10.0.0.0/8", "http://0xa.1/", true),
        ("10.0.0.0/8", "http://[::ffff:10.0.0.1]/", true),
        ("10.0.0.0/8", "http://11.0.0.1/", false),
        ("10.0.0.0/8", "http://ten.example/", false),
        ("10.0.0.1:80", "http://10.0.0.1/", true),
        ("10.0.0.1:80", "http://10.0.0.1:81/", false),
        ("fd00::/8", "http://[fd12::1]/", true),
        ("::/0", "http://10.0.0.1/", false),
    ] {
        assert_eq!(allowed(&[entry]).allows(&url(target)), allows, "{entry} and {target}");
    }
}

#[test]
fn ranges_are_listed_for_their_port_only() {
    let hosts = allowed(&["*.example.com", "10.0.0.0/8", "127.0.0.1:8080"]);
    let listed = |target: &str, address: &str| hosts.ranges(&url(target), address.parse().expect(address)).count();
    assert_eq!(listed("http://a.example.com/", "10.0.0.1"), 1);
    assert_eq!(listed("http://a.example.com/", "::ffff:10.0.0.1"), 1);
    assert_eq!(listed("http://a.example.com/", "127.0.0.1"), 0);
    assert_eq!(listed("http://a.example.com:8080/", "127.0.0.1"), 1);
    assert!(hosts.allows(&url("http://a.example.com/")) && !hosts.lists_exactly(&url("http://a.example.com/")));
    assert!(hosts.lists_exactly(&url("http://10.0.0.1/")));
}
