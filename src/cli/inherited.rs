//! Which sockets does the process inherit from systemd, or from another parent that speaks its protocol (sd_listen_fds(3))?

use anyhow::{Context, anyhow, ensure};
use listenfd::ListenFd;
use socket2::SockRef;

use wagi::server::{InheritedListener, InheritedSocket};

/// The most sockets. systemd passes on as many descriptors as a process may have, which is this many without other settings.
const MAX_SOCKETS: usize = 1024;

/// The name of a socket to which the parent gives none.
const NO_NAME: &str = "unknown";

/// Takes the sockets that the environment names, and their variables out of the environment. Must be called once, before
/// there are other threads.
pub fn take() -> anyhow::Result<Vec<InheritedSocket>> {
    let variable = |name: &str| std::env::var(name).ok();
    let (count, names) = (variable("LISTEN_FDS"), variable("LISTEN_FDNAMES").unwrap_or_default());
    // A process between systemd and this one may have passed on what was meant for itself.
    let is_meant = variable("LISTEN_PID").is_some_and(|pid| pid.parse() == Ok(std::process::id()));
    let Some(count) = count.filter(|_| is_meant) else { return Ok(Vec::new()) };
    let number: usize = count.parse().with_context(|| format!("`LISTEN_FDS={count}` is not a number of sockets"))?;
    ensure!(number <= MAX_SOCKETS, "`LISTEN_FDS={count}` is more than {MAX_SOCKETS} sockets");
    let mut descriptors = ListenFd::from_env();
    let mut names = names.split(':').map(|name| if name.is_empty() { NO_NAME } else { name });
    (0..number).map(|at| socket(&mut descriptors, at, names.next().unwrap_or(NO_NAME))).collect()
}

fn socket(descriptors: &mut ListenFd, at: usize, name: &str) -> anyhow::Result<InheritedSocket> {
    let unusable =
        || anyhow!("the inherited socket `{name}` cannot be used: it is neither a TCP port nor a Unix stream socket");
    let listener = match descriptors.take_tcp_listener(at) {
        Ok(Some(listener)) => InheritedListener::Tcp(listener),
        _ => InheritedListener::Unix(descriptors.take_unix_listener(at).ok().flatten().with_context(unusable)?),
    };
    let listens = match &listener {
        InheritedListener::Tcp(listener) => SockRef::from(listener).is_listener(),
        InheritedListener::Unix(listener) => SockRef::from(listener).is_listener(),
    };
    ensure!(
        listens.unwrap_or(true),
        "the inherited socket `{name}` does not listen: write `Accept=no` in its socket unit"
    );
    Ok(InheritedSocket { name: name.to_owned(), listener })
}
