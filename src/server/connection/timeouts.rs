//! How long a connection may take over what it is doing, and whether its client is still there. `connection` wraps the
//! HTTP library's connection into a `Paced`; dropping that drops every HTTP/1 request on it.
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
use crate::server::connection::disconnect::{Departure, Watch};
use crate::server::connection::state::Line;
use crate::server::shutdown::{Hub, Stage};

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
pub(in crate::server) enum End {
    /// The HTTP library was done with it.
    Done(hyper::Result<()>),
    /// It outstayed a limit, in this phase.
    Late(Phase),
    /// The client broke it.
    Broken,
    /// The server stops.
    Over,
}

/// What a connection is waiting for. The number changes whenever the wait begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Phase {
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
    pub(in crate::server) struct Paced<H> {
        #[pin]
        http: H,
        #[pin]
        announcement: OwnedNotified,
        line: Arc<Line>,
        hub: Arc<Hub>,
        limits: Arc<ConnectionLimits>,
        // What was announced when the task last registered; `None` before the first time.
        heard: Option<(Stage, usize)>,
        room_wanted: bool,
        closing: bool,
        watch: Option<Watch>,
        departure: Option<Departure>,
        phase: Option<Phase>,
        since: Instant,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<H: Http> Paced<H> {
    /// `opened` is when the client connected; the wait for its first request counts from there.
    pub(in crate::server) fn new(
        http: H,
        line: Arc<Line>,
        hub: Arc<Hub>,
        limits: Arc<ConnectionLimits>,
        opened: Instant,
    ) -> Self {
        Self {
            http,
            announcement: hub.announcement(),
            line,
            hub,
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
        let now = (this.hub.stage(), this.hub.crowded());
        if *this.heard == Some(now) {
            return;
        }
        *this.room_wanted = this.heard.is_some_and(|(_, crowded)| crowded != now.1);
        *this.heard = Some(now);
        while this.announcement.as_mut().poll(cx).is_ready() {
            this.announcement.set(this.hub.announcement());
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

    fn phase(&self) -> Phase {
        let line = &*self.line;
        if line.blocked() {
            Phase::Sending(line.sent())
        } else if line.waiting() > 0 {
            Phase::Offering(line.taken())
        } else if line.open() > 0 {
            if self.departure.is_some() { Phase::Leaving(line.moved()) } else { Phase::Working }
        } else if self.closing {
            Phase::Closing
        } else if H::HEADS_ONLY && (line.heard() || line.served() == 0) {
            Phase::Head(line.served())
        } else {
            Phase::Idle(line.served())
        }
    }

    fn limit(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Sending(_) | Phase::Offering(_) => Some(self.limits.send_timeout),
            Phase::Leaving(_) => Some(LEAVING),
            Phase::Working => None,
            Phase::Head(_) => Some(self.limits.header_timeout),
            Phase::Idle(_) => Some(self.limits.keep_alive),
            Phase::Closing => Some(CLOSING),
        }
    }

    /// The phase whose limit is over, if one is.
    fn poll_late(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Option<Phase> {
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
        let idle = matches!(this.phase, Some(Phase::Idle(_)));
        let spare = std::mem::take(this.room_wanted) && idle && this.since.elapsed() >= SPARE;
        spare || this.hub.stage() > Stage::Open
    }
}

impl<H: Http> Future for Paced<H> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Poll::Ready(outcome) = self.as_mut().project().http.poll(cx) {
                return Poll::Ready(End::Done(outcome));
            }
            self.as_mut().listen(cx);
            if self.hub.stage() == Stage::Over {
                return Poll::Ready(End::Over);
            }
            self.as_mut().poll_departure(cx);
            if self.departure == Some(Departure::Broken) && self.line.open() > 0 {
                return Poll::Ready(End::Broken);
            }
            let late = self.as_mut().poll_late(cx);
            let polite = matches!(late, Some(Phase::Idle(_)));
            if let (Some(phase), false) = (late, polite) {
                return Poll::Ready(End::Late(phase));
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
