//! How is a login kept where Docker keeps it?
//!
//! In the file that Docker, Podman and others read as well: as an entry of `auths`, or, where the file names a program for
//! that, by the program. What else is in the file stays. Asked by `account`.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cache;
use crate::cache::disk::Partial;
use crate::config::Login;
use crate::net::authorization::encoded;

use crate::registry::login::credential_helper;
use crate::registry::login::credential_helper::CredentialHelperError;
use crate::registry::login::credentials;
use crate::registry::login::credentials::{CredentialsError, default_helper, helper_of};
use crate::registry::reference::Registry;

/// A file of credentials.
pub(in crate::registry) struct CredentialFile {
    path: PathBuf,
    json: Map<String, Value>,
    permissions: Option<Permissions>,
}

/// Why a login is not kept, or not forgotten.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum CredentialFileError {
    #[error(transparent)]
    Read(#[from] CredentialsError),
    #[error(transparent)]
    Helper(#[from] CredentialHelperError),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl CredentialFile {
    /// The file at `path`, which need not be there.
    pub fn open(path: &Path) -> Result<Self, CredentialFileError> {
        // A link stays one: what it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let json = match credentials::read(&path)? {
            None => Map::new(),
            Some(Value::Object(json)) => json,
            Some(_) => return Err(CredentialsError::Json(path).into()),
        };
        if json.get("auths").is_some_and(|auths| !auths.is_object()) {
            return Err(CredentialsError::Json(path).into());
        }
        let permissions = fs::metadata(&path).ok().map(|file| file.permissions());
        Ok(Self { path, json, permissions })
    }

    /// Keeps a login in place of what there is for the registry; where it is now.
    pub fn keep(&mut self, registry: &Registry, login: &Login) -> Result<String, CredentialFileError> {
        let program = self.helper(registry);
        let entry = match &program {
            Some(program) => {
                credential_helper::store(program, registry, login)?;
                json!({})
            }
            None => json!({ "auth": encoded(login) }),
        };
        self.drop_entries(registry);
        if let Some(auths) = self.json.entry("auths").or_insert_with(|| json!({})).as_object_mut() {
            auths.insert(registry.login_name().to_owned(), entry);
        }
        self.write()?;
        Ok(program.map_or_else(|| self.path.display().to_string(), |program| credential_helper::program(&program)))
    }

    /// Forgets what there is for a registry; whether there was something.
    pub fn forget(&mut self, registry: &Registry) -> Result<bool, CredentialFileError> {
        let was_kept = match self.helper(registry) {
            Some(program) => credential_helper::erase(&program, registry)?,
            None => false,
        };
        let was_here = self.drop_entries(registry);
        if was_here {
            self.write()?;
        }
        Ok(was_here || was_kept)
    }

    /// The name of the program that keeps what there is for a registry.
    fn helper(&self, registry: &Registry) -> Option<String> {
        let json = Value::Object(self.json.clone());
        helper_of(&json, registry).or_else(|| default_helper(&json)).map(str::to_owned)
    }

    fn drop_entries(&mut self, registry: &Registry) -> bool {
        let Some(auths) = self.json.get_mut("auths").and_then(Value::as_object_mut) else { return false };
        let before = auths.len();
        auths.retain(|key, _| !registry.matches_key(key));
        auths.len() < before
    }

    /// In one piece, for nobody else's eyes where it is new.
    fn write(&self) -> Result<(), CredentialFileError> {
        let written = || {
            let directory = self.path.parent().unwrap_or(Path::new("."));
            cache::create(directory)?;
            let mut partial = Partial::begin(directory)?;
            partial.file.write_all(&serde_json::to_vec_pretty(&self.json)?)?;
            if let Some(permissions) = &self.permissions {
                partial.file.set_permissions(permissions.clone())?;
            }
            partial.finish(&self.path)
        };
        written().map_err(|source| CredentialFileError::Write { path: self.path.clone(), source })
    }
}
