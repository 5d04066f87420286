//! When does a connection end: by a timeout, a disconnect of its client, or the stop of the server?
//!
//! `ConnectionBuilder` wraps the HTTP library's connection into a `TimedConnection`; dropping that drops every HTTP/1
//! request on it.
//!
//! One timer serves all timeouts. It is set again only to fire earlier, or when it has fired too early. So a connection with one
//! quick request after another does not touch the timer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep};

use crate::config::ConnectionLimits;
use crate::server::connection::disconnect;
use crate::server::connection::disconnect::{Disconnect, DisconnectWatch};
use crate::server::connection::state::ConnectionState;
use crate::server::shutdown::{Announcement, ShutdownStage};

/// How long a half-closed connection may wait without a byte in either direction. A client that still reads gets a response that
/// is nearly ready. A client that has left holds nothing for longer than this.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_millis(50);
/// If a client closes its sending side within this time after its last request, it still waits for the response. The packet that
/// closes the side comes right after the request, or after one retransmission.
const HALF_CLOSE_WINDOW: Duration = Duration::from_secs(1);
/// How long a connection without requests may take to end after `graceful_shutdown`.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection that has just been used may stay idle while the server drains: the next request of its client may be
/// on its way, and is answered.
const LAST_CHANCE: Duration = Duration::from_millis(250);
/// How long a connection must have been idle before a full server closes it.
const RECLAIM_AFTER: Duration = Duration::from_secs(1);

/// A connection of the HTTP library, of any version.
pub(in crate::server) trait HttpConnection: Future<Output = hyper::Result<()>> {
    /// Whether bytes outside of requests are the beginning of one.
    const IDLE_BYTES_START_A_REQUEST: bool;
    /// Ends the connection after the requests under way.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

/// Why a connection ended.
#[derive(Debug)]
pub(in crate::server) enum CloseReason {
    /// The HTTP library ended it.
    Finished(hyper::Result<()>),
    /// It exceeded the limit of this phase.
    TimedOut(ConnectionPhase),
    /// The client reset it.
    Reset,
    /// The server aborts all connections.
    Aborted,
}

/// What a connection is waiting for. The number changes each time that the wait begins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum ConnectionPhase {
    /// Waits for the client to take bytes.
    Writing(usize),
    /// Waits for the client to widen the window of an HTTP/2 stream.
    AwaitingWindow(usize),
    /// Waits for the service, after the client has closed its sending side.
    HandlingHalfClosed(usize),
    /// Waits for the service.
    Handling,
    /// Waits for the rest of a request head.
    ReadingHead(usize),
    /// Waits for the next request.
    Idle(usize),
    /// Has no more requests. Waits for the client to take the rest of its responses, and to close its side too.
    Closing(usize),
}

pin_project! {
    /// A connection with its timeouts.
    pub(in crate::server) struct TimedConnection<H> {
        #[pin]
        http: H,
        #[pin]
        announced: OwnedNotified,
        state: Arc<ConnectionState>,
        limits: Arc<ConnectionLimits>,
        // The announcement that was current when the task last registered; `None` before the first time.
        seen: Option<Announcement>,
        reclaim: bool,
        closing: bool,
        watch: Option<DisconnectWatch>,
        disconnect: Option<Disconnect>,
        phase: Option<ConnectionPhase>,
        since: Instant,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<H: HttpConnection> TimedConnection<H> {
    pub(in crate::server) fn new(http: H, state: Arc<ConnectionState>, limits: Arc<ConnectionLimits>) -> Self {
        Self {
            http,
            announced: state.control.announced(),
            state,
            limits,
            seen: None,
            reclaim: false,
            closing: false,
            watch: None,
            disconnect: None,
            phase: None,
            since: Instant::now(),
            timer: None,
        }
    }

    /// Counts the wait for the first request from `opened`, when the client connected.
    pub(in crate::server) fn opened_at(mut self, opened: Instant) -> Self {
        self.since = opened;
        self
    }

    /// Registers for the next announcement, once: the task of a connection keeps its waker.
    fn poll_announcement(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let current = this.state.control.announcement();
        if *this.seen == Some(current) {
            return;
        }
        *this.reclaim = this.seen.is_some_and(|seen| seen.reclaims != current.reclaims);
        *this.seen = Some(current);
        while this.announced.as_mut().poll(cx).is_ready() {
            this.announced.set(this.state.control.announced());
        }
    }

    fn poll_disconnect(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        if this.disconnect.is_some() || this.state.open_requests() == 0 {
            return;
        }
        let watch = this.watch.get_or_insert_with(|| disconnect::watch(this.state));
        while let Poll::Ready(disconnect) = watch.as_mut().poll(cx) {
            if disconnect == Disconnect::HalfClosed && this.state.had_last_request_within(HALF_CLOSE_WINDOW) {
                *watch = disconnect::watch_for_reset(this.state);
                continue;
            }
            *this.disconnect = Some(disconnect);
            *this.watch = None;
            return;
        }
    }

    fn phase(&self) -> ConnectionPhase {
        let state = &*self.state;
        if state.write_blocked() {
            ConnectionPhase::Writing(state.writes())
        } else if let (false, Some(number)) = (H::IDLE_BYTES_START_A_REQUEST, state.unfinished_head()) {
            ConnectionPhase::ReadingHead(number)
        } else if state.pending_frames() > 0 {
            ConnectionPhase::AwaitingWindow(state.consumed_frames().wrapping_add(state.data_sent()))
        } else if state.open_requests() > 0 && self.disconnect.is_some() {
            ConnectionPhase::HandlingHalfClosed(state.activity())
        } else if state.open_requests() > 0 {
            ConnectionPhase::Handling
        } else if self.closing {
            ConnectionPhase::Closing(state.data_sent())
        } else if H::IDLE_BYTES_START_A_REQUEST && (state.head_started() || state.finished_requests() == 0) {
            ConnectionPhase::ReadingHead(state.finished_requests())
        } else {
            // The HTTP/2 library may still be sending a response that was handed over.
            ConnectionPhase::Idle(state.finished_requests().wrapping_add(state.data_sent()))
        }
    }

    fn timeout(&self, phase: ConnectionPhase) -> Option<Duration> {
        let limit = self.usual_timeout(phase);
        match phase {
            ConnectionPhase::Idle(_) if self.is_draining() => limit.map(|limit| limit.min(LAST_CHANCE)),
            ConnectionPhase::ReadingHead(_) if self.is_draining() => limit.map(|limit| limit.min(CLOSING_TIMEOUT)),
            _ => limit,
        }
    }

    fn usual_timeout(&self, phase: ConnectionPhase) -> Option<Duration> {
        match phase {
            ConnectionPhase::Writing(_) | ConnectionPhase::AwaitingWindow(_) => Some(self.limits.send_timeout),
            ConnectionPhase::HandlingHalfClosed(_) => Some(HALF_CLOSED_TIMEOUT),
            ConnectionPhase::Handling => None,
            ConnectionPhase::ReadingHead(_) => Some(self.limits.header_timeout),
            ConnectionPhase::Idle(_) => Some(self.limits.keep_alive),
            ConnectionPhase::Closing(_) => Some(CLOSING_TIMEOUT),
        }
    }

    /// Returns the current phase if it has exceeded its limit.
    fn poll_timed_out(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<ConnectionPhase> {
        let phase = self.phase();
        let timeout = self.timeout(phase);
        let this = self.project();
        if *this.phase != Some(phase) {
            if this.phase.is_some() {
                *this.since = Instant::now();
            }
            *this.phase = Some(phase);
        }
        let deadline = *this.since + timeout?;
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                return Some(phase);
            }
            timer.as_mut().reset(deadline);
        }
        None
    }

    /// Whether the connection should end, since the server drains or needs its permit for another one.
    fn should_close(self: Pin<&mut Self>) -> bool {
        let is_draining = self.is_draining();
        let this = self.project();
        let idle = matches!(this.phase, Some(ConnectionPhase::Idle(_)));
        let reclaimed = std::mem::take(this.reclaim) && idle && this.since.elapsed() >= RECLAIM_AFTER;
        // HTTP/2 announces the end. A client of HTTP/1 would lose the request that it sends just now.
        reclaimed || is_draining && (!H::IDLE_BYTES_START_A_REQUEST || this.state.open_requests() > 0)
    }

    fn is_draining(&self) -> bool {
        self.state.control.stage() >= ShutdownStage::Draining
    }
}

impl<H: HttpConnection> Future for TimedConnection<H> {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            if let Poll::Ready(outcome) = self.as_mut().project().http.poll(cx) {
                return Poll::Ready(CloseReason::Finished(outcome));
            }
            self.as_mut().poll_announcement(cx);
            if self.state.control.stage() == ShutdownStage::Aborting {
                return Poll::Ready(CloseReason::Aborted);
            }
            self.as_mut().poll_disconnect(cx);
            if self.disconnect == Some(Disconnect::Reset) && self.state.open_requests() > 0 {
                return Poll::Ready(CloseReason::Reset);
            }
            let timed_out = self.as_mut().poll_timed_out(cx);
            let ends = match timed_out {
                Some(ConnectionPhase::Idle(_)) => true,
                Some(ConnectionPhase::ReadingHead(_)) => self.is_draining() && !self.closing,
                _ => false,
            };
            if let (Some(phase), false) = (timed_out, ends) {
                return Poll::Ready(CloseReason::TimedOut(phase));
            }
            if self.closing || !(self.as_mut().should_close() || ends) {
                return Poll::Pending;
            }
            let this = self.as_mut().project();
            *this.closing = true;
            this.http.graceful_shutdown();
        }
    }
}
