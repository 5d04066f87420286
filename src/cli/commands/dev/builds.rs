//! How does a build command run, and how does it end? Called by the parent.
//!
//! It is a shell in a process group of its own, so that all of it can be ended. What it prints is shown line by line, and the end of it
//! is kept for the page of a browser.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::oneshot;

use crate::cli::terminal::print_lines;

/// The lines of output that are kept, and the bytes of each.
const KEPT_LINES: usize = 60;
const MAX_LINE: u64 = 4096;

/// How long what a failed build has printed is waited for: a process that it leaves behind may keep the pipe.
const OUTPUT_TIMEOUT: Duration = Duration::from_millis(500);

/// A build that runs. It is killed when it is dropped.
pub(super) struct RunningBuild {
    pub command: String,
    group: BuildGroup,
    ended: oneshot::Receiver<BuildEnd>,
}

/// How a build has ended.
#[derive(Debug)]
pub(super) struct BuildEnd {
    pub is_success: bool,
    pub took: Duration,
    /// How it ended, and the end of what it printed.
    pub output: String,
}

/// The process group of a build; `None` as soon as its first process has ended.
#[derive(Clone)]
struct BuildGroup(Arc<Mutex<Option<Pid>>>);

impl BuildGroup {
    fn lock(&self) -> MutexGuard<'_, Option<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, signal: Signal) {
        if let Some(group) = *self.lock() {
            // It may have ended by now.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl RunningBuild {
    /// Starts a command.
    pub fn start(command: &str) -> io::Result<Self> {
        let begun = Instant::now();
        let mut child = Command::new("/bin/sh")
            // Both outputs in one pipe, so that their lines stay in order.
            .args(["-c", &format!("exec 2>&1\n{command}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let group = BuildGroup(Arc::new(Mutex::new(pid)));
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (open, closed) = channel::<()>();
        if let Some(output) = child.stdout.take() {
            let kept = kept.clone();
            thread::spawn(move || {
                show(output, &kept);
                drop(open);
            });
        }
        let (sender, ended) = oneshot::channel();
        let waiting = WaitingBuild { child, group: group.clone(), kept, closed, begun };
        // The receiver is gone when the build was cancelled.
        thread::spawn(move || sender.send(waiting.wait()));
        Ok(Self { command: command.to_owned(), group, ended })
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> BuildEnd {
        let lost = || BuildEnd { is_success: false, took: Duration::ZERO, output: "the build is lost".to_owned() };
        (&mut self.ended).await.unwrap_or_else(|_| lost())
    }
}

impl Drop for RunningBuild {
    fn drop(&mut self) {
        self.group.send(Signal::KILL);
    }
}

/// A build that a thread waits for.
struct WaitingBuild {
    child: Child,
    group: BuildGroup,
    kept: Arc<Mutex<VecDeque<String>>>,
    /// Its sender is dropped when the output has ended.
    closed: Receiver<()>,
    begun: Instant,
}

impl WaitingBuild {
    fn wait(mut self) -> BuildEnd {
        let pid = *self.group.lock();
        if let Some(pid) = pid {
            // The process stays until its group is forgotten, so that no other process gets its number before.
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        }
        *self.group.lock() = None;
        let status = self.child.wait();
        let is_success = status.as_ref().is_ok_and(|status| status.success());
        let took = self.begun.elapsed();
        if is_success {
            return BuildEnd { is_success, took, output: String::new() };
        }
        let _ = self.closed.recv_timeout(OUTPUT_TIMEOUT);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let how = match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let lines: String = kept.iter().map(|line| format!("{line}\n")).collect();
        BuildEnd { is_success, took, output: format!("{lines}the build failed: {how}") }
    }
}

/// Shows lines, and keeps the last of them.
fn show(output: impl Read, kept: &Mutex<VecDeque<String>>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while (&mut output).take(MAX_LINE).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        print_lines(&format!("  {text}"));
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(text);
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::dev::builds::*;

    async fn end(command: &str) -> BuildEnd {
        RunningBuild::start(command).expect("a shell").end().await
    }

    #[tokio::test]
    async fn a_build_ends_with_what_it_printed() {
        assert!(end("true").await.is_success);
        let failed = end("echo one; echo two >&2; exit 3").await;
        assert!(!failed.is_success);
        assert_eq!(failed.output, "one\ntwo\nthe build failed: exit status: 3");
        // What it leaves behind does not hold it up.
        assert!(end("sleep 600 & true").await.is_success);
    }

    #[tokio::test]
    async fn a_build_that_is_dropped_leaves_no_process() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("pid");
        let command = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let build = RunningBuild::start(&command).expect("a shell");
        let pid = loop {
            if let Ok(text) = std::fs::read_to_string(&file) {
                break text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        drop(build);
        let is_gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        while !is_gone() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
