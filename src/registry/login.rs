//! How does the operator log in to a registry, and out?
//!
//! Name and password are sent to the registry before they are stored. For threads that may block.

use std::path::PathBuf;

use http::{Method, StatusCode};

use crate::config::{Diagnostic, Login, Registries};

use crate::registry::api::{ApiRequest, Session};
use crate::registry::client::RegistryClient;
use crate::registry::credentials;
use crate::registry::credentials::challenge::Scope;
use crate::registry::credentials::docker_file::{DockerFile, DockerFileError};
use crate::registry::error::{RegistryError, RegistryMessage, with_help};
use crate::registry::reference::{ReferenceError, Registry};

/// The result of `log_in`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The registry.
    pub registry: String,
    /// The file or the credential helper that has name and password now.
    pub stored_in: String,
    /// Whether the registry has checked them. A registry that is open to all does not.
    pub is_verified: bool,
}

/// The result of `log_out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// The registry.
    pub registry: String,
    /// Whether there was a login.
    pub was_logged_in: bool,
    /// Other files that still have a login, and that wagi does not change.
    pub elsewhere: Vec<PathBuf>,
}

/// Why logging in or out failed.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error(transparent)]
    Address(#[from] ReferenceError),
    #[error("a name must not be empty or hold a colon or a control character")]
    Name,
    #[error("a password must not be empty")]
    Password,
    #[error("registry `{registry}` refuses name and password{message}")]
    Rejected { registry: String, message: RegistryMessage },
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("there is nowhere to keep it")]
    NoFile,
    #[error(transparent)]
    File(#[from] DockerFileError),
}

impl LoginError {
    fn help(&self) -> Option<String> {
        match self {
            Self::Address(_) => Some("write `HOST` or `HOST:PORT`, such as `ghcr.io` or `localhost:5000`".to_owned()),
            Self::NoFile => Some("set HOME or DOCKER_CONFIG".to_owned()),
            Self::Registry(error) => error.help(),
            _ => None,
        }
    }

    fn report(&self, message: String) -> Box<Diagnostic> {
        Box::new(with_help(Diagnostic::error(message).caused_by(self), self.help()))
    }
}

/// Stores a login that the registry accepts.
pub(in crate::registry) fn log_in(
    name: &str,
    login: &Login,
    registries: &Registries,
) -> Result<LoggedIn, Box<Diagnostic>> {
    let client = RegistryClient::new(registries).map_err(|error| Box::new(error.report()))?;
    let stored = verify_and_store(name, login, &client, registries);
    stored.map_err(|error| error.report(format!("cannot log in to `{name}`")))
}

fn verify_and_store(
    name: &str,
    login: &Login,
    client: &RegistryClient,
    registries: &Registries,
) -> Result<LoggedIn, LoginError> {
    let registry = Registry::parse_alone(name)?;
    let path = registries.credentials.first().ok_or(LoginError::NoFile)?;
    if login.user.is_empty() || login.user.contains(|character: char| character == ':' || character.is_control()) {
        return Err(LoginError::Name);
    }
    // It may have several lines: some registries take a whole file as the password.
    if login.password.is_empty() {
        return Err(LoginError::Password);
    }
    // A file that cannot be used is found before anything is sent.
    let mut file = DockerFile::open(path)?;
    let is_verified = verify(login, client, &registry)?;
    let stored_in = file.store(&registry, login)?;
    Ok(LoggedIn { registry: registry.to_string(), stored_in, is_verified })
}

/// Whether the registry has checked and accepted a login. A registry that is open to all does not check it.
fn verify(login: &Login, client: &RegistryClient, registry: &Registry) -> Result<bool, LoginError> {
    let mut session = Session::new(client, registry, Scope::LogIn(login));
    let request = ApiRequest::new(Method::GET, session.url("")?, "for its API");
    match session.send(&request, &[StatusCode::OK]) {
        Ok(_) => Ok(session.has_sent_login()),
        Err(RegistryError::WrongCredentials { registry, message, .. }) => {
            Err(LoginError::Rejected { registry, message })
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes the login for a registry.
pub(in crate::registry) fn log_out(name: &str, files: &[PathBuf]) -> Result<LoggedOut, Box<Diagnostic>> {
    remove(name, files).map_err(|error| error.report(format!("cannot log out of `{name}`")))
}

fn remove(name: &str, files: &[PathBuf]) -> Result<LoggedOut, LoginError> {
    let registry = Registry::parse_alone(name)?;
    let (path, others) = files.split_first().ok_or(LoginError::NoFile)?;
    let was_logged_in = DockerFile::open(path)?.remove(&registry)?;
    let is_elsewhere = |path: &&PathBuf| {
        credentials::read(path).ok().flatten().is_some_and(|json| credentials::has_entry(&json, &registry))
    };
    let elsewhere = others.iter().filter(is_elsewhere).cloned().collect();
    Ok(LoggedOut { registry: registry.to_string(), was_logged_in, elsewhere })
}
