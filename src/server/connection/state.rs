//! What one connection is doing: its socket and the few facts its parts share. The byte stream, the exchanges and the
//! request bodies write them down, `pace` and `departure` judge by them.
//!
//! The facts are counters without ordering between them: whoever reads one is polled again after it was written.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// One accepted socket. Shared, since the watch for a departing client needs it while the HTTP library owns the stream.
#[derive(Debug)]
pub(in crate::server) struct ConnectionState {
    pub(in crate::server) tcp: TcpStream,
    /// Requests whose answer has not been handed over completely.
    open: AtomicUsize,
    /// Requests that are done with.
    served: AtomicUsize,
    received: AtomicUsize,
    sent: AtomicUsize,
    /// Bytes came in since the last request ended: the next head is under way.
    heard: AtomicBool,
    /// The peer takes no more bytes for now.
    blocked: AtomicBool,
    /// Response bodies which gave a frame and were not asked for another one yet.
    waiting: AtomicUsize,
    /// Frames that were followed by the wish for another one.
    taken: AtomicUsize,
    /// Some request body was dropped before its end.
    unread: AtomicBool,
    /// The connection must not end as if all were well.
    broken: AtomicBool,
}

impl ConnectionState {
    pub(in crate::server) fn new(tcp: TcpStream) -> Self {
        Self {
            tcp,
            open: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            received: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            heard: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            unread: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    pub(in crate::server) fn note_received(&self) {
        self.received.fetch_add(1, Relaxed);
        self.heard.store(true, Relaxed);
    }

    pub(in crate::server) fn note_sent(&self) {
        self.sent.fetch_add(1, Relaxed);
        self.blocked.store(false, Relaxed);
    }

    pub(in crate::server) fn note_blocked(&self) {
        self.blocked.store(true, Relaxed);
    }

    pub(in crate::server) fn note_opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(in crate::server) fn note_served(&self) {
        self.heard.store(false, Relaxed);
        self.served.fetch_add(1, Relaxed);
        self.open.fetch_sub(1, Relaxed);
    }

    pub(in crate::server) fn note_frame_given(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    pub(in crate::server) fn note_frame_taken(&self) {
        self.taken.fetch_add(1, Relaxed);
        self.waiting.fetch_sub(1, Relaxed);
    }

    pub(in crate::server) fn note_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    pub(in crate::server) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    pub(in crate::server) fn served(&self) -> usize {
        self.served.load(Relaxed)
    }

    pub(in crate::server) fn sent(&self) -> usize {
        self.sent.load(Relaxed)
    }

    /// Changes with every byte in either direction.
    pub(in crate::server) fn moved(&self) -> usize {
        self.sent().wrapping_add(self.received.load(Relaxed))
    }

    pub(in crate::server) fn heard(&self) -> bool {
        self.heard.load(Relaxed)
    }

    pub(in crate::server) fn blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    pub(in crate::server) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    pub(in crate::server) fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    pub(in crate::server) fn unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// An answer broke off whose end is the end of the connection: only a reset tells the client so.
    pub(in crate::server) fn note_broken(&self) {
        self.broken.store(true, Relaxed);
        let _ = SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO));
    }

    /// Ends our direction, or both. A failure means that the peer was faster.
    pub(in crate::server) fn shut(&self, how: std::net::Shutdown) {
        if self.broken.load(Relaxed) {
            return;
        }
        let _ = SockRef::from(&self.tcp).shutdown(how);
    }
}
