//! How is a login stored where Docker stores it?
//!
//! In the file that Docker, Podman and others read as well: as an entry of `auths`, or, if the file names a credential
//! helper, by the helper. What else is in the file stays.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cache;
use crate::cache::disk::PartialFile;
use crate::config::Login;
use crate::net::authorization::encoded;

use crate::registry::credentials;
use crate::registry::credentials::credential_helper;
use crate::registry::credentials::credential_helper::CredentialHelperError;
use crate::registry::credentials::{CredentialsError, default_helper, helper_of};
use crate::registry::reference::Registry;

/// A file of credentials.
pub(in crate::registry) struct DockerFile {
    path: PathBuf,
    json: Map<String, Value>,
    permissions: Option<Permissions>,
}

/// Why a login was not stored or removed.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum DockerFileError {
    #[error(transparent)]
    Read(#[from] CredentialsError),
    #[error(transparent)]
    Helper(#[from] CredentialHelperError),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl DockerFile {
    /// The file at `path`, which need not be there.
    pub fn open(path: &Path) -> Result<Self, DockerFileError> {
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

    /// Stores a login in place of what there is for the registry. Returns the file or the helper that has it now.
    pub fn store(&mut self, registry: &Registry, login: &Login) -> Result<String, DockerFileError> {
        let helper = self.helper(registry);
        let entry = match &helper {
            Some(helper) => {
                credential_helper::store(helper, registry, login)?;
                json!({})
            }
            None => json!({ "auth": encoded(login) }),
        };
        self.remove_entries(registry);
        if let Some(auths) = self.json.entry("auths").or_insert_with(|| json!({})).as_object_mut() {
            auths.insert(registry.login_name().to_owned(), entry);
        }
        self.write()?;
        Ok(helper.map_or_else(|| self.path.display().to_string(), |helper| credential_helper::program(&helper)))
    }

    /// Removes what there is for a registry. Returns whether there was anything.
    pub fn remove(&mut self, registry: &Registry) -> Result<bool, DockerFileError> {
        let was_in_helper = match self.helper(registry) {
            Some(helper) => credential_helper::erase(&helper, registry)?,
            None => false,
        };
        let was_in_file = self.remove_entries(registry);
        if was_in_file {
            self.write()?;
        }
        Ok(was_in_file || was_in_helper)
    }

    /// The name of the helper that has the login for a registry.
    fn helper(&self, registry: &Registry) -> Option<String> {
        let json = Value::Object(self.json.clone());
        helper_of(&json, registry).or_else(|| default_helper(&json)).map(str::to_owned)
    }

    fn remove_entries(&mut self, registry: &Registry) -> bool {
        let Some(auths) = self.json.get_mut("auths").and_then(Value::as_object_mut) else { return false };
        let before = auths.len();
        auths.retain(|key, _| !registry.matches_key(key));
        auths.len() < before
    }

    /// Replaces the file. A new one is readable only for its owner.
    fn write(&self) -> Result<(), DockerFileError> {
        let written = || {
            let directory = self.path.parent().unwrap_or(Path::new("."));
            cache::create(directory)?;
            let mut partial = PartialFile::create(directory)?;
            partial.file.write_all(&serde_json::to_vec_pretty(&self.json)?)?;
            if let Some(permissions) = &self.permissions {
                partial.file.set_permissions(permissions.clone())?;
            }
            partial.persist(&self.path)
        };
        written().map_err(|source| DockerFileError::Write { path: self.path.clone(), source })
    }
}
