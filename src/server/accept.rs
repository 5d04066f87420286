//! How connections are accepted: one at a time, never more than allowed, and never stopping because of one that fails.
//! Run by `Server::serve`.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::config::ServerConfig;
use crate::server::ServedCertificate;
use crate::server::connection::{ConnectionBuilder, OpenConnection, ServerParts};
use crate::server::counters::{Counters, PanicCounter};
use crate::server::limiter::{self, ConnectionLimiter};
use crate::server::listener::inherited::InheritedSockets;
use crate::server::listener::set::{ListenerSet, Listeners};
use crate::server::listener::{Accepted, Listener};
use crate::server::service::HttpService;
use crate::server::shutdown::ShutdownStage;

/// Pauses after a failed accept: the system lacks something that only time brings back.
const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(50);
/// Failures in a row are logged once in this time, and idle connections asked to close.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How long connections may take to end after they were aborted.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// How many connections that wait are accepted of each listener that is to close. The system keeps no more.
const MAX_WAITING: usize = 4096;

/// Accepts connections and serves each in a task of its own.
pub(super) struct Acceptor {
    pub(super) listeners: ListenerSet,
    /// What the process inherits, used or not.
    pub(super) inherited: InheritedSockets,
    /// How connections are served. A reload replaces it for new ones.
    connections: Mutex<Arc<ConnectionBuilder>>,
    limiter: ConnectionLimiter,
    parts: ServerParts,
}

impl Acceptor {
    pub(super) fn new(
        config: &ServerConfig,
        listeners: Listeners,
        inherited: InheritedSockets,
        parts: ServerParts,
    ) -> Self {
        let connections = ConnectionBuilder::new(config, &listeners, parts.clone());
        let connections = Mutex::new(Arc::new(connections));
        let total = limiter::fit_descriptors(config);
        let limiter = ConnectionLimiter::new(total, config.limits.connections_per_address);
        Self { listeners: ListenerSet::new(listeners), inherited, connections, limiter, parts }
    }

    pub(super) fn parts(&self) -> &ServerParts {
        &self.parts
    }

    /// The certificates that the server shows to clients, the default first.
    pub(super) fn certificates(&self) -> Vec<ServedCertificate> {
        self.parts.tls.current().map_or_else(Vec::new, |tls| tls.certificates().to_vec())
    }

    /// The listeners in the order of the configuration.
    pub(super) fn urls(&self) -> Vec<String> {
        let has_tls = self.parts.tls.current().is_some();
        self.listeners.current().iter().map(|listener| listener.url(has_tls)).collect()
    }

    /// How connections are served now.
    pub(super) fn connections(&self) -> Arc<ConnectionBuilder> {
        Arc::clone(&self.connections.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves new connections with `connections`, and those of `listeners` only. Returns whether that was done: a server that
    /// stops keeps what it has.
    pub(super) fn replace(&self, connections: Arc<ConnectionBuilder>, listeners: Listeners) -> bool {
        let is_replaced = self.listeners.replace(listeners);
        if is_replaced {
            *self.connections.lock().unwrap_or_else(PoisonError::into_inner) = connections;
        }
        is_replaced
    }

    /// Serves the connections of all listeners until dropped.
    pub(super) async fn accept<S: HttpService>(&self, mut service: S) {
        let mut subscription = self.listeners.subscribe();
        let mut backoff = AcceptBackoff::default();
        let mut listeners = Arc::clone(&subscription.borrow_and_update());
        loop {
            tokio::select! {
                biased;
                // Fails only when the set is gone, and with it this future.
                _ = subscription.changed() => {}
                () = self.accept_from(&listeners, &mut service, &mut backoff) => {}
            }
            let before = std::mem::replace(&mut listeners, Arc::clone(&subscription.borrow_and_update()));
            // What has connected to a listener that goes is still served.
            let gone = before.iter().filter(|listener| listener.control.stage() > ShutdownStage::Open);
            self.accept_waiting(gone, &mut service);
        }
    }

    async fn accept_from<S: HttpService>(
        &self,
        listeners: &[Arc<Listener>],
        service: &mut S,
        backoff: &mut AcceptBackoff,
    ) {
        let mut first = 0;
        loop {
            let permit = self.limiter.acquire(|| self.reclaim()).await;
            let accepted = self.next(listeners, &mut first, backoff).await;
            self.admit(accepted, permit, service.clone());
        }
    }

    /// Makes room for one more connection, if it can be made.
    fn reclaim(&self) {
        match &self.parts.oldest_first {
            Some(open) => open.close_oldest(),
            None => self.listeners.reclaim_idle(),
        }
    }

    /// The next connection of any listener; failures are waited out.
    async fn next(&self, listeners: &[Arc<Listener>], first: &mut usize, backoff: &mut AcceptBackoff) -> Accepted {
        loop {
            match poll_fn(|cx| poll_accept(listeners, first, cx)).await {
                Ok(accepted) => {
                    Counters::increment(&self.parts.counters.accepted);
                    backoff.reset();
                    return accepted;
                }
                Err(error) => {
                    let failures = Counters::increment(&self.parts.counters.accept_errors);
                    // Descriptors that idle connections hold are the nearest to come back.
                    if backoff.begins_interval(&error, failures) {
                        self.listeners.reclaim_idle();
                    }
                    backoff.wait(&error).await;
                }
            }
        }
    }

    fn admit<S: HttpService>(&self, accepted: Accepted, permit: OwnedSemaphorePermit, service: S) {
        let connections = self.connections();
        let Some(permit) = self.limiter.admit(permit, accepted.peer, &connections.config().trusted_proxies) else {
            Counters::increment(&self.parts.counters.refused);
            accepted.counters.refuse();
            tracing::debug!(peer = %accepted.peer.remote, "too many connections from one address");
            return;
        };
        let panic_counter = PanicCounter(Arc::clone(&self.parts.counters));
        let connection = OpenConnection::new(accepted);
        self.parts.oldest_first.iter().for_each(|open| open.add(&connection.state));
        tokio::spawn(async move {
            let _held = (permit, panic_counter);
            connections.serve(connection, service).await;
        });
    }

    /// Resolves when the server has been idle for as long as it may be. Never, if it may be so for ever.
    pub(super) async fn idle(&self) {
        match &self.parts.idle {
            Some(idle) => idle.elapsed().await,
            None => std::future::pending().await,
        }
    }

    /// Accepts the connections that wait, after accepting has stopped. Returns how many there were.
    fn accept_waiting<'a, S: HttpService>(
        &self,
        listeners: impl Iterator<Item = &'a Arc<Listener>>,
        service: &mut S,
    ) -> usize {
        let mut count = 0;
        for listener in listeners {
            for _ in 0..MAX_WAITING {
                let Some(permit) = self.limiter.try_acquire() else { return count };
                let Ok(Some(accepted)) = listener.accept_now() else { break };
                Counters::increment(&self.parts.counters.accepted);
                self.admit(accepted, permit, service.clone());
                count += 1;
            }
        }
        count
    }

    /// Whether the server is idle still, now that accepting has stopped. A connection that came meanwhile is served.
    pub(super) fn is_still_idle<S: HttpService>(&self, service: &mut S) -> bool {
        let came = self.accept_waiting(self.listeners.current().iter(), service);
        came == 0 && self.parts.idle.as_ref().is_some_and(|idle| !idle.was_busy())
    }

    /// Keeps new clients from connecting.
    pub(super) fn hide(&self) {
        self.listeners.current().iter().for_each(|listener| listener.hide());
    }

    /// Closes the listeners, after accepting has stopped. Every connection that was made is still served.
    pub(super) fn close<S: HttpService>(&self, service: &mut S) {
        let listeners = self.listeners.current();
        // Those that wait at inherited sockets are left to the next server.
        self.accept_waiting(listeners.iter().filter(|listener| !listener.is_inherited()), service);
        self.listeners.announce(ShutdownStage::Draining);
        self.listeners.close();
    }

    /// Lets the connections finish their requests, for at most the grace period, then aborts them.
    pub(super) async fn drain(&self) {
        let grace = self.connections().config().limits.shutdown_grace;
        if tokio::time::timeout(grace, self.limiter.all_released()).await.is_err() {
            let connections = self.limiter.in_use();
            tracing::warn!(connections, ?grace, "requests cut off by the shutdown");
            self.listeners.announce(ShutdownStage::Aborting);
            // Only a service that blocks its thread holds a connection now, and it cannot be waited for.
            let _ = tokio::time::timeout(ABORT_TIMEOUT, self.limiter.all_released()).await;
        }
    }
}

/// The next connection of one of the listeners. Their turn to come first goes round, so none of them keeps others waiting.
fn poll_accept(listeners: &[Arc<Listener>], first: &mut usize, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
    for offset in 0..listeners.len() {
        let turn = (*first + offset) % listeners.len();
        if let Poll::Ready(accepted) = listeners[turn].poll_accept(cx) {
            *first = turn + 1;
            return Poll::Ready(accepted);
        }
    }
    Poll::Pending
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
