//! Publishing and pulling with a real registry: what `wagi push` writes is served and read by others, and the other way
//! round; logins, TLS with an authority of one's own, plain HTTP.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use wagi::observe::sha256_hex;

use crate::support::registry::{Done, LOGIN, Registry, Setup, installed, outside, program, refused, run, served, wagi};
use crate::support::site::Site;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A component that a host of today could call, and that is nothing but its names.
const COMPONENT: &str = r#"(component
    (import "wasi:cli/environment@0.2.0" (instance))
    (instance $run)
    (export "wasi:cli/run@0.2.0" (instance $run)))"#;

fn digest(bytes: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", sha256_hex(bytes.as_ref()))
}

/// Debian's skopeo, which reads and writes what all registries have.
fn skopeo(arguments: &[&str]) -> Done {
    Command::new(installed("skopeo", "/usr/bin/skopeo")).args(arguments).output().into()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
#[ignore = "needs docker-registry"]
fn what_is_published_is_served_under_tag_and_digest() {
    let registry = Registry::open();
    for layout in ["cncf", "legacy"] {
        let site = Site::new();
        site.file("hello.wat", program(layout));
        let (repository, tagged) = (registry.reference(layout), registry.reference(&format!("{layout}:1.0.0")));
        let printed = run(&site, &["push", "hello.wat", &tagged, "--layout", layout]).well();
        let pinned = printed.strip_suffix('\n').expect("a line");
        assert!(pinned.starts_with(&format!("{repository}@sha256:")) && !pinned.contains('\n'), "{printed}");
        assert_eq!(served(&site, &tagged, &[]).1, layout);
        assert_eq!(served(&site, pinned, &[]).1, layout);
        // The same file is the same artifact, whenever it is published and however the reference is written.
        let again = run(&site, &["push", "hello.wat", &format!("oci://{repository}:2"), "--layout", layout]);
        assert_eq!(again.well(), printed);
    }
}

#[test]
#[ignore = "needs docker-registry"]
fn a_pull_fills_the_cache_and_names_what_is_there_and_what_is_not() {
    let registry = Registry::open();
    let site = Site::new();
    let mut expected = String::new();
    for name in ["one", "two"] {
        site.file("module.wat", program(name));
        let pinned = run(&site, &["push", "module.wat", &registry.reference(name)]).well();
        let module = wat::parse_str(program(name)).expect("valid");
        expected += &format!("{} cache/{}\n", pinned.trim(), sha256_hex(&module));
    }
    let [one, two, three] = ["one", "two", "three"].map(|name| registry.reference(name));
    let pull = ["pull", &one, &format!("oci:{two}"), &one, "--module-cache", "cache"];
    assert_eq!(run(&site, &pull).well(), expected);
    let done = run(&site, &["pull", &three, &one, "a b", "--module-cache", "other"]);
    assert_eq!((done.code, done.stdout.lines().count()), (Some(1), 1), "{}", done.stderr);
    for part in [&*format!("cannot pull `{three}`"), "404 Not Found", "check the name and the tag", "cannot pull `a b`"]
    {
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
    drop(registry);
    assert_eq!(served(&site, expected.split(' ').next().expect("a word"), &[]).1, "one");
}

#[test]
#[ignore = "needs docker-registry, skopeo"]
fn others_read_what_was_published() {
    let registry = Registry::open();
    let site = Site::new();
    let module = wat::parse_str(program("hello")).expect("valid");
    site.file("hello.wasm", &module);
    for (layout, layer_type, config_type) in [
        ("cncf", "application/wasm", "application/vnd.wasm.config.v0+json"),
        ("legacy", "application/vnd.wasm.content.layer.v1+wasm", "application/vnd.wasm.config.v1+json"),
    ] {
        let reference = registry.reference(&format!("{layout}:1"));
        let pinned = run(&site, &["push", "hello.wasm", &reference, "--layout", layout]).well();
        let from = format!("docker://{reference}");
        let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &from]).well();
        assert!(pinned.trim().ends_with(&digest(&raw)), "{pinned}");
        let manifest = json_of(&raw);
        assert_eq!(manifest["mediaType"], MANIFEST);
        assert_eq!(manifest["config"]["mediaType"], config_type);
        let layers = json!([{ "mediaType": layer_type, "digest": digest(&module), "size": module.len() }]);
        assert_eq!(manifest["layers"], layers);
        let config = skopeo(&["inspect", "--config", "--raw", "--tls-verify=false", &from]);
        let config = json_of(&config.well());
        match layout {
            "legacy" => assert_eq!(config, json!({})),
            _ => {
                assert_eq!(config["os"], "wasip1");
                assert_eq!(config["architecture"], "wasm");
                assert_eq!(config["layerDigests"], json!([digest(&module)]));
                assert!(config["created"].as_str().is_some_and(|created| created.ends_with('Z')), "{config}");
            }
        }
        let to = format!("oci:{}:1", site.path().join(layout).display());
        skopeo(&["--insecure-policy", "copy", "--src-tls-verify=false", &from, &to]).well();
        let blob = site.path().join(layout).join("blobs/sha256").join(sha256_hex(&module));
        assert_eq!(std::fs::read(blob).expect("it was copied"), module);
    }
}

#[test]
#[ignore = "needs docker-registry, skopeo"]
fn a_component_is_published_with_what_it_imports_and_exports() {
    let registry = Registry::open();
    let site = Site::new();
    site.file("component.wat", COMPONENT);
    let reference = registry.reference("component");
    run(&site, &["push", "component.wat", &reference]).well();
    let arguments = ["inspect", "--config", "--raw", "--tls-verify=false", &format!("docker://{reference}")];
    let config = json_of(&skopeo(&arguments).well());
    assert_eq!(config["os"], "wasip2");
    let names = json!({ "imports": ["wasi:cli/environment@0.2.0"], "exports": ["wasi:cli/run@0.2.0"] });
    assert_eq!(config["component"], names);
}

#[test]
#[ignore = "needs docker-registry, skopeo"]
fn what_others_copy_into_a_registry_is_served() {
    let registry = Registry::open();
    let site = Site::new();
    let module = wat::parse_str(program("copied")).expect("valid");
    let blob = |content: &[u8]| {
        site.file(&format!("layout/blobs/sha256/{}", sha256_hex(content)), content);
    };
    let described = |media_type: &str, bytes: &[u8]| json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() });
    for (tag, config_type, layer_type) in [
        ("cncf", "application/vnd.wasm.config.v0+json", "application/wasm"),
        ("legacy", "application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"),
    ] {
        let config = described(config_type, b"{}");
        let layers = [described(layer_type, &module)];
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers }).to_string();
        let mut entry = described(MANIFEST, manifest.as_bytes());
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        for content in [&b"{}"[..], &module, manifest.as_bytes()] {
            blob(content);
        }
        site.file("layout/oci-layout", json!({ "imageLayoutVersion": "1.0.0" }).to_string());
        site.file("layout/index.json", json!({ "schemaVersion": 2, "manifests": [entry] }).to_string());
        let reference = registry.reference(&format!("app:{tag}"));
        let from = format!("oci:{}:{tag}", site.path().join("layout").display());
        let to = format!("docker://{reference}");
        skopeo(&["--insecure-policy", "copy", "--dest-tls-verify=false", &from, &to]).well();
        assert_eq!(served(&site, &reference, &[]).1, "copied");
    }
}

/// Logs in with a password on the standard input.
fn log_in(site: &Site, registry: &str, user: &str, password: &str, arguments: &[&str]) -> Done {
    let script = "printf '%s\\n' \"$PASSWORD\" | \"$@\"";
    let mut command = Command::new("sh");
    command.current_dir(site.path()).env("DOCKER_CONFIG", site.path().join("docker")).env("PASSWORD", password);
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_wagi"), "login", registry, "-u", user, "--password-stdin"]);
    command.args(arguments).output().into()
}

#[test]
#[ignore = "needs docker-registry, skopeo"]
fn a_login_is_checked_kept_for_nobody_else_and_forgotten() {
    let registry = Registry::start(&Setup { logins: LOGIN, ..Setup::default() });
    let (site, host) = (Site::new(), registry.address().to_string());
    site.file("hello.wat", program("hello"));
    let reference = registry.reference("team/hello:1");
    let said = run(&site, &["push", "hello.wat", &reference]).badly();
    assert!(said.contains("wants credentials") && said.contains(&format!("`wagi login {host}`")), "{said}");

    let said = log_in(&site, &host, "me", "hunter3", &[]).badly();
    assert!(said.contains("refuses name and password") && !said.contains("hunter3"), "{said}");
    assert!(!site.path().join("docker").exists());

    let done = log_in(&site, &format!("https://{host}/"), "me", "hunter2", &[]);
    let said = format!("logged in to `{host}`; kept in `{}/docker/config.json`\n", site.path().display());
    assert_eq!((done.code, done.stdout.as_str(), done.stderr), (Some(0), "", said));
    let file = site.path().join("docker/config.json");
    let expected = json!({ "auths": { host.as_str(): { "auth": "bWU6aHVudGVyMg==" } } });
    assert_eq!(json_of(&std::fs::read_to_string(&file).expect("it was written")), expected);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&site.path().join("docker"))), (0o600, 0o700));
    }
    run(&site, &["push", "hello.wat", &reference]).well();
    assert_eq!(served(&site, &reference, &[]).1, "hello");
    // What another program makes of the same file.
    let authfile = format!("--authfile={}", file.display());
    let from = format!("docker://{reference}");
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &authfile, &from]).well();
    assert_eq!(json_of(&raw)["mediaType"], MANIFEST);

    assert_eq!(run(&site, &["logout", &host]).stderr, format!("logged out of `{host}`\n"));
    assert_eq!(run(&site, &["logout", &host]).stderr, format!("there was no login for `{host}`\n"));
    assert!(run(&site, &["push", "hello.wat", &registry.reference("x")]).badly().contains("wants credentials"));
}

#[test]
#[ignore = "needs docker-registry"]
fn a_login_at_a_registry_that_is_open_to_all_is_kept_with_a_warning() {
    let registry = Registry::open();
    let site = Site::new();
    let done = log_in(&site, &registry.address().to_string(), "me", "hunter2", &[]);
    assert!(done.code == Some(0) && done.stderr.contains("requires no login"), "{}", done.stderr);
    let done = log_in(&site, "127.0.0.1:1", "me", "hunter2", &[]);
    assert!(done.badly().contains("cannot be reached"));
}

/// An authority, and a certificate by it for an address.
fn authority(site: &Site, address: &str) {
    installed("openssl", "/usr/bin/openssl");
    let script = format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 \
         -subj '/CN=an authority of our own' &&
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out request.pem \
         -subj '/CN=a registry' && echo 'subjectAltName=IP:{address}' > names &&
         openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem"
    );
    Done::from(Command::new("sh").current_dir(site.path()).args(["-c", &script]).output()).well();
}

#[test]
#[ignore = "needs docker-registry, openssl, an address besides loopback"]
fn a_registry_with_a_certificate_of_an_authority_of_ones_own_is_believed_when_that_is_named() {
    let host = outside();
    let site = Site::new();
    authority(&site, &host.to_string());
    let tls = Some((site.path().join("cert.pem"), site.path().join("key.pem")));
    let registry = Registry::start(&Setup { host: Some(host), tls, logins: LOGIN });
    let (address, reference) = (registry.address().to_string(), registry.reference("hello:1"));
    site.file("hello.wat", program("hello"));
    let said = run(&site, &["push", "hello.wat", &reference]).badly();
    assert!(said.contains("cannot agree on TLS") && said.contains("`--registry-ca FILE`"), "{said}");
    let trusting = ["--registry-ca", "ca.pem"];
    log_in(&site, &address, "me", "hunter2", &trusting).well();
    run(&site, &[&["push", "hello.wat", &reference], &trusting[..]].concat()).well();
    assert_eq!(served(&site, &reference, &trusting).1, "hello");
    run(&site, &[&["pull", &reference, "--module-cache", "another"], &trusting[..]].concat()).well();
    for (file, content, part) in [
        ("missing.pem", None, "cannot read certificates from `missing.pem`"),
        ("empty.pem", Some("hello\n"), "there is no certificate in `empty.pem`"),
    ] {
        if let Some(content) = content {
            site.file(file, content);
        }
        for said in [
            refused(&site, &reference, &["--registry-ca", file]),
            run(&site, &["push", "hello.wat", &reference, "--registry-ca", file]).badly(),
        ] {
            assert!(said.contains("cannot ask registries") && said.contains(part), "{said}");
        }
    }
}

#[test]
#[ignore = "needs docker-registry, an address besides loopback"]
fn plain_http_is_spoken_elsewhere_when_the_registry_is_named() {
    let host = outside();
    let registry = Registry::start(&Setup { host: Some(host), ..Setup::default() });
    let (site, reference) = (Site::new(), registry.reference("hello:1"));
    site.file("hello.wat", program("hello"));
    let address = registry.address().to_string();
    let said = run(&site, &["push", "hello.wat", &reference]).badly();
    assert!(said.contains(&format!("`--plain-http {address}`")), "{said}");
    let said = run(&site, &["push", "hello.wat", &reference, "--plain-http", &host.to_string()]).badly();
    assert!(said.contains("cannot agree on TLS"), "{said}");
    let plain = ["--plain-http", "other.example.com", "--plain-http", &address];
    run(&site, &[&["push", "hello.wat", &reference], &plain[..]].concat()).well();
    assert_eq!(served(&site, &reference, &plain).1, "hello");
    let said = run(&site, &["pull", &reference, "--module-cache", "c", "--plain-http", "no registry"]).badly();
    assert!(said.contains("--plain-http") && said.contains("`no registry` is not the address"), "{said}");
}

#[test]
#[ignore = "needs docker-registry, openssl"]
fn a_registry_on_this_machine_that_wants_tls_says_so() {
    let site = Site::new();
    authority(&site, "127.0.0.1");
    let tls = Some((site.path().join("cert.pem"), site.path().join("key.pem")));
    let registry = Registry::start(&Setup { tls, ..Setup::default() });
    let said = refused(&site, &registry.reference("hello:1"), &[]);
    assert!(said.contains("400 Bad Request") && said.contains("by another name of the machine"), "{said}");
}

#[test]
fn what_cannot_be_published_is_refused_before_anybody_is_asked() {
    let site = Site::new();
    site.file("hello.wat", program("hello"));
    site.file("words.wat", "hello\n");
    site.file("broken.wasm", b"\0asm\x01\0\0\0\x07");
    let pinned = format!("127.0.0.1:1/a@{}", digest("x"));
    for (file, reference, part) in [
        ("hello.wat", pinned.as_str(), "give a tag to publish to"),
        ("hello.wat", "127.0.0.1:1/A", "is not the name of an artifact"),
        ("words.wat", "127.0.0.1:1/a", "nor in text form: the file is a text that is not WebAssembly"),
        ("broken.wasm", "127.0.0.1:1/a", "it is not valid WebAssembly"),
        ("missing.wasm", "127.0.0.1:1/a", "cannot read `missing.wasm`"),
    ] {
        let said = run(&site, &["push", file, reference]).badly();
        assert!(said.contains(part) && !said.contains("cannot be reached"), "{said}");
    }
}

#[test]
fn without_a_place_for_modules_nothing_is_pulled() {
    let done: Done = wagi(&Site::new(), &["pull", "127.0.0.1:1/a"]).output().into();
    assert!(done.badly().contains("give `--module-cache DIR`"));
}
