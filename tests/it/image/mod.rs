//! The container image: its layout, and how it runs under Podman and in a chroot.

mod containers;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::image::containers::Containers;
use crate::support::eventually;
use crate::support::guest;
use crate::support::http1::{Answer, Connection};
use crate::support::process::{Wagi, output};
use crate::support::registry::Done;
use crate::support::site::Site;

/// Makes images with more arguments, and returns what the script says.
fn build(directory: &Path, arguments: &[&str]) -> Done {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/image/build.py");
    output(Command::new("python3").arg(script).args(arguments).current_dir(directory)).into()
}

fn sha256(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{digits}")
}

/// An image layout, every blob of which is what its name says.
struct Layout {
    blobs: BTreeMap<String, Vec<u8>>,
    index: Value,
    directory: TempDir,
}

impl Layout {
    fn read(directory: TempDir) -> Self {
        let layout: Value = json(&fs::read(directory.path().join("image/oci-layout")).expect("a layout"));
        assert_eq!(layout["imageLayoutVersion"], "1.0.0");
        let mut blobs = BTreeMap::new();
        for entry in fs::read_dir(directory.path().join("image/blobs/sha256")).expect("a directory") {
            let path = entry.expect("an entry").path();
            let bytes = fs::read(&path).expect("a blob");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert_eq!(sha256(&bytes), format!("sha256:{name}"));
            blobs.insert(format!("sha256:{name}"), bytes);
        }
        let index = json(&fs::read(directory.path().join("image/index.json")).expect("an index"));
        Self { blobs, index, directory }
    }

    /// What a descriptor describes.
    fn blob(&self, descriptor: &Value) -> &[u8] {
        let blob = &self.blobs[descriptor["digest"].as_str().expect("a digest")];
        assert_eq!(descriptor["size"], blob.len());
        blob
    }

    /// The manifest with this tag, and its configuration.
    fn image(&self, tag: &str) -> (Value, Value) {
        let manifests = self.index["manifests"].as_array().expect("a list");
        let tagged = |manifest: &&Value| manifest["annotations"]["org.opencontainers.image.ref.name"] == tag;
        let manifest = json(self.blob(manifests.iter().find(tagged).expect(tag)));
        let config = json(self.blob(&manifest["config"]));
        (manifest, config)
    }

    /// What `tar` lists of the layers of an image: mode, owner and path.
    fn files(&self, manifest: &Value, config: &Value) -> Vec<(String, String, String)> {
        let layers = manifest["layers"].as_array().expect("a list");
        let plain = config["rootfs"]["diff_ids"].as_array().expect("a list");
        assert_eq!(layers.len(), plain.len());
        let mut files = Vec::new();
        for (layer, plain) in layers.iter().zip(plain) {
            let path = self.directory.path().join("layer.tar.gz");
            fs::write(&path, self.blob(layer)).expect("writable");
            let unpacked = output(Command::new("gunzip").arg("--stdout").arg(&path)).expect("there is a gunzip");
            assert_eq!(plain, &sha256(&unpacked.stdout));
            let listed = Command::new("tar")
                .args(["--list", "--verbose", "--numeric-owner", "--utc", "-zf"])
                .arg(&path)
                .output();
            for line in Done::from(listed).well().lines() {
                let [mode, owner, _, date, time, path] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                assert_eq!((date, time), ("2026-01-02", "03:04"), "{line}");
                files.push((mode.to_owned(), owner.to_owned(), path.to_owned()));
            }
        }
        files
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// Images of two programs that every machine has, in a directory of its own.
fn small() -> Layout {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/image/build.py");
    let mut command = Command::new("python3");
    command.arg(script).args([
        "--version",
        "1.2.3",
        "--revision",
        "abc",
        "--wasm-opt",
        "/bin/sleep",
        "/bin/true",
        "image",
    ]);
    // The 2nd of January 2026.
    let printed =
        Done::from(output(command.current_dir(directory.path()).env("SOURCE_DATE_EPOCH", "1767323045"))).well();
    let tags: Vec<_> = printed.lines().map(|line| line.rsplit(' ').next().expect("a tag")).collect();
    assert_eq!(tags, ["1.2.3", "1.2.3-wasm-opt"]);
    Layout::read(directory)
}

#[test]
#[ignore = "needs python3 and ldd"]
fn an_image_has_one_user_no_shell_and_says_how_it_is_started_stopped_and_probed() {
    let layout = small();
    let (manifest, config) = layout.image("1.2.3");
    let run = &config["config"];
    for (key, value) in [("User", "65532:65532"), ("StopSignal", "SIGTERM"), ("WorkingDir", "/etc/wagi")] {
        assert_eq!(run[key], value, "{key}");
    }
    assert_eq!(run["Entrypoint"], Value::from(vec!["/usr/bin/wagi"]));
    assert_eq!(run["Healthcheck"]["Test"], Value::from(vec!["CMD", "/usr/bin/wagi", "health"]));
    assert_eq!(config["created"], "2026-01-02T03:04:05Z");
    let labels = |of: &Value| {
        ["version", "revision", "licenses"].map(|name| of[format!("org.opencontainers.image.{name}")].clone())
    };
    assert_eq!(labels(&run["Labels"]), ["1.2.3", "abc", "Apache-2.0"]);
    assert_eq!(labels(&manifest["annotations"]), ["1.2.3", "abc", "Apache-2.0"]);

    let files = layout.files(&manifest, &config);
    let programs: Vec<_> = files.iter().filter(|(_, _, path)| path.contains("bin/") && !path.ends_with('/')).collect();
    assert_eq!(programs.iter().map(|(_, _, path)| path.as_str()).collect::<Vec<_>>(), ["usr/bin/wagi"]);
    assert!(files.iter().any(|(_, _, path)| path == "etc/ssl/certs/ca-certificates.crt"), "{files:?}");
    let owned: BTreeSet<_> =
        files.iter().filter(|(_, owner, _)| owner != "0/0").map(|(_, owner, path)| (&**owner, &**path)).collect();
    assert_eq!(owned, BTreeSet::from([("65532/65532", "var/cache/wagi/"), ("65532/65532", "var/lib/wagi/")]));
    let is_open = |mode: &str| mode.contains('s') || (mode.chars().nth(8) == Some('w') && !mode.ends_with('t'));
    assert!(!files.iter().any(|(mode, _, _)| is_open(mode)), "{files:?}");
}

#[test]
#[ignore = "needs python3 and ldd"]
fn the_image_with_the_optimizer_has_it_beside_all_that_the_other_has() {
    let layout = small();
    let [small, large] = ["1.2.3", "1.2.3-wasm-opt"].map(|tag| {
        let (manifest, config) = layout.image(tag);
        layout.files(&manifest, &config)
    });
    assert_eq!(large[..small.len()], small);
    assert!(large[small.len()..].iter().any(|(_, _, path)| path == "usr/bin/wasm-opt"), "{large:?}");
}

#[test]
#[ignore = "needs python3 and ldd"]
fn the_same_program_gives_the_same_image() {
    let (one, other) = (small(), small());
    assert_eq!(one.index, other.index);
    assert!(one.blobs == other.blobs);
}

#[test]
#[ignore = "needs python3 and ldd"]
fn what_is_no_program_and_a_directory_with_other_files_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("file"), "text").expect("writable");
    let refused = |arguments: &[&str]| build(directory.path(), &[&["--version", "1"], arguments].concat()).badly();
    assert!(refused(&["file", "image"]).contains("error: file is not a program for Linux"));
    assert!(refused(&["/bin/true", "."]).contains("error: . is not empty and not an image layout"));
}

fn ask(address: SocketAddr, path: &str) -> Answer {
    Connection::open(address).get(path)
}

/// A site that the user of the image may read.
fn site() -> Site {
    let site = Site::new().module("/...", Path::new("probe.wasm"), "").top("[server]\nshutdown_delay = '10s'");
    site.file("probe.wasm", fs::read(guest::probe()).expect("a guest"));
    site.write();
    fs::set_permissions(site.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    site
}

/// A server of an image, and its admin listener.
fn served(containers: &Containers, site: &Site) -> (Wagi, SocketAddr) {
    let serve = ["serve", "-c", "modules.toml", "-l", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let wagi = Wagi::spawn(&mut containers.run("test", site.path(), &serve));
    let line = wagi.logged(&["the admin listener is open"]);
    let (_, authority) = line.split_once("http://").expect("a URL");
    let authority = authority.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    (wagi, authority.parse().expect("an address"))
}

#[test]
#[ignore = "needs podman, crun, binutils, binaryen and root"]
fn the_image_serves_is_probed_and_drains_with_a_root_that_is_read_only() {
    serves_is_probed_and_drains(&Containers::podman());
}

#[test]
#[ignore = "needs python3, binutils, binaryen and root"]
fn the_unpacked_image_serves_is_probed_and_drains_as_its_user() {
    serves_is_probed_and_drains(&Containers::chroot());
}

fn serves_is_probed_and_drains(containers: &Containers) {
    let site = site();
    let (mut wagi, admin) = served(containers, &site);
    assert_eq!(ask(wagi.address(), "/args").status, 200);
    assert_eq!((ask(admin, "/livez").status, ask(admin, "/readyz").status), (200, 200));
    assert!(!wagi.log().contains("cannot keep compiled code"), "{}", wagi.log());
    let health = || {
        let mut command = containers.run("test", site.path(), &["health", "--admin", &admin.to_string()]);
        output(&mut command).expect("it can be started").status.code()
    };
    assert_eq!(health(), Some(0));

    let mut sleeping = Connection::begin(wagi.address(), "/sleep?1000");
    assert_eq!(sleeping.head().status, 200);
    wagi.signal("TERM");
    eventually(|| (ask(admin, "/readyz").status == 503).then_some(()));
    assert_eq!(ask(wagi.address(), "/args").status, 200);
    assert_eq!(sleeping.chunk().expect("a chunk").as_deref(), Some(&b"awake\n"[..]));
    assert_eq!(wagi.ended().code(), Some(0), "{}", wagi.log());
    assert_eq!(health(), Some(1));

    let compile = ["compile", "probe.wasm", "--optimize", "-o", "/tmp/probe.cwasm"];
    let compiled: Done = output(&mut containers.run("test-wasm-opt", site.path(), &compile)).into();
    assert!(!compiled.stderr.contains("warning"), "{}", compiled.stderr);
    compiled.well();
}
