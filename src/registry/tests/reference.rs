//! References as operators write them: what they mean, and what is refused.

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_reference_has_a_registry_a_name_and_a_version() {
    for (text, full) in [
        ("foo", "docker.io/library/foo:latest".to_owned()),
        ("foo:bar", "docker.io/library/foo:bar".to_owned()),
        ("example/foo:1.2.3", "docker.io/example/foo:1.2.3".to_owned()),
        ("index.docker.io/foo", "docker.io/library/foo:latest".to_owned()),
        ("example.com:9000/foo:dev", "example.com:9000/foo:dev".to_owned()),
        ("localhost/a/b", "localhost/a/b:latest".to_owned()),
        ("[::1]:5000/a__b/c-d:V_1.0", "[::1]:5000/a__b/c-d:V_1.0".to_owned()),
        ("GHCR.io/a", "ghcr.io/a:latest".to_owned()),
        (&format!("ghcr.io/a:old@{DIGEST}"), format!("ghcr.io/a@{DIGEST}")),
    ] {
        assert_eq!(Reference::parse(text).map(|parsed| parsed.to_string()), Ok(full), "{text}");
    }
}

#[test]
fn what_is_no_reference_is_refused() {
    let long = format!("a.b/{}", "x".repeat(256));
    for (text, part) in [
        ("", "not the name"),
        ("a.b/", "not the name"),
        ("a.b/Foo", "`Foo` is not the name"),
        ("a.b/x/../y", "not the name"),
        ("a.b//y", "not the name"),
        ("a.b/x?y#z", "not the name"),
        ("a.b/-x", "not the name"),
        (&long, "not the name"),
        ("a.b/x:", "`` is not a tag"),
        ("a.b/x:a/b", "`a/b` is not a tag"),
        ("a.b/x@sha256:12", "`sha256:12` is not a digest"),
        ("a.b/x@md5:12", "not a digest"),
        ("a.b:x/y", "`a.b:x` is not the address"),
        ("me:pw@a.b/y", "not a digest"),
        ("a.b:99999/y", "not the address"),
        ("a b.c/y", "not the address"),
        ("https://localhost:5055/hello", "begins with the host: write `localhost:5055/hello`"),
        ("http://a.b/x:1/", "write `a.b/x:1`, with `--plain-http a.b`"),
        ("docker://a.b/x", "write `a.b/x`"),
    ] {
        let error = Reference::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_registry_has_urls_and_may_be_on_this_machine() {
    for (text, url, is_local) in [
        ("foo", "https://registry-1.docker.io/v2/x", false),
        ("ghcr.io/a", "https://ghcr.io/v2/x", false),
        ("localhost/a", "https://localhost/v2/x", true),
        ("127.9.9.9:5000/a", "https://127.9.9.9:5000/v2/x", true),
        ("[::1]:5000/a", "https://[::1]:5000/v2/x", true),
        ("10.0.0.1:5000/a", "https://10.0.0.1:5000/v2/x", false),
        ("localhost.example.com/a", "https://localhost.example.com/v2/x", false),
    ] {
        let registry = Reference::parse(text).expect(text).registry;
        assert_eq!(registry.url("https", "x").map(String::from), Some(url.to_owned()));
        assert_eq!(registry.is_local(), is_local, "{text}");
    }
}

#[test]
fn a_registry_is_named_alone_in_several_ways() {
    for (text, name) in [
        ("GHCR.io", "ghcr.io"),
        ("https://ghcr.io/", "ghcr.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("localhost", "localhost"),
        ("http://localhost:5000/v2/", "localhost:5000"),
    ] {
        assert_eq!(Registry::parse_alone(text).map(|registry| registry.to_string()), Ok(name.to_owned()), "{text}");
    }
    for text in ["", "ghcr", "ghcr.io/me", "me@ghcr.io", "ghcr.io:x", "a b.c"] {
        assert!(Registry::parse_alone(text).is_err(), "{text}");
    }
}

#[test]
fn commands_take_a_reference_with_and_without_its_scheme() {
    for text in ["a.b/c", "oci:a.b/c", "oci://a.b/c"] {
        assert_eq!(without_scheme(text), "a.b/c");
    }
    let digest = sha256(DIGEST).expect("a digest");
    let pinned = Reference::parse("a.b/c:1").expect("a reference").pinned(&digest);
    assert_eq!(pinned.to_string(), format!("a.b/c@{DIGEST}"));
}

#[test]
fn a_key_of_credentials_means_a_registry() {
    let registry = |text: &str| Reference::parse(text).expect(text).registry;
    for key in ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io", "index.docker.io"] {
        assert!(registry("foo").matches_key(key), "{key}");
        assert!(!registry("ghcr.io/foo").matches_key(key), "{key}");
    }
    for (key, is_meant) in [("a.b:1", true), ("https://a.b:1/v2/", true), ("a.b", false), ("a.b:1/x", false)] {
        assert_eq!(registry("a.b:1/foo").matches_key(key), is_meant, "{key}");
    }
}
