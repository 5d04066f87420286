//! What does a registry want to see before it answers?
//!
//! It says so with `WWW-Authenticate`: name and password themselves (Basic), or a token that another server gives out for
//! them (Bearer), or for a token that stands for both (OAuth 2, RFC 6749 section 6). Asked by `registry` when an answer is
//! 401.

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::net::authorization::secret;

use crate::registry::login::credentials::IdentityToken;
use crate::registry::manifest::shortened;
use crate::registry::reference::is_local;

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) enum Challenge {
    Basic,
    Bearer(Bearer),
}

/// A token from `realm` for `service`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::registry) struct Bearer {
    pub realm: String,
    pub service: Option<String>,
}

/// Why nothing can be shown to a registry.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum AuthError {
    #[error("it does not say which credentials it wants, or wants some that are not known here")]
    Unknown,
    #[error("it sends those who want a token to `{0}`, which is no `https` URL of a server")]
    Realm(String),
    #[error("`{0}` answers without a token")]
    NoToken(String),
    #[error("the name in {0} holds a colon, which no name may")]
    Unspeakable(String),
    #[error("it wants a name and a password, but in {0} there is an identity token")]
    NoPassword(String),
}

impl Challenge {
    /// The best of those in the headers of a refusal.
    pub fn in_headers(headers: &HeaderMap) -> Result<Self, AuthError> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let known: Vec<_> = texts.filter_map(Self::parse).collect();
        // A token shows the password to one server only.
        let is_bearer = |challenge: &Self| matches!(challenge, Self::Bearer(_));
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
        Some(Self::Bearer(Bearer { realm: value("realm")?, service: value("service") }))
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

impl Bearer {
    /// The server of tokens, if a login may be shown to it. `registry` is the URL of the one that names it.
    pub fn server(&self, registry: &Url) -> Result<Url, AuthError> {
        let refused = || AuthError::Realm(shortened(&self.realm));
        let url = Url::parse(&self.realm).map_err(|_| refused())?;
        // What is on this machine is for a registry to name only if it is there too; what is spoken to without TLS, only if
        // the operator has allowed that for this host.
        let is_plain_host = registry.scheme() == "http" && registry.host() == url.host();
        let is_safe = match is_local(&url) {
            true => is_local(registry),
            false => url.scheme() == "https" || is_plain_host,
        };
        let is_bare = url.username().is_empty() && url.password().is_none();
        match is_safe && is_bare && ["http", "https"].contains(&url.scheme()) {
            true => Ok(url),
            false => Err(refused()),
        }
    }

    /// Where to ask that server for a token with a scope, by GET.
    pub fn question(&self, server: &Url, scope: Option<&str>) -> Url {
        let mut url = server.clone();
        // What is asked for is not left to the registry to say.
        let pairs = [("service", self.service.as_deref()), ("scope", scope)];
        let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        url.query_pairs_mut().extend_pairs(pairs);
        url
    }

    /// What to send it to get one for an identity token, by POST.
    pub fn form(&self, scope: Option<&str>, token: &IdentityToken) -> Bytes {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "wagi");
        form.extend_pairs(self.service.as_deref().map(|service| ("service", service)));
        form.extend_pairs(scope.map(|scope| ("scope", scope)));
        form.append_pair("refresh_token", &token.0);
        form.finish().into()
    }
}

/// The header that shows the token in the answer of a token server.
pub(in crate::registry) fn bearer(answer: &[u8], url: &Url) -> Result<HeaderValue, AuthError> {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    let token = ["token", "access_token"].iter().find_map(|name| json.get(name)?.as_str());
    let header = token.filter(|token| !token.is_empty()).and_then(|token| secret(&format!("Bearer {token}")));
    header.ok_or_else(|| AuthError::NoToken(url.host_str().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::registry::login::challenge::*;

    fn challenge(texts: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(text).expect("a header"));
        }
        Challenge::in_headers(&headers).ok()
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
    fn a_token_is_asked_for_where_nobody_listens() {
        let asked = |realm: &str, registry: &str| {
            let server = asking(realm).server(&Url::parse(registry).expect("a URL")).ok()?;
            Some(String::from(asking(realm).question(&server, Some("repository:a/b:pull"))))
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
            let header = bearer(answer.as_bytes(), &url).ok();
            let expected = (!answer.contains("\"\"")).then(|| HeaderValue::from_static("Bearer x"));
            assert_eq!(header, expected, "{answer}");
        }
        for answer in ["", "{}", "<html>", "{\"token\":7}", "{\"token\":\"a\\nb\"}"] {
            assert!(bearer(answer.as_bytes(), &url).is_err(), "{answer}");
        }
    }
}
