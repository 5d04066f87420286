//! Modules that need a signature. The signatures are made by Sigstore's own packages, and its verifier is asked about each bundle, too.

mod hostile;
mod inspected;
mod pages;
mod registries;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::oci::{Shelf, digest, manifest, program, registry, shelf};
use crate::support::registry::{Done, run};
use crate::support::site::Site;
use crate::support::upstream::Upstream;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const IDENTITY: &str = "https://git.example/acme/app/release.yml@refs/tags/v1";

/// The module that is signed, in the registry and as a file.
fn content() -> String {
    program("hello")
}

/// The packages of npm that tests use: beside the programs of theirs that are in PATH.
fn packages() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).filter_map(|folder| folder.parent().map(Path::to_owned));
    let mut folders = folders.filter(|folder| folder.join("@sigstore/sign/package.json").exists());
    folders.next().expect("node_modules/.bin with @sigstore/sign has to be in PATH")
}

fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/signatures").join(script);
    command.arg(script).env("NODE_PATH", packages());
    command
}

/// A directory with keys, trusted roots and signatures, which is made once.
fn made() -> &'static Path {
    static MADE: OnceLock<TempDir> = OnceLock::new();
    let directory = MADE.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::write(directory.path().join("manifest"), manifest(&content())).expect("writable");
        fs::write(directory.path().join("module.wat"), content()).expect("writable");
        let paths = ["manifest", "module.wat", ""].map(|name| directory.path().join(name));
        Done::from(node("make.cjs").args(paths).output()).well();
        directory
    });
    directory.path()
}

fn text(name: &str) -> String {
    fs::read_to_string(made().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// How a signature is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// As an artifact that refers to the module, in a registry that lists these.
    Listed,
    /// The same, in a registry that does not.
    Tagged,
    /// As a layer under the tag of cosign's older format.
    Old,
}

fn add(shelf: &mut Shelf, path: String, media_type: &str, content: String) {
    shelf.insert(path, (media_type.to_owned(), content));
}

fn described(media_type: &str, content: &str) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

/// Attaches signatures to the module of a shelf.
fn attach(shelf: &mut Shelf, place: Place, names: &[&str]) {
    let subject = digest(&manifest(&content())).replace("sha256:", "");
    let mut layers = Vec::new();
    let mut listed = Vec::new();
    for name in names {
        let (mut layer, bytes) = match place {
            Place::Old => {
                let signature: Value = serde_json::from_str(&text(name)).expect("JSON");
                let payload = signature["payload"].as_str().expect("a text").to_owned();
                let mut layer = described("application/vnd.dev.cosign.simplesigning.v1+json", &payload);
                layer["annotations"] = signature["annotations"].clone();
                (layer, payload)
            }
            Place::Listed | Place::Tagged => (described(BUNDLE, &text(name)), text(name)),
        };
        add(shelf, format!("blobs/{}", digest(&bytes)), "application/octet-stream", bytes);
        if place == Place::Old {
            layers.push(layer);
            continue;
        }
        layer["annotations"] = json!({});
        let artifact = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE, "layers": [layer] });
        let artifact = artifact.to_string();
        let mut descriptor = described(MANIFEST, &artifact);
        descriptor["artifactType"] = BUNDLE.into();
        listed.push(descriptor);
        add(shelf, format!("manifests/{}", digest(&artifact)), MANIFEST, artifact);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed }).to_string();
    let old = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers }).to_string();
    match place {
        Place::Listed => {
            add(shelf, format!("referrers/sha256:{subject}?artifactType={}", BUNDLE.replace('+', "%2B")), INDEX, index);
        }
        Place::Tagged => add(shelf, format!("manifests/sha256-{subject}"), INDEX, index),
        Place::Old => add(shelf, format!("manifests/sha256-{subject}.sig"), MANIFEST, old),
    }
}

/// A registry with the module and its signatures.
fn signed(place: Place, names: &[&str]) -> Upstream {
    let mut shelf = shelf(&content());
    attach(&mut shelf, place, names);
    registry(shelf)
}

fn by_key(file: &str) -> String {
    format!("verify = {{ key = '{}' }}", made().join(file).display())
}

fn by_identity(identity: &str, root: &str) -> String {
    let root = made().join(root);
    format!(
        "verify = {{ identity = '{identity}', issuer = 'https://issuer.example', trusted_root = '{}' }}",
        root.display()
    )
}

/// A site with the module of a registry.
fn site(server: &Upstream, verify: &str) -> Site {
    let site = Site::new();
    let module = format!("oci:127.0.0.1:{}/app:1", server.port());
    site.file("modules.toml", format!("[[module]]\nroute = '/'\nmodule = '{module}'\n{verify}\n"));
    site
}

fn check(site: &Site) -> Done {
    run(site, &["-c", "modules.toml", "--module-cache", "cache", "--check"])
}

/// Whether the module is accepted, or which part the message has.
#[track_caller]
fn is(name: &str, found: &Done, expected: Result<(), &str>) {
    match expected {
        Ok(()) => assert_eq!(found.code, Some(0), "{name}: {}", found.stderr),
        Err(part) => {
            let message = found.stderr.replace('\n', " ");
            let is_right = found.code == Some(1) && message.contains(part);
            assert!(is_right, "{name}: {part:?} is expected, code {:?}\n{}", found.code, found.stderr);
        }
    }
}

/// What is attached, what is wanted, and what becomes of it.
type Case = (&'static str, Place, String, Result<(), &'static str>);

fn cases() -> Vec<Case> {
    use Place::{Listed, Old, Tagged};
    let key = || by_key("cosign.pub");
    let identity = |root: &str| by_identity(IDENTITY, root);
    let logged = || key().replace(" }", &format!(", trusted_root = '{}' }}", made().join("root.json").display()));
    vec![
        // The older format.
        ("key.old.json", Old, key(), Ok(())),
        ("foreign-key.old.json", Old, key(), Err("it is not of key sha256:")),
        ("key-of-other-bytes.old.json", Old, key(), Err("and not for this module")),
        ("key-logged.old.json", Old, logged(), Ok(())),
        ("key.old.json", Old, logged(), Err("no log has written it down")),
        ("identity.old.json", Old, identity("root.json"), Ok(())),
        ("identity.old.json", Old, key(), Err("but of `https://git.example/acme/app")),
        ("key.old.json", Old, identity("root.json"), Err("without a certificate")),
        ("late.old.json", Old, identity("late.json"), Err("it has expired")),
        ("unwitnessed.old.json", Old, identity("root.json"), Err("no log has written it down")),
        ("unwitnessed.old.json", Old, identity("clocks.json"), Err("no log and no clock")),
        ("entry-of-another.old.json", Old, identity("root.json"), Err("is another signature")),
        (
            "foreign-identity.old.json",
            Old,
            identity("root.json"),
            Err("the log in which it is written down is not trusted"),
        ),
        // Bundles.
        ("key.json", Listed, key(), Ok(())),
        ("key.json", Tagged, key(), Ok(())),
        ("foreign-key.json", Tagged, key(), Err("it is not of key sha256:")),
        ("key-of-other-bytes.json", Listed, key(), Err("and not for this module")),
        ("key-of-other-statement.json", Listed, key(), Err("it says `https://slsa.dev/provenance/v1`")),
        ("key-logged.json", Listed, logged(), Ok(())),
        ("key.json", Listed, logged(), Err("no log has written it down")),
        ("identity.json", Listed, identity("root.json"), Ok(())),
        ("identity.json", Tagged, identity("logs.json"), Ok(())),
        ("identity-intoto.json", Listed, identity("root.json"), Ok(())),
        ("message.json", Listed, identity("root.json"), Ok(())),
        ("identity-stamped.json", Listed, identity("clocks.json"), Ok(())),
        ("identity-stamped.json", Listed, identity("root.json"), Err("no log has written it down")),
        ("identity-unwitnessed.json", Listed, identity("clocks.json"), Err("no log and no clock")),
        ("identity.json", Listed, by_identity("https://git.example/other/*", "root.json"), Err("and not of")),
        ("identity.json", Listed, by_identity("https://git.example/acme/**@refs/tags/*", "root.json"), Ok(())),
        (
            "foreign-identity.json",
            Listed,
            identity("root.json"),
            Err("the log in which it is written down is not trusted"),
        ),
        ("foreign-authority.json", Listed, identity("root.json"), Err("no authority in the trusted root")),
        ("foreign-log.json", Tagged, identity("root.json"), Err("the log in which it is written down is not trusted")),
        ("late.json.bundle", Listed, identity("late.json"), Err("it has expired")),
        ("unlogged-certificate.json", Listed, identity("unlogged.json"), Err("has written down its certificate")),
        ("unlogged-certificate.json", Listed, identity("uncertified.json"), Ok(())),
        ("entry-of-another.json", Listed, identity("root.json"), Err("is another signature")),
        ("stamp-of-another.json", Listed, identity("clocks.json"), Err("its timestamp is for another signature")),
        ("newer.json", Listed, identity("newer.root.json"), Ok(())),
        ("newer-message.json", Tagged, identity("newer.root.json"), Ok(())),
        ("newer.json", Listed, identity("newer.clockless.json"), Err("no log and no clock")),
        ("newer.json", Listed, identity("root.json"), Err("the log in which it is written down is not trusted")),
        ("newer-entry-of-another.json", Listed, identity("newer.root.json"), Err("is another signature")),
        ("newer-other-tree.json", Listed, identity("newer.root.json"), Err("it is not in the tree of the log")),
        ("damaged.json", Listed, identity("root.json"), Err("it is damaged")),
    ]
}

#[test]
#[ignore = "needs npm"]
fn of_the_older_format_the_signature_that_is_wanted_is_accepted_and_no_other() {
    are_as_expected(|place, _| place == Place::Old);
}

#[test]
#[ignore = "needs npm"]
fn of_bundles_the_one_of_the_key_that_is_wanted_is_accepted_and_no_other() {
    are_as_expected(|place, verify| place != Place::Old && verify.contains("key = "));
}

#[test]
#[ignore = "needs npm"]
fn of_bundles_the_one_of_the_identity_that_is_wanted_is_accepted_and_no_other() {
    are_as_expected(|place, verify| place != Place::Old && verify.contains("identity = "));
}

fn are_as_expected(is_wanted: impl Fn(Place, &str) -> bool) {
    for (name, place, verify, expected) in cases().into_iter().filter(|(_, place, verify, _)| is_wanted(*place, verify))
    {
        let server = signed(place, &[name]);
        is(&format!("{name} {place:?} {verify}"), &check(&site(&server, &verify)), expected);
    }
}

/// What a bundle is signed with is the same for both. What it says about the module, only wagi asks.
#[test]
#[ignore = "needs npm"]
fn the_verifier_of_sigstore_says_the_same_of_bundles() {
    let mut lines = BTreeMap::new();
    for (name, place, verify, expected) in cases() {
        let is_bundle =
            place != Place::Old && !name.contains("of-other") && !verify.contains('*') && !verify.contains("/other/");
        if !is_bundle {
            continue;
        }
        let path = |key: &str| {
            verify.split(&format!("{key} = '")).nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or("-")
        };
        let signed =
            if name.ends_with("message.json") { made().join("manifest").display().to_string() } else { "-".to_owned() };
        let line = format!("{} {} {} {signed}", made().join(name).display(), path("trusted_root"), path("key"));
        lines.insert(line, expected.is_ok());
    }
    let mut child = node("verify.cjs");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node can be started");
    let input = lines.keys().map(|line| format!("{line}\n")).collect::<String>();
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let printed = Done::from(child.wait_with_output()).well();
    assert!(lines.len() >= 15 && printed.lines().count() == lines.len(), "{printed}");
    for ((line, is_right), said) in lines.iter().zip(printed.lines()) {
        assert_eq!(said.starts_with("yes"), *is_right, "{line}: {said}");
    }
}

#[test]
#[ignore = "needs npm"]
fn one_right_signature_is_enough_and_without_one_each_is_explained() {
    let server = signed(Place::Listed, &["foreign-key.json", "key-of-other-bytes.json", "key.json"]);
    is("the third", &check(&site(&server, &by_key("cosign.pub"))), Ok(()));
    let server = signed(Place::Listed, &["foreign-key.json", "key-of-other-bytes.json"]);
    let found = check(&site(&server, &by_key("cosign.pub")));
    is("none", &found, Err("it has 2 signatures, and none is right; it is not of key sha256:"));
    let both = format!("verify = {{ key = ['{0}/other.pub', '{0}/cosign.pub'] }}", made().display());
    is("one of two keys", &check(&site(&signed(Place::Old, &["key.old.json"]), &both)), Ok(()));
}

#[test]
#[ignore = "needs npm"]
fn what_is_unsigned_says_what_to_type() {
    let server = registry(shelf(&content()));
    let found = check(&site(&server, &by_key("cosign.pub")));
    is("nothing", &found, Err("does not have the signature that it needs"));
    let reference = format!("127.0.0.1:{}/app@{}", server.port(), digest(&manifest(&content())));
    for part in ["modules.toml:4:10", "it has no signature", &format!("cosign sign --key cosign.key {reference}")] {
        assert!(found.stderr.contains(part), "{part}: {}", found.stderr);
    }
}

#[test]
#[ignore = "needs npm"]
fn a_file_has_its_signature_beside_it() {
    let module = |bundle: &str, verify: &str| {
        let site = Site::new();
        site.file("app.wat", content());
        site.file("app.wat.sigstore.json", text(bundle));
        site.file("modules.toml", format!("[[module]]\nroute = '/'\nmodule = 'app.wat'\n{verify}\n"));
        site
    };
    let key = by_key("cosign.pub");
    is("key", &check(&module("key-of-file.json", &key)), Ok(()));
    is("identity", &check(&module("identity-of-file.json", &by_identity(IDENTITY, "root.json"))), Ok(()));
    is("other", &check(&module("key-of-other-file.json", &key)), Err("and not for this module"));
    is("foreign", &check(&module("key-of-file.json", &by_key("other.pub"))), Err("it is not of key sha256:"));
    let site = module("key-of-file.json", &key);
    fs::remove_file(site.path().join("app.wat.sigstore.json")).expect("it is there");
    is("none", &check(&site), Err("there is no `app.wat.sigstore.json`"));
    site.file("app.wat.sigstore.json", text("key-of-file.json"));
    site.file("app.wat", content() + " ");
    is("changed", &check(&site), Err("and not for this module"));
}

#[test]
#[ignore = "needs npm"]
fn who_has_signed_is_in_the_lock_file() {
    let server = signed(Place::Listed, &["identity.json"]);
    let site = site(&server, &by_identity(IDENTITY, "root.json"));
    run(&site, &["lock", "-c", "modules.toml", "--module-cache", "cache"]).well();
    let lock = fs::read_to_string(site.path().join("wagi.lock")).expect("a lock file");
    let signer = format!("signed_by = \"{IDENTITY}, as https://issuer.example says\"");
    assert!(lock.contains(&signer), "{lock}");
    let locked = |site: &Site| run(site, &["-c", "modules.toml", "--module-cache", "cache", "--check", "--locked"]);
    assert_eq!(locked(&site).code, Some(0), "{}", locked(&site).stderr);
    site.file("wagi.lock", lock.replace("refs/tags/v1", "refs/tags/v2"));
    is("another signer", &locked(&site), Err("is not signed as the lock file says"));
    let (_, found) = (check(&site), check(&site));
    assert!(found.code == Some(0) && found.stderr.contains("warning"), "{}", found.stderr);
}

#[test]
fn files_that_are_no_keys_are_refused_with_the_reason() {
    let site = Site::new();
    site.file("app.wat", content());
    for (name, file, part) in [
        ("key", "nothing", "it has no `-----BEGIN PUBLIC KEY-----`"),
        ("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "it is a private key"),
        ("root", "{}", "it is not a trusted root of Sigstore"),
    ] {
        site.file("file", file);
        let verify = match name {
            "key" => "verify = { key = 'file' }",
            _ => "verify = { identity = 'a', issuer = 'b', trusted_root = 'file' }",
        };
        site.file("modules.toml", format!("[[module]]\nroute = '/'\nmodule = 'app.wat'\n{verify}\n"));
        is(name, &check(&site), Err(part));
    }
    site.file("modules.toml", "[[module]]\nroute = '/'\nmodule = 'app.wat'\nverify = { key = 'missing.pub' }\n");
    is("missing", &check(&site), Err("cannot read `missing.pub`"));
}
