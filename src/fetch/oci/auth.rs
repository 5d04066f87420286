//! What does a registry want to see before it answers?
//!
//! It says so with `WWW-Authenticate`: name and password themselves (Basic), or a token that another server gives out for
//! them (Bearer). Asked by `registry` when an answer is 401.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use url::Url;

use super::credentials::Login;
use super::manifest::shortened;
use super::reference::{Registry, is_local};

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// A token from `realm` for `service`.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// Why nothing can be shown to a registry.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthError {
    #[error("it does not say which credentials it wants, or wants some that are not known here")]
    Unknown,
    #[error("it sends those who want a token to `{0}`, which is no `https` URL of a server")]
    Realm(String),
    #[error("`{0}` answers without a token")]
    NoToken(String),
}

impl Challenge {
    /// The best of those in the headers of a refusal.
    pub fn in_headers(headers: &HeaderMap) -> Result<Self, AuthError> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let known: Vec<_> = texts.filter_map(Self::parse).collect();
        // A token shows the password to one server only.
        let is_bearer = |challenge: &Self| matches!(challenge, Self::Bearer { .. });
        let best = known.iter().position(is_bearer).unwrap_or(0);
        known.into_iter().nth(best).ok_or(AuthError::Unknown)
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        let pairs = scheme.eq_ignore_ascii_case("bearer").then(|| parameters(rest))?;
        let value = |name: &str| pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        Some(Self::Bearer { realm: value("realm")?, service: value("service") })
    }
}

/// `name="value", name=value`, as far as it is that.
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => match rest.split_once(',') {
                Some((value, rest)) => (value.trim().to_owned(), rest),
                None => (rest.trim().to_owned(), ""),
            },
        };
        let name = name.trim_matches([',', ' ', '\t']).to_ascii_lowercase();
        pairs.push((name, value));
        text = rest;
    }
    pairs
}

/// The text up to the closing quote, and what is behind it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

/// The URL to ask for a token that allows pulling from `repository`.
pub(super) fn token_url(
    realm: &str,
    service: Option<&str>,
    registry: &Registry,
    repository: &str,
) -> Result<Url, AuthError> {
    let refused = || AuthError::Realm(shortened(realm));
    let mut url = Url::parse(realm).map_err(|_| refused())?;
    // What is on this machine is for the registry to name only if it is there too.
    let is_safe = if is_local(&url) { registry.is_local() } else { url.scheme() == "https" };
    let is_bare = url.username().is_empty() && url.password().is_none();
    if !is_safe || !is_bare || !["http", "https"].contains(&url.scheme()) {
        return Err(refused());
    }
    // What is asked for is not left to the registry to say.
    let mut query = url.query_pairs_mut();
    query.extend_pairs(service.map(|service| ("service", service)));
    query.append_pair("scope", &format!("repository:{repository}:pull"));
    drop(query);
    Ok(url)
}

/// The header that shows name and password.
pub(super) fn basic(login: &Login) -> Option<HeaderValue> {
    secret(&format!("Basic {}", STANDARD.encode(format!("{}:{}", login.user, login.password))))
}

/// The header that shows the token in the answer of a token server.
pub(super) fn bearer(answer: &[u8], url: &Url) -> Result<HeaderValue, AuthError> {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    let token = ["token", "access_token"].iter().find_map(|name| json.get(name)?.as_str());
    let header = token.filter(|token| !token.is_empty()).and_then(|token| secret(&format!("Bearer {token}")));
    header.ok_or_else(|| AuthError::NoToken(url.host_str().unwrap_or_default().to_owned()))
}

/// A header value that nothing prints.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::super::reference::Reference;
    use super::*;

    fn challenge(texts: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).expect("a header"));
        }
        Challenge::in_headers(&headers).ok()
    }

    fn bearer_of(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
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

    #[test]
    fn a_token_is_asked_for_where_nobody_listens() {
        let asked = |realm: &str, registry: &str| {
            let registry = Reference::parse(registry).expect("a reference").registry;
            token_url(realm, Some("s&t"), &registry, "a/b").map(String::from).ok()
        };
        let query = "service=s%26t&scope=repository%3Aa%2Fb%3Apull";
        assert_eq!(asked("https://auth.io/t", "a.io/x"), Some(format!("https://auth.io/t?{query}")));
        assert_eq!(asked("https://auth.io/t?a=b", "a.io/x"), Some(format!("https://auth.io/t?a=b&{query}")));
        assert_eq!(asked("http://127.0.0.1:1/t", "localhost/x"), Some(format!("http://127.0.0.1:1/t?{query}")));
        for (realm, registry) in [
            ("http://auth.io/t", "a.io/x"),
            ("http://auth.io/t", "localhost/x"),
            ("http://169.254.169.254/", "localhost/x"),
            ("http://127.0.0.1/t", "a.io/x"),
            ("https://localhost/t", "a.io/x"),
            ("https://me:pw@auth.io/t", "a.io/x"),
            ("file:///etc/passwd", "localhost/x"),
            ("/token", "a.io/x"),
        ] {
            assert_eq!(asked(realm, registry), None, "{realm}");
        }
    }

    #[test]
    fn a_token_has_one_of_two_names() {
        let url = Url::parse("https://auth.io/t").expect("a URL");
        for answer in ["{\"token\":\"x\"}", "{\"access_token\":\"x\",\"token\":\"\"}", "{\"access_token\":\"x\"}"] {
            let header = bearer(answer.as_bytes(), &url).ok();
            let expected = (!answer.contains("\"\"")).then(|| HeaderValue::from_static("Bearer x"));
            assert_eq!(header, expected, "{answer}");
        }
        for answer in ["", "{}", "<html>", "{\"token\":7}", "{\"token\":\"a\\nb\"}"] {
            assert!(bearer(answer.as_bytes(), &url).is_err(), "{answer}");
        }
    }
}
