//! What is one connection doing?
//!
//! The byte stream, the service and the request bodies record here what happens. `driver` and `disconnect` read it and decide.
//!
//! The counters are relaxed: a reader that misses an update is polled again after it.

use std::net;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::server::connection::socket::Socket;
use crate::server::counters::CountedConnection;
use crate::server::shutdown::ConnectionControl;

/// One accepted socket, and what has happened on it. The HTTP library and the watch for a disconnect share it.
#[derive(Debug)]
pub(in crate::server) struct ConnectionState {
    pub(in crate::server) socket: Socket,
    /// What the server tells the connection.
    pub(in crate::server) control: Arc<ConnectionControl>,
    pub(in crate::server) counted: CountedConnection,
    /// Requests whose response is not handed over completely.
    open_requests: AtomicUsize,
    finished_requests: AtomicUsize,
    reads: AtomicUsize,
    writes: AtomicUsize,
    /// Bytes came in since the last request ended: the next head has begun.
    head_started: AtomicBool,
    /// The client takes no more bytes for now.
    write_blocked: AtomicBool,
    /// Response bodies that yielded a frame and were not polled for the next one yet.
    pending_frames: AtomicUsize,
    /// Frames that the HTTP library has finished with: it has polled for the next one.
    consumed_frames: AtomicUsize,
    /// A request body was dropped before its end.
    unread_body: AtomicBool,
    /// The connection must end with a reset.
    reset: AtomicBool,
    /// The current request is the last of its connection, as its head says.
    last_request: AtomicBool,
    /// When bytes of that request came in, in milliseconds since `opened`.
    last_request_at: AtomicU64,
    opened: Instant,
    /// The number of the HTTP/2 head that has begun and is not complete; 0 if there is none.
    unfinished_head: AtomicUsize,
    /// Frames of data that were sent over HTTP/2.
    data_sent: AtomicUsize,
    /// The client sends too many control frames of HTTP/2.
    flooded: AtomicBool,
    /// The connection speaks HTTP/2.
    http2: AtomicBool,
}

impl ConnectionState {
    pub(in crate::server) fn new(socket: Socket, control: Arc<ConnectionControl>, counted: CountedConnection) -> Self {
        Self {
            socket,
            control,
            counted,
            open_requests: AtomicUsize::new(0),
            finished_requests: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            head_started: AtomicBool::new(false),
            write_blocked: AtomicBool::new(false),
            pending_frames: AtomicUsize::new(0),
            consumed_frames: AtomicUsize::new(0),
            unread_body: AtomicBool::new(false),
            reset: AtomicBool::new(false),
            last_request: AtomicBool::new(false),
            last_request_at: AtomicU64::new(0),
            opened: Instant::now(),
            unfinished_head: AtomicUsize::new(0),
            data_sent: AtomicUsize::new(0),
            flooded: AtomicBool::new(false),
            http2: AtomicBool::new(false),
        }
    }

    pub(in crate::server) fn record_read(&self) {
        self.reads.fetch_add(1, Relaxed);
        self.head_started.store(true, Relaxed);
        if self.last_request.load(Relaxed) {
            self.record_last_request();
        }
    }

    /// Records bytes of a request after which the client expects the connection to end.
    pub(in crate::server) fn record_last_request(&self) {
        self.last_request.store(true, Relaxed);
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_request_at.store(now, Relaxed);
    }

    /// Records that the HTTP/2 head with this number has begun.
    pub(in crate::server) fn record_head_begun(&self, number: usize) {
        self.unfinished_head.store(number, Relaxed);
    }

    pub(in crate::server) fn record_head_complete(&self) {
        self.unfinished_head.store(0, Relaxed);
    }

    pub(in crate::server) fn record_data_sent(&self) {
        self.data_sent.fetch_add(1, Relaxed);
    }

    pub(in crate::server) fn record_http2(&self) {
        self.http2.store(true, Relaxed);
    }

    pub(in crate::server) fn record_flood(&self) {
        self.flooded.store(true, Relaxed);
    }

    pub(in crate::server) fn record_write(&self) {
        self.writes.fetch_add(1, Relaxed);
        self.write_blocked.store(false, Relaxed);
    }

    pub(in crate::server) fn record_write_blocked(&self) {
        self.write_blocked.store(true, Relaxed);
    }

    pub(in crate::server) fn record_request_start(&self) {
        self.open_requests.fetch_add(1, Relaxed);
    }

    pub(in crate::server) fn record_request_end(&self) {
        self.head_started.store(false, Relaxed);
        self.finished_requests.fetch_add(1, Relaxed);
        self.open_requests.fetch_sub(1, Relaxed);
    }

    pub(in crate::server) fn record_frame_yielded(&self) {
        self.pending_frames.fetch_add(1, Relaxed);
    }

    pub(in crate::server) fn record_frame_consumed(&self) {
        self.consumed_frames.fetch_add(1, Relaxed);
        self.pending_frames.fetch_sub(1, Relaxed);
    }

    pub(in crate::server) fn record_unread_body(&self) {
        self.unread_body.store(true, Relaxed);
    }

    pub(in crate::server) fn open_requests(&self) -> usize {
        self.open_requests.load(Relaxed)
    }

    pub(in crate::server) fn finished_requests(&self) -> usize {
        self.finished_requests.load(Relaxed)
    }

    /// Whether the connection has served its client, and nothing of another request has come.
    pub(in crate::server) fn waits_for_next_request(&self) -> bool {
        // Over HTTP/2, what comes beside requests begins none.
        let begins = self.head_started() && !self.http2.load(Relaxed);
        self.open_requests() == 0 && self.finished_requests() > 0 && self.unfinished_head().is_none() && !begins
    }

    /// When the connection was accepted.
    pub(in crate::server) fn opened(&self) -> Instant {
        self.opened
    }

    pub(in crate::server) fn writes(&self) -> usize {
        self.writes.load(Relaxed)
    }

    /// A number that changes with every read and write.
    pub(in crate::server) fn activity(&self) -> usize {
        self.writes().wrapping_add(self.reads.load(Relaxed))
    }

    pub(in crate::server) fn head_started(&self) -> bool {
        self.head_started.load(Relaxed)
    }

    pub(in crate::server) fn write_blocked(&self) -> bool {
        self.write_blocked.load(Relaxed)
    }

    pub(in crate::server) fn pending_frames(&self) -> usize {
        self.pending_frames.load(Relaxed)
    }

    pub(in crate::server) fn consumed_frames(&self) -> usize {
        self.consumed_frames.load(Relaxed)
    }

    /// Whether the current request is the last of its connection and bytes of it came in within this time.
    pub(in crate::server) fn had_last_request_within(&self, limit: Duration) -> bool {
        let since = self.opened.elapsed().saturating_sub(Duration::from_millis(self.last_request_at.load(Relaxed)));
        self.last_request.load(Relaxed) && since <= limit
    }

    pub(in crate::server) fn unfinished_head(&self) -> Option<usize> {
        Some(self.unfinished_head.load(Relaxed)).filter(|number| *number > 0)
    }

    pub(in crate::server) fn data_sent(&self) -> usize {
        self.data_sent.load(Relaxed)
    }

    pub(in crate::server) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    pub(in crate::server) fn has_unread_body(&self) -> bool {
        self.unread_body.load(Relaxed)
    }

    /// Makes the connection end with a reset. For a response without a length that was cut: only a reset tells the client that it
    /// is not complete.
    pub(in crate::server) fn reset_on_close(&self) {
        self.reset.store(true, Relaxed);
        let _ = self.socket.options().set_linger(Some(Duration::ZERO));
    }

    /// Closes the sending side.
    pub(in crate::server) fn shutdown_write(&self) {
        self.shutdown(net::Shutdown::Write);
    }

    /// Closes both directions.
    pub(in crate::server) fn shutdown_both(&self) {
        self.shutdown(net::Shutdown::Both);
    }

    fn shutdown(&self, how: net::Shutdown) {
        if self.reset.load(Relaxed) {
            return;
        }
        // Fails only if the client closed first.
        let _ = self.socket.options().shutdown(how);
    }
}
