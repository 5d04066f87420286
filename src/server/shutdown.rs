//! How does the server learn that it has to stop, and how do its connections learn it? The binary listens to `Signals`. The
//! server announces the stop with a `ConnectionControl`, and every connection listens to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::server::Error;

/// The signals by which this process is told to stop: SIGTERM and SIGINT.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen. From here on the signals no longer end the process by themselves.
    pub fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::Signals);
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the next of these signals.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Resolves at the first of these signals; never, if the process cannot listen for signals.
pub async fn shutdown_signal() {
    match Signals::new() {
        Ok(mut signals) => signals.next().await,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "shutdown signals unavailable");
            std::future::pending().await
        }
    }
}

/// How far the shutdown of the server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum ShutdownStage {
    /// Connections are accepted and kept open.
    Open,
    /// Connections are accepted. Responses over HTTP/1 are the last of their connection.
    Leaving,
    /// Open requests are finished. The server accepts no new ones.
    Draining,
    /// All connections end now.
    Aborting,
}

/// What the server has announced to its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    pub(super) stage: ShutdownStage,
    /// How many times idle connections were asked to close.
    pub(super) reclaims: usize,
}

/// The channel from the server to the connections of one listener: they learn when to drain, to abort, or to close if they are idle.
#[derive(Debug)]
pub(super) struct ConnectionControl {
    stage: AtomicU8,
    reclaims: AtomicUsize,
    changed: Arc<Notify>,
}

impl ConnectionControl {
    pub(super) fn new() -> Self {
        Self { stage: AtomicU8::new(ShutdownStage::Open as u8), reclaims: AtomicUsize::new(0), changed: Arc::default() }
    }

    pub(super) fn set_stage(&self, stage: ShutdownStage) {
        self.stage.store(stage as u8, Release);
        self.changed.notify_waiters();
    }

    /// Asks idle connections to close, since the server is full.
    pub(super) fn reclaim_idle(&self) {
        self.reclaims.fetch_add(1, AcqRel);
        self.changed.notify_waiters();
    }

    pub(super) fn stage(&self) -> ShutdownStage {
        match self.stage.load(Acquire) {
            0 => ShutdownStage::Open,
            1 => ShutdownStage::Leaving,
            2 => ShutdownStage::Draining,
            _ => ShutdownStage::Aborting,
        }
    }

    pub(super) fn announcement(&self) -> Announcement {
        Announcement { stage: self.stage(), reclaims: self.reclaims.load(Acquire) }
    }

    /// Resolves at the next announcement after this call.
    pub(super) fn announced(&self) -> OwnedNotified {
        Arc::clone(&self.changed).notified_owned()
    }

    /// Resolves when the connections have to end.
    pub(super) async fn draining(&self) {
        loop {
            let announced = self.announced();
            if self.stage() >= ShutdownStage::Draining {
                return;
            }
            announced.await;
        }
    }
}
