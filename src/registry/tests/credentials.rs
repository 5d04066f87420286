//! Which login is found for a registry, and what is said of entries that cannot be used.

use serde_json::json;

use crate::registry::credentials::*;
use crate::registry::reference::Reference;

fn found(json: &Value, reference: &str) -> Result<Option<String>, String> {
    let registry = Reference::parse(reference).expect("a reference").registry;
    let found = find_in(json, Path::new("config.json"), &registry).map_err(|error| error.to_string())?;
    Ok(found.map(|found| match found.login {
        RegistryLogin::Password(login) => format!("{}:{}", login.user, login.password),
        RegistryLogin::Identity(IdentityToken(token)) => format!("token {token}"),
    }))
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
fn an_identity_token_is_told_from_a_password() {
    for entry in [auth("<token>:t0ken"), json!({ "auth": "bWU6", "identitytoken": "t0ken" })] {
        let json = json!({ "auths": { "a.io": entry } });
        assert_eq!(found(&json, "a.io/x"), Ok(Some("token t0ken".to_owned())));
    }
    assert!(!format!("{:?}", IdentityToken("t0ken".to_owned())).contains("t0ken"));
}

#[test]
fn an_entry_that_cannot_be_used_is_named_without_its_secret() {
    for (entry, part) in [
        (json!({ "auth": "hunter2?" }), "Base64"),
        (auth("hunter2"), "Base64"),
        (json!({ "username": "hunter2" }), "neither"),
    ] {
        let refusal = found(&json!({ "auths": { "a.io": entry } }), "a.io/x").expect_err(part);
        assert!(refusal.contains(part) && refusal.contains("`a.io`"), "{refusal}");
        assert!(refusal.contains("`config.json`") && !refusal.contains("hunter2"), "{refusal}");
    }
    let login = login("me".to_owned(), "hunter2".to_owned());
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
        find(files, &registry).map(|found| found.map(|found| (found.login, found.from)))
    };
    let files = [missing, one.clone(), two];
    let known = |user: &str, password: &str, from: &Path| {
        Some((login(user.to_owned(), password.to_owned()), from.display().to_string()))
    };
    assert_eq!(user("a.io/x", &files).expect("readable"), known("a", "1", &one));
    assert_eq!(user("b.io/x", &files).expect("readable"), known("b", "2", &files[2]));
    std::fs::write(&one, "{").expect("writable");
    assert!(matches!(user("b.io/x", &files), Err(CredentialsError::Json(path)) if path == one));
}
