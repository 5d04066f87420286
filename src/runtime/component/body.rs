//! How do the bodies of requests and responses get into and out of a component?
//!
//! A request's body goes in as the client sends it. A response's body goes from wasmtime's buffers into the buffer that other
//! guests print to. The buffer has a limited capacity, so a client that reads slowly holds its guest back.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::content::status::has_no_content;

use crate::runtime::instance::ending::{Ending, OutputLimit};
use crate::runtime::instance::output::Head;
use crate::runtime::instance::response_state::ResponseState;
use crate::runtime::instance::stdio::{Stdio, WriteError};

/// The body of a request, with an error that ends it if it breaks off.
pub type ComponentRequestBody = UnsyncBoxBody<Bytes, io::Error>;

/// The body of a request as the guest reads it.
pub(in crate::runtime::component) struct GuestRequestBody {
    pub body: ComponentRequestBody,
    pub stdio: Arc<Stdio>,
    pub response: Arc<ResponseState>,
    pub reader: Reader,
}

/// How a guest reads the body of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::component) enum Reader {
    /// A guest of WASI 0.2, which polls the body whenever it waits for it.
    P2,
    /// A guest of WASI 0.3, which may leave a read pending.
    P3,
}

impl GuestRequestBody {
    /// Records whether the guest waits. Returns `false` if the client has sent `bytes` too slowly.
    fn record(&self, pending: bool, bytes: usize) -> bool {
        if !self.stdio.has_request_body {
            return true;
        }
        let wait = &mut self.stdio.stdin().wait;
        match self.reader {
            Reader::P2 if pending => wait.claim(),
            Reader::P2 => {}
            Reader::P3 => wait.set_streaming(pending),
        }
        bytes == 0 || wait.receive(bytes)
    }
}

impl Drop for GuestRequestBody {
    fn drop(&mut self) {
        self.record(false, 0);
    }
}

impl Body for GuestRequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        let received = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        if !self.record(polled.is_pending(), received) {
            polled = Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        Poll::Ready(match ready!(polled) {
            Some(Err(failure)) => {
                let error = match failure.kind() {
                    io::ErrorKind::FileTooLarge => Error::HttpRequestBodySize(None),
                    io::ErrorKind::TimedOut => Error::ConnectionReadTimeout,
                    _ => Error::ConnectionTerminated,
                };
                self.response.set_input_failure(failure);
                Some(Err(error))
            }
            Some(Ok(frame)) => {
                self.stdio.cpu_timer.add_moved(frame.data_ref().map_or(0, Bytes::len));
                Some(Ok(frame))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a guest returns for a request: a response, or why there is none.
pub(in crate::runtime::component) type GuestResponse = Result<http::Response<WasiBody>, String>;

/// Forwards a response from the guest to the buffer of its stdout.
pub(in crate::runtime::component) struct BodyForwarder {
    stage: ForwardStage,
    /// Whether the request is a HEAD.
    is_head: bool,
    content: ResponseContent,
    stdio: Arc<Stdio>,
    response: Arc<ResponseState>,
    /// Dropped when all of the response has been forwarded.
    done: Option<oneshot::Sender<()>>,
}

/// What of the content of a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ResponseContent {
    /// All of it.
    Sent,
    /// Nothing, as for HEAD; but a body that breaks off is a failure, as for GET.
    Discarded,
    /// Nothing, as for HEAD, if its length is announced: the guest may leave out the body, but not break it off.
    Announced,
    /// Nothing, however it ends: the status is one without content.
    Absent,
}

impl ResponseContent {
    /// For a response with this head, to a HEAD or to another request.
    fn of(head: &Head, is_head: bool) -> Self {
        if has_no_content(head.status) {
            return Self::Absent;
        }
        match is_head {
            true if head.headers.contains_key(CONTENT_LENGTH) => Self::Announced,
            true => Self::Discarded,
            false => Self::Sent,
        }
    }

    /// The same when some of it is there.
    fn begun(self) -> Self {
        if self == Self::Announced { Self::Discarded } else { self }
    }

    /// Whether its end may be missing.
    fn may_break_off(self) -> bool {
        matches!(self, Self::Announced | Self::Absent)
    }
}

enum ForwardStage {
    AwaitingHead(oneshot::Receiver<GuestResponse>),
    Forwarding { body: WasiBody, rest: Bytes },
    Done,
}

/// What a forwarder that is not done waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::component) enum Blocked {
    Head,
    Body,
    Client,
}

impl BodyForwarder {
    pub fn new(
        head: oneshot::Receiver<GuestResponse>,
        is_head: bool,
        stdio: Arc<Stdio>,
        response: Arc<ResponseState>,
    ) -> Self {
        let content = ResponseContent::Sent;
        Self { stage: ForwardStage::AwaitingHead(head), is_head, content, stdio, response, done: None }
    }

    /// Returns a receiver that resolves when all of the response has been forwarded.
    pub fn done(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.done = Some(sender);
        receiver
    }

    /// What it waits for. `None` when all of the response has been forwarded.
    pub fn blocked_on(&self) -> Option<Blocked> {
        match &self.stage {
            ForwardStage::AwaitingHead(_) => Some(Blocked::Head),
            ForwardStage::Forwarding { rest, .. } if rest.is_empty() => Some(Blocked::Body),
            ForwardStage::Forwarding { .. } => Some(Blocked::Client),
            ForwardStage::Done => None,
        }
    }

    /// Forwards what the guest has produced. Ready when that was all of the response.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        loop {
            match &mut self.stage {
                ForwardStage::AwaitingHead(head) => match ready!(Pin::new(head).poll(cx)) {
                    Ok(Ok(response)) => self.forward_head(response),
                    Ok(Err(reason)) => return Poll::Ready(Err(Ending::NoResponse(reason))),
                    Err(_) => return Poll::Ready(Err(Ending::NoResponse("it gave none".into()))),
                },
                ForwardStage::Forwarding { body, rest } if rest.is_empty() => {
                    let frame = ready!(Pin::new(body).poll_frame(cx));
                    self.forward_frame(frame)?;
                }
                ForwardStage::Forwarding { rest, .. } => {
                    ready!(self.stdio.stdout().poll_writable(cx));
                    match self.stdio.write_stdout(rest) {
                        Ok(count) => rest.advance(count),
                        Err(WriteError::LimitReached) => {
                            return Poll::Ready(Err(wasmtime::Error::from(OutputLimit).into()));
                        }
                        // The reader is gone; the run is about to be dropped.
                        Err(WriteError::Closed) => rest.clear(),
                    }
                }
                ForwardStage::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    fn forward_head(&mut self, response: http::Response<WasiBody>) {
        let (head, body) = response.into_parts();
        self.content = ResponseContent::of(&head, self.is_head);
        if self.content != ResponseContent::Sent {
            self.stdio.discard_output();
        }
        self.stage = ForwardStage::Forwarding { body, rest: Bytes::new() };
        self.response.set_head(head, &self.stdio);
    }

    fn forward_frame(&mut self, frame: Option<Result<Frame<Bytes>, Error>>) -> Result<(), Ending> {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    self.content = self.content.begun();
                    if let ForwardStage::Forwarding { rest, .. } = &mut self.stage {
                        *rest = data;
                    }
                }
                Err(frame) => self.response.set_trailers(frame.into_trailers().unwrap_or_default()),
            },
            Some(Err(error)) if !self.content.may_break_off() => {
                return Err(Ending::NoResponse(format!("its answer broke off: {error}")));
            }
            Some(Err(_)) | None => {
                (self.stage, self.done) = (ForwardStage::Done, None);
                self.response.set_complete(&self.stdio);
            }
        }
        Ok(())
    }
}
