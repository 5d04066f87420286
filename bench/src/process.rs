//! How does a server run as a process of its own, and what does the system say it uses?

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Connection;

const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(2);

/// In this unit the system tells CPU time to programs, on every architecture there is a release for.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process that ends with this value.
pub struct Process {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a process that reads nothing, and whose standard error nobody reads.
    pub fn start(command: &mut Command) -> Result<Self> {
        Self::start_with(command.stdin(Stdio::null()))
    }

    /// Starts a process that has its standard input.
    pub fn start_with(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Self { child, stdout })
    }

    /// The next line it prints.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if let Some(stdout) = &mut self.stdout {
            stdout.read_line(&mut line)?;
        }
        ensure!(!line.is_empty(), "the process ended before it was ready");
        Ok(line.trim_end().to_owned())
    }

    /// Waits until it answers `path`, and returns how.
    pub fn answers(&mut self, address: SocketAddr, path: &str) -> Result<String> {
        let begin = Instant::now();
        loop {
            let asked = Connection::open(address).and_then(|mut connection| connection.ask(path));
            if let Ok(answer) = asked {
                return Ok(answer);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it answered");
            }
            if begin.elapsed() > PATIENCE {
                return asked.context("the server does not answer");
            }
            thread::sleep(PAUSE);
        }
    }

    /// CPU time used so far: by all threads, in the system too, and by all children.
    pub fn cpu(&self) -> Result<Duration> {
        Ok(Duration::from_secs_f64(ticks(self.child.id())? / TICKS_PER_SECOND))
    }

    /// Memory that is its own and not a file's, in bytes.
    pub fn memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }

    /// Waits until it computes next to nothing.
    pub fn calms_down(&self) -> Result<()> {
        let window = Duration::from_millis(200);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let before = self.cpu()?;
            thread::sleep(window);
            if self.cpu()? - before < window / 10 {
                return Ok(());
            }
        }
        bail!("the server goes on computing")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked and not killed: some have children to end.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let is_asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let begin = Instant::now();
        while is_asked && begin.elapsed() < Duration::from_secs(5) {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(PAUSE),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the system charges a process and its children, those that have ended too.
fn ticks(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name, in brackets, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')').context("no process name")?.1.split_whitespace().collect();
    let mut sum = 0.0;
    // proc(5): utime, stime, and both of the children that were waited for.
    for field in [11, 12, 13, 14] {
        sum += fields.get(field).context("too few fields")?.parse::<f64>()?;
    }
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    for child in children.split_whitespace() {
        // One that ends meanwhile is waited for, and counted the next time.
        sum += ticks(child.parse()?).unwrap_or_default();
    }
    Ok(sum)
}

/// A port that nobody uses, for servers that do not tell which one they got.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
