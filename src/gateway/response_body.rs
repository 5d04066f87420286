//! How does the body of a response reach the client, and what is recorded at its end?
//!
//! If the guest has ended, the body is bytes. If the guest still prints, the connection that sends the body also drives the
//! guest: a client that does not read makes its guest wait, as long as `readers` allows, and a client that leaves ends its
//! guest. If a guest fails after its head is committed, the transfer is cut, so that the response does not look complete. A
//! body of announced length is complete when it has this length. What the guest prints after that is left out. A body that is
//! compressed is encoded while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tower_http::compression::CompressionBody;

use crate::cgi::keep_allowed_trailers;
use crate::observe::{Phase, Record, RequestEnd};
use crate::runtime::{Output, Run, RunUsage};
use crate::static_files::FileBody;

use crate::gateway::admission::client_shares::Permitted;
use crate::gateway::admission::readers::{ResponseReader, Waited};
use crate::gateway::compression::encoder_input::EncoderInput;
use crate::gateway::failure::Failure;
use crate::gateway::guest_timer::{GuestTimer, TimeUp};

/// The body of a response. Its record goes to the log when the body is dropped.
pub struct ResponseBody {
    content: BodyContent,
    record: Option<Box<Record>>,
}

/// The transfer was cut because the guest failed after its head; the log says how.
#[derive(Debug, thiserror::Error)]
#[error("the response was aborted")]
pub struct ResponseAborted;

enum BodyContent {
    Full(Bytes),
    /// Boxed, so that other responses do not carry their room.
    FullWithTrailers(Bytes, Option<Box<HeaderMap>>),
    Streaming(Box<StreamingBody>),
    File(Box<Permitted<FileBody>>),
    Compressed(Box<Permitted<CompressionBody<SourceBody>>>),
}

/// A body on its way to its encoder.
pub(super) type SourceBody = EncoderInput<UncodedBody>;

/// A body that is not sent as it is: what is sent of it is counted later.
pub(super) struct UncodedBody(ResponseBody);

/// A body that a guest is still printing.
pub(super) struct StreamingBody {
    printed: Bytes,
    /// How much of a body of announced length is still to come.
    remaining: Option<u64>,
    /// Whether the guest printed more than it announced.
    is_cut_off: bool,
    /// The guest, while the client waits for it. While the guest waits for the client, the reader has it.
    run: Option<Run>,
    reader: ResponseReader,
    /// Whether trailers may follow the last byte: the guest is a component, and has not ended.
    may_have_trailers: bool,
    time_between_outputs: Duration,
    silence: GuestTimer,
}

/// Why a body was cut off, as the log has it.
const CUT_OFF: &str = "the body was cut off at the content-length that the guest printed";

type PolledFrame = Poll<Option<Result<Frame<Bytes>, Failure>>>;

impl StreamingBody {
    /// A body that begins with `printed` and is continued by the guest that waits for `reader`, which may be silent for
    /// `time_between_outputs`.
    pub fn new(printed: Bytes, reader: ResponseReader, time_between_outputs: Duration) -> Self {
        Self {
            printed,
            remaining: None,
            is_cut_off: false,
            run: None,
            may_have_trailers: reader.is_http_component(),
            reader,
            time_between_outputs,
            silence: GuestTimer::new(time_between_outputs),
        }
    }

    /// The same body, which is cut off at this length and fails if it is shorter.
    pub fn with_length(self, length: Option<u64>) -> Self {
        let mut printed = self.printed;
        let fits = length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
        let is_cut_off = printed.len() > fits;
        printed.truncate(fits);
        Self { printed, remaining: length, is_cut_off, ..self }
    }

    /// Whether all of a body of announced length has been taken.
    fn has_its_length(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Whether its length says that nothing is to come: trailers may follow the body of a component.
    fn is_whole(&self) -> bool {
        self.has_its_length() && !self.may_have_trailers
    }

    /// Whether it is whole, but its guest has trapped: the failure is to come.
    fn is_failing(&self) -> bool {
        self.is_whole() && self.run.as_ref().is_some_and(Run::is_failing)
    }

    /// Whether nothing is to come.
    fn is_complete(&self) -> bool {
        self.is_whole() && !self.is_failing()
    }

    /// Polls the guest, which then waits for the client to ask for more.
    fn poll(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        match self.reader.resume() {
            Waited::Run(run) => self.run = self.run.take().or(run),
            Waited::Gone(_) => return Poll::Ready(Some(Err(Failure::ReadTooSlowly))),
        }
        let polled = ready!(self.poll_with_end(cx));
        if let Some(Ok(frame)) = &polled
            && let Some(bytes) = frame.data_ref()
            && let Some(run) = self.run.take()
        {
            self.reader.wait(run, bytes.len());
        }
        Poll::Ready(polled)
    }

    fn poll_with_end(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        if self.is_complete() {
            return Poll::Ready(None);
        }
        let polled = ready!(self.poll_frame(cx));
        if self.is_whole()
            && let Some(failure) = ready!(self.look_ahead(cx))
        {
            return Poll::Ready(Some(Err(failure)));
        }
        Poll::Ready(polled)
    }

    /// Polls a guest once more that has printed as much as it announced: it may print more, or fail. If it has trapped, its end is
    /// waited for, and the last bytes are not sent.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Option<Failure>> {
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        match run.poll_output(cx) {
            Poll::Ready(Output::Bytes(_)) => self.is_cut_off = true,
            Poll::Ready(Output::Ended(ending)) => return Poll::Ready(Failure::from_ending(ending)),
            Poll::Pending if run.is_failing() => return Poll::Pending,
            _ => {}
        }
        Poll::Ready(None)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        if !self.printed.is_empty() {
            let printed = std::mem::take(&mut self.printed);
            return Poll::Ready(Some(Ok(self.data(printed))));
        }
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        match run.poll_output(cx) {
            Poll::Ready(Output::Bytes(bytes)) => {
                self.silence.reset();
                Poll::Ready(Some(Ok(self.data(bytes))))
            }
            Poll::Ready(Output::Trailers(trailers)) => {
                let trailers = self.check_end().map(|()| Frame::trailers(allowed(trailers)));
                Poll::Ready(Some(trailers))
            }
            Poll::Ready(Output::Ended(ending)) => {
                let failure = Failure::from_ending(ending).or_else(|| self.check_end().err());
                Poll::Ready(failure.map(Err))
            }
            Poll::Ready(Output::Complete) => Poll::Ready(self.check_end().err().map(Err)),
            Poll::Ready(Output::Head(_)) => Poll::Ready(Some(Err(Failure::SecondHead))),
            Poll::Pending => Poll::Ready(Some(Err(match ready!(self.silence.poll(run, cx)) {
                TimeUp::Guest => Failure::OutputTimeout(self.time_between_outputs),
                TimeUp::Client => Failure::BodyTimeout,
            }))),
        }
    }

    /// A frame of data, cut off at the announced length.
    fn data(&mut self, mut bytes: Bytes) -> Frame<Bytes> {
        if let Some(remaining) = &mut self.remaining {
            let fits = usize::try_from(*remaining).unwrap_or(usize::MAX);
            self.is_cut_off |= bytes.len() > fits;
            bytes.truncate(fits);
            *remaining -= bytes.len() as u64;
        }
        Frame::data(bytes)
    }

    /// Records how the body ended. If the response is complete and the guest has not ended, the guest may go on.
    fn finish(&mut self, failure: Option<&Failure>, record: Option<&mut Record>) {
        self.may_have_trailers = false;
        let run = match self.reader.resume() {
            Waited::Run(run) => self.run.take().or(run),
            Waited::Gone(usage) => return record_gone_guest(usage, record),
        };
        let Some(run) = run else { return };
        if let Some(record) = record {
            record.guest = Some(run.usage());
            record.end = RequestEnd::Ok;
            if let Some(failure) = failure {
                record_failure(failure, record);
            } else if self.is_cut_off {
                record.reason = Some(CUT_OFF.into());
            }
        }
        if failure.is_none() && !self.is_cut_off {
            run.detach(self.time_between_outputs);
        }
    }

    /// Fails if the body ends before the announced length.
    fn check_end(&self) -> Result<(), Failure> {
        if self.remaining.is_some_and(|remaining| remaining > 0) { Err(Failure::WrongLength) } else { Ok(()) }
    }
}

/// Records that a client has left before the end of its file.
fn record_rest(file: &FileBody, record: Option<&mut Record>) {
    let Some(record) = record.filter(|record| file.remaining() > 0 && record.reason.is_none()) else { return };
    if record.is_cancelled() {
        return record_failure(&Failure::Cancelled, record);
    }
    record.reason = Some("the client left, or stopped reading, before the end of the file".into());
}

/// Records that the guest had to go before its end: others may have needed its permit, or an operator has ended it.
fn record_gone_guest(usage: RunUsage, record: Option<&mut Record>) {
    if let Some(record) = record {
        record.guest = Some(usage);
        let failure = if record.is_cancelled() { Failure::Cancelled } else { Failure::ReadTooSlowly };
        record_failure(&failure, record);
    }
}

/// Records why the response is not complete.
fn record_failure(failure: &Failure, record: &mut Record) {
    record.end = failure.end();
    record.reason = Some(format!("cut after the head: {failure}"));
    record.trap = failure.trap();
}

/// Polls a part of a response, which is waited for in this phase, unless an operator has ended the request. `is_last` says whether
/// nothing comes after it.
fn poll_unless_cancelled<T>(
    (record, phase): (Option<&Record>, Phase),
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> (PolledPart<T>, IsLast),
) -> PolledPart<T> {
    let noted = record.and_then(|record| Some((record, record.registration()?)));
    let Some((record, registration)) = noted else { return poll(cx).0 };
    if !record.is_cancelled() {
        registration.noted().iter().for_each(|slot| slot.set_phase(phase));
        let (polled, IsLast(is_last)) = poll(cx);
        if polled.is_pending() {
            let slot = registration.slot();
            slot.set_phase(phase);
            ready!(slot.poll_cancelled(cx, || None));
        } else if !record.is_cancelled() {
            // The rest is asked for when the client has taken this part.
            let slot = if is_last { registration.noted() } else { Some(registration.slot()) };
            slot.iter().for_each(|slot| slot.set_phase(Phase::Sending));
            return polled;
        }
    }
    Poll::Ready(Some(Err(Failure::Cancelled)))
}

type PolledPart<T> = Poll<Option<Result<T, Failure>>>;

/// Whether a part of a response is its last one.
struct IsLast(bool);

fn allowed(mut trailers: HeaderMap) -> HeaderMap {
    keep_allowed_trailers(&mut trailers);
    trailers
}

impl ResponseBody {
    /// A body that is complete.
    pub(super) fn full(bytes: Bytes, trailers: Option<Box<HeaderMap>>, record: Box<Record>) -> Self {
        let content = match trailers {
            None => BodyContent::Full(bytes),
            Some(mut trailers) => {
                keep_allowed_trailers(&mut trailers);
                BodyContent::FullWithTrailers(bytes, Some(trailers))
            }
        };
        // A connection with HTTP/1 takes it at once.
        if record.is_multiplexed()
            && let Some(registration) = record.registration()
        {
            registration.slot().set_phase(Phase::Sending);
        }
        Self { content, record: Some(record) }
    }

    /// Discards content that is known as a whole, with its trailers. Returns its length if there is any.
    pub(super) fn discard(&mut self) -> Option<u64> {
        let (BodyContent::Full(bytes) | BodyContent::FullWithTrailers(bytes, _)) = &mut self.content else {
            return None;
        };
        let length = bytes.len() as u64;
        self.content = BodyContent::Full(Bytes::new());
        (length > 0).then_some(length)
    }

    /// A body that a guest is still printing.
    pub(super) fn streaming(body: StreamingBody, record: Box<Record>) -> Self {
        Self { content: BodyContent::Streaming(Box::new(body)), record: Some(record) }
    }

    /// A file.
    pub(super) fn file(file: Permitted<FileBody>, record: Box<Record>) -> Self {
        Self { content: BodyContent::File(Box::new(file)), record: Some(record) }
    }

    /// The body for its encoder.
    pub(super) fn into_source(self) -> SourceBody {
        EncoderInput::new(UncodedBody(self))
    }

    /// A body that is encoded while it is sent. The source has its record.
    pub(super) fn compressed(body: Permitted<CompressionBody<SourceBody>>) -> Self {
        Self { content: BodyContent::Compressed(Box::new(body)), record: None }
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
        match &mut self.content {
            BodyContent::Full(bytes) | BodyContent::FullWithTrailers(bytes, _) if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            BodyContent::Full(_) => Poll::Ready(None),
            BodyContent::FullWithTrailers(_, trailers) => {
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
            }
            BodyContent::File(file) => {
                let poll = |cx: &mut Context<'_>| {
                    let polled = file.poll_piece(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)));
                    (polled.map_err(Failure::FileUnreadable), IsLast(file.remaining() == 0))
                };
                let polled = ready!(poll_unless_cancelled((self.record.as_deref(), Phase::Waiting), cx, poll));
                if let (Some(Err(failure)), Some(record)) = (&polled, &mut self.record) {
                    record_failure(failure, record);
                }
                Poll::Ready(polled.map(|piece| piece.map_err(|_| ResponseAborted)))
            }
            BodyContent::Streaming(body) => {
                let polled = ready!(poll_unless_cancelled((self.record.as_deref(), Phase::Guest), cx, |cx| {
                    (body.poll(cx), IsLast(body.is_complete()))
                }));
                // Nothing comes after trailers, and hyper does not poll again once it has got them.
                let is_end = !matches!(&polled, Some(Ok(frame)) if frame.is_data());
                if is_end {
                    let failure = polled.as_ref().and_then(|polled| polled.as_ref().err());
                    body.finish(failure, self.record.as_deref_mut());
                }
                Poll::Ready(polled.map(|frame| frame.map_err(|_| ResponseAborted)))
            }
            BodyContent::Compressed(body) => poll_compressed(body, cx),
        }
    }
}

fn poll_compressed(
    body: &mut CompressionBody<SourceBody>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
    let polled = ready!(Pin::new(&mut *body).poll_frame(cx));
    let source = &mut body.get_mut().body_mut().0;
    if let (Some(record), Some(Ok(frame))) = (&mut source.record, &polled) {
        record.bytes += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
    }
    Poll::Ready(polled.map(|frame| frame.map_err(|_| ResponseAborted)))
}

impl Body for UncodedBody {
    type Data = Bytes;
    type Error = ResponseAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
        self.0.poll_content(cx)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
        let this = &mut *self;
        let polled = ready!(this.poll_content(cx));
        if let (Some(record), Some(Ok(frame))) = (&mut this.record, &polled)
            && let Some(bytes) = frame.data_ref()
        {
            record.bytes += bytes.len() as u64;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            BodyContent::Full(bytes) => bytes.is_empty(),
            BodyContent::FullWithTrailers(..) => false,
            BodyContent::Streaming(body) => body.is_complete(),
            BodyContent::File(file) => file.remaining() == 0,
            BodyContent::Compressed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            BodyContent::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // HTTP/1.1 has trailers only after a body that was not announced with its length (RFC 9112 §7.1.2).
            BodyContent::FullWithTrailers(..) | BodyContent::Compressed(_) => SizeHint::default(),
            BodyContent::Streaming(body) => body.remaining.map_or_else(SizeHint::default, SizeHint::with_exact),
            BodyContent::File(file) => SizeHint::with_exact(file.remaining()),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let body = match &mut self.content {
            BodyContent::Full(_) | BodyContent::FullWithTrailers(..) | BodyContent::Compressed(_) => return,
            BodyContent::File(file) => return record_rest(file, self.record.as_deref_mut()),
            BodyContent::Streaming(body) => body,
        };
        // The body of an announced length is not polled for its end, which is known.
        if body.has_its_length() && !body.is_failing() {
            return body.finish(None, self.record.as_deref_mut());
        }
        let run = match body.reader.resume() {
            Waited::Run(run) => body.run.take().or(run),
            Waited::Gone(usage) => return record_gone_guest(usage, self.record.as_deref_mut()),
        };
        if let Some(run) = run
            && let Some(record) = &mut self.record
        {
            record.guest = Some(run.usage());
            if record.is_cancelled() {
                return record_failure(&Failure::Cancelled, record);
            }
            record.end = RequestEnd::ClientGone;
            record.reason = Some("the client left, or stopped reading, before the guest was done".into());
        }
    }
}
