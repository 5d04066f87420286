//! How do the bodies of requests and answers get into and out of a component?
//!
//! A request's body goes in as the client sends it. An answer's body goes from wasmtime's buffers into the pipe that other
//! guests print to, which has room for so much and no more: so a client that reads slowly holds its guest back.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::runtime::instance::ending::{Ending, OutputLimit};
use crate::runtime::instance::response_state::ResponseState;
use crate::runtime::instance::stdio::{Pipes, WriteError};

/// The body of a request, with an error that ends it if it breaks off.
pub type RequestBody = UnsyncBoxBody<Bytes, io::Error>;

/// The body of a request as the guest reads it.
pub(in crate::runtime::component) struct Upload {
    pub body: RequestBody,
    pub pipes: Arc<Pipes>,
    pub response: Arc<ResponseState>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.pipes.stdin().set_waiting(polled.is_pending());
        Poll::Ready(match ready!(polled) {
            Some(Err(failure)) => {
                let told = match failure.kind() {
                    io::ErrorKind::FileTooLarge => Error::HttpRequestBodySize(None),
                    io::ErrorKind::TimedOut => Error::ConnectionReadTimeout,
                    _ => Error::ConnectionTerminated,
                };
                self.response.set_input_failure(failure);
                Some(Err(told))
            }
            Some(Ok(frame)) => Some(Ok(frame)),
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

/// What a guest answers, when it does: a response, or why there is none.
pub(in crate::runtime::component) type Answered = Result<http::Response<WasiBody>, String>;

/// What brings an answer from the guest to the pipe.
pub(in crate::runtime::component) struct Pump {
    stage: Stage,
    /// Whether the client wants no body, as for HEAD.
    bodiless: bool,
    pipes: Arc<Pipes>,
    response: Arc<ResponseState>,
    /// Dropped when all of the answer has been passed on.
    done: Option<oneshot::Sender<()>>,
}

enum Stage {
    Waiting(oneshot::Receiver<Answered>),
    Sending { body: WasiBody, rest: Bytes },
    Done,
}

/// What a pump that is not done waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::component) enum WaitsFor {
    Head,
    Body,
    Client,
}

impl Pump {
    pub fn new(
        answered: oneshot::Receiver<Answered>,
        bodiless: bool,
        pipes: Arc<Pipes>,
        response: Arc<ResponseState>,
    ) -> Self {
        Self { stage: Stage::Waiting(answered), bodiless, pipes, response, done: None }
    }

    /// What is dropped when all of the answer has been passed on.
    pub fn done(&mut self) -> oneshot::Receiver<()> {
        let (done, heard) = oneshot::channel();
        self.done = Some(done);
        heard
    }

    /// What it waits for; `None` when all of the answer has been passed on.
    pub fn waits_for(&self) -> Option<WaitsFor> {
        match &self.stage {
            Stage::Waiting(_) => Some(WaitsFor::Head),
            Stage::Sending { rest, .. } if rest.is_empty() => Some(WaitsFor::Body),
            Stage::Sending { .. } => Some(WaitsFor::Client),
            Stage::Done => None,
        }
    }

    /// Passes on what there is, until all has been passed on.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        loop {
            match &mut self.stage {
                Stage::Waiting(answered) => match ready!(Pin::new(answered).poll(cx)) {
                    Ok(Ok(response)) => self.begin(response),
                    Ok(Err(reason)) => return Poll::Ready(Err(Ending::NoResponse(reason))),
                    Err(_) => return Poll::Ready(Err(Ending::NoResponse("it gave none".into()))),
                },
                Stage::Sending { body, rest } if rest.is_empty() => {
                    let frame = ready!(Pin::new(body).poll_frame(cx));
                    self.take(frame)?;
                }
                Stage::Sending { rest, .. } => {
                    ready!(self.pipes.stdout().poll_writable(cx));
                    match self.pipes.write_stdout(rest) {
                        Ok(count) => rest.advance(count),
                        Err(WriteError::LimitReached) => {
                            return Poll::Ready(Err(wasmtime::Error::from(OutputLimit).into()));
                        }
                        // Nobody reads any more; the run is about to be dropped.
                        Err(WriteError::Closed) => rest.clear(),
                    }
                }
                Stage::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    fn begin(&mut self, response: http::Response<WasiBody>) {
        let (head, body) = response.into_parts();
        // RFC 9110 §15.3.5 and §15.4.5: these answers end with the head.
        self.bodiless |= [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status);
        if self.bodiless {
            self.pipes.discard_output();
        }
        self.stage = Stage::Sending { body, rest: Bytes::new() };
        self.response.set_head(head, &self.pipes);
    }

    fn take(&mut self, frame: Option<Result<Frame<Bytes>, Error>>) -> Result<(), Ending> {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    if let Stage::Sending { rest, .. } = &mut self.stage {
                        *rest = data;
                    }
                }
                Err(frame) => self.response.set_trailers(frame.into_trailers().unwrap_or_default()),
            },
            // Who announces a length for HEAD and sends nothing has not sent too little.
            Some(Err(error)) if !self.bodiless => {
                return Err(Ending::NoResponse(format!("its answer broke off: {error}")));
            }
            Some(Err(_)) | None => {
                (self.stage, self.done) = (Stage::Done, None);
                self.response.set_complete(&self.pipes);
            }
        }
        Ok(())
    }
}
