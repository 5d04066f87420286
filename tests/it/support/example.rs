//! The examples with a service of Azure, which are built from source, and the emulators of such services.

use std::path::Path;
use std::process::{Command, Stdio};

use super::at_leisure;
use super::guest::built_from_source;
use super::process::{self, Ending, Wagi, gather};

/// A file of an example.
pub fn text(example: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(example).join(name);
    std::fs::read_to_string(path).expect("it is a text file")
}

/// An example as its `modules.toml` has it, but for these changes and the files of its programs. Each has the name it is built
/// under beside its own. The directory `data` is there.
pub fn start(example: &str, programs: &[(&str, &str)], changes: &[(&str, &str)]) -> Wagi {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut manifest = text(example, "modules.toml");
    let mut replace = |old: &str, new: &str| {
        assert!(manifest.contains(old), "{old}");
        manifest = manifest.replace(old, new);
    };
    for (name, built) in programs {
        let program = built_from_source(&format!("{built}.wasm")).canonicalize().expect("it is there");
        let program = program.to_str().expect("a path in UTF-8");
        replace(&format!("target/wasm32-wasip1/release/{name}.wasm"), program);
    }
    for (old, new) in changes {
        replace(old, new);
    }
    std::fs::create_dir(directory.path().join("data")).expect("writable");
    std::fs::write(directory.path().join("modules.toml"), manifest).expect("writable");
    let mut command = process::command(directory.path());
    command.args(["-c", "modules.toml", "-l", "127.0.0.1:0"]);
    Wagi::spawn(&mut command).keeping(directory)
}

/// An emulator, on a port of its own.
pub struct Emulator {
    _process: Ending,
    pub port: u16,
}

impl Emulator {
    /// Starts a program of this package of npm, which says its port behind `greeting`.
    pub fn start(program: &str, arguments: &[&str], package: &str, greeting: &str) -> Self {
        let mut command = Command::new(program);
        let process = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let process = process.unwrap_or_else(|_| panic!("{program} has to be in PATH (npm install {package})"));
        let mut process = Ending(process);
        // It ends when it has something to say and nobody listens.
        let said = gather(process.0.stdout.take().expect("it is piped"), "");
        let port = at_leisure(|| {
            let said = said.lock().unwrap().clone();
            let port = said.lines().find_map(|line| line.split_once(greeting)?.1.parse().ok());
            let ended = process.0.try_wait().expect("it is our child");
            assert!(port.is_some() || ended.is_none(), "{program} has ended: {said}");
            port
        });
        Self { _process: process, port }
    }
}
