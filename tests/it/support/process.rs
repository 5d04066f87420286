//! A real `wagi`, started as a process on a port of its own and ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running server.
pub struct Wagi {
    child: Child,
    url: String,
    log: Arc<Mutex<String>>,
}

/// A command for `wagi` that inherits nothing a test did not ask for.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagi"));
    command.current_dir(directory).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs `wagi` to its end.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    command(directory).args(arguments).output().expect("wagi can be started")
}

impl Wagi {
    /// Starts `wagi` with `arguments` in `directory` and waits for its ready line.
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        Self::spawn(command(directory).args(["-l", "127.0.0.1:0"]).args(arguments))
    }

    /// Starts a prepared command and waits for its ready line.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wagi can be started");
        let log = Arc::new(Mutex::new(String::new()));
        let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let for_thread = log.clone();
        thread::spawn(move || {
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                for_thread.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("stdout is text");
        let Some(url) = ready.trim().strip_prefix("Ready: serving on ") else {
            let _ = child.wait();
            let mut rest = String::new();
            let _ = stdout.read_to_string(&mut rest);
            panic!("no ready line but {ready:?}{rest}\n{}", log.lock().unwrap());
        };
        let url = url.to_owned();
        thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self { child, url, log }
    }

    /// The URL of the ready line.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        let authority = self.url.split("://").nth(1).expect("a URL");
        authority.parse().expect("an address")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log has a line that contains all of `parts`, and returns it.
    pub fn logged(&self, parts: &[&str]) -> String {
        super::eventually(|| {
            let log = self.log();
            log.lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        })
    }

    /// Memory that is the process's own and in use, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("/proc is there");
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux tells");
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.expect("there is a kill").success());
    }
}

impl Drop for Wagi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
