//! A real `wagi`, started as a process on a port of its own and ended with the test.

use std::io;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::PATIENCE;

/// A running server.
pub struct Wagi {
    child: Child,
    url: String,
    log: Arc<Mutex<String>>,
    output: Arc<Mutex<String>>,
    directory: Option<TempDir>,
}

/// The time a process has computed at normal priority and at the lowest.
pub struct CpuTimes {
    pub normal: Duration,
    pub lowest: Duration,
}

/// Adds what comes, line by line, to a text that others read meanwhile.
fn gather(source: impl Read + Send + 'static, begin: &str) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(begin.to_owned()));
    let for_thread = text.clone();
    thread::spawn(move || {
        let (mut source, mut line) = (BufReader::new(source), Vec::new());
        while source.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            for_thread.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    text
}

/// A command for `wagi` that inherits nothing a test did not ask for.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagi"));
    command.current_dir(directory).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs `wagi` to its end.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    output(command(directory).args(arguments)).expect("wagi can be started")
}

/// Runs a command to its end, or for ten times the patience: a server that has to refuse to start, and starts, fails its test then.
pub fn output(command: &mut Command) -> io::Result<Output> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let process = Pid::from_child(&child);
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    receiver.recv_timeout(10 * PATIENCE).unwrap_or_else(|_| {
        kill_process(process, Signal::KILL)?;
        receiver.recv().expect("what a process has printed that was killed")
    })
}

impl Wagi {
    /// Starts `wagi` in `directory` over one module.
    pub fn start_one(directory: &Path, module: &str) -> Self {
        Self::spawn(command(directory).args([module, "-l", "127.0.0.1:0"]))
    }

    /// Starts a prepared command and waits for its ready line.
    pub fn spawn(command: &mut Command) -> Self {
        Self::spawn_saying(command, "Ready: serving on ")
    }

    /// The same for another server, whose first line is `greeting` and the URL.
    pub fn spawn_saying(command: &mut Command, greeting: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wagi can be started");
        let log = gather(child.stderr.take().expect("stderr is piped"), "");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("stdout is text");
        let Some(url) = ready.trim().strip_prefix(greeting) else {
            let _ = child.wait();
            let mut rest = String::new();
            let _ = stdout.read_to_string(&mut rest);
            panic!("no ready line but {ready:?}{rest}\n{}", log.lock().unwrap());
        };
        let url = url.to_owned();
        let output = gather(stdout, &ready);
        Self { child, url, log, output, directory: None }
    }

    /// Lets a directory live as long as the server.
    pub fn keeping(mut self, directory: TempDir) -> Self {
        self.directory = Some(directory);
        self
    }

    /// The directory it was started in, if that was kept.
    pub fn directory(&self) -> &Path {
        self.directory.as_ref().expect("it was kept").path()
    }

    /// The URL of the ready line.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// All ports where it listens, in order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let authorities = self.url.split(' ').filter_map(|url| url.split_once("://"));
        authorities.map(|(_, authority)| authority.parse().expect("an address")).collect()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end of the process.
    pub fn ended(&mut self) -> ExitStatus {
        super::eventually(|| self.child.try_wait().expect("it is our child"))
    }

    /// How the process ended, if it has.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// What it has printed on stdout so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
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

    /// How many threads the process has.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("/proc is there").count()
    }

    /// The time the process has computed, on all its threads.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("/proc is there");
        // The name, in brackets, may hold blanks; user and system time are the 12th and 13th field behind it.
        let fields = stat.rsplit(") ").next().expect("fields").split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        // USER_HZ, the unit, is 100 on every platform Linux runs on.
        Duration::from_millis(ticks * 10)
    }

    /// The same, and how much of it on threads of the lowest priority.
    pub fn cpu_times(&self) -> CpuTimes {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("/proc is there");
        // A thread that has ended meanwhile is none of the lowest priority: those stay.
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        let ticks = stats.filter_map(|stat| {
            let fields: Vec<i64> =
                stat.rsplit(") ").next()?.split(' ').filter_map(|field| field.parse().ok()).collect();
            // Without the letter of the state: user and system time are the 11th and 12th, the nice value is the 16th.
            (fields[15] == 19).then(|| u64::try_from(fields[10] + fields[11]).expect("time goes on"))
        });
        let lowest = Duration::from_millis(ticks.sum::<u64>() * 10);
        CpuTimes { normal: self.cpu_time().saturating_sub(lowest), lowest }
    }

    /// How many threads of the process run or would like to.
    fn busy_threads(&self) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("/proc is there");
        // A thread that has ended meanwhile is not busy.
        let states = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        states.filter(|stat| stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('R'))).count()
    }

    /// Waits until the process does next to nothing: it takes no time, and not because it gets none.
    #[track_caller]
    pub fn quiet(&self) {
        const LOOKS: usize = 20;
        super::eventually(|| {
            let before = self.cpu_time();
            let mut busy = 0;
            for _ in 0..LOOKS {
                thread::sleep(Duration::from_millis(10));
                busy += usize::from(self.busy_threads() > 0);
            }
            (busy <= LOOKS / 10 && self.cpu_time() - before <= Duration::from_millis(20)).then_some(())
        });
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
