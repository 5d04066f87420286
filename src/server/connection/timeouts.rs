//! How long a connection may take over what it is doing, and whether its client is still there. `connection` wraps the
//! HTTP library's connection into a `TimedConnection`; dropping that drops every HTTP/1 request on it.
//!
//! One timer serves all limits. It is moved only to fire earlier; when it fires too early it is set again, so a
//! connection that is busy with one quick request after another never touches it.

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
use crate::server::connection::disconnect::{Disconnect, Watch};
use crate::server::connection::state::ConnectionState;
use crate::server::shutdown::{Shutdown, Stage};

/// How long a client that sends no more may wait without a byte moving. It gets an answer that is nearly ready; one
/// that has really gone holds nothing for longer.
const LEAVING: Duration = Duration::from_millis(50);
/// How long a connection without requests may take to end once it was told to.
const CLOSING: Duration = Duration::from_secs(1);
/// How long a connection must have been idle to be given up for others.
const SPARE: Duration = Duration::from_secs(1);

/// A connection of the HTTP library, whichever version it speaks.
pub(in crate::server) trait Http: Future<Output = hyper::Result<()>> {
    /// Whether bytes outside of requests are the beginning of one.
    const HEADS_ONLY: bool;
    /// Ends the connection after the requests under way.
    fn finish(self: Pin<&mut Self>);
}

/// Why a connection is over.
#[derive(Debug)]
pub(in crate::server) enum CloseReason {
    /// The HTTP library was done with it.
    Done(hyper::Result<()>),
    /// It outstayed a limit, in this phase.
    Late(ConnectionPhase),
    /// The client broke it.
    Broken,
    /// The server stops.
    Over,
}

/// What a connection is waiting for. The number changes whenever the wait begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum ConnectionPhase {
    /// The peer to take bytes.
    Sending(usize),
    /// The peer to widen the window of some HTTP/2 stream.
    Offering(usize),
    /// The service, whose client has stopped sending.
    Leaving(usize),
    /// The service.
    Working,
    /// The rest of a request head.
    Head(usize),
    /// The next request.
    Idle(usize),
    /// The peer to agree with the end.
    Closing,
}

pin_project! {
    /// A connection together with its limits.
    pub(in crate::server) struct TimedConnection<H> {
        #[pin]
        http: H,
        #[pin]
        announcement: OwnedNotified,
        line: Arc<ConnectionState>,
        shutdown: Arc<Shutdown>,
        limits: Arc<ConnectionLimits>,
        // What was announced when the task last registered; `None` before the first time.
        heard: Option<(Stage, usize)>,
        room_wanted: bool,
        closing: bool,
        watch: Option<Watch>,
        departure: Option<Disconnect>,
        phase: Option<ConnectionPhase>,
        since: Instant,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<H: Http> TimedConnection<H> {
    /// `opened` is when the client connected; the wait for its first request counts from there.
    pub(in crate::server) fn new(
        http: H,
        line: Arc<ConnectionState>,
        shutdown: Arc<Shutdown>,
        limits: Arc<ConnectionLimits>,
        opened: Instant,
    ) -> Self {
        Self {
            http,
            announcement: shutdown.announcement(),
            line,
            shutdown,
            limits,
            heard: None,
            room_wanted: false,
            closing: false,
            watch: None,
            departure: None,
            phase: None,
            since: opened,
            timer: None,
        }
    }

    /// Registers for announcements, once for each: the task stays the same, and so does its waker.
    fn listen(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let now = (this.shutdown.stage(), this.shutdown.crowded());
        if *this.heard == Some(now) {
            return;
        }
        *this.room_wanted = this.heard.is_some_and(|(_, crowded)| crowded != now.1);
        *this.heard = Some(now);
        while this.announcement.as_mut().poll(cx).is_ready() {
            this.announcement.set(this.shutdown.announcement());
        }
    }

    fn poll_departure(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        if this.departure.is_some() || this.line.open() == 0 {
            return;
        }
        let watch = this.watch.get_or_insert_with(|| disconnect::watch(this.line));
        if let Poll::Ready(departure) = watch.as_mut().poll(cx) {
            *this.departure = Some(departure);
            *this.watch = None;
        }
    }

    fn phase(&self) -> ConnectionPhase {
        let line = &*self.line;
        if line.blocked() {
            ConnectionPhase::Sending(line.sent())
        } else if line.waiting() > 0 {
            ConnectionPhase::Offering(line.taken())
        } else if line.open() > 0 {
            if self.departure.is_some() { ConnectionPhase::Leaving(line.moved()) } else { ConnectionPhase::Working }
        } else if self.closing {
            ConnectionPhase::Closing
        } else if H::HEADS_ONLY && (line.heard() || line.served() == 0) {
            ConnectionPhase::Head(line.served())
        } else {
            ConnectionPhase::Idle(line.served())
        }
    }

    fn limit(&self, phase: ConnectionPhase) -> Option<Duration> {
        match phase {
            ConnectionPhase::Sending(_) | ConnectionPhase::Offering(_) => Some(self.limits.send_timeout),
            ConnectionPhase::Leaving(_) => Some(LEAVING),
            ConnectionPhase::Working => None,
            ConnectionPhase::Head(_) => Some(self.limits.header_timeout),
            ConnectionPhase::Idle(_) => Some(self.limits.keep_alive),
            ConnectionPhase::Closing => Some(CLOSING),
        }
    }

    /// The phase whose limit is over, if one is.
    fn poll_late(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<ConnectionPhase> {
        let phase = self.phase();
        let limit = self.limit(phase);
        let this = self.project();
        if *this.phase != Some(phase) {
            if this.phase.is_some() {
                *this.since = Instant::now();
            }
            *this.phase = Some(phase);
        }
        let deadline = *this.since + limit?;
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

    /// Whether the connection should be told to end, since the server stops or is full.
    fn is_unwanted(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let idle = matches!(this.phase, Some(ConnectionPhase::Idle(_)));
        let spare = std::mem::take(this.room_wanted) && idle && this.since.elapsed() >= SPARE;
        spare || this.shutdown.stage() > Stage::Open
    }
}

impl<H: Http> Future for TimedConnection<H> {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            if let Poll::Ready(outcome) = self.as_mut().project().http.poll(cx) {
                return Poll::Ready(CloseReason::Done(outcome));
            }
            self.as_mut().listen(cx);
            if self.shutdown.stage() == Stage::Aborting {
                return Poll::Ready(CloseReason::Over);
            }
            self.as_mut().poll_departure(cx);
            if self.departure == Some(Disconnect::Reset) && self.line.open() > 0 {
                return Poll::Ready(CloseReason::Broken);
            }
            let late = self.as_mut().poll_late(cx);
            let polite = matches!(late, Some(ConnectionPhase::Idle(_)));
            if let (Some(phase), false) = (late, polite) {
                return Poll::Ready(CloseReason::Late(phase));
            }
            if self.closing || !(self.as_mut().is_unwanted() || polite) {
                return Poll::Pending;
            }
            let this = self.as_mut().project();
            *this.closing = true;
            this.http.finish();
        }
    }
}
