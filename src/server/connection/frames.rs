//! Which frames pass over an HTTP/2 connection (RFC 9113 §4.1 and §6)?
//!
//! The HTTP library does not report that a head has begun, how many control frames a client sends, or whether a response makes
//! progress. A `FramedIo` reads this from the bytes that pass, and records it in the state of its connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::server::connection::protocol::PREFACE;
use crate::server::connection::state::ConnectionState;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// A frame that says why the connection ends: GOAWAY with ENHANCE_YOUR_CALM. Any stream may have been processed (RFC 9113 §6.8 and §7).
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0x0b];

/// How many control frames a client may send in this time, besides those that belong to its requests. A hundred in a second cost
/// less than a hundredth of a core.
const CONTROL_FRAMES: u32 = 1000;
const CONTROL_PERIOD: Duration = Duration::from_secs(10);
/// How many more it may send for each head and each DATA frame in either direction: each stream has a priority and a window.
const FRAMES_PER_STEP: u32 = 4;
/// For this many bytes of data it may send one more: some clients widen a window after each small read.
const DATA_PER_FRAME: u32 = 256;
/// How many control frames a RST_STREAM counts for: the stream that it gives up has cost a request.
const COST_OF_RESET: u32 = 10;

/// The first nine bytes of a frame, except the stream's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FrameHead {
    length: u32,
    kind: u8,
    flags: u8,
}

/// Finds the frames in one direction of a connection.
#[derive(Debug, Default)]
struct FrameScanner {
    /// Bytes before the next frame begins: the rest of a payload, or the preface.
    skip: usize,
    head: [u8; 9],
    filled: usize,
    current: Option<FrameHead>,
}

/// The beginning or the end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameEvent {
    Began(FrameHead),
    Ended(FrameHead),
}

impl FrameScanner {
    fn new(skip: usize) -> Self {
        Self { skip, ..Self::default() }
    }

    /// Whether the bytes so far are whole frames.
    fn is_between_frames(&self) -> bool {
        self.skip == 0 && self.filled == 0
    }

    /// Reports the frames that begin or end in the next bytes.
    fn scan(&mut self, mut bytes: &[u8], mut report: impl FnMut(FrameEvent)) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip > 0 {
                return;
            }
            if let Some(head) = self.current.take() {
                report(FrameEvent::Ended(head));
            }
            let count = (self.head.len() - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            if self.filled < self.head.len() {
                return;
            }
            let [a, b, c, kind, flags, ..] = self.head;
            let head = FrameHead { length: u32::from_be_bytes([0, a, b, c]), kind, flags };
            (self.filled, self.skip, self.current) = (0, head.length as usize, Some(head));
            report(FrameEvent::Began(head));
        }
    }
}

/// How many control frames the client may still send.
#[derive(Debug)]
struct ControlBudget {
    left: u32,
    renewed: Instant,
}

impl ControlBudget {
    fn new() -> Self {
        Self { left: CONTROL_FRAMES, renewed: Instant::now() }
    }

    fn earn(&mut self, frames: u32) {
        self.left = self.left.saturating_add(frames).min(CONTROL_FRAMES);
    }

    /// Whether there was enough left.
    fn spend(&mut self, frames: u32) -> bool {
        // The clock is read only by connections with many control frames.
        if self.left < frames && self.renewed.elapsed() >= CONTROL_PERIOD {
            *self = Self::new();
        }
        let left = self.left.checked_sub(frames);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

/// Counts the frames of a connection.
#[derive(Debug)]
struct FrameMeter {
    state: Arc<ConnectionState>,
    budget: ControlBudget,
    /// Heads and first settings that the client began.
    heads: usize,
}

impl FrameMeter {
    fn on_received(&mut self, event: FrameEvent) {
        match event {
            FrameEvent::Began(FrameHead { kind: HEADERS, .. }) => {
                self.budget.earn(FRAMES_PER_STEP);
                self.heads += 1;
                self.state.record_head_begun(self.heads);
            }
            // A frame of one byte costs as much as another; the HTTP library bounds those.
            FrameEvent::Began(FrameHead { kind: DATA, length, .. }) => self.earn_for_data(length),
            FrameEvent::Began(FrameHead { kind: CONTINUATION, .. }) => {}
            FrameEvent::Began(FrameHead { kind, .. }) => {
                let cost = if kind == RST_STREAM { COST_OF_RESET } else { 1 };
                if !self.budget.spend(cost) {
                    self.state.record_flood();
                }
            }
            FrameEvent::Ended(FrameHead { kind: SETTINGS, .. }) if self.heads == 1 => self.state.record_head_complete(),
            FrameEvent::Ended(FrameHead { kind: HEADERS | CONTINUATION, flags, .. }) if flags & END_HEADERS != 0 => {
                self.state.record_head_complete();
            }
            FrameEvent::Ended(_) => {}
        }
    }

    fn on_sent(&mut self, event: FrameEvent) {
        if let FrameEvent::Began(FrameHead { kind: DATA, length, .. }) = event {
            self.earn_for_data(length);
            self.state.record_data_sent();
        }
    }

    fn earn_for_data(&mut self, length: u32) {
        self.budget.earn(FRAMES_PER_STEP + length / DATA_PER_FRAME);
    }
}

/// The byte stream of an HTTP/2 connection. Reading fails when the client floods it with control frames.
pub(in crate::server) struct FramedIo<IO> {
    io: IO,
    received: FrameScanner,
    sent: FrameScanner,
    meter: FrameMeter,
}

impl<IO> FramedIo<IO> {
    pub(in crate::server) fn new(io: IO, state: Arc<ConnectionState>) -> Self {
        // The client's first settings count as a head: a connection without them is of no use.
        state.record_head_begun(1);
        let meter = FrameMeter { state, budget: ControlBudget::new(), heads: 1 };
        Self { io, received: FrameScanner::new(PREFACE.len()), sent: FrameScanner::default(), meter }
    }
}

impl<IO: AsyncWrite + Unpin> FramedIo<IO> {
    /// Tells the client why its connection ends, if the system takes the frame at once: a client that floods is not waited for.
    fn send_goaway(&mut self, cx: &mut Context<'_>) {
        if self.sent.is_between_frames() {
            let _ = Pin::new(&mut self.io).poll_write(cx, &GOAWAY);
            let _ = Pin::new(&mut self.io).poll_flush(cx);
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for FramedIo<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.meter.state.is_flooded() {
            this.send_goaway(cx);
            return Poll::Ready(Err(io::Error::other("too many control frames")));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.received.scan(&buf.filled()[before..], |event| this.meter.on_received(event));
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for FramedIo<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.sent.scan(&buf[..written], |event| this.meter.on_sent(event));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))?;
        let mut left = written;
        for buf in bufs {
            let count = left.min(buf.len());
            this.sent.scan(&buf[..count], |event| this.meter.on_sent(event));
            left -= count;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use crate::server::connection::frames::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        bytes.resize(bytes.len() + usize::from(length), b'x');
        bytes
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let bytes =
            [b"pre".to_vec(), frame(SETTINGS, 0, 6), frame(HEADERS, END_HEADERS, 200), frame(DATA, 1, 0)].concat();
        let heads = [(6, SETTINGS, 0), (200, HEADERS, END_HEADERS), (0, DATA, 1)]
            .map(|(length, kind, flags)| FrameHead { length, kind, flags });
        let expected: Vec<_> =
            heads.into_iter().flat_map(|head| [FrameEvent::Began(head), FrameEvent::Ended(head)]).collect();
        for size in 1..bytes.len() {
            let (mut scanner, mut events) = (FrameScanner::new(3), Vec::new());
            bytes.chunks(size).for_each(|bytes| scanner.scan(bytes, |event| events.push(event)));
            assert_eq!(events, expected, "{size}");
        }
    }

    #[test]
    fn control_frames_have_a_budget_that_heads_and_data_add_to() {
        let mut budget = ControlBudget::new();
        assert!((0..CONTROL_FRAMES).all(|_| budget.spend(1)));
        budget.earn(2);
        assert_eq!([budget.spend(1), budget.spend(1), budget.spend(1)], [true, true, false]);
        budget.earn(u32::MAX);
        assert!(budget.spend(CONTROL_FRAMES) && !budget.spend(1));
    }
}
