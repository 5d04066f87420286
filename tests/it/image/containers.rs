//! What runs an image: Podman, or a chroot into its unpacked root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{build, json};
use crate::support::process::output;
use crate::support::registry::Done;

/// What runs the images.
pub enum Containers {
    Podman(Podman),
    /// Their roots, unpacked. Where user namespaces are forbidden there is nothing else.
    Chroot(TempDir),
}

/// Podman with all its files in one directory.
pub struct Podman {
    directory: TempDir,
    /// The ids of images, by tag.
    images: BTreeMap<&'static str, String>,
}

/// Podman does not work where the first version of control groups lies beside an empty second one, as on machines that build;
/// in a mount namespace of its own it does not see the second.
const PODMAN: &str = "
    if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
    exec podman --root \"$PWD/root\" --runroot \"$PWD/run\" --tmpdir \"$PWD/tmp\" --cgroup-manager cgroupfs --events-backend none \
        --storage-driver vfs \"$@\"";

/// As strict as a cluster would be: nothing to write to, no privilege.
const RUN: [&str; 17] = [
    "run",
    "--rm",
    "--cgroups",
    "disabled",
    "--network",
    "host",
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=1000:1000",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop",
    "all",
    "--security-opt",
    "no-new-privileges",
    "--pull=never",
];

/// What the configuration of an image says, done without a container: the root, the user, the directory and the program. The user
/// owns nothing in the root but the directories for caches.
const CHROOT: &str = "
import os, sys
root, user, directory, *command = sys.argv[1:]
user, group = map(int, user.split(':'))
os.chroot(root)
os.chdir(directory)
os.setgroups([])
os.setgid(group)
os.setuid(user)
os.execv(command[0], command)";

/// A layout of the program that is tested, in a directory of its own.
fn built() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = env!("CARGO_BIN_EXE_wagi");
    build(directory.path(), &["--strip", "--version", "test", "--wasm-opt", "--", program, "image"]).well();
    directory
}

impl Podman {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "bash", "-euc", PODMAN, "podman"]).args(arguments).current_dir(self.directory.path());
        command
    }

    /// Pulls the images of the layout, and runs one of them. What is said of it, if that cannot be done.
    fn prepare(&mut self) -> Result<(), String> {
        for tag in ["test", "test-wasm-opt"] {
            let pulled = output(&mut self.command(&["pull", "--quiet", &format!("oci:image:{tag}")])).into();
            self.images.insert(tag, printed(pulled)?.trim().to_owned());
        }
        printed(output(&mut self.run("test", self.directory.path(), &["version"])).into()).map(drop)
    }

    fn run(&self, tag: &str, directory: &Path, arguments: &[&str]) -> Command {
        let volume = format!("{}:/etc/wagi:ro", directory.display());
        let caches = ["--tmpfs", "/tmp", "--tmpfs", "/var/cache/wagi:mode=0777"];
        self.command(&[&RUN, &caches[..], &["--volume", &volume, &self.images[tag]], arguments].concat())
    }
}

/// What a command has printed, or what it has said if it failed.
fn printed(done: Done) -> Result<String, String> {
    if done.code == Some(0) { Ok(done.stdout) } else { Err(done.stderr) }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Those of a test that has failed.
        let _ = output(&mut self.command(&["rm", "--all", "--force"]));
    }
}

impl Containers {
    /// Podman, unless this machine lets nobody make namespaces.
    pub fn podman() -> Self {
        let mut podman = Podman { directory: built(), images: BTreeMap::new() };
        let Err(said) = podman.prepare() else { return Self::Podman(podman) };
        let is_forbidden = ["namespace", "unshare", "clone", "operation not permitted", "permission denied"]
            .iter()
            .any(|part| said.to_lowercase().contains(part));
        assert!(is_forbidden, "{said}");
        eprintln!("podman may not run here, so a chroot is in its place: {said}");
        Self::chroot()
    }

    /// The same without namespaces.
    pub fn chroot() -> Self {
        Self::Chroot(built())
    }

    /// A command of an image, with a directory as `/etc/wagi`.
    pub fn run(&self, tag: &str, directory: &Path, arguments: &[&str]) -> Command {
        match self {
            Self::Podman(podman) => podman.run(tag, directory, arguments),
            Self::Chroot(layout) => unpacked(layout.path(), tag, directory, arguments),
        }
    }
}

/// An image in a layout.
struct LaidOutImage {
    layout: PathBuf,
    manifest: Value,
    config: Value,
}

impl LaidOutImage {
    fn read(layout: &Path, tag: &str) -> Self {
        let index = json(&fs::read(layout.join("image/index.json")).expect("an index"));
        let manifests = index["manifests"].as_array().expect("a list");
        let is_tagged = |found: &&Value| found["annotations"]["org.opencontainers.image.ref.name"] == tag;
        let mut image = Self { layout: layout.to_owned(), manifest: Value::Null, config: Value::Null };
        let described = |image: &Self, of: &Value| json(&fs::read(image.blob(of)).expect("it is in the layout"));
        image.manifest = described(&image, manifests.iter().find(is_tagged).expect("an image with this tag"));
        image.config = described(&image, &image.manifest["config"])["config"].take();
        image
    }

    fn blob(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().expect("a digest");
        self.layout.join("image/blobs").join(digest.replace(':', "/"))
    }

    fn text(&self, key: &str) -> &str {
        self.config[key].as_str().expect(key)
    }

    fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        self.config[key].as_array().expect(key).iter().map(move |text| text.as_str().expect(key))
    }

    fn unpack(&self, root: &Path) {
        fs::create_dir(root).expect("writable");
        for layer in self.manifest["layers"].as_array().expect("a list") {
            let mut tar = Command::new("tar");
            tar.args(["--extract", "--gzip", "--same-owner", "--numeric-owner", "--preserve-permissions", "--file"]);
            Done::from(output(tar.arg(self.blob(layer)).arg("--directory").arg(root))).well();
        }
        // What every container has, as far as it is needed: a device cannot be made everywhere.
        fs::create_dir(root.join("dev")).expect("writable");
        fs::write(root.join("dev/null"), "").expect("writable");
        fs::set_permissions(root.join("dev/null"), fs::Permissions::from_mode(0o666)).expect("it is ours");
    }
}

/// A command of an image whose root is unpacked. What is in the directory is copied, as nothing can be mounted.
fn unpacked(layout: &Path, tag: &str, directory: &Path, arguments: &[&str]) -> Command {
    let (image, root) = (LaidOutImage::read(layout, tag), layout.join(tag));
    if !root.exists() {
        image.unpack(&root);
        let inside = root.join(image.text("WorkingDir").trim_start_matches('/'));
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let copy = inside.join(path.file_name().expect("a name"));
            fs::copy(&path, &copy).expect("a file can be copied");
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).expect("it is ours");
        }
    }
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", CHROOT]).arg(&root).args([image.text("User"), image.text("WorkingDir")]);
    command.args(image.texts("Entrypoint")).args(arguments).env_clear();
    command.envs(image.texts("Env").map(|variable| variable.split_once('=').expect("a variable")));
    command
}
