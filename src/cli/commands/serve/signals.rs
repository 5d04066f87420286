//! What does the server do at a signal, besides stopping?
//!
//! SIGHUP lets it reload, unless it is the sign that the terminal has hung up. SIGUSR1 lets it open its log files again. SIGUSR2
//! has no effect, and neither has SIGXFSZ: a write beyond the limit on the size of files fails, as on a full disk. The signals are
//! caught before anything is loaded. Those that come until the server serves count afterwards.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long after the signal the terminal may still be there: when a shell ends, its jobs get the signal first.
const HANGUP_DELAY: Duration = Duration::from_millis(50);

/// The signals that this process catches.
pub struct CaughtSignals {
    hangup: Signal,
    reopen: Signal,
    unused: Signal,
    _file_too_large: Signal,
    terminal: Terminal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    Reload,
    ReopenLogs,
    /// The terminal has hung up.
    Stop,
}

/// Whether the process depends on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terminal {
    /// It has none, or was started so that it outlives it.
    None,
    Controlling,
}

impl CaughtSignals {
    /// Starts to catch the signals. Must be called within a tokio runtime.
    pub fn new() -> io::Result<Self> {
        let terminal = if is_hangup_ignored() { Terminal::None } else { Terminal::now() };
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            reopen: signal(SignalKind::user_defined1())?,
            unused: signal(SignalKind::user_defined2())?,
            _file_too_large: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
            terminal,
        })
    }

    /// Waits for a signal that asks for something.
    pub async fn next(&mut self) -> SignalRequest {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => return self.on_hangup().await,
                _ = self.reopen.recv() => return SignalRequest::ReopenLogs,
                _ = self.unused.recv() => tracing::warn!("SIGUSR2 has no effect"),
            }
        }
    }

    async fn on_hangup(&self) -> SignalRequest {
        if self.terminal == Terminal::None {
            return SignalRequest::Reload;
        }
        if Terminal::now() == Terminal::Controlling {
            tokio::time::sleep(HANGUP_DELAY).await;
        }
        if Terminal::now() == Terminal::None { SignalRequest::Stop } else { SignalRequest::Reload }
    }
}

impl Terminal {
    /// Whether there is one now: this file is the terminal of the process that opens it.
    fn now() -> Self {
        match std::fs::File::open("/dev/tty") {
            Ok(_) => Self::Controlling,
            Err(_) => Self::None,
        }
    }
}

/// Whether the process was started with SIGHUP ignored, as `nohup` does: it is to outlive its terminal.
fn is_hangup_ignored() -> bool {
    const HANGUP_BIT: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & HANGUP_BIT != 0)
}
