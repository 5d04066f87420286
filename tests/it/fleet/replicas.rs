//! Three replicas, a registry from which they have their modules, and the load balancer of docs/fleet.md in front of them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::network::{Machine, Network};
use crate::behind_a_proxy::proxies::{blocks, replaced};
use crate::support::process::{Ending, Wagi, output};
use crate::support::registry::{Done, installed, program};
use crate::support::{at_leisure, eventually, guest};

const PAGE: &str = include_str!("../../../docs/fleet.md");

/// What the load balancer calls them.
pub const NAMES: [&str; 3] = ["one", "two", "three"];

const PROGRAM: &str = env!("CARGO_BIN_EXE_wagi");

/// All of it.
pub struct Fleet {
    pub replicas: Vec<Replica>,
    registry: Option<Ending>,
    center: Machine,
    _balancer: Ending,
    directory: TempDir,
    _network: Network,
}

/// One replica, with its own caches.
pub struct Replica {
    pub wagi: Wagi,
    machine: Machine,
    directory: PathBuf,
}

impl Replica {
    fn start(machine: Machine, directory: PathBuf) -> Self {
        let wagi = Wagi::spawn(&mut command(&machine, &directory));
        Self { wagi, machine, directory }
    }

    /// Starts it again, after it has ended.
    pub fn start_again(&mut self) {
        self.wagi = Wagi::spawn(&mut command(&self.machine, &self.directory));
    }

    /// Another module at `/`, with a reload.
    pub fn change(&self, module: &str, probe: &str) {
        configure(&self.directory, module, probe);
        let before = self.wagi.log().matches("reloaded").count();
        self.wagi.signal("HUP");
        at_leisure(|| (self.wagi.log().matches("reloaded").count() > before).then_some(()));
    }
}

fn command(machine: &Machine, directory: &Path) -> Command {
    let mut command = machine.command(PROGRAM);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.current_dir(directory).env_clear().env("PATH", path).env("XDG_CACHE_HOME", directory);
    let listen = format!("{}:3000", machine.address);
    command.args(["-c", "modules.toml", "-l", &listen, "--plain-http", "10.99.0.10:5000"]);
    command
}

fn configure(directory: &Path, module: &str, probe: &str) {
    let toml = format!(
        "[server]\nshutdown_delay = '2s'\n[[module]]\nroute = '/'\nmodule = 'oci:{module}'\n\
         [[module]]\nroute = '/...'\nmodule = 'oci:{probe}'\n"
    );
    fs::write(directory.join("modules.toml"), toml).expect("writable");
}

/// A process of the first machine, which is asked to end with the test.
fn process(machine: &Machine, program: &str, arguments: &[&str]) -> Ending {
    let mut command = machine.command(program);
    let child = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Ending(child.expect("it can be started"))
}

fn registry(machine: &Machine, directory: &Path) -> Ending {
    let file = directory.join("registry.yml");
    let data = directory.join("registry");
    let settings = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {}:5000\n",
        data.display(),
        machine.address
    );
    fs::write(&file, settings).expect("writable");
    let program = installed("docker-registry", "/usr/bin/docker-registry");
    process(machine, program, &["serve", &file.display().to_string()])
}

/// The load balancer listens at `web.sock`, and says at `stats.sock` which replicas it uses.
fn balancer(machine: &Machine, directory: &Path) -> Ending {
    let socket = |name: &str| directory.join(name).display().to_string();
    let text = replaced(&blocks(PAGE, "haproxy")[0], "bind :80", &format!("bind unix@{}", socket("web.sock")));
    let text = replaced(&text, "10.0.0.", "10.99.0.1");
    let text = replaced(&text, "balance leastconn\n", "balance leastconn\n    http-response set-header replica %s\n");
    let file = directory.join("haproxy.cfg");
    fs::write(&file, format!("global\n    stats socket {}\n{text}", socket("stats.sock"))).expect("writable");
    let program = installed("haproxy", "/usr/sbin/haproxy");
    process(machine, program, &["-db", "-f", &file.display().to_string()])
}

impl Fleet {
    /// With two modules at `/`, of which the first is served, and the probe everywhere else.
    pub fn start() -> (Self, Modules) {
        let (mut network, center) = Network::new();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let registry = registry(&center, directory.path());
        let modules = Modules::push(&center, directory.path());
        let replicas = NAMES.map(|name| {
            let own = directory.path().join(name);
            fs::create_dir(&own).expect("a directory can be made");
            configure(&own, &modules.first, &modules.probe);
            Replica::start(network.machine(), own)
        });
        let balancer = balancer(&center, directory.path());
        let fleet = Self {
            replicas: replicas.into(),
            registry: Some(registry),
            center,
            _balancer: balancer,
            directory,
            _network: network,
        };
        NAMES.iter().for_each(|name| fleet.is_used(name));
        (fleet, modules)
    }

    /// Where the load balancer listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("web.sock")
    }

    /// The registry is gone, all at once.
    pub fn stop_registry(&mut self) {
        self.registry = None;
    }

    /// Waits until the load balancer sends requests to a replica.
    #[track_caller]
    pub fn is_used(&self, replica: &str) {
        let is_up = |stats: String| {
            let line = stats.lines().find(|line| line.starts_with(&format!("replicas,{replica},")))?.to_owned();
            line.split(',').any(|field| field == "UP").then_some(())
        };
        eventually(|| is_up(self.stats()?));
    }

    fn stats(&self) -> Option<String> {
        let mut socket = UnixStream::connect(self.directory.path().join("stats.sock")).ok()?;
        socket.write_all(b"show stat\n").ok()?;
        let mut stats = String::new();
        socket.read_to_string(&mut stats).ok()?;
        Some(stats)
    }

    /// What a new machine says that has nothing in its caches.
    pub fn start_without_caches(&self, modules: &Modules) -> String {
        let directory = self.directory.path().join("new");
        fs::create_dir(&directory).expect("a directory can be made");
        configure(&directory, &modules.first, &modules.probe);
        let mut command = command(&self.center, &directory);
        Done::from(output(&mut command)).badly()
    }
}

/// What is in the registry, by digest.
pub struct Modules {
    pub first: String,
    pub second: String,
    pub probe: String,
}

impl Modules {
    fn push(machine: &Machine, directory: &Path) -> Self {
        let push = |file: &Path, name: &str| {
            let pushed = || {
                let mut command = machine.command(PROGRAM);
                command.arg("push").arg(file).arg(format!("10.99.0.10:5000/{name}:1"));
                let done = Done::from(output(command.args(["--plain-http", "10.99.0.10:5000"])));
                // The registry may not listen yet.
                (done.code == Some(0)).then(|| done.stdout.trim().to_owned())
            };
            let reference = eventually(pushed);
            assert!(reference.starts_with(&format!("10.99.0.10:5000/{name}@sha256:")), "{reference}");
            reference
        };
        let text = |name: &str| {
            let file = directory.join(format!("{name}.wat"));
            fs::write(&file, program(name)).expect("writable");
            push(&file, name)
        };
        Self { first: text("first"), second: text("second"), probe: push(&guest::probe(), "probe") }
    }
}
