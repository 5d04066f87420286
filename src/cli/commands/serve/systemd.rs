//! What does systemd learn of the server?
//!
//! If `NOTIFY_SOCKET` names a socket, the server writes there when it is ready, reloads and stops, and from time to time if the
//! service has a watchdog: sd_notify(3). What cannot be written is lost: the server serves all the same.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The service manager that has started the server, if there is one.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment of the process names.
    pub fn from_environment() -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let socket = socket.and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, "cannot tell the service manager anything: NOTIFY_SOCKET is no socket to write to");
                None
            }
        });
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|time| *time > 0 && is_ours).map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// The server serves, and says how.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// The server serves a part of what is configured, and says how much.
    pub fn starting(&self, status: &str) {
        self.send(&format!("STATUS={status}\n"));
    }

    /// A reload begins. It ends with [`ready`](Self::ready).
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let now = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=reloading\n"));
    }

    /// The server stops.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=finishing the requests under way\n");
    }

    /// Shows that the server is alive, twice in each time that the watchdog allows, until it is dropped. It is never done if there
    /// is no watchdog.
    pub async fn keep_alive(&self) {
        let Some(time) = self.watchdog.filter(|_| self.socket.is_some()) else { return std::future::pending().await };
        loop {
            self.send("WATCHDOG=1\n");
            tokio::time::sleep(time / 2).await;
        }
    }

    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

fn connect(name: &OsString) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // The manager may be slow, and the server must not wait for it.
    socket.set_nonblocking(true)?;
    match name.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => connect_abstract(&socket, name)?,
        None => socket.connect(name)?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
