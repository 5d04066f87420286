//! How connections are accepted: one at a time, never more than allowed, and never stopping because of one that fails.
//! Run by `Server::serve`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::config::ConnectionLimits;
use crate::server::Peer;
use crate::server::connection::ConnectionBuilder;
use crate::server::counters::{Counters, PanicCounter};
use crate::server::limiter::{ConnectionLimiter, ConnectionPermit};
use crate::server::listener::Listener;
use crate::server::service::HttpService;
use crate::server::shutdown::{ConnectionControl, ShutdownStage};
use crate::server::tls::ServerTls;

/// Pauses after a failed accept: the system lacks something that only time brings back.
const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(50);
/// Failures in a row are logged once in this time, and idle connections asked to close.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How long connections may take to end after they were aborted.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Accepts connections and serves each in a task of its own.
pub(super) struct Acceptor {
    limiter: ConnectionLimiter,
    connections: Arc<ConnectionBuilder>,
    shutdown: Arc<ConnectionControl>,
    counters: Arc<Counters>,
}

impl Acceptor {
    pub(super) fn new(limits: ConnectionLimits, tls: Arc<ServerTls>, counters: Arc<Counters>) -> Self {
        let limiter = ConnectionLimiter::new(limits.connections, limits.connections_per_address);
        let shutdown = Arc::new(ConnectionControl::new());
        let connections = ConnectionBuilder::new(limits, tls, Arc::clone(&shutdown), Arc::clone(&counters));
        Self { limiter, connections: Arc::new(connections), shutdown, counters }
    }

    /// Serves the connections of a listener until dropped.
    pub(super) async fn accept_from<S: HttpService>(&self, listener: &Listener, service: S) {
        let mut backoff = AcceptBackoff::default();
        loop {
            let permit = self.limiter.acquire(&self.shutdown).await;
            let (socket, peer) = self.accept(listener, &mut backoff).await;
            match self.limiter.admit(permit, peer) {
                Some(permit) => self.spawn(socket, peer, permit, service.clone()),
                None => {
                    Counters::increment(&self.counters.refused);
                    tracing::debug!(peer = %peer.address, "too many connections from one address");
                }
            }
        }
    }

    /// The next connection; failures are waited out.
    async fn accept(&self, listener: &Listener, backoff: &mut AcceptBackoff) -> (TcpStream, Peer) {
        loop {
            match listener.accept().await {
                Ok(accepted) => {
                    Counters::increment(&self.counters.accepted);
                    backoff.reset();
                    return accepted;
                }
                Err(error) => {
                    let failures = Counters::increment(&self.counters.accept_errors);
                    // Descriptors that idle connections hold are the nearest to come back.
                    if backoff.begins_interval(&error, failures) {
                        self.shutdown.reclaim_idle();
                    }
                    backoff.wait(&error).await;
                }
            }
        }
    }

    fn spawn<S: HttpService>(&self, socket: TcpStream, peer: Peer, permit: ConnectionPermit, service: S) {
        let panic_counter = PanicCounter(Arc::clone(&self.counters));
        let connections = Arc::clone(&self.connections);
        tokio::spawn(async move {
            let _held = (permit, panic_counter);
            connections.serve(socket, peer, service).await;
        });
    }

    /// Lets the connections finish their requests, for at most `grace`, then aborts them.
    pub(super) async fn drain(&self, grace: Duration) {
        self.shutdown.set_stage(ShutdownStage::Draining);
        if tokio::time::timeout(grace, self.limiter.all_released()).await.is_err() {
            let connections = self.limiter.in_use();
            tracing::warn!(connections, ?grace, "requests cut off by the shutdown");
            self.shutdown.set_stage(ShutdownStage::Aborting);
            // Only a service that blocks its thread holds a connection now, and it cannot be waited for.
            let _ = tokio::time::timeout(ABORT_TIMEOUT, self.limiter.all_released()).await;
        }
    }
}

/// The growing pause between failures to accept.
struct AcceptBackoff {
    pause: Duration,
    logged: Option<Instant>,
}

impl Default for AcceptBackoff {
    fn default() -> Self {
        Self { pause: MIN_PAUSE, logged: None }
    }
}

impl AcceptBackoff {
    fn reset(&mut self) {
        self.pause = MIN_PAUSE;
    }

    /// Logs the error, at most once in each interval. Returns whether one begins.
    fn begins_interval(&mut self, error: &io::Error, failures: u64) -> bool {
        if is_fault_of_client(error) || self.logged.is_some_and(|logged| logged.elapsed() < LOG_INTERVAL) {
            return false;
        }
        self.logged = Some(Instant::now());
        tracing::error!(%error, failures, "cannot accept connections");
        true
    }

    async fn wait(&mut self, error: &io::Error) {
        if is_fault_of_client(error) {
            return;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
    }
}

/// Whether the client gave up before it was accepted; nothing is wrong here then.
fn is_fault_of_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
