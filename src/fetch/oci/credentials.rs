//! Which name and password does the operator have for a registry?
//!
//! The files that Docker and Podman keep are looked through in order; the first that knows the registry decides. They are
//! opened only for a registry that asks. Asked by `registry`.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::keychain::{self, KeychainError};
use super::reference::Registry;

/// More than anybody's file of credentials has.
const LARGEST_FILE: u64 = 1 << 20;

/// The name that stands for a token of another kind.
const IDENTITY_TOKEN: &str = "<token>";

/// Name and password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub user: String,
    pub password: String,
}

/// Why credentials that should be there cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is not a file of credentials: it is not JSON or too large", .0.display())]
    Json(PathBuf),
    #[error("the entry for `{registry}` in `{}` is neither a name and a password nor Base64 of both", path.display())]
    Entry { path: PathBuf, registry: String },
    #[error("the entry for `{registry}` in `{}` is an identity token, which is not supported", path.display())]
    IdentityToken { path: PathBuf, registry: String },
    #[error(transparent)]
    Keychain(#[from] KeychainError),
}

/// The login for `registry` in the first of `files` that has one; `None` if none has.
pub(super) fn find(files: &[PathBuf], registry: &Registry) -> Result<Option<Login>, CredentialsError> {
    for path in files {
        if let Some(json) = read(path)?
            && let Some(login) = find_in(&json, path, registry)?
        {
            tracing::debug!(%registry, file = %path.display(), "credentials found");
            return Ok(Some(login));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<Value>, CredentialsError> {
    let mut text = Vec::new();
    match File::open(path).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut text)) {
        Ok(_) => serde_json::from_slice(&text).map(Some).map_err(|_| CredentialsError::Json(path.to_owned())),
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
        Err(source) => Err(CredentialsError::Read { path: path.to_owned(), source }),
    }
}

/// A program for this registry beats an entry, an entry beats the program for all registries.
fn find_in(json: &Value, path: &Path, registry: &Registry) -> Result<Option<Login>, CredentialsError> {
    if let Some(program) = entry(json, "credHelpers", registry).and_then(Value::as_str) {
        return login_of(keychain::ask(program, registry)?, path, registry).map(Some);
    }
    if let Some(found) = entry(json, "auths", registry)
        && let Some(login) = written(found, path, registry)?
    {
        return Ok(Some(login));
    }
    match json.get("credsStore").and_then(Value::as_str) {
        Some(program) if !program.is_empty() => match keychain::ask(program, registry) {
            Ok(found) => login_of(found, path, registry).map(Some),
            // It may know other registries; this one may be open to all.
            Err(KeychainError::Unknown { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        },
        _ => Ok(None),
    }
}

fn entry<'j>(json: &'j Value, table: &str, registry: &Registry) -> Option<&'j Value> {
    let table = json.get(table)?.as_object()?;
    table.iter().find(|(key, _)| registry.is_meant_by(key)).map(|(_, value)| value)
}

/// What an entry of `auths` says. It is empty where a program keeps the password.
fn written(entry: &Value, path: &Path, registry: &Registry) -> Result<Option<Login>, CredentialsError> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let unreadable = || CredentialsError::Entry { path: path.to_owned(), registry: registry.to_string() };
    if text("identitytoken").is_some() {
        return Err(CredentialsError::IdentityToken { path: path.to_owned(), registry: registry.to_string() });
    }
    let login = match (text("auth"), text("username"), text("password")) {
        (Some(auth), ..) => {
            let decoded = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let decoded = decoded.ok_or_else(unreadable)?;
            let (user, password) = decoded.split_once(':').ok_or_else(unreadable)?;
            // Docker has written zeros behind some.
            Login { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() }
        }
        (None, Some(user), Some(password)) => Login { user: user.to_owned(), password: password.to_owned() },
        (None, None, None) => return Ok(None),
        _ => return Err(unreadable()),
    };
    login_of(login, path, registry).map(Some)
}

fn login_of(login: Login, path: &Path, registry: &Registry) -> Result<Login, CredentialsError> {
    if login.user == IDENTITY_TOKEN {
        return Err(CredentialsError::IdentityToken { path: path.to_owned(), registry: registry.to_string() });
    }
    Ok(login)
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::reference::Reference;
    use super::*;

    fn found(json: &Value, reference: &str) -> Result<Option<String>, String> {
        let registry = Reference::parse(reference).expect("a reference").registry;
        let found = find_in(json, Path::new("config.json"), &registry).map_err(|error| error.to_string())?;
        Ok(found.map(|login| format!("{}:{}", login.user, login.password)))
    }

    fn auth(text: &str) -> Value {
        json!({ "auth": STANDARD.encode(text) })
    }

    #[test]
    fn an_entry_is_found_by_the_registry_s_host() {
        let json = json!({ "auths": {
            "https://index.docker.io/v1/": auth("hub:1"),
            "ghcr.io": auth("git:with:colon"),
            "localhost:5000": { "username": "me", "password": "pw" },
            "empty.io": {},
        } });
        assert_eq!(found(&json, "foo"), Ok(Some("hub:1".to_owned())));
        assert_eq!(found(&json, "ghcr.io/a"), Ok(Some("git:with:colon".to_owned())));
        assert_eq!(found(&json, "localhost:5000/a"), Ok(Some("me:pw".to_owned())));
        for reference in ["localhost:5001/a", "empty.io/a", "other.io/a"] {
            assert_eq!(found(&json, reference), Ok(None), "{reference}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_named_without_its_secret() {
        for (entry, part) in [
            (json!({ "auth": "hunter2?" }), "Base64"),
            (auth("hunter2"), "Base64"),
            (json!({ "username": "hunter2" }), "neither"),
            (auth("<token>:hunter2"), "identity token"),
            (json!({ "auth": "x", "identitytoken": "hunter2" }), "identity token"),
        ] {
            let refusal = found(&json!({ "auths": { "a.io": entry } }), "a.io/x").expect_err(part);
            assert!(refusal.contains(part) && refusal.contains("`a.io`"), "{refusal}");
            assert!(refusal.contains("`config.json`") && !refusal.contains("hunter2"), "{refusal}");
        }
        let login = Login { user: "me".to_owned(), password: "hunter2".to_owned() };
        assert!(!format!("{login:?}").contains("hunter2"));
    }

    #[test]
    fn the_first_file_that_knows_the_registry_decides() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [missing, one, two] = ["missing", "one", "two"].map(|name| directory.path().join(name));
        std::fs::write(&one, json!({ "auths": { "a.io": auth("a:1") } }).to_string()).expect("writable");
        let both = json!({ "auths": { "a.io": auth("a:2"), "b.io": auth("b:2") } });
        std::fs::write(&two, both.to_string()).expect("writable");
        let user = |reference: &str, files: &[PathBuf]| {
            let registry = Reference::parse(reference).expect("a reference").registry;
            find(files, &registry).map(|login| login.map(|login| login.password))
        };
        let files = [missing, one.clone(), two];
        assert!(matches!(user("a.io/x", &files), Ok(Some(password)) if password == "1"));
        assert!(matches!(user("b.io/x", &files), Ok(Some(password)) if password == "2"));
        std::fs::write(&one, "{").expect("writable");
        assert!(matches!(user("b.io/x", &files), Err(CredentialsError::Json(path)) if path == one));
    }
}
