//! What does the server count? The loop that accepts connections and the connections themselves increment the counters.
//!
//! Beside the [`Counters`] of the whole server, each listener counts its connections: those that are open, and how each began.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::config::WebServerProtocol;

/// Counts since the start of the server.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Accepted connections.
    pub accepted: AtomicU64,
    /// Connections that were closed at once, because their client already had too many.
    pub refused: AtomicU64,
    /// Errors of the system while a connection was accepted.
    pub accept_errors: AtomicU64,
    /// Connections closed since no trusted proxy announced them, where that is required.
    pub unannounced: AtomicU64,
    /// Connections over FastCGI or SCGI closed since their peer is no trusted proxy.
    pub untrusted: AtomicU64,
    /// Connections whose TLS handshake failed.
    pub handshakes_failed: AtomicU64,
    /// Connections that exceeded a timeout.
    pub timed_out: AtomicU64,
    /// HTTP/2 connections whose client sent too many control frames.
    pub flooded: AtomicU64,
    /// Connections whose client closed them before its response was complete.
    pub disconnected: AtomicU64,
    /// Panics of the service.
    pub panics: AtomicU64,
}

impl Counters {
    pub(in crate::server) fn increment(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Relaxed) + 1
    }
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum ConnectionProtocol {
    Http1,
    Http2,
    FastCgi,
    Scgi,
}

impl From<WebServerProtocol> for ConnectionProtocol {
    fn from(protocol: WebServerProtocol) -> Self {
        match protocol {
            WebServerProtocol::FastCgi => Self::FastCgi,
            WebServerProtocol::Scgi => Self::Scgi,
        }
    }
}

impl ConnectionProtocol {
    const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::FastCgi, Self::Scgi];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::FastCgi => "fastcgi",
            Self::Scgi => "scgi",
        }
    }
}

/// Why a connection ended before its protocol was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum OpeningFailure {
    /// Its client, or the server, closed it before anything was sent.
    Closed,
    /// Its client already had too many.
    Refused,
    /// No trusted proxy announced it, where that is required.
    Unannounced,
    /// A web server that is not trusted.
    Untrusted,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// Nothing was sent in time.
    TimedOut,
}

impl OpeningFailure {
    const ALL: [Self; 6] =
        [Self::Closed, Self::Refused, Self::Unannounced, Self::Untrusted, Self::HandshakeFailed, Self::TimedOut];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Unannounced => "unannounced",
            Self::Untrusted => "untrusted",
            Self::HandshakeFailed => "handshake-failed",
            Self::TimedOut => "timeout",
        }
    }
}

/// What a listener counts.
#[derive(Debug, Default)]
pub(in crate::server) struct ListenerCounters {
    begun: AtomicU64,
    ended: AtomicU64,
    accepted: [AtomicU64; ConnectionProtocol::ALL.len()],
    failed: [AtomicU64; OpeningFailure::ALL.len()],
}

/// The connections of a listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenerFigures {
    /// The listener, as the ready line names it.
    pub url: String,
    /// How many connections are open.
    pub open: u64,
    /// How many there were since the start, by protocol and by what came of them. The protocol is empty where it was never known.
    pub connections: Vec<(&'static str, &'static str, u64)>,
}

impl ListenerCounters {
    /// Counts a connection that is closed at once.
    pub(in crate::server) fn refuse(&self) {
        Counters::increment(&self.failed[OpeningFailure::Refused as usize]);
    }

    /// The figures of the listener that is known by `url`.
    pub(in crate::server) fn figures(&self, url: String) -> ListenerFigures {
        let ended = self.ended.load(Relaxed);
        let accepted = ConnectionProtocol::ALL.iter().zip(&self.accepted);
        let accepted = accepted.map(|(protocol, count)| (protocol.as_str(), "accepted", count.load(Relaxed)));
        let failed = OpeningFailure::ALL.iter().zip(&self.failed);
        let failed = failed.map(|(failure, count)| ("", failure.as_str(), count.load(Relaxed)));
        let connections = accepted.chain(failed).filter(|(.., count)| *count > 0).collect();
        ListenerFigures { url, open: self.begun.load(Relaxed).saturating_sub(ended), connections }
    }
}

/// A connection that is counted at its listener, as open until it is dropped.
#[derive(Debug)]
pub(in crate::server) struct CountedConnection {
    listener: Arc<ListenerCounters>,
    has_begun: AtomicBool,
}

impl CountedConnection {
    pub(in crate::server) fn new(listener: Arc<ListenerCounters>) -> Self {
        Counters::increment(&listener.begun);
        Self { listener, has_begun: AtomicBool::new(false) }
    }

    /// Counts that the protocol of the connection is known.
    pub(in crate::server) fn accept(&self, protocol: ConnectionProtocol) {
        self.count_once(&self.listener.accepted[protocol as usize]);
    }

    /// Counts that the connection has failed, unless its protocol is known.
    pub(in crate::server) fn fail(&self, failure: OpeningFailure) {
        self.count_once(&self.listener.failed[failure as usize]);
    }

    fn count_once(&self, counter: &AtomicU64) {
        if !self.has_begun.swap(true, Relaxed) {
            Counters::increment(counter);
        }
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.fail(OpeningFailure::Closed);
        Counters::increment(&self.listener.ended);
    }
}

/// Every task that runs the service holds one. It counts and logs a panic, which ends only that task.
pub(in crate::server) struct PanicCounter(pub(in crate::server) Arc<Counters>);

impl Drop for PanicCounter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let panics = Counters::increment(&self.0.panics);
            tracing::error!(panics, "the service panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::server::counters::*;

    #[test]
    fn each_connection_has_one_result() {
        let counters = Arc::<ListenerCounters>::default();
        counters.refuse();
        drop(CountedConnection::new(counters.clone()));
        let open = CountedConnection::new(counters.clone());
        open.accept(ConnectionProtocol::Http2);
        open.fail(OpeningFailure::TimedOut);
        let failed = CountedConnection::new(counters.clone());
        failed.fail(OpeningFailure::HandshakeFailed);
        drop(failed);
        let figures = counters.figures("http://127.0.0.1:1".to_owned());
        assert_eq!(figures.open, 1);
        let expected = [("http2", "accepted", 1), ("", "closed", 1), ("", "refused", 1), ("", "handshake-failed", 1)];
        assert_eq!(figures.connections, expected);
        drop(open);
        assert_eq!(counters.figures(String::new()).open, 0);
    }
}
