//! How the server is told to stop, and how it passes that on to its connections. `Signals` is for the binary; the
//! accept loop announces through a `Shutdown`, every connection listens to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::server::Error;

/// The requests to stop that this process receives: SIGTERM and SIGINT, or Ctrl-C where there are no signals.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Starts to listen. From here on the signals no longer end the process by themselves.
    #[cfg(unix)]
    pub fn new() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(Error::Signals);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Starts to listen.
    #[cfg(not(unix))]
    pub fn new() -> Result<Self, Error> {
        Ok(Self {})
    }

    /// Waits for the next request to stop.
    #[cfg(unix)]
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for the next request to stop.
    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Resolves at the first request to stop; never, if the process cannot listen for any.
pub async fn shutdown_signal() {
    match Signals::new() {
        Ok(mut signals) => signals.next().await,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "shutdown signals unavailable");
            std::future::pending().await
        }
    }
}

/// How far the server is on its way to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stage {
    /// Connections come and stay.
    Open,
    /// Requests under way are finished, nothing new is begun.
    Draining,
    /// Everything ends now.
    Aborting,
}

/// Where the accept loop speaks to all connections at once.
pub(super) struct Shutdown {
    stage: AtomicU8,
    /// How often the server found itself full.
    crowded: AtomicUsize,
    changed: Arc<Notify>,
}

impl Shutdown {
    pub(super) fn new() -> Self {
        Self { stage: AtomicU8::new(Stage::Open as u8), crowded: AtomicUsize::new(0), changed: Arc::default() }
    }

    pub(super) fn announce(&self, stage: Stage) {
        self.stage.store(stage as u8, Release);
        self.changed.notify_waiters();
    }

    /// Asks idle connections to make room.
    pub(super) fn announce_crowded(&self) {
        self.crowded.fetch_add(1, AcqRel);
        self.changed.notify_waiters();
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Acquire) {
            0 => Stage::Open,
            1 => Stage::Draining,
            _ => Stage::Aborting,
        }
    }

    pub(super) fn crowded(&self) -> usize {
        self.crowded.load(Acquire)
    }

    /// Resolves at the next announcement after this call.
    pub(super) fn announcement(&self) -> OwnedNotified {
        Arc::clone(&self.changed).notified_owned()
    }

    /// Resolves when the server has begun to stop.
    pub(super) async fn draining(&self) {
        loop {
            let announcement = self.announcement();
            if self.stage() > Stage::Open {
                return;
            }
            announcement.await;
        }
    }
}
