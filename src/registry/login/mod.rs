//! How does the operator log in to a registry, and out?
//!
//! Name and password are shown to the registry before they are kept. Called by `registries`, on a thread that may block.

pub(crate) mod challenge;
pub(crate) mod credential_file;
pub(crate) mod credential_helper;
pub(crate) mod credentials;

use std::path::PathBuf;

use http::{Method, StatusCode};

use crate::config::{Diagnostic, Login, Registries};
use crate::net::upload::Upload;

use crate::registry::api::{ApiRequest, Scope, Session};
use crate::registry::client::RegistryClient;
use crate::registry::error::RegistryError;
use crate::registry::login::credential_file::{CredentialFile, CredentialFileError};
use crate::registry::reference::{ReferenceError, Registry};
use crate::registry::{helped, no_client};

/// What became of logging in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// Where one is logged in.
    pub registry: String,
    /// The file or the program that has name and password now.
    pub kept: String,
    /// Whether the registry has looked at them. One that is open to all does not.
    pub is_checked: bool,
}

/// What became of logging out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// Where one is logged out.
    pub registry: String,
    /// Whether one was logged in.
    pub was_logged_in: bool,
    /// Files where a login is left that is not ours to remove.
    pub elsewhere: Vec<PathBuf>,
}

/// Why one is not logged in or out.
#[derive(Debug, thiserror::Error)]
enum AccountError {
    #[error(transparent)]
    Address(#[from] ReferenceError),
    #[error("a name must not be empty or hold a colon or a control character")]
    Name,
    #[error("a password must not be empty")]
    Password,
    #[error("registry `{registry}` refuses name and password{said}")]
    Refused { registry: String, said: String },
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("there is nowhere to keep it")]
    Nowhere,
    #[error(transparent)]
    Keep(#[from] CredentialFileError),
}

impl AccountError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Address(_) => Some("write `HOST` or `HOST:PORT`, such as `ghcr.io` or `localhost:5000`".to_owned()),
            Self::Nowhere => Some("set HOME or DOCKER_CONFIG".to_owned()),
            Self::Registry(error) => error.help(),
            _ => None,
        }
    }

    fn report(&self, message: String) -> Box<Diagnostic> {
        Box::new(helped(Diagnostic::error(message).caused_by(self), self.help()))
    }
}

/// Keeps a login that the registry finds good.
pub(crate) fn log_in(name: &str, login: &Login, registries: &Registries) -> Result<LoggedIn, Box<Diagnostic>> {
    let client = RegistryClient::new(registries).map_err(|error| Box::new(no_client(&error)))?;
    let logged_in = checked(name, login, &client, registries);
    logged_in.map_err(|error| error.report(format!("cannot log in to `{name}`")))
}

fn checked(
    name: &str,
    login: &Login,
    client: &RegistryClient,
    registries: &Registries,
) -> Result<LoggedIn, AccountError> {
    let registry = Registry::named(name)?;
    let path = registries.credentials.first().ok_or(AccountError::Nowhere)?;
    if login.user.is_empty() || login.user.contains(|character: char| character == ':' || character.is_control()) {
        return Err(AccountError::Name);
    }
    // It may have several lines: some registries take a whole file for one.
    if login.password.is_empty() {
        return Err(AccountError::Password);
    }
    // A file that cannot be used is found before anything is sent.
    let mut file = CredentialFile::open(path)?;
    let is_checked = is_good(login, client, &registry)?;
    let kept = file.keep(&registry, login)?;
    Ok(LoggedIn { registry: registry.to_string(), kept, is_checked })
}

/// Whether the registry has looked at a login and found it good; not if it is open to all.
fn is_good(login: &Login, client: &RegistryClient, registry: &Registry) -> Result<bool, AccountError> {
    let mut session = Session::new(client, registry, Scope::LogIn(login));
    let request = ApiRequest {
        method: Method::GET,
        url: session.url("")?,
        headers: &[],
        body: &Upload::default,
        is_repeatable: true,
        what: "for its API",
    };
    match session.send(&request, &[StatusCode::OK]) {
        Ok(_) => Ok(session.has_shown_a_login()),
        Err(RegistryError::WrongCredentials { registry, said, .. }) => {
            Err(AccountError::Refused { registry, said: said.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

/// Forgets the login for a registry.
pub(crate) fn log_out(name: &str, files: &[PathBuf]) -> Result<LoggedOut, Box<Diagnostic>> {
    forgotten(name, files).map_err(|error| error.report(format!("cannot log out of `{name}`")))
}

fn forgotten(name: &str, files: &[PathBuf]) -> Result<LoggedOut, AccountError> {
    let registry = Registry::named(name)?;
    let (path, others) = files.split_first().ok_or(AccountError::Nowhere)?;
    let was_logged_in = CredentialFile::open(path)?.forget(&registry)?;
    let is_elsewhere = |path: &&PathBuf| {
        credentials::read(path).ok().flatten().is_some_and(|json| credentials::has_entry(&json, &registry))
    };
    let elsewhere = others.iter().filter(is_elsewhere).cloned().collect();
    Ok(LoggedOut { registry: registry.to_string(), was_logged_in, elsewhere })
}
