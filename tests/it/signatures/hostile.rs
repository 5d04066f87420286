//! What others have attached to a module, beside the signature that is wanted or in its place.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{
    BUNDLE, IDENTITY, INDEX, MANIFEST, Place, add, attach, by_identity, by_key, check, content, described, is, made,
    signed, site, text,
};
use crate::oci::{Shelf, digest, give, manifest, registry, shelf};
use crate::support::upstream::{Upstream, reply};

/// Lists artifacts whose layers are these bundles.
fn list(shelf: &mut Shelf, artifacts: &[Vec<String>]) {
    let mut described_bundles = Vec::new();
    for bundles in artifacts {
        for bundle in bundles {
            add(shelf, format!("blobs/{}", digest(bundle)), "application/octet-stream", bundle.clone());
        }
        described_bundles.push(bundles.iter().map(|bundle| described(BUNDLE, bundle)).collect());
    }
    list_described(shelf, &described_bundles);
}

/// Lists artifacts with these layers.
fn list_described(shelf: &mut Shelf, artifacts: &[Vec<Value>]) {
    let mut listed = Vec::new();
    for layers in artifacts {
        let artifact = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE, "layers": layers });
        let artifact = artifact.to_string();
        let mut descriptor = described(MANIFEST, &artifact);
        descriptor["artifactType"] = BUNDLE.into();
        listed.push(descriptor);
        add(shelf, format!("manifests/{}", digest(&artifact)), MANIFEST, artifact);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed }).to_string();
    let subject = digest(&manifest(&content()));
    add(shelf, format!("referrers/{subject}?artifactType={}", BUNDLE.replace('+', "%2B")), INDEX, index);
}

/// How many blobs were asked for, without the module.
fn blobs(server: &Upstream) -> usize {
    let received = server.received();
    let module = digest(&content());
    received.iter().filter(|received| received.line.contains("/blobs/") && !received.line.contains(&module)).count()
}

#[test]
#[ignore = "needs npm"]
fn what_cannot_be_read_beside_the_right_signature_does_not_matter() {
    let key = by_key("cosign.pub");
    let with_damage = |names: &[&str]| {
        let mut shelf = shelf(&content());
        attach(&mut shelf, Place::Listed, names);
        let foreign = format!("blobs/{}", digest(&text("foreign-key.json")));
        add(&mut shelf, foreign, "application/octet-stream", "other bytes".to_owned());
        registry(shelf)
    };
    is("a right one", &check(&site(&with_damage(&["foreign-key.json", "key.json"]), &key)), Ok(()));
    let expected = Err("a signature is not what it should be");
    is("no other", &check(&site(&with_damage(&["foreign-key.json"]), &key)), expected);
}

#[test]
#[ignore = "needs npm"]
fn a_registry_that_refuses_to_list_is_asked_for_the_older_format() {
    let mut shelf = shelf(&content());
    attach(&mut shelf, Place::Old, &["key.old.json"]);
    let server = Upstream::start(move |received| match received.line.contains("/referrers/") {
        true => reply("403 Forbidden", "", ""),
        false => give(&shelf, received),
    });
    is("the right one", &check(&site(&server, &by_key("cosign.pub"))), Ok(()));
    is("no other", &check(&site(&server, &by_key("other.pub"))), Err("cannot ask for the signatures"));
}

#[test]
#[ignore = "needs npm"]
fn a_descriptor_with_a_wrong_size_hides_no_signature() {
    let key = by_key("cosign.pub");
    let with_size_1 = |content: &str| {
        let mut descriptor = described(BUNDLE, content);
        descriptor["size"] = 1.into();
        vec![descriptor]
    };
    let foreign: Vec<String> = (0..5).map(|number| format!("no bundle {number}")).collect();
    let mut shelf = shelf(&content());
    for content in foreign.iter().chain([&text("key.json")]) {
        add(&mut shelf, format!("blobs/{}", digest(content)), "application/octet-stream", content.clone());
    }
    let wrong: Vec<_> = foreign.iter().map(|content| with_size_1(content)).collect();
    let mut older = shelf.clone();
    list_described(&mut older, &wrong);
    attach(&mut older, Place::Old, &["key.old.json"]);
    is("an older one", &check(&site(&registry(older), &key)), Ok(()));
    let right = vec![described(BUNDLE, &text("key.json"))];
    list_described(&mut shelf, &[&wrong[..], &[with_size_1(&text("key.json")), right]].concat());
    is("the same one, with its size", &check(&site(&registry(shelf), &key)), Ok(()));
}

#[test]
#[ignore = "needs npm"]
fn the_text_of_an_older_signature_may_also_be_named_as_a_bundle() {
    let old: Value = serde_json::from_str(&text("key.old.json")).expect("JSON");
    let mut shelf = shelf(&content());
    list(&mut shelf, &[vec![old["payload"].as_str().expect("a text").to_owned()]]);
    attach(&mut shelf, Place::Old, &["key.old.json"]);
    is("the older one", &check(&site(&registry(shelf), &by_key("cosign.pub"))), Ok(()));
}

#[test]
#[ignore = "needs npm"]
fn signatures_are_looked_at_once_and_only_so_many_of_them() {
    let key = by_key("cosign.pub");
    let with = |artifacts: &[Vec<String>]| {
        let mut shelf = shelf(&content());
        list(&mut shelf, artifacts);
        attach(&mut shelf, Place::Old, &["key.old.json"]);
        registry(shelf)
    };
    // One bundle that is named a thousand times, in different artifacts.
    let same: Vec<_> = (1..=32).map(|count| vec![text("foreign-key.json"); count]).collect();
    let server = with(&same);
    is("the same", &check(&site(&server, &key)), Ok(()));
    assert_eq!(blobs(&server), 2);
    let many: Vec<_> =
        (0..40).map(|first| (0..4).map(|second| format!("{{\"{first}\":{second}}}")).collect()).collect();
    let server = with(&many);
    is("many", &check(&site(&server, &key)), Ok(()));
    assert_eq!(blobs(&server), 32 + 1);
    let long: Vec<_> = (0..5).map(|number| vec![format!("{{\"{number}\":\"{}\"}}", "x".repeat(1_000_000))]).collect();
    let server = with(&long);
    is("long", &check(&site(&server, &key)), Ok(()));
    assert_eq!(blobs(&server), 2 + 1);
}

#[test]
#[ignore = "needs npm"]
fn what_another_entry_needs_is_no_reason_against_what_is_kept() {
    let mut shelf = shelf(&content());
    attach(&mut shelf, Place::Listed, &["key.json"]);
    let is_down = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_down);
    let server = Upstream::start(move |received| match flag.load(Ordering::SeqCst) {
        true => reply("503 Service Unavailable", "", ""),
        false => give(&shelf, received),
    });
    let site = site(&server, &by_key("cosign.pub"));
    is("first", &check(&site), Ok(()));
    is_down.store(true, Ordering::SeqCst);
    let modules = fs::read_to_string(site.path().join("modules.toml")).expect("it is there");
    let other = modules.replace("route = '/'", "route = '/other'").replace("cosign.pub", "other.pub");
    site.file("modules.toml", format!("{modules}\n{other}"));
    let found = check(&site);
    is("both", &found, Err("cannot ask for the signatures"));
    assert_eq!(found.stderr.matches("cannot ask for the signatures").count(), 1, "{}", found.stderr);
    assert!(found.stderr.contains("route: /other"), "{}", found.stderr);
}

#[test]
#[ignore = "needs npm"]
fn witnesses_that_nobody_knows_are_no_reason_against_those_that_are_known() {
    let identity = |root: &str| by_identity(IDENTITY, root);
    for (name, root, expected) in [
        ("logged-twice.json", "root.json", Ok(())),
        ("stamped-twice.json", "clocks.json", Ok(())),
        ("foreign-stamp.json", "clocks.json", Err("from a clock that is not trusted")),
        ("newer.json", "newer.root.json", Ok(())),
        ("newer.json", "newer.retired.json", Err("is not trusted, or was not at that time")),
        ("newer.json", "newer.checkpoints.json", Ok(())),
        ("newer-sparse.json", "newer.root.json", Ok(())),
        ("newer-sparse.json", "newer.checkpoints.json", Ok(())),
        ("newer-sparse-elsewhere.json", "newer.root.json", Err("it is not in the tree of the log")),
    ] {
        is(&format!("{name} {root}"), &check(&site(&signed(Place::Listed, &[name]), &identity(root))), expected);
    }
}

/// Nobody can tell a signature by Ed25519ph from one that is damaged, without knowing that form.
#[test]
#[ignore = "needs npm"]
fn of_ed25519_the_plain_form_is_accepted_and_the_other_is_named() {
    let key = by_key("ed25519.pub");
    is("plain", &check(&site(&signed(Place::Listed, &["ed25519.json"]), &key)), Ok(()));
    let found = check(&site(&signed(Place::Listed, &["ed25519-other-form.json"]), &key));
    is("another form", &found, Err("damaged or in the form Ed25519ph, which wagi does not know"));
    assert!(found.stderr.contains("`cosign generate-key-pair`"), "{}", found.stderr);
    let without_hint = check(&site(&signed(Place::Old, &["key.old.json"]), &key));
    is("without a hint", &without_hint, Err("but of another key, or in the form Ed25519ph"));
}

#[test]
#[ignore = "needs npm"]
fn a_registry_with_a_name_that_no_module_can_have_is_an_error() {
    let server = signed(Place::Listed, &["key.json"]);
    let site = site(&server, "");
    let modules = fs::read_to_string(site.path().join("modules.toml")).expect("it is there");
    let host = format!("127.0.0.1:{}", server.port());
    let key = made().join("other.pub").display().to_string();
    for (name, part) in [
        (format!("https://{host}"), "it begins with a scheme"),
        (format!("{host}/App"), "lower-case"),
        (format!("{host}/app:1"), "it ends with a tag or a digest"),
        (format!("{host}/*"), "it has a `*`"),
    ] {
        site.file("modules.toml", format!("[registries.'{name}']\nverify = {{ key = '{key}' }}\n\n{modules}"));
        let found = check(&site);
        is(&name, &found, Err(part));
        assert!(found.stderr.contains(&format!("write `[registries.\"{host}")), "{name}: {}", found.stderr);
    }
    let other_name = format!("[registries.'127.1:{}']\nverify = {{ key = '{key}' }}\n\n{modules}", server.port());
    site.file("modules.toml", other_name);
    is("another name of the host", &check(&site), Err("it is not of key sha256:"));
}
