//! Challenges in all their forms, and where tokens are requested.

use crate::registry::credentials::challenge::*;

fn challenge(texts: &[&str]) -> Option<Challenge> {
    let mut headers = HeaderMap::new();
    for text in texts {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).expect("a header"));
    }
    Challenge::from_headers(&headers).ok()
}

fn bearer_of(realm: &str, service: Option<&str>) -> Option<Challenge> {
    Some(Challenge::Bearer(Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }))
}

#[test]
fn challenges_are_read_in_all_their_forms() {
    assert_eq!(challenge(&["Basic realm=\"x\""]), Some(Challenge::Basic));
    assert_eq!(challenge(&["basic"]), Some(Challenge::Basic));
    for text in [
        "Bearer realm=\"https://a.b/t\",service=\"a.b\",scope=\"repository:x:pull,push\"",
        "bearer Service=a.b , error=\"x, \\\"y\\\"\", realm=https://a.b/t",
    ] {
        assert_eq!(challenge(&[text]), bearer_of("https://a.b/t", Some("a.b")), "{text}");
    }
    assert_eq!(challenge(&["Basic", "Bearer realm=\"https://a.b\""]), bearer_of("https://a.b", None));
    for text in ["", "Digest realm=\"x\"", "Bearer", "Bearer realm", "Bearer service=\"x"] {
        assert_eq!(challenge(&[text]), None, "{text}");
    }
}

fn asking(realm: &str) -> Bearer {
    Bearer { realm: realm.to_owned(), service: Some("s&t".to_owned()) }
}

#[test]
fn a_token_is_requested_where_the_login_is_safe() {
    let asked = |realm: &str, registry: &str| {
        let server = asking(realm).server(&Url::parse(registry).expect("a URL")).ok()?;
        Some(String::from(asking(realm).url(&server, Some("repository:a/b:pull"))))
    };
    let query = "service=s%26t&scope=repository%3Aa%2Fb%3Apull";
    let https = "https://a.io/v2/";
    let local = "http://localhost/v2/";
    assert_eq!(asked("https://auth.io/t", https), Some(format!("https://auth.io/t?{query}")));
    assert_eq!(asked("https://auth.io/t?a=b", https), Some(format!("https://auth.io/t?a=b&{query}")));
    assert_eq!(asked("http://127.0.0.1:1/t", local), Some(format!("http://127.0.0.1:1/t?{query}")));
    assert_eq!(asked("http://r.lan:1/t", "http://r.lan:5000/v2/"), Some(format!("http://r.lan:1/t?{query}")));
    for (realm, registry) in [
        ("http://auth.io/t", https),
        ("http://a.io/t", https),
        ("http://auth.io/t", local),
        ("http://auth.lan/t", "http://r.lan:5000/v2/"),
        ("http://127.0.0.1/t", "http://r.lan:5000/v2/"),
        ("http://169.254.169.254/", local),
        ("http://127.0.0.1/t", https),
        ("https://localhost/t", https),
        ("https://me:pw@auth.io/t", https),
        ("file:///etc/passwd", local),
        ("/token", https),
    ] {
        assert_eq!(asked(realm, registry), None, "{realm}");
    }
}

/// RFC 6749, section 6, and Docker's additions to it.
#[test]
fn an_identity_token_is_sent_as_a_form() {
    let form = asking("https://auth.io/t").form(Some("repository:a:pull,push"), &IdentityToken("x=&y".to_owned()));
    let pairs: Vec<_> = form_urlencoded::parse(&form).into_owned().collect();
    let expected = [
        ("grant_type", "refresh_token"),
        ("client_id", "wagi"),
        ("service", "s&t"),
        ("scope", "repository:a:pull,push"),
        ("refresh_token", "x=&y"),
    ];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn a_token_has_one_of_two_names() {
    let url = Url::parse("https://auth.io/t").expect("a URL");
    for answer in ["{\"token\":\"x\"}", "{\"access_token\":\"x\",\"token\":\"\"}", "{\"access_token\":\"x\"}"] {
        let header = token_header(answer.as_bytes(), &url).ok();
        let expected = (!answer.contains("\"\"")).then(|| HeaderValue::from_static("Bearer x"));
        assert_eq!(header, expected, "{answer}");
    }
    for answer in ["", "{}", "<html>", "{\"token\":7}", "{\"token\":\"a\\nb\"}"] {
        assert!(token_header(answer.as_bytes(), &url).is_err(), "{answer}");
    }
}
