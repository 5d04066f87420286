//! Which login does the operator have for a registry?
//!
//! The files of Docker and Podman are searched in order; the first that has a login for the registry decides. They are
//! opened only for a registry that asks for credentials.
//!
//! | file | question |
//! | --- | --- |
//! | `challenge` | which credentials does a registry ask for? |
//! | `credential_helper` | how does wagi talk to a program that stores passwords? |
//! | `docker_file` | how is a login stored where Docker stores it? |

pub(in crate::registry) mod challenge;
pub(in crate::registry) mod credential_helper;
pub(in crate::registry) mod docker_file;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::config;
use crate::regular_file;

use crate::registry::credentials::credential_helper::CredentialHelperError;
use crate::registry::manifest::shortened;
use crate::registry::reference::Registry;

/// The limit on the size of a file of credentials, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The user name that says that the password is an identity token.
const IDENTITY_TOKEN: &str = "<token>";

/// A login for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum RegistryLogin {
    Password(config::Login),
    /// For a token server, which gives out an access token for it.
    Identity(IdentityToken),
}

/// An identity token, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::registry) struct IdentityToken(pub String);

/// A login, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct FoundLogin {
    pub login: RegistryLogin,
    pub from: String,
}

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum CredentialsError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is not a file of credentials: it is not JSON or too large", .0.display())]
    Json(PathBuf),
    #[error("the entry for `{registry}` in `{}` is neither a name and a password nor Base64 of both", path.display())]
    Entry { path: PathBuf, registry: String },
    #[error(transparent)]
    Helper(#[from] CredentialHelperError),
}

impl fmt::Display for FoundLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.login {
            RegistryLogin::Password(login) => write!(f, "`{}` from {}", shortened(&login.user), self.from),
            RegistryLogin::Identity(_) => write!(f, "the identity token from {}", self.from),
        }
    }
}

/// The login for `registry` in the first of `files` that has one.
pub(in crate::registry) fn find(
    files: &[PathBuf],
    registry: &Registry,
) -> Result<Option<FoundLogin>, CredentialsError> {
    for path in files {
        if let Some(json) = read(path)?
            && let Some(found) = find_in(&json, path, registry)?
        {
            tracing::debug!(%registry, from = %found.from, "credentials found");
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The content of a file of credentials, if the file exists.
pub(in crate::registry) fn read(path: &Path) -> Result<Option<Value>, CredentialsError> {
    match regular_file::read(path, MAX_FILE) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|_| CredentialsError::Json(path.to_owned())),
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
        Err(source) => Err(CredentialsError::Read { path: path.to_owned(), source }),
    }
}

/// The helper for this registry comes first, then an entry, then the helper for all registries.
fn find_in(json: &Value, path: &Path, registry: &Registry) -> Result<Option<FoundLogin>, CredentialsError> {
    let from_helper = |helper: &str| {
        credential_helper::get(helper, registry)
            .map(|(user, secret)| FoundLogin { login: login(user, secret), from: credential_helper::program(helper) })
    };
    if let Some(helper) = helper_of(json, registry) {
        return Ok(Some(from_helper(helper)?));
    }
    if let Some(entry) = entry(json, "auths", registry)
        && let Some(login) = read_entry(entry, path, registry)?
    {
        return Ok(Some(FoundLogin { login, from: path.display().to_string() }));
    }
    match default_helper(json).map(from_helper) {
        Some(Ok(found)) => Ok(Some(found)),
        // The helper may have logins for other registries; this one may be open to all.
        None | Some(Err(CredentialHelperError::Unknown { .. })) => Ok(None),
        Some(Err(error)) => Err(error.into()),
    }
}

/// The helper that has the login for this registry.
pub(in crate::registry) fn helper_of<'j>(json: &'j Value, registry: &Registry) -> Option<&'j str> {
    entry(json, "credHelpers", registry).and_then(Value::as_str)
}

/// The helper that has all other logins.
pub(in crate::registry) fn default_helper(json: &Value) -> Option<&str> {
    json.get("credsStore").and_then(Value::as_str).filter(|program| !program.is_empty())
}

/// Whether there is an entry with something in it.
pub(in crate::registry) fn has_entry(json: &Value, registry: &Registry) -> bool {
    entry(json, "auths", registry).and_then(Value::as_object).is_some_and(|entry| !entry.is_empty())
}

fn entry<'j>(json: &'j Value, table: &str, registry: &Registry) -> Option<&'j Value> {
    let table = json.get(table)?.as_object()?;
    table.iter().find(|(key, _)| registry.matches_key(key)).map(|(_, value)| value)
}

/// The login in an entry of `auths`. The entry is empty if a helper has the password.
fn read_entry(entry: &Value, path: &Path, registry: &Registry) -> Result<Option<RegistryLogin>, CredentialsError> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let unreadable = || CredentialsError::Entry { path: path.to_owned(), registry: registry.to_string() };
    if let Some(token) = text("identitytoken") {
        return Ok(Some(RegistryLogin::Identity(IdentityToken(token.to_owned()))));
    }
    let (user, password) = match (text("auth"), text("username"), text("password")) {
        (Some(auth), ..) => {
            let decoded = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let decoded = decoded.ok_or_else(unreadable)?;
            let (user, password) = decoded.split_once(':').ok_or_else(unreadable)?;
            // Docker has written zeros behind some passwords.
            (user.to_owned(), password.trim_end_matches('\0').to_owned())
        }
        (None, Some(user), Some(password)) => (user.to_owned(), password.to_owned()),
        (None, None, None) => return Ok(None),
        _ => return Err(unreadable()),
    };
    Ok(Some(login(user, password)))
}

fn login(user: String, secret: String) -> RegistryLogin {
    match user == IDENTITY_TOKEN {
        true => RegistryLogin::Identity(IdentityToken(secret)),
        false => RegistryLogin::Password(config::Login { user, password: secret }),
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityToken")
    }
}

#[cfg(test)]
#[path = "../tests/credentials.rs"]
mod tests;
