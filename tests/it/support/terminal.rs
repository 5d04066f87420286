//! A real terminal, as a person sees it: one of tmux.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::LONG;

/// A terminal with a program, which inherits nothing but the path of programs. It ends when this is dropped.
pub struct Terminal {
    /// The user's home, so that no cache is one that another test has filled, and where the socket of tmux is.
    directory: TempDir,
}

impl Terminal {
    /// Runs a line of a shell in a terminal with so many columns. It has `exec` before its program, so that this is the process
    /// that ends with the terminal.
    pub fn open(columns: u32, line: &str) -> Self {
        let terminal = Self { directory: tempfile::tempdir().expect("a temporary directory") };
        terminal.tmux(&["new-session", "-d", "-x", &columns.to_string(), "-y", "40", line]);
        terminal
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        tmux.env("HOME", self.directory.path())
            .env("LANG", "C.UTF-8")
            .arg("-S")
            .arg(self.directory.path().join("tmux"))
            .args(["-f", "/dev/null"])
            .args(words);
        let output = tmux.output().expect("there is a tmux");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What is seen, with colours. Nothing if the program has ended.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-e"])
    }

    /// Waits until all of these are seen. Returns the screen.
    #[track_caller]
    pub fn shows(&self, parts: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if parts.iter().all(|part| screen.contains(part)) {
                return screen;
            }
            assert!(begun.elapsed() < LONG, "{parts:?} are not on the screen:\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses a key, by the name that it has in tmux.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }
}

impl Drop for Terminal {
    /// A program may go on without its terminal, and one that compiles would take the processors from other tests.
    fn drop(&mut self) {
        let process = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        if let Some(process) = process.trim().parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::KILL);
        }
        self.tmux(&["kill-server"]);
    }
}
