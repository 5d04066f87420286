//! Which artifact of which registry does a text name?
//!
//! `[REGISTRY/]NAME[:TAG][@sha256:DIGEST]`, as Docker writes it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::config::Sha256;

/// The registry of references that name none.
const DOCKER_HUB: &str = "docker.io";

/// Other names of it. The first is the host of its API.
const DOCKER_HUB_HOSTS: [&str; 2] = ["registry-1.docker.io", "index.docker.io"];

const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// An artifact of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::registry) struct Reference {
    pub registry: Registry,
    /// The name within the registry.
    pub repository: String,
    pub version: TagOrDigest,
}

/// Which artifact of a repository: by its tag or by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::registry) enum TagOrDigest {
    /// The one that has this tag now.
    Tag(String),
    /// The one whose manifest has this digest.
    Digest(Sha256),
}

/// `HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::registry) struct Registry(String);

/// Why a text names no artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::registry) enum ReferenceError {
    #[error("`{text}` is a URL, and a reference begins with the host: write `{reference}`{option}")]
    Url { text: String, reference: String, option: String },
    #[error("`{0}` is not the address of a registry")]
    Registry(String),
    #[error("`{0}` is not the name of an artifact: names have lower-case letters, digits and `.`, `_`, `-`, `/`")]
    Name(String),
    #[error("`{0}` is not a tag: tags are made of letters, digits and `.`, `_`, `-`")]
    Tag(String),
    #[error("`{0}` is not a digest: write `sha256:` and 64 hexadecimal digits")]
    Digest(String),
}

impl ReferenceError {
    fn of_url(text: &str, scheme: &str, reference: &str) -> Self {
        let reference = reference.trim_end_matches('/').to_owned();
        let host = reference.split('/').next().unwrap_or_default();
        let option = if scheme == "http" { format!(", with `--plain-http {host}`") } else { String::new() };
        Self::Url { text: text.to_owned(), reference, option }
    }
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if let Some((scheme, reference)) = text.split_once("://") {
            return Err(ReferenceError::of_url(text, scheme, reference));
        }
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(sha256(digest)?)),
            None => (text, None),
        };
        let (registry, rest) = match text.split_once('/') {
            Some((first, rest)) if is_registry(first) => (Registry::parse(first)?, rest),
            _ => (Registry(DOCKER_HUB.to_owned()), text),
        };
        let (name, tag) = match rest.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (rest, None),
        };
        if !is_name(name) {
            return Err(ReferenceError::Name(name.to_owned()));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag(tag.to_owned()));
        }
        let is_official = registry.0 == DOCKER_HUB && !name.contains('/');
        let repository = if is_official { format!("library/{name}") } else { name.to_owned() };
        let version = digest.map_or_else(|| TagOrDigest::Tag(tag.unwrap_or("latest").to_owned()), TagOrDigest::Digest);
        Ok(Self { registry, repository, version })
    }

    /// The name within the registry, as the registry knows it: those of Docker Hub have a team.
    pub fn name(&self) -> Cow<'_, str> {
        match self.registry.is_docker_hub() && !self.repository.contains('/') {
            true => format!("library/{}", self.repository).into(),
            false => (&self.repository).into(),
        }
    }

    /// The same name with the digest of a manifest.
    pub fn pinned(&self, manifest: &Sha256) -> Self {
        Self { version: TagOrDigest::Digest(manifest.clone()), ..self.clone() }
    }
}

/// Whether two texts are references to the same tag or digest of the same registry.
pub(crate) fn is_same_reference(one: &str, other: &str) -> bool {
    let (Ok(first), Ok(second)) = (Reference::parse(one), Reference::parse(other)) else { return one == other };
    first.registry.is_same(&second.registry) && first.name() == second.name() && first.version == second.version
}

/// A reference as commands take it, without the `oci:` or `oci://` that a `modules.toml` writes before it.
pub(crate) fn without_scheme(text: &str) -> &str {
    text.strip_prefix("oci:").map_or(text, |named| named.strip_prefix("//").unwrap_or(named))
}

/// Whether the first part of a reference is a registry rather than a name.
pub(in crate::registry) fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// The digest in `sha256:HEX`.
pub(in crate::registry) fn sha256(text: &str) -> Result<Sha256, ReferenceError> {
    let digits = text.strip_prefix("sha256:").and_then(|digits| digits.parse().ok());
    digits.ok_or_else(|| ReferenceError::Digest(text.to_owned()))
}

/// Whether a text is a name within a registry, without tag and digest.
pub(in crate::registry) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        part.bytes().all(|byte| is_plain(byte) || b"._-".contains(&byte))
            && part.bytes().next().is_some_and(is_plain)
            && part.bytes().last().is_some_and(is_plain)
            && !part.contains("..")
    };
    name.len() <= MAX_NAME && name.split('/').all(is_part)
}

fn is_tag(tag: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_plain)
        && tag.bytes().all(|byte| is_plain(byte) || b".-".contains(&byte))
}

impl Registry {
    /// Parses the address of a registry alone. There may be a scheme before it and a version of the API behind it.
    pub fn parse_alone(text: &str) -> Result<Self, ReferenceError> {
        let name = without_scheme_and_version(text);
        match is_registry(name) {
            true => Self::parse(name),
            false => Err(ReferenceError::Registry(text.to_owned())),
        }
    }

    /// Parses `HOST[:PORT]`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let error = || ReferenceError::Registry(text.to_owned());
        if text.bytes().any(|byte| !byte.is_ascii_alphanumeric() && !b".-:[]_".contains(&byte)) {
            return Err(error());
        }
        let name = text.to_ascii_lowercase();
        let name = if DOCKER_HUB_HOSTS.contains(&name.as_str()) { DOCKER_HUB.to_owned() } else { name };
        Url::parse(&format!("https://{name}/")).map_err(|_| error())?;
        Ok(Self(name))
    }

    /// Whether both names lead to the same registry: with and without the port that is meant anyway, a dot at the end, or zeros in
    /// an address.
    pub fn is_same(&self, other: &Self) -> bool {
        self.address() == other.address()
    }

    /// Whether it is Docker Hub, by any of its names.
    pub fn is_docker_hub(&self) -> bool {
        self.is_same(&Self(DOCKER_HUB.to_owned()))
    }

    /// The host and, unless it is the usual one, the port.
    fn address(&self) -> Option<(String, Option<u16>)> {
        let url = Url::parse(&format!("https://{}/", self.0)).ok()?;
        let host = match url.host()? {
            Host::Domain(name) => name.trim_end_matches('.').to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_canonical().to_string(),
        };
        let host = if DOCKER_HUB_HOSTS.contains(&host.as_str()) { DOCKER_HUB.to_owned() } else { host };
        // The port of HTTPS is none here, and that of HTTP is as usual for a registry without TLS.
        Some((host, url.port().filter(|port| *port != 80)))
    }

    /// Returns its name as operators write it.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The URL of a path below the root of its API.
    pub fn url(&self, scheme: &str, path: &str) -> Option<Url> {
        let host = if self.0 == DOCKER_HUB { DOCKER_HUB_HOSTS[0] } else { &self.0 };
        Url::parse(&format!("{scheme}://{host}/v2/{path}")).ok()
    }

    /// Whether it is on this machine, so that it needs no TLS.
    pub fn is_local(&self) -> bool {
        Url::parse(&format!("https://{}/", self.0)).is_ok_and(|url| is_local(&url))
    }

    /// Whether a key of a file of credentials names this registry: `HOST[:PORT]`, perhaps with a scheme and a version.
    pub fn matches_key(&self, key: &str) -> bool {
        let key = without_scheme_and_version(key).to_ascii_lowercase();
        key == self.0 || (self.0 == DOCKER_HUB && DOCKER_HUB_HOSTS.contains(&key.as_str()))
    }

    /// Its name in files of credentials and for credential helpers.
    pub fn login_name(&self) -> &str {
        if self.0 == DOCKER_HUB { "https://index.docker.io/v1/" } else { &self.0 }
    }
}

/// `HOST[:PORT]` of what may be a URL of the API.
fn without_scheme_and_version(text: &str) -> &str {
    let text = text.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    text.trim_end_matches("/v1").trim_end_matches("/v2")
}

/// Whether a URL leads to this machine.
pub(in crate::registry) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => write!(f, "sha256:{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if matches!(self.version, TagOrDigest::Tag(_)) { ':' } else { '@' };
        write!(f, "{}/{}{sign}{}", self.registry, self.repository, self.version)
    }
}

#[cfg(test)]
#[path = "tests/reference.rs"]
mod tests;
