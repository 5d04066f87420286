//! Signatures and registries: what is asked for, what is kept, and what `wagi push` attaches.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{
    IDENTITY, INDEX, MANIFEST, Place, attach, by_identity, by_key, check, content, is, made, node, signed, site, text,
};
use crate::oci::{give, registry, shelf};
use crate::support::eventually;
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::registry::{Done, Registry, program, run, wagi};
use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};

#[test]
#[ignore = "needs npm"]
fn a_signature_that_was_right_is_kept_and_the_registry_may_be_down() {
    let mut shelf = shelf(&content());
    attach(&mut shelf, Place::Listed, &["identity.json"]);
    let is_down = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_down);
    let server = Upstream::start(move |received| match flag.load(Ordering::SeqCst) {
        true => reply("503 Service Unavailable", "", ""),
        false => give(&shelf, received),
    });
    let site = site(&server, &by_identity(IDENTITY, "root.json"));
    is("first", &check(&site), Ok(()));
    let asked = server.received().len();
    is("second", &check(&site), Ok(()));
    // The tag is looked up again, and nothing else.
    assert_eq!(server.received().len(), asked + 1);
    is_down.store(true, Ordering::SeqCst);
    is("down", &check(&site), Ok(()));
    let never = ["-c", "modules.toml", "--module-cache", "cache", "--check", "--pull", "never"];
    is("never", &run(&site, &never), Ok(()));
    // A signature that is kept is no better than another one.
    let manifest = fs::read_to_string(site.path().join("modules.toml")).expect("it is there");
    site.file("modules.toml", manifest.replace("refs/tags/v1", "refs/tags/v2"));
    is("other policy", &run(&site, &never), Err("cannot ask for the signatures"));
    let kept = site.path().join("cache/_SIGNATURES");
    let listed = run(&site, &["cache", "list", "--module-cache", "cache"]).well();
    assert!(kept.exists() && listed.contains("signature"), "{listed}");
}

#[test]
#[ignore = "needs npm"]
fn what_is_kept_is_verified_again() {
    let server = signed(Place::Listed, &["key.json"]);
    let site = site(&server, &by_key("cosign.pub"));
    is("first", &check(&site), Ok(()));
    let kept = fs::read_dir(site.path().join("cache/_SIGNATURES")).expect("a directory").next();
    let kept = kept.expect("a file").expect("readable").path();
    fs::write(&kept, "{}").expect("writable");
    is("fetched again", &check(&site), Ok(()));
    site.file(
        "modules.toml",
        fs::read_to_string(site.path().join("modules.toml")).expect("it is there").replace("cosign.pub", "other.pub"),
    );
    is("foreign", &check(&site), Err("it is not of key sha256:"));
}

#[test]
#[ignore = "needs npm"]
fn a_registry_says_it_for_all_its_modules_and_a_module_for_itself() {
    let server = signed(Place::Tagged, &["key.json"]);
    let host = format!("127.0.0.1:{}", server.port());
    let with = |registries: &str, verify: &str| {
        let site = site(&server, verify);
        let modules = fs::read_to_string(site.path().join("modules.toml")).expect("it is there");
        site.file("modules.toml", format!("{registries}\n{modules}"));
        check(&site)
    };
    let table = |name: &str, key: &str| format!("[registries.'{name}']\n{}\n", by_key(key));
    is("right", &with(&table(&host, "cosign.pub"), ""), Ok(()));
    is("wrong", &with(&table(&host, "other.pub"), ""), Err("it is not of key sha256:"));
    is("its own", &with(&table(&host, "other.pub"), &by_key("cosign.pub")), Ok(()));
    let narrower = table(&host, "other.pub") + &table(&format!("{host}/app"), "cosign.pub");
    is("the longest name", &with(&narrower, ""), Ok(()));
    is("another", &with(&table(&format!("{host}/ap"), "other.pub"), ""), Ok(()));
    is("no registry", &with(&table("acme", "cosign.pub"), ""), Err("`acme` is not the address of a registry"));
}

#[test]
#[ignore = "needs npm"]
fn a_reload_with_a_wrong_signature_keeps_what_is_served() {
    let server = signed(Place::Listed, &["key.json"]);
    let site = site(&server, &by_key("cosign.pub"));
    let mut command = wagi(&site, &["-l", "127.0.0.1:0", "-c", "modules.toml", "--module-cache", "cache"]);
    let running = Wagi::spawn(&mut command);
    let served = || Connection::open(running.address()).get("/").text();
    assert_eq!(served(), "hello");
    let modules = fs::read_to_string(site.path().join("modules.toml")).expect("it is there");
    site.file("modules.toml", modules.replace("cosign.pub", "other.pub"));
    running.signal("HUP");
    eventually(|| running.log().contains("does not have the signature that it needs").then_some(()));
    assert_eq!(served(), "hello");
}

/// What the registry has, as the verifier of Sigstore sees it.
fn verified_by_sigstore(bundle: &str) -> String {
    let path = made().join("pushed.json");
    fs::write(&path, bundle).expect("writable");
    let mut child = node("verify.cjs");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node can be started");
    let line = format!("{} - {} -\n", path.display(), made().join("cosign.pub").display());
    child.stdin.take().expect("a pipe").write_all(line.as_bytes()).expect("it reads");
    Done::from(child.wait_with_output()).well()
}

#[test]
#[ignore = "needs npm and docker-registry"]
fn what_is_pushed_with_a_key_is_signed_for_wagi_and_for_sigstore() {
    let registry = Registry::open();
    let site = Site::new();
    site.file("hello.wat", program("hello"));
    let reference = registry.reference("app:1");
    let key = made().join("cosign.key").display().to_string();
    let pinned = run(&site, &["push", "--sign-key", &key, "hello.wat", &reference]).well();
    let modules = |verify: &str| format!("[[module]]\nroute = '/'\nmodule = 'oci:{reference}'\n{verify}\n");
    site.file("modules.toml", modules(&by_key("cosign.pub")));
    is("own", &check(&site), Ok(()));
    site.file("modules.toml", modules(&by_key("other.pub")));
    is("other", &check(&site), Err("it is not of key sha256:"));
    // This registry cannot list what refers to an artifact.
    let digest = pinned.trim().rsplit_once("@sha256:").expect("a digest").1;
    let get = |path: &str| {
        let mut connection = Connection::open(registry.address());
        let accept = format!("{MANIFEST}, {INDEX}");
        connection.send(format!("GET /v2/app/{path} HTTP/1.1\r\nHost: registry\r\nAccept: {accept}\r\n\r\n"));
        connection.answer().text()
    };
    let parsed = |text: String| serde_json::from_str::<Value>(&text).unwrap_or_else(|_| panic!("{text}"));
    let index = parsed(get(&format!("manifests/sha256-{digest}")));
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1), "{index}");
    let artifact = parsed(get(&format!("manifests/{}", index["manifests"][0]["digest"].as_str().expect("a digest"))));
    assert_eq!(artifact["subject"]["digest"], format!("sha256:{digest}"));
    let bundle = get(&format!("blobs/{}", artifact["layers"][0]["digest"].as_str().expect("a digest")));
    assert_eq!(verified_by_sigstore(&bundle), "yes\n");
    let inspected = run(&site, &["inspect", &format!("oci:{reference}"), "--module-cache", "cache"]).well();
    let lock = run(&site, &["lock", "-c", "modules.toml", "--module-cache", "cache"]);
    assert!(
        lock.code == Some(1) && inspected.contains("signed    claimed, not verified: by key sha256:"),
        "{inspected}"
    );
    // Another signature does not take the place of the first.
    run(&site, &["push", "--sign-key", &key, "hello.wat", &reference]).well();
    let index = parsed(get(&format!("manifests/sha256-{digest}")));
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(2), "{index}");
}

/// A proxy in front of a registry may leave out a header that it does not know.
#[test]
#[ignore = "needs npm"]
fn a_registry_that_lists_and_does_not_say_so_loses_no_signature_from_its_index() {
    let earlier = json!({ "mediaType": MANIFEST, "digest": format!("sha256:{}", "a".repeat(64)), "size": 1 });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [earlier] }).to_string();
    let listed = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }).to_string();
    let server = Upstream::start(move |received| match received.line.split_once(' ').expect("a method and a path") {
        ("HEAD", _) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n".to_vec(),
        ("POST", _) => reply("202 Accepted", "Location: /upload\r\n", ""),
        ("PUT", _) => reply("201 Created", "", ""),
        (_, path) if path.starts_with("/v2/app/referrers/") => reply("200 OK", "", &listed),
        (_, path) if path.starts_with("/v2/app/manifests/sha256-") => reply("200 OK", "", &index),
        _ => reply("404 Not Found", "", ""),
    });
    let site = Site::new();
    site.file("hello.wat", program("hello"));
    let key = made().join("cosign.key").display().to_string();
    run(&site, &["push", "--sign-key", &key, "hello.wat", &format!("127.0.0.1:{}/app:1", server.port())]).well();
    let received = server.received();
    let written = received.iter().find(|received| received.line.starts_with("PUT /v2/app/manifests/sha256-"));
    let written = written.unwrap_or_else(|| panic!("no index is written: {received:?}"));
    let written: Value = serde_json::from_slice(&written.body).expect("JSON");
    let digests: Vec<_> = written["manifests"].as_array().expect("a list").iter().map(|one| &one["digest"]).collect();
    assert!(digests.len() == 2 && digests[0] == &earlier["digest"], "{written}");
}

#[test]
#[ignore = "needs npm"]
fn keys_that_cannot_sign_are_refused_before_anything_is_sent() {
    let server = Upstream::start(|_| reply("500 Internal Server Error", "", ""));
    let site = Site::new();
    site.file("hello.wat", program("hello"));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let damaged = text("cosign.key").replacen("MIGH", "MIGI", 1);
    for (key, part) in [
        (text("older.key"), "openssl pkcs8 -topk8 -nocrypt"),
        (encrypted.to_owned(), "its key is encrypted with a password"),
        (text("cosign.pub"), "it has no `-----BEGIN PRIVATE KEY-----`"),
        (damaged, "its key is damaged"),
    ] {
        site.file("sign.key", key);
        let reference = format!("127.0.0.1:{}/app:1", server.port());
        let said = run(&site, &["push", "--sign-key", "sign.key", "hello.wat", &reference]).badly();
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(server.received().len(), 0);
}

#[test]
fn a_key_that_is_missing_is_named_before_the_registry_is_asked() {
    let server = registry(shelf(&content()));
    let by_registry = format!("[registries.'127.0.0.1:{}']\nverify = {{ key = 'missing.pub' }}\n", server.port());
    for (verify, top) in [("verify = { key = 'missing.pub' }", ""), ("", by_registry.as_str())] {
        let site = site(&server, verify);
        let manifest = std::fs::read_to_string(site.path().join("modules.toml")).expect("readable");
        site.file("modules.toml", format!("{top}{manifest}"));
        let found = check(&site);
        is("missing", &found, Err("cannot read `missing.pub`: No such file"));
        let line = if top.is_empty() { "modules.toml:4:10" } else { "modules.toml:2:10" };
        assert!(found.stderr.contains(line) && found.stderr.contains("route: /"), "{}", found.stderr);
        assert_eq!(server.received().len(), 0);
    }
}
