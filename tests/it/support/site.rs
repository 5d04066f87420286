//! A directory with guests and a `modules.toml`, for a real server to be started over.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use super::guest;
use super::process::{self, Wagi};

/// A configuration in the making.
pub struct Site {
    directory: TempDir,
    manifest: String,
}

impl Site {
    /// No module yet.
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory"), manifest: String::new() }
    }

    /// The probe at `/...`, with more keys of its entry in TOML.
    pub fn probe(keys: &str) -> Self {
        Self::new().module("/...", &guest::probe(), keys)
    }

    /// Another module from a file.
    pub fn module(mut self, route: &str, module: &Path, keys: &str) -> Self {
        writeln!(self.manifest, "[[module]]\nroute = '{route}'\nmodule = '{}'\n{keys}\n", module.display()).unwrap();
        self
    }

    /// Another module in text form; it lies in the site's directory.
    pub fn text_module(self, route: &str, text: &str, keys: &str) -> Self {
        let number = self.manifest.matches("[[module]]").count();
        let path = self.file(&format!("guest{number}.wat"), text);
        self.module(route, &path, keys)
    }

    /// Something before all modules.
    pub fn top(mut self, toml: &str) -> Self {
        self.manifest.insert_str(0, &format!("{toml}\n"));
        self
    }

    /// Writes a file into the site's directory, and the directories above it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is below the site")).expect("a directory can be made");
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// The site's directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The directory alone, for a server that was started otherwise.
    pub fn into_directory(self) -> TempDir {
        self.directory
    }

    /// Starts a server with more arguments than `-c`.
    pub fn start(self, arguments: &[&str]) -> Wagi {
        self.start_with(arguments, &[])
    }

    /// The same with variables in its environment.
    pub fn start_with(self, arguments: &[&str], variables: &[(&str, &str)]) -> Wagi {
        self.write();
        let mut command = process::command(self.path());
        command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).args(arguments).envs(variables.iter().copied());
        Wagi::spawn(&mut command).keeping(self.directory)
    }

    /// Runs `wagi` over it to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.write();
        process::run(self.path(), &[&["-l", "127.0.0.1:0", "-c", "modules.toml"], arguments].concat())
    }

    /// Writes the `modules.toml` as far as it is.
    pub fn write(&self) {
        self.file("modules.toml", &self.manifest);
    }
}
