//! Modules from registries: what is served, and what becomes of a start when a registry does not play along.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wagi::observe::sha256_hex;

use crate::support::guest::printing;
use crate::support::http1::{Answer, Connection};
use crate::support::process::{Wagi, command, output};
use crate::support::registry::{LOGIN, Registry, Setup};
use crate::support::site::Site;
use crate::support::upstream::{Received, Upstream, reply};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LEGACY: &str = "application/vnd.wasm.content.layer.v1+wasm";

pub fn program(text: &str) -> String {
    printing(format!("Content-Type: text/plain\n\n{text}"))
}

pub fn digest(bytes: &str) -> String {
    format!("sha256:{}", sha256_hex(bytes.as_bytes()))
}

fn described(media_type: &str, content: &str) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

/// A manifest with one layer, in the layout of those who began with modules in registries.
pub fn manifest(content: &str) -> String {
    let config = described("application/vnd.wasm.config.v1+json", "{}");
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [described(LEGACY, content)] })
        .to_string()
}

/// What a registry has, by path below `/v2/app/`: a content type and bytes.
pub type Shelf = HashMap<String, (String, String)>;

pub fn shelf(content: &str) -> Shelf {
    let manifest = manifest(content);
    let mut shelf = Shelf::new();
    shelf.insert("manifests/1".to_owned(), (MANIFEST.to_owned(), manifest.clone()));
    shelf.insert(format!("manifests/{}", digest(&manifest)), (MANIFEST.to_owned(), manifest));
    shelf.insert(format!("blobs/{}", digest(content)), ("application/octet-stream".to_owned(), content.to_owned()));
    shelf
}

fn path(received: &Received) -> &str {
    received.line.strip_prefix("GET ").expect("nothing is sent but GET")
}

pub fn give(shelf: &Shelf, received: &Received) -> Vec<u8> {
    match path(received).strip_prefix("/v2/app/").and_then(|path| shelf.get(path)) {
        Some((media_type, content)) => reply("200 OK", &format!("Content-Type: {media_type}\r\n"), content),
        None => reply("404 Not Found", "", "{\"errors\":[]}"),
    }
}

pub fn registry(shelf: Shelf) -> Upstream {
    Upstream::start(move |received| give(&shelf, received))
}

fn reference(port: u16, version: &str) -> String {
    format!("oci:127.0.0.1:{port}/app{version}")
}

/// A site with one module of a registry.
fn site(reference: &str) -> Site {
    let site = Site::new().module("/", Path::new(reference), "");
    site.write();
    site
}

fn wagi(site: &Site) -> Command {
    let mut command = command(site.path());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml", "--module-cache", "cache"]);
    command
}

#[track_caller]
fn served(command: &mut Command) -> (Wagi, String) {
    let wagi = Wagi::spawn(command);
    let text = Connection::open(wagi.address()).get("/").text();
    (wagi, text)
}

/// What a start says that is refused, and that nothing of what came was kept.
#[track_caller]
fn refusal(command: &mut Command) -> String {
    let output = output(command).expect("wagi can be started");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{stderr}");
    assert!(stderr.contains("modules.toml:3:10"), "{stderr}");
    stderr
}

fn cached(site: &Site, content: &str) -> bool {
    site.path().join("cache").join(sha256_hex(content.as_bytes())).exists()
}

fn login(site: &Site, registry: &str, login: &str) {
    let auth = STANDARD.encode(login);
    site.file("docker/config.json", json!({ "auths": { registry: { "auth": auth } } }).to_string());
}

fn host(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[test]
fn a_module_of_a_registry_is_served_under_tag_and_digest() {
    let content = program("hello");
    let server = registry(shelf(&content));
    for version in [":1".to_owned(), format!("@{}", digest(&manifest(&content)))] {
        let site = site(&reference(server.port(), &version));
        assert_eq!(served(&mut wagi(&site)).1, "hello");
        assert!(cached(&site, &content));
    }
    // Both slashes are as good as none, the cache may be temporary, and no tag means the latest.
    let mut latest = shelf(&content);
    latest.insert("manifests/latest".to_owned(), (MANIFEST.to_owned(), manifest(&content)));
    let server = registry(latest);
    let site = Site::new().module("/", Path::new(&format!("oci://127.0.0.1:{}/app", server.port())), "");
    let wagi = site.start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello");
    let accepted = server.received()[0].header("accept").map(str::to_owned).unwrap_or_default();
    assert!(accepted.contains(MANIFEST) && accepted.contains(INDEX) && accepted.contains("docker"), "{accepted}");
}

#[test]
fn a_pinned_module_in_the_cache_is_asked_for_no_more() {
    let content = program("hello");
    let server = registry(shelf(&content));
    let site = site(&reference(server.port(), &format!("@{}", digest(&manifest(&content)))));
    for _ in 0..3 {
        assert_eq!(served(&mut wagi(&site)).1, "hello");
        assert_eq!(server.received().len(), 2);
    }
    // What is damaged is.
    site.file(&format!("cache/{}", sha256_hex(content.as_bytes())), "damage");
    assert_eq!(served(&mut wagi(&site)).1, "hello");
    assert_eq!(server.received().len(), 3);
}

#[test]
fn a_tag_is_looked_up_at_each_start_and_its_last_module_stands_in_for_a_registry_that_is_down() {
    let (old, new) = (program("old"), program("new"));
    let (has_moved, is_down, drops) = <(Arc<AtomicBool>, Arc<AtomicBool>, Arc<AtomicBool>)>::default();
    let (old_shelf, new_shelf) = (shelf(&old), shelf(&new));
    let flags = (has_moved.clone(), is_down.clone(), drops.clone());
    let server = Upstream::start_with(move |received, stream| {
        let [has_moved, is_down, drops] = [&flags.0, &flags.1, &flags.2].map(|flag| flag.load(Ordering::SeqCst));
        if drops {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let answer = if is_down { reply("503 Service Unavailable", "", "") } else { Vec::new() };
        let shelf = if has_moved { &new_shelf } else { &old_shelf };
        stream.write_all(&if is_down { answer } else { give(shelf, received) })
    });
    let site = site(&reference(server.port(), ":1"));
    assert_eq!(served(&mut wagi(&site)).1, "old");
    has_moved.store(true, Ordering::SeqCst);
    let (moved, text) = served(&mut wagi(&site));
    assert_eq!(text, "new");
    moved.logged(&["the tag has moved", &sha256_hex(old.as_bytes()), &sha256_hex(new.as_bytes())]);
    for (flag, reason) in [(&is_down, "fails with 503"), (&drops, "cannot be reached")] {
        flag.store(true, Ordering::SeqCst);
        let (stale, text) = served(&mut wagi(&site));
        assert_eq!(text, "new");
        stale.logged(&["warning: serving"]);
        stale.logged(&[reason]);
    }
    // Nothing stands in where nothing is known, nor for a registry that says no.
    std::fs::remove_dir_all(site.path().join("cache/_OCI")).expect("removable");
    assert!(refusal(&mut wagi(&site)).contains("cannot be reached"));
}

#[test]
fn an_artifact_that_is_gone_is_not_served_from_the_cache() {
    let content = program("hello");
    let (shelf, is_gone) = (shelf(&content), Arc::new(AtomicBool::new(false)));
    let flag = is_gone.clone();
    let server = Upstream::start(move |received| {
        if flag.load(Ordering::SeqCst) { reply("404 Not Found", "", "") } else { give(&shelf, received) }
    });
    let site = site(&reference(server.port(), ":1"));
    assert_eq!(served(&mut wagi(&site)).1, "hello");
    is_gone.store(true, Ordering::SeqCst);
    let said = refusal(&mut wagi(&site));
    assert!(said.contains("404") && said.contains("check the name and the tag"), "{said}");
}

#[test]
fn of_an_index_the_module_is_served_and_pinned_by_the_index() {
    let content = program("hello");
    let mut shelf = shelf(&content);
    let mut entry = described(MANIFEST, &manifest(&content));
    entry["platform"] = json!({ "os": "wasip1", "architecture": "wasm" });
    let other = described(MANIFEST, "other");
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [other, entry] }).to_string();
    shelf.insert("manifests/all".to_owned(), (INDEX.to_owned(), index.clone()));
    shelf.insert(format!("manifests/{}", digest(&index)), (INDEX.to_owned(), index.clone()));
    let ambiguous = json!({ "schemaVersion": 2, "manifests": [other, other] }).to_string();
    shelf.insert("manifests/two".to_owned(), (INDEX.to_owned(), ambiguous));
    let server = registry(shelf);
    let pinned = site(&reference(server.port(), &format!("@{}", digest(&index))));
    assert_eq!(served(&mut wagi(&pinned)).1, "hello");
    let asked = server.received().len();
    assert_eq!(served(&mut wagi(&pinned)).1, "hello");
    assert_eq!(server.received().len(), asked);
    assert_eq!(served(&mut wagi(&site(&reference(server.port(), ":all")))).1, "hello");
    let said = refusal(&mut wagi(&site(&reference(server.port(), ":two"))));
    assert!(said.contains("does not say which one") && said.contains("by its digest"), "{said}");
}

#[test]
fn bytes_that_are_not_what_the_manifest_says_are_refused() {
    let content = program("hello");
    let flipped = content.replace("_start", "_stars");
    for (sent, part) in [
        (flipped.clone(), "its SHA-256 is"),
        (content[..content.len() - 1].to_owned(), "its SHA-256 is"),
        (content.clone() + "+", "it has more than"),
        ("<html>down for maintenance</html>".to_owned(), "its SHA-256 is"),
    ] {
        let mut shelf = shelf(&content);
        shelf.insert(format!("blobs/{}", digest(&content)), ("text/html".to_owned(), sent.clone()));
        let site = site(&reference(registry(shelf).port(), ":1"));
        let said = refusal(&mut wagi(&site));
        assert!(said.contains("the module is not what the manifest says") && said.contains(part), "{said}");
        assert!(!cached(&site, &content) && !cached(&site, &sent));
    }
}

#[test]
fn a_manifest_that_is_not_what_was_pinned_or_stated_is_refused() {
    let content = program("hello");
    let mut shelf = shelf(&content);
    shelf.insert(format!("manifests/{}", digest("another")), (MANIFEST.to_owned(), manifest(&content)));
    let pinned = site(&reference(registry(shelf.clone()).port(), &format!("@{}", digest("another"))));
    let said = refusal(&mut wagi(&pinned));
    assert!(said.contains("the manifest is not what it should be") && said.contains(&digest("another")[7..]), "{said}");
    for (stated, is_served) in [(digest("another"), false), (String::new(), false), (digest(&manifest(&content)), true)]
    {
        let shelf = shelf.clone();
        let server = Upstream::start(move |received| match path(received) {
            "/v2/app/manifests/1" => {
                let headers = format!("Content-Type: {MANIFEST}\r\nDocker-Content-Digest: {stated}\r\n");
                reply("200 OK", &headers, &shelf["manifests/1"].1)
            }
            _ => give(&shelf, received),
        });
        let site = site(&reference(server.port(), ":1"));
        match is_served {
            true => assert_eq!(served(&mut wagi(&site)).1, "hello"),
            false => assert!(refusal(&mut wagi(&site)).contains("not what it should be")),
        }
    }
}

#[test]
fn answers_that_are_no_manifest_are_refused_with_what_they_are() {
    let packed = "application/vnd.oci.image.layer.v1.tar+gzip";
    let image = |layers: Value| json!({ "schemaVersion": 2, "layers": layers }).to_string();
    for (media_type, sent, part) in [
        ("text/html; charset=utf-8", "<html>log in here</html>".to_owned(), "sent as `text/html`"),
        (MANIFEST, image(json!([described(packed, "x")])), packed),
        (MANIFEST, image(json!([described(LEGACY, "x"), described("application/wasm", "y")])), "2 of the layers"),
        (MANIFEST, image(json!([described("text/plain", "x")])), "`text/plain`"),
        (INDEX, image(json!([described(LEGACY, "x")])), "both"),
        (MANIFEST, " ".repeat((4 << 20) + 1), "more than 4194304 bytes"),
    ] {
        let mut shelf = Shelf::new();
        shelf.insert("manifests/1".to_owned(), (media_type.to_owned(), sent));
        let said = refusal(&mut wagi(&site(&reference(registry(shelf).port(), ":1"))));
        assert!(said.contains(part), "{said}");
    }
    let mut huge = described(LEGACY, "x");
    huge["size"] = json!(1_u64 << 40);
    let mut shelf = Shelf::new();
    shelf.insert("manifests/1".to_owned(), (MANIFEST.to_owned(), image(json!([huge]))));
    let said = refusal(&mut wagi(&site(&reference(registry(shelf).port(), ":1"))));
    assert!(said.contains("1099511627776 bytes, more than"), "{said}");
}

#[test]
fn a_blob_that_breaks_off_or_never_ends_ends_the_start_soon() {
    let content = program("hello");
    for (is_endless, part) in [(true, "it has more than"), (false, "does not arrive whole")] {
        let shelf = shelf(&content);
        let blob = content.clone();
        let server = Upstream::start_with(move |received, stream| {
            if !path(received).contains("/blobs/") {
                return stream.write_all(&give(&shelf, received));
            }
            let length = if is_endless { 1 << 50 } else { blob.len() };
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
            if !is_endless {
                stream.write_all(&blob.as_bytes()[..blob.len() / 2])?;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            loop {
                stream.write_all(&[0; 1 << 16])?;
            }
        });
        let site = site(&reference(server.port(), ":1"));
        let said = refusal(&mut wagi(&site));
        assert!(said.contains(part), "{said}");
        assert!(!cached(&site, &content));
        assert_eq!(std::fs::read_dir(site.path().join("cache/_PARTIAL")).expect("a directory").count(), 0);
    }
}

#[test]
fn a_moment_of_weakness_is_waited_out() {
    let content = program("hello");
    let (shelf, is_awake) = (shelf(&content), AtomicBool::new(false));
    let server = Upstream::start(move |received| match is_awake.swap(true, Ordering::SeqCst) {
        false => reply("500 Internal Server Error", "", "oops"),
        true => give(&shelf, received),
    });
    assert_eq!(served(&mut wagi(&site(&reference(server.port(), ":1")))).1, "hello");
}

/// A registry that wants name and password, `me` and `hunter2`.
fn basic_registry() -> Upstream {
    let shelf = shelf(&program("hello"));
    let expected = format!("Basic {}", STANDARD.encode("me:hunter2"));
    Upstream::start(move |received| match received.header("authorization") {
        Some(shown) if shown == expected => give(&shelf, received),
        _ => reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "{}"),
    })
}

#[test]
fn a_registry_that_asks_is_shown_name_and_password() {
    let server = basic_registry();
    let site = site(&reference(server.port(), ":1"));
    let said = refusal(&mut wagi(&site));
    assert!(said.contains(&host(server.port())) && said.contains("wants credentials"), "{said}");
    // Docker's file by its variable, in the home directory, and Podman's in both of its places.
    for (variable, file) in [
        ("DOCKER_CONFIG", "config.json"),
        ("HOME", ".docker/config.json"),
        ("XDG_RUNTIME_DIR", "containers/auth.json"),
        ("HOME", ".config/containers/auth.json"),
    ] {
        let home = tempfile::tempdir().expect("a temporary directory");
        login(&site, &host(server.port()), "me:hunter2");
        let to = home.path().join(file);
        std::fs::create_dir_all(to.parent().expect("it is below")).expect("writable");
        std::fs::copy(site.path().join("docker/config.json"), to).expect("writable");
        let (wagi, text) = served(wagi(&site).env(variable, home.path()));
        assert_eq!(text, "hello");
        assert!(!wagi.log().contains("hunter2"));
    }
    login(&site, &host(server.port()), "me:wrong-secret");
    let said = refusal(wagi(&site).env("DOCKER_CONFIG", site.path().join("docker")));
    assert!(said.contains("refuses the credentials of `me`"), "{said}");
    assert!(!said.contains("wrong-secret"));
    login(&site, "elsewhere.example.com", "me:hunter2");
    let said = refusal(wagi(&site).env("DOCKER_CONFIG", site.path().join("docker")));
    assert!(said.contains("there are none for it"), "{said}");
}

/// A registry that wants a token, which it gives to everybody or to `me` alone, from a realm it names.
fn token_registry(is_open: bool, realm: Option<&'static str>) -> Upstream {
    let shelf = shelf(&program("hello"));
    let expected = format!("Basic {}", STANDARD.encode("me:hunter2"));
    Upstream::start(move |received| {
        let shown = received.header("authorization");
        if path(received).starts_with("/token?") {
            return match is_open || shown == Some(&expected) {
                true => reply("200 OK", "", "{\"token\":\"t0ken\"}"),
                false => reply("401 Unauthorized", "", "{}"),
            };
        }
        if shown == Some("Bearer t0ken") {
            return give(&shelf, received);
        }
        let own = format!("http://{}/token", received.header("host").unwrap_or_default());
        let realm = realm.unwrap_or(&own);
        let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"the registry\"\r\n");
        reply("401 Unauthorized", &challenge, "{}")
    })
}

#[test]
fn a_token_is_fetched_once_and_shown() {
    let server = token_registry(true, None);
    let open = site(&reference(server.port(), ":1"));
    assert_eq!(served(&mut wagi(&open)).1, "hello");
    let lines: Vec<_> = server.received().into_iter().map(|received| received.line).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[1], "GET /token?service=the+registry&scope=repository%3Aapp%3Apull");
    assert!(server.received()[1].header("authorization").is_none());

    let server = token_registry(false, None);
    let site = site(&reference(server.port(), ":1"));
    assert!(refusal(&mut wagi(&site)).contains("wants credentials"));
    login(&site, &host(server.port()), "me:hunter2");
    assert_eq!(served(wagi(&site).env("DOCKER_CONFIG", site.path().join("docker"))).1, "hello");
    login(&site, &host(server.port()), "me:wrong");
    let said = refusal(wagi(&site).env("DOCKER_CONFIG", site.path().join("docker")));
    assert!(said.contains("refuses the credentials of `me`"), "{said}");
}

#[test]
fn credentials_are_not_sent_where_others_listen() {
    for realm in ["http://192.0.2.1/token", "http://169.254.169.254/latest", "ftp://127.0.0.1/"] {
        let server = token_registry(true, Some(realm));
        let site = site(&reference(server.port(), ":1"));
        login(&site, &host(server.port()), "me:hunter2");
        let said = refusal(wagi(&site).env("DOCKER_CONFIG", site.path().join("docker")));
        assert!(said.contains(realm) && said.contains("no `https` URL"), "{said}");
    }
    // A blob may be elsewhere; who has it is not told who asks.
    let content = program("hello");
    let elsewhere_shelf = shelf(&content);
    let elsewhere = Upstream::start(move |received| give(&elsewhere_shelf, received));
    let (shelf, base) = (shelf(&content), elsewhere.url(""));
    let server = Upstream::start(move |received| match (path(received), received.header("authorization")) {
        (_, None) => reply("401 Unauthorized", "WWW-Authenticate: Basic\r\n", ""),
        (path, _) if path.contains("/blobs/") => {
            reply("307 Temporary Redirect", &format!("Location: {base}{path}\r\n"), "")
        }
        _ => give(&shelf, received),
    });
    let site = site(&reference(server.port(), ":1"));
    login(&site, &host(server.port()), "me:hunter2");
    assert_eq!(served(wagi(&site).env("DOCKER_CONFIG", site.path().join("docker"))).1, "hello");
    assert!(elsewhere.only().header("authorization").is_none());
}

/// A program for credentials in a directory of its own, and the search path with it.
#[cfg(unix)]
fn keychain(site: &Site, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let program = site.file("bin/docker-credential-test", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    format!("{}:{}", site.path().join("bin").display(), std::env::var("PATH").unwrap_or_default())
}

#[cfg(unix)]
#[test]
fn a_program_that_keeps_passwords_is_asked_and_not_trusted() {
    let server = basic_registry();
    let site = site(&reference(server.port(), ":1"));
    let registry = host(server.port());
    let start = |site: &Site, script: &str| {
        let mut command = wagi(site);
        command.env("PATH", keychain(site, script)).env("DOCKER_CONFIG", site.path().join("docker"));
        command
    };
    let good = "read -r name; echo \"{\\\"Username\\\":\\\"me\\\",\\\"Secret\\\":\\\"hunter2\\\"}\"; echo \"$1 $name\" > asked";
    for settings in [json!({ "credsStore": "test" }), json!({ "credHelpers": { registry.as_str(): "test" } })] {
        site.file("docker/config.json", settings.to_string());
        assert_eq!(served(&mut start(&site, good)).1, "hello");
        let asked = std::fs::read_to_string(site.path().join("asked")).expect("it was asked");
        assert_eq!(asked.trim(), format!("get {registry}"));
    }
    for (script, part) in [
        ("echo credentials not found in native keychain; exit 1", "knows no credentials"),
        ("echo oops; exit 1", "answers with something else"),
        ("yes", "answers with something else"),
        // A start that waited for it would be killed.
        ("sleep 600", "has not answered within 10 s"),
    ] {
        let said = refusal(&mut start(&site, script));
        assert!(said.contains(part), "{said}");
    }
    site.file("docker/config.json", json!({ "credHelpers": { registry.as_str(): "../bin/x" } }).to_string());
    assert!(refusal(&mut start(&site, good)).contains("is not the name of a program"));
}

#[test]
fn references_that_make_no_sense_are_refused_where_they_stand() {
    for (reference, part) in [
        ("oci:example.com/Hello", "not the name of an artifact"),
        ("oci:example.com/hello:a:b", "not a tag"),
        ("oci://hello@sha256:12", "not a digest"),
        ("oci:127.0.0.1:1/app", "cannot be reached"),
    ] {
        let said = refusal(&mut wagi(&site(reference)));
        assert!(said.contains(&format!("cannot pull `{}", &reference[..4])) && said.contains(part), "{said}");
    }
}

/// Sends one request to a real registry.
fn ask(registry: &Registry, request: &str, headers: &str, body: &str) -> Answer {
    let (address, length) = (registry.address(), body.len());
    let mut connection = Connection::open(address);
    connection.send(format!("{request} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n"));
    connection.send(body);
    connection.answer()
}

/// Uploads a module and its manifest to a real registry the way every client does.
pub fn push(registry: &Registry, tag: &str, content: &str, headers: &str) {
    for blob in ["{}", content] {
        let begun = ask(registry, "POST /v2/team/app/blobs/uploads/", headers, "");
        assert_eq!(begun.status, 202, "{}", begun.text());
        let to = begun.header("location").expect("a place for the bytes");
        let (_, path) = to.split_once("/v2/").expect("a path of the API");
        let sign = if path.contains('?') { '&' } else { '?' };
        let put = format!("PUT /v2/{path}{sign}digest={}", digest(blob));
        let done = ask(registry, &put, &format!("{headers}Content-Type: application/octet-stream\r\n"), blob);
        assert_eq!(done.status, 201, "{}", done.text());
    }
    let put = format!("PUT /v2/team/app/manifests/{tag}");
    let done = ask(registry, &put, &format!("{headers}Content-Type: {MANIFEST}\r\n"), &manifest(content));
    assert_eq!(done.status, 201, "{}", done.text());
}

#[test]
#[ignore = "needs docker-registry"]
fn a_real_registry_s_module_is_served() {
    let registry = Registry::open();
    let (old, new) = (program("old"), program("new"));
    push(&registry, "1", &old, "");
    let base = format!("oci://{}/team/app", registry.address());
    let (tagged, pinned) = (site(&format!("{base}:1")), site(&format!("{base}@{}", digest(&manifest(&old)))));
    assert_eq!(served(&mut wagi(&tagged)).1, "old");
    assert_eq!(served(&mut wagi(&pinned)).1, "old");
    push(&registry, "1", &new, "");
    assert_eq!(served(&mut wagi(&tagged)).1, "new");
    let said = refusal(&mut wagi(&site(&format!("{base}:2"))));
    assert!(said.contains("404 Not Found"), "{said}");
    drop(registry);
    assert_eq!(served(&mut wagi(&pinned)).1, "old");
    let (stale, text) = served(&mut wagi(&tagged));
    assert_eq!(text, "new");
    stale.logged(&["as it was when the registry last answered"]);
}

#[test]
#[ignore = "needs docker-registry"]
fn a_real_registry_s_login_is_needed_and_found() {
    let registry = Registry::start(&Setup { logins: LOGIN, ..Setup::default() });
    let header = format!("Authorization: Basic {}\r\n", STANDARD.encode("me:hunter2"));
    push(&registry, "1", &program("hello"), &header);
    let site = site(&format!("oci:{}/team/app:1", registry.address()));
    assert!(refusal(&mut wagi(&site)).contains("wants credentials"));
    for (password, is_good) in [("wrong", false), ("hunter2", true)] {
        login(&site, &registry.address().to_string(), &format!("me:{password}"));
        let mut command = wagi(&site);
        command.env("DOCKER_CONFIG", site.path().join("docker"));
        match is_good {
            true => assert_eq!(served(&mut command).1, "hello"),
            false => assert!(refusal(&mut command).contains("refuses the credentials of `me`")),
        }
    }
}
