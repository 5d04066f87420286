//! `wagi inspect`: who says to have signed a module, and whether that is right.

use std::fs;

use serde_json::Value;

use super::{IDENTITY, Place, by_key, check, content, is, made, signed, site, text};
use crate::oci::{registry, shelf};
use crate::support::registry::{Done, run};
use crate::support::site::Site;

/// What is shown of a file or an artifact.
fn inspected(site: &Site, source: &str, options: &[&str]) -> Done {
    run(site, &[&["inspect", source, "--module-cache", "cache"], options].concat())
}

/// The line about signatures, and the exit code.
fn line(found: &Done) -> (String, Option<i32>) {
    let line = found.stdout.lines().find_map(|line| line.strip_prefix("signed    "));
    (line.unwrap_or_default().to_owned(), found.code)
}

#[track_caller]
fn shows(site: &Site, source: &str, options: &[&str], expected: (&str, i32)) {
    let found = inspected(site, source, options);
    let (line, code) = line(&found);
    let is_right = line.starts_with(expected.0) && code == Some(expected.1);
    assert!(is_right, "{options:?}: {expected:?} is expected, not {line:?} {code:?}: {}", found.stderr);
    assert!(found.stdout.contains("exports:"), "{}", found.stdout);
}

fn json(site: &Site, source: &str, options: &[&str]) -> Value {
    let found = inspected(site, source, &[options, &["--json"]].concat());
    serde_json::from_str(&found.stdout).unwrap_or_else(|_| panic!("{}{}", found.stdout, found.stderr))
}

fn path(name: &str) -> String {
    made().join(name).display().to_string()
}

#[test]
#[ignore = "needs npm"]
fn of_an_artifact_the_key_that_is_wanted_is_verified_and_others_are_claimed_only() {
    let server = signed(Place::Listed, &["key.json"]);
    let (site, source) = (Site::new(), format!("127.0.0.1:{}/app:1", server.port()));
    let [own, other] = ["cosign.pub", "other.pub"].map(path);
    shows(&site, &source, &[], ("claimed, not verified: by key sha256:", 0));
    shows(&site, &source, &["--verify-key", &own], ("verified: key sha256:", 0));
    shows(&site, &source, &["--verify-key", &other, "--verify-key", &own], ("verified: key sha256:", 0));
    shows(&site, &source, &["--verify-key", &other], ("not verified: it is not of key sha256:", 1));
    let root = path("root.json");
    let logged = ["--verify-key", own.as_str(), "--trusted-root", root.as_str()];
    shows(&site, &source, &logged, ("not verified: no log has written it down", 1));
    let claimed = &json(&site, &source, &[])["signature"];
    assert_eq!((&claimed["verified"], claimed["claimed"].as_array().map(Vec::len)), (&Value::Null, Some(1)));
    let verified = &json(&site, &source, &["--verify-key", &own])["signature"];
    assert_eq!((&verified["verified"], &verified["signer"]), (&true.into(), &claimed["claimed"][0]));
    let refused = &json(&site, &source, &["--verify-key", &other])["signature"];
    assert!(refused["verified"] == false && refused["signer"].is_null(), "{refused}");
    assert!(refused["reason"].as_str().is_some_and(|reason| reason.starts_with("it is not of key")), "{refused}");
}

#[test]
#[ignore = "needs npm"]
fn of_an_artifact_the_identity_that_is_wanted_is_verified() {
    let site = Site::new();
    let verify = |name: &str, identity: &str, issuer: &str, root: &str, expected: (&str, i32)| {
        let server = signed(Place::Listed, &[name]);
        let source = format!("oci:127.0.0.1:{}/app:1", server.port());
        let root = path(root);
        let options = ["--verify-identity", identity, "--verify-issuer", issuer, "--trusted-root", root.as_str()];
        shows(&site, &source, &options, expected);
    };
    let issuer = "https://issuer.example";
    let right = format!("verified: {IDENTITY}, as {issuer} says");
    verify("identity.json", IDENTITY, issuer, "root.json", (&right, 0));
    verify("identity.json", "https://git.example/acme/**@refs/tags/*", issuer, "root.json", (&right, 0));
    verify("identity.json", "*", issuer, "root.json", ("not verified: it is of `https://git.example", 1));
    verify("identity.json", IDENTITY, "https://other.example", "root.json", ("not verified: that it is of", 1));
    verify("late.json.bundle", IDENTITY, issuer, "late.json", ("not verified: it was made at", 1));
    verify("key.json", IDENTITY, issuer, "root.json", ("not verified: it is of a key, without a certificate", 1));
}

#[test]
#[ignore = "needs npm"]
fn a_modules_toml_says_whose_signature_is_wanted() {
    let server = signed(Place::Old, &["key.old.json"]);
    let source = format!("127.0.0.1:{}/app:1", server.port());
    let with = |registry: &str, module: &str| {
        let site = site(&server, module);
        let modules = fs::read_to_string(site.path().join("modules.toml")).expect("it is there");
        let table = format!("[registries.'127.0.0.1:{}']\n{registry}\n\n", server.port());
        site.file("modules.toml", if registry.is_empty() { modules } else { table + &modules });
        site
    };
    let [own, other] = ["cosign.pub", "other.pub"].map(by_key);
    let config = ["-c", "modules.toml"];
    shows(&with("", ""), &source, &config, ("claimed, not verified: by a key", 0));
    shows(&with(&own, ""), &source, &config, ("verified: key sha256:", 0));
    shows(&with(&other, ""), &source, &config, ("not verified: it is not of key", 1));
    shows(&with(&other, &own), &source, &config, ("verified: key sha256:", 0));
    shows(&with(&own, &other), &source, &config, ("not verified: it is not of key", 1));
    for same in [format!("oci:{source}"), format!("oci://{source}"), source.replace("127.0.0.1", "127.0.0.1.")] {
        shows(&with("", &other), &same, &config, ("not verified: it is not of key", 1));
    }
    let elsewhere = inspected(&with("", &other), &source.replace("/app:1", "/other:1"), &config);
    assert!(elsewhere.stderr.contains("no entry has this module"), "{}", elsewhere.stderr);
    let broken = with("", "verify = {}");
    let found = inspected(&broken, &source, &config);
    assert!(found.code == Some(1) && found.stdout.is_empty(), "{}", found.stdout);
    assert!(found.stderr.contains("`verify` says neither `key` nor `identity`"), "{}", found.stderr);
}

#[test]
#[ignore = "needs npm"]
fn what_is_unsigned_or_cannot_be_asked_for_is_not_verified() {
    let server = registry(shelf(&content()));
    let (site, source) = (Site::new(), format!("127.0.0.1:{}/app:1", server.port()));
    let own = path("cosign.pub");
    shows(&site, &source, &[], ("no", 0));
    shows(&site, &source, &["--verify-key", &own], ("not verified: it has no signature", 1));
    let never = ["--pull", "never", "--verify-key", own.as_str()];
    shows(&site, &source, &never[..2], ("not known", 0));
    shows(&site, &source, &never, ("not verified: cannot ask for the signatures", 1));
    let missing = inspected(&site, &source, &["--verify-key", "missing.pub"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("cannot read `missing.pub`"), "{}", missing.stderr);
}

#[test]
#[ignore = "needs npm"]
fn what_was_right_before_is_verified_without_the_registry() {
    let server = signed(Place::Listed, &["key.json"]);
    let site = site(&server, &by_key("cosign.pub"));
    let source = format!("127.0.0.1:{}/app:1", server.port());
    is("a start", &check(&site), Ok(()));
    let asked = server.received().len();
    shows(&site, &source, &["--pull", "never", "-c", "modules.toml"], ("verified: key sha256:", 0));
    assert_eq!(server.received().len(), asked);
}

#[test]
#[ignore = "needs npm"]
fn of_a_file_the_bundle_beside_it_is_verified() {
    let site = Site::new();
    site.file("app.wat", content());
    let own = path("cosign.pub");
    let verify = ["--verify-key", own.as_str()];
    shows(&site, "app.wat", &verify, ("not verified: there is no `app.wat.sigstore.json`", 1));
    assert!(json(&site, "app.wat", &[])["signature"].is_null());
    site.file("app.wat.sigstore.json", text("key-of-file.json"));
    shows(&site, "app.wat", &[], ("claimed, not verified: by key sha256:", 0));
    shows(&site, "app.wat", &verify, ("verified: key sha256:", 0));
    site.file("modules.toml", format!("[[module]]\nroute = '/'\nmodule = 'app.wat'\n{}\n", by_key("other.pub")));
    for same in ["app.wat", "./app.wat", &site.path().join("app.wat").display().to_string()] {
        shows(&site, same, &["--config", "modules.toml"], ("not verified: it is not of key", 1));
    }
    site.file("app.wat.sigstore.json", text("key-of-other-file.json"));
    shows(&site, "app.wat", &verify, ("not verified: it is for sha256:", 1));
}

#[test]
fn options_that_say_half_of_what_is_wanted_are_usage_errors() {
    let site = Site::new();
    for (options, part) in [
        (&["--trusted-root", "root.json"][..], "--trusted-root needs --verify-key FILE"),
        (&["--verify-identity", "me@example.com"], "--verify-issuer"),
        (&["--verify-issuer", "https://issuer.example"], "--verify-identity"),
        (&["--verify-key", "a.pub", "--verify-identity", "b"], "cannot be used with"),
        (&["--verify-key", "a.pub", "--config", "modules.toml"], "cannot be used with"),
    ] {
        let found = inspected(&site, "app.wat", options);
        assert!(found.code == Some(2) && found.stderr.contains(part), "{options:?}: {}", found.stderr);
    }
}
