//! A bindle in the making: a directory as `--bindle-path` takes it, for a real server to be started over.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use wagi::observe::sha256_hex;

use super::process::{self, Wagi};

/// The id of all bindles here.
pub const ID: &str = "example.com/site/1.0.0";

/// The bindle, in the directory `bindles` of a temporary one.
pub struct Bindle {
    directory: TempDir,
    invoice: String,
}

impl Bindle {
    /// No parcel yet.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let invoice = "bindleVersion = '1.0.0'\n\n[bindle]\nname = 'example.com/site'\nversion = '1.0.0'\n".to_owned();
        let bindle = Self { directory, invoice };
        std::fs::create_dir_all(bindle.home().join("parcels")).expect("a directory can be made");
        bindle
    }

    /// Another parcel, with the keys of `feature.wagi` and of `conditions` in TOML.
    pub fn parcel(
        mut self,
        (name, kind): (&str, &str),
        content: impl AsRef<[u8]>,
        wagi: &str,
        conditions: &str,
    ) -> Self {
        let content = content.as_ref();
        std::fs::write(self.parcel_file(content), content).expect("a file can be written");
        let (size, sha256) = (content.len(), sha256_hex(content));
        write!(
            self.invoice,
            "\n[[parcel]]\n[parcel.label]\nname = '{name}'\nmediaType = '{kind}'\nsize = {size}\nsha256 = '{sha256}'\n\
            [parcel.label.feature.wagi]\n{wagi}\n[parcel.conditions]\n{conditions}\n"
        )
        .unwrap();
        self
    }

    /// A program that requires groups.
    pub fn program(self, route: &str, module: impl AsRef<[u8]>, keys: &str, requires: &[&str]) -> Self {
        let wagi = format!("route = '{route}'\n{keys}");
        self.parcel(("program.wasm", "application/wasm"), module, &wagi, &format!("requires = {requires:?}"))
    }

    /// A file that is in a group.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>, group: &str) -> Self {
        self.parcel((name, "text/plain"), content, "file = 'true'", &format!("memberOf = ['{group}']"))
    }

    /// The directory of everything.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The directory of the bindle.
    pub fn home(&self) -> PathBuf {
        self.path().join("bindles").join(sha256_hex(ID.as_bytes()))
    }

    /// The file of the parcel with this content.
    pub fn parcel_file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        self.home().join("parcels").join(sha256_hex(content.as_ref()) + ".dat")
    }

    /// A command line that serves it.
    pub fn command(&self) -> Command {
        std::fs::write(self.home().join("invoice.toml"), &self.invoice).expect("a file can be written");
        let mut command = process::command(self.path());
        command.args(["-l", "127.0.0.1:0", "--bindle", ID, "--bindle-path", "bindles"]);
        command
    }

    /// Starts a server with more arguments.
    pub fn start(self, arguments: &[&str]) -> Wagi {
        Wagi::spawn(self.command().args(arguments)).keeping(self.directory)
    }

    /// What `wagi` says when it refuses to serve it.
    #[track_caller]
    pub fn refusal(&self) -> String {
        let Output { status, stdout, stderr } = process::output(&mut self.command()).expect("wagi can be started");
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        assert_eq!((status.code(), stdout.as_slice()), (Some(1), &b""[..]), "{stderr}");
        stderr
    }
}
