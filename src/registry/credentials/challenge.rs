//! Which credentials does a registry ask for?
//!
//! A response with the status 401 says so in `WWW-Authenticate`: name and password themselves (Basic), or a token
//! (Bearer). A token server gives out tokens for name and password, or for an identity token (OAuth 2, RFC 6749 section
//! 6).

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::net::authorization::secret;

use crate::config::Login;
use crate::registry::credentials::IdentityToken;
use crate::registry::manifest::shortened;
use crate::registry::reference::is_local;

/// What a session may do at a registry.
#[derive(Clone, Copy)]
pub(in crate::registry) enum Scope<'s> {
    /// Pull from this repository.
    Pull(&'s str),
    /// Push to this repository.
    Push(&'s str),
    /// Check this login.
    LogIn(&'s Login),
}

impl Scope<'_> {
    /// As a request for a token states it.
    pub fn to_token_scope(self) -> Option<String> {
        match self {
            Self::Pull(repository) => Some(format!("repository:{repository}:pull")),
            Self::Push(repository) => Some(format!("repository:{repository}:pull,push")),
            Self::LogIn(_) => None,
        }
    }
}

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

/// Why no credentials can be sent to a registry.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum AuthError {
    #[error("it does not say which credentials it wants, or wants some that are not known here")]
    Unknown,
    #[error("it sends those who want a token to `{0}`, which is no `https` URL of a server")]
    Realm(String),
    #[error("`{0}` answers without a token")]
    NoToken(String),
    #[error("the name in {0} holds a colon, which no name may")]
    ColonInName(String),
    #[error("it wants a name and a password, but in {0} there is an identity token")]
    NoPassword(String),
}

impl Challenge {
    /// The best of the challenges in the headers of a response.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, AuthError> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let known: Vec<_> = texts.filter_map(Self::parse).collect();
        // For a token, the password goes to one server only.
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
    /// The token server, if a login may be sent to it. `registry` is the URL of the registry that names it.
    pub fn server(&self, registry: &Url) -> Result<Url, AuthError> {
        let error = || AuthError::Realm(shortened(&self.realm));
        let url = Url::parse(&self.realm).map_err(|_| error())?;
        // A registry may name a server on this machine only if it is on this machine too, and a server without TLS only
        // if the operator has allowed that for its host.
        let is_plain_host = registry.scheme() == "http" && registry.host() == url.host();
        let is_safe = match is_local(&url) {
            true => is_local(registry),
            false => url.scheme() == "https" || is_plain_host,
        };
        let is_bare = url.username().is_empty() && url.password().is_none();
        match is_safe && is_bare && ["http", "https"].contains(&url.scheme()) {
            true => Ok(url),
            false => Err(error()),
        }
    }

    /// The URL to GET a token with a scope from.
    pub fn url(&self, server: &Url, scope: Option<&str>) -> Url {
        let mut url = server.clone();
        // The scope is ours, not what the registry says.
        let pairs = [("service", self.service.as_deref()), ("scope", scope)];
        let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        url.query_pairs_mut().extend_pairs(pairs);
        url
    }

    /// The form to POST to get a token for an identity token.
    pub fn form(&self, scope: Option<&str>, token: &IdentityToken) -> Bytes {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "wagi");
        form.extend_pairs(self.service.as_deref().map(|service| ("service", service)));
        form.extend_pairs(scope.map(|scope| ("scope", scope)));
        form.append_pair("refresh_token", &token.0);
        form.finish().into()
    }
}

/// The `Authorization` header with the token in the response of a token server.
pub(in crate::registry) fn token_header(body: &[u8], server: &Url) -> Result<HeaderValue, AuthError> {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let token = ["token", "access_token"].iter().find_map(|name| json.get(name)?.as_str());
    let header = token.filter(|token| !token.is_empty()).and_then(|token| secret(&format!("Bearer {token}")));
    header.ok_or_else(|| AuthError::NoToken(server.host_str().unwrap_or_default().to_owned()))
}

#[cfg(test)]
#[path = "../tests/challenge.rs"]
mod tests;
