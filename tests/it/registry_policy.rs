//! When registries are asked: always, for what is not here, or never.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use wagi::observe::sha256_hex;

use crate::support::registry::{program, refused, run, served};
use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn described(media_type: &str, content: &str) -> serde_json::Value {
    let digest = format!("sha256:{}", sha256_hex(content.as_bytes()));
    json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
}

fn manifest(content: &str) -> String {
    let config = described("application/vnd.wasm.config.v0+json", "{}");
    json!({ "schemaVersion": 2, "config": config, "layers": [described("application/wasm", content)] }).to_string()
}

/// A registry whose every tag is one module, and later another.
fn registry(old: String, new: String) -> (Upstream, Arc<AtomicBool>) {
    let has_moved = Arc::new(AtomicBool::new(false));
    let flag = has_moved.clone();
    let server = Upstream::start(move |received| {
        let content = if flag.load(Ordering::SeqCst) { &new } else { &old };
        match received.line.contains("/manifests/") {
            true => reply("200 OK", &format!("Content-Type: {MANIFEST}\r\n"), manifest(content)),
            false => reply("200 OK", "", content),
        }
    });
    (server, has_moved)
}

#[test]
fn what_is_in_the_cache_is_asked_for_only_where_the_operator_wants_that() {
    let (server, has_moved) = registry(program("old"), program("new"));
    let (site, reference) = (Site::new(), format!("127.0.0.1:{}/app:1", server.port()));
    let mut asked = 0;
    let mut requests = || {
        let all = server.received().len();
        std::mem::replace(&mut asked, all).abs_diff(all)
    };

    let said = refused(&site, &reference, &["--pull", "never"]);
    assert!(said.contains("not in the module cache") && said.contains("leave out `--pull never`"), "{said}");
    assert_eq!(requests(), 0);
    assert_eq!(served(&site, &reference, &["--pull", "if-not-present"]).1, "old");
    assert_eq!(requests(), 2);
    has_moved.store(true, Ordering::SeqCst);
    for policy in ["if-not-present", "never"] {
        assert_eq!(served(&site, &reference, &["--pull", policy]).1, "old");
        assert_eq!(requests(), 0, "{policy}");
    }
    assert_eq!(served(&site, &reference, &["--pull", "always"]).1, "new");
    assert_eq!(requests(), 2);
    assert_eq!(served(&site, &reference, &[]).1, "new");
    assert_eq!(requests(), 1);

    // What is damaged is not there.
    site.file(&format!("cache/{}", sha256_hex(program("new").as_bytes())), "damage");
    refused(&site, &reference, &["--pull", "never"]);
    assert_eq!(requests(), 0);
    assert_eq!(served(&site, &reference, &["--pull", "if-not-present"]).1, "new");
    assert!(requests() > 0);
}

#[test]
fn what_is_pinned_is_served_without_a_request_under_every_policy() {
    let content = program("hello");
    let (server, _) = registry(content.clone(), content.clone());
    let digest = sha256_hex(manifest(&content).as_bytes());
    let (site, reference) = (Site::new(), format!("127.0.0.1:{}/app@sha256:{digest}", server.port()));
    let module = format!("{reference} cache/{}\n", sha256_hex(content.as_bytes()));
    let pull = |policy| run(&site, &["pull", &reference, "--pull", policy, "--module-cache", "cache"]);
    assert!(pull("never").badly().contains("registries are not to be asked"));
    assert_eq!(pull("if-not-present").well(), module);
    let asked = server.received().len();
    for policy in ["always", "if-not-present", "never"] {
        assert_eq!(pull(policy).well(), module);
        assert_eq!(served(&site, &reference, &["--pull", policy]).1, "hello");
    }
    assert_eq!(server.received().len(), asked);
}

#[test]
fn a_pull_from_a_registry_that_is_down_warns_and_names_what_is_there() {
    let content = program("hello");
    let is_down = Arc::new(AtomicBool::new(false));
    let (flag, shown) = (is_down.clone(), content.clone());
    let server = Upstream::start(move |received| match received.line.contains("/manifests/") {
        _ if flag.load(Ordering::SeqCst) => reply("503 Service Unavailable", "", ""),
        true => reply("200 OK", &format!("Content-Type: {MANIFEST}\r\n"), manifest(&shown)),
        false => reply("200 OK", "", &shown),
    });
    let (site, reference) = (Site::new(), format!("127.0.0.1:{}/app", server.port()));
    let first = run(&site, &["pull", &reference, "--module-cache", "cache"]).well();
    is_down.store(true, Ordering::SeqCst);
    let done = run(&site, &["pull", &reference, "--module-cache", "cache"]);
    assert!(done.stderr.contains("warning: ") && done.stderr.contains("fails with 503"), "{}", done.stderr);
    assert_eq!(done.well(), first);
}
