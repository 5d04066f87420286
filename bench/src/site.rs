//! Where is everything, and how long is each load?

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The places a run needs.
pub struct Site {
    /// The repository.
    pub root: PathBuf,
    /// The gateway, built with the profile of this program.
    pub wagi: PathBuf,
    /// This program.
    pub bench: PathBuf,
    /// Files that the run makes.
    pub scratch: PathBuf,
    /// How many times each server has its turn.
    pub rounds: usize,
    /// How long one load takes.
    pub turn: Duration,
    /// Whether this is only to try things out.
    pub is_quick: bool,
}

impl Site {
    /// Builds the gateway and makes an empty directory for this run.
    pub fn prepare(is_quick: bool) -> Result<Self> {
        let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
        let bench = std::env::current_exe()?;
        let profile = bench.parent().context("this program is in no directory")?;
        build(&root, profile)?;
        let scratch = root.join("target/bench");
        if scratch.exists() {
            fs::remove_dir_all(&scratch)?;
        }
        fs::create_dir_all(&scratch)?;
        let wagi = profile.join("wagi");
        ensure!(wagi.exists(), "`{}` is not there", wagi.display());
        // The load generators count in whole seconds. Many short turns: what disturbs a machine lasts longer than one.
        let (rounds, turn) = (if is_quick { 2 } else { 15 }, Duration::from_secs(1));
        Ok(Self { wagi, bench, scratch, rounds, turn, is_quick, root })
    }

    /// A compiled guest, seen from the repository, or what is missing.
    pub fn guest(&self, name: &str) -> Result<String> {
        let file = format!("target/guests/{name}");
        ensure!(self.root.join(&file).exists(), "`{file}` is not built");
        Ok(file)
    }

    /// What `bench/setup.sh` has installed, or what is missing.
    pub fn tool(&self, name: &str) -> Result<PathBuf> {
        let file = self.root.join("target/bench-tools").join(name);
        ensure!(file.exists(), "`{name}` is not below `target/bench-tools`");
        Ok(file)
    }

    /// A program of the system, or what is missing.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
        let found = places.iter().map(|place| Path::new(place).join(name)).find(|file| file.exists());
        found.with_context(|| format!("`{name}` is not installed"))
    }

    /// Writes a file for this run.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.scratch.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
        Ok(file)
    }
}

/// The gateway is measured as the program that users start, so it has to be there, and be built from what is here.
///
/// The last part of `directory`, where this program is, names the profile of both.
fn build(root: &Path, directory: &Path) -> Result<()> {
    let profile = directory.file_name().and_then(OsStr::to_str).context("the directory of this program has no name")?;
    let profile = if profile == "debug" { "dev" } else { profile };
    eprintln!("building wagi with the profile `{profile}`");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--profile", profile, "--package", "wagi", "--bin", "wagi"])
        .current_dir(root)
        .status()
        .context("cannot start `cargo`")?;
    ensure!(status.success(), "the gateway cannot be built");
    Ok(())
}
