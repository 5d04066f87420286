//! A real `wagi`, started as a process on a port of its own and ended with the test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::{LONG, PATIENCE, at_leisure, within};

/// Sends a signal by name, at once: no process is started for it.
#[track_caller]
pub fn signal(child: &Child, name: &str) {
    let signal = match name {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "KILL" => Signal::KILL,
        "PIPE" => Signal::PIPE,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        _ => panic!("{name} is the name of no signal here"),
    };
    kill_process(Pid::from_child(child), signal).expect("it is our child");
}

/// A process that ends with the test, in whatever way the test ends.
pub struct Ending(pub Child);

impl Ending {
    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        signal(&self.0, name);
    }

    /// Asks it to end, so that its own children end too, and waits until it has.
    pub fn ask(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running server.
pub struct Wagi {
    child: Ending,
    url: String,
    log: Arc<Mutex<String>>,
    output: Arc<Mutex<String>>,
    directory: Option<TempDir>,
}

/// Adds what comes, line by line, to a text that others read meanwhile.
pub fn gather(source: impl Read + Send + 'static, begin: &str) -> Arc<Mutex<String>> {
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
    completed(command.stdin(Stdio::null()))
}

/// The same with the standard input that the command has.
pub fn completed(command: &mut Command) -> io::Result<Output> {
    ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// The same with these bytes as its standard input.
pub fn output_of(command: &mut Command, input: &[u8]) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (mut stdin, input) = (child.stdin.take().expect("stdin is piped"), input.to_owned());
    // A process that reads nothing may have ended.
    thread::spawn(move || stdin.write_all(&input));
    ended(child)
}

/// What a process has printed when it has ended, of itself or killed after ten times the patience.
fn ended(child: Child) -> io::Result<Output> {
    let process = Pid::from_child(&child);
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    receiver.recv_timeout(LONG).unwrap_or_else(|_| {
        kill_process(process, Signal::KILL)?;
        receiver.recv_timeout(PATIENCE).expect("what a process has printed that was killed")
    })
}

/// The first line, read on a thread of its own, since no line may come; `None` if there is none after ten times the patience.
fn first_line<R: Read + Send + 'static>(source: R) -> Option<(String, BufReader<R>)> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let (mut source, mut line) = (BufReader::new(source), String::new());
        source.read_line(&mut line).expect("stdout is text");
        let _ = sender.send((line, source));
    });
    receiver.recv_timeout(LONG).ok()
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
        Self::spawn_and(command, greeting, |_| ())
    }

    /// The same for a server that first has to log `line`, and serves after a change.
    pub fn spawn_mended(command: &mut Command, line: &str, mend: impl FnOnce()) -> Self {
        Self::spawn_and(command, "Ready: serving on ", |log| {
            at_leisure(|| log.lock().unwrap().contains(line).then_some(()));
            mend();
        })
    }

    fn spawn_and(command: &mut Command, greeting: &str, meanwhile: impl FnOnce(&Mutex<String>)) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wagi can be started");
        let mut child = Ending(child);
        let log = gather(child.0.stderr.take().expect("stderr is piped"), "");
        meanwhile(&log);
        let stdout = child.0.stdout.take().expect("stdout is piped");
        let Some((ready, mut stdout)) = first_line(stdout) else {
            drop(child);
            panic!("no ready line in {LONG:?}\n{}", log.lock().unwrap());
        };
        let Some(url) = ready.trim().strip_prefix(greeting) else {
            drop(child);
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
        self.child.0.id()
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        at_leisure(|| self.child.0.try_wait().expect("it is our child"))
    }

    /// How the process ended, if it has.
    pub fn end(&mut self) -> Option<ExitStatus> {
        self.child.0.try_wait().expect("it is our child")
    }

    /// What it has printed on stdout so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log has a line that contains all of `parts`, and returns it. It may be about what is done at the lowest
    /// priority.
    #[track_caller]
    pub fn logged(&self, parts: &[&str]) -> String {
        let Some(line) = within(LONG, || self.line(parts)) else { panic!("no line with {parts:?}:\n{}", self.log()) };
        line
    }

    fn line(&self, parts: &[&str]) -> Option<String> {
        self.log().lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        self.child.signal(name);
    }
}
