//! A real registry, Debian's `docker-registry`, as a process; and what is put into registries.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::guest::printing;
use super::process::{Ending, Wagi, command, output};
use super::site::Site;
use super::{at_leisure, port};

/// The line of an `htpasswd` file for `me` with the password `hunter2`.
pub const LOGIN: &str = "me:$2b$04$04/0M8.3R3m1TReYsSZwk.YL63FVUbaAIJd1g9x1sDmBt5XJ1VT5i\n";

/// The registry. It ends with the test.
pub struct Registry {
    _process: Ending,
    address: SocketAddr,
    _directory: TempDir,
}

/// How it is started.
#[derive(Default)]
pub struct Setup {
    /// Where it listens, if not on 127.0.0.1.
    pub host: Option<IpAddr>,
    /// The lines of an `htpasswd` file; without any it is open to all.
    pub logins: &'static str,
    /// Certificate and key; without them it speaks plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// A program of a Debian package. Tests that need one are ignored unless they are asked for.
#[track_caller]
pub fn installed(package: &str, program: &'static str) -> &'static str {
    assert!(Path::new(program).exists(), "{program} is missing: install the package {package}");
    program
}

impl Registry {
    /// One that is open to all.
    pub fn open() -> Self {
        Self::start(&Setup::default())
    }

    /// Starts it.
    pub fn start(setup: &Setup) -> Self {
        let program = installed("docker-registry", "/usr/bin/docker-registry");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let host = setup.host.unwrap_or_else(|| [127, 0, 0, 1].into());
        let address = port::free_of(host);
        let file = directory.path().join("config.yml");
        std::fs::write(&file, settings(setup, address, directory.path())).expect("writable");
        let mut command = Command::new(program);
        command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Ending(command.spawn().expect("the registry can be started"));
        let registry = Self { _process: process, address, _directory: directory };
        at_leisure(|| TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok());
        registry
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A reference to what it has under a name.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }
}

fn settings(setup: &Setup, address: SocketAddr, directory: &Path) -> String {
    let root = directory.display();
    let mut settings = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n\
        http:\n  addr: {address}\n"
    );
    if let Some((certificate, key)) = &setup.tls {
        settings += &format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
    }
    if !setup.logins.is_empty() {
        std::fs::write(directory.join("htpasswd"), setup.logins).expect("writable");
        settings += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n");
    }
    settings
}

/// An address of this machine that is not loopback, so that by its name it is another machine.
pub fn outside() -> IpAddr {
    // Nothing is sent: the system only says which address it would be sent from.
    let address = UdpSocket::bind("0.0.0.0:0")
        .and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()))
        .map(|address| address.ip());
    let address = address.ok().filter(|address| !address.is_loopback() && !address.is_unspecified());
    address.expect("this machine has to have an address besides loopback")
}

/// A module that answers with a text.
pub fn program(text: &str) -> String {
    printing(format!("Content-Type: text/plain\n\n{text}"))
}

/// What a command of `wagi` prints, and whether it worked.
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<io::Result<Output>> for Done {
    fn from(output: io::Result<Output>) -> Self {
        let output = output.expect("it can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Done {
    /// What it printed, if it worked.
    #[track_caller]
    pub fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// What it says, if it did not.
    #[track_caller]
    pub fn badly(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        self.stderr
    }
}

/// `wagi` in the directory of a site, whose `docker` directory has the logins, with words after the command.
pub fn wagi(site: &Site, arguments: &[&str]) -> Command {
    let mut command = command(site.path());
    command.env("DOCKER_CONFIG", site.path().join("docker")).args(arguments);
    command
}

/// Runs it to its end.
pub fn run(site: &Site, arguments: &[&str]) -> Done {
    output(&mut wagi(site, arguments)).into()
}

/// Serves one module of a registry, with more arguments, and asks it.
#[track_caller]
pub fn served(site: &Site, reference: &str, arguments: &[&str]) -> (Wagi, String) {
    site.file("modules.toml", format!("[[module]]\nroute = '/'\nmodule = 'oci:{reference}'\n"));
    let mut command = wagi(site, &["-l", "127.0.0.1:0", "-c", "modules.toml", "--module-cache", "cache"]);
    let wagi = Wagi::spawn(command.args(arguments));
    let text = super::http1::Connection::open(wagi.address()).get("/").text();
    (wagi, text)
}

/// What a start says that is refused.
#[track_caller]
pub fn refused(site: &Site, reference: &str, arguments: &[&str]) -> String {
    site.file("modules.toml", format!("[[module]]\nroute = '/'\nmodule = 'oci:{reference}'\n"));
    let mut command = wagi(site, &["-l", "127.0.0.1:0", "-c", "modules.toml", "--module-cache", "cache"]);
    Done::from(output(command.args(arguments))).badly()
}
