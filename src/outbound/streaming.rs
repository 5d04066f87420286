//! How do a request and its answer pass as they come?
//!
//! For guests that send and read bodies piece by piece. Nothing is collected and no redirect is followed: each hop is the
//! guest's own call. What limits them are silence, the count of bytes, and the end of the guest.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::outbound::budget::{ByteCounter, CallBudget, CallPermit};
use crate::outbound::{Calls, Error, call, dial, policy, response};

/// How long a guest is willing to wait. None of it can be more than the limits of all calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Option<Duration>,
    /// For the head of the answer.
    pub head: Option<Duration>,
    /// For each piece of its body.
    pub piece: Option<Duration>,
}

/// A request of a guest. Its target is an absolute URL.
pub struct StreamingRequest<B> {
    /// The request.
    pub request: Request<B>,
    /// How long the guest waits.
    pub timeouts: Timeouts,
    /// Its run's budget, which this call is not to outlive.
    pub budget: Weak<CallBudget>,
}

/// Sends the request and gives the answer.
pub(super) async fn pass<B>(calls: &Arc<Calls>, streamed: StreamingRequest<B>) -> Result<Response<Download>, Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let StreamingRequest { request, timeouts, budget } = streamed;
    let (mut head, body) = request.into_parts();
    head.uri = destination(calls, &head.uri)?;
    if head.method == Method::CONNECT {
        return Err(Error::Tunnel);
    }
    let admitted = budget.upgrade().ok_or(Error::Stopped)?.admit()?;
    describe(&mut head.headers, &head.method, &body);
    let sent = Arc::new(AtomicU64::new(0));
    let upload = Upload { body, owner: budget, passed: admitted.passes(), sent: sent.clone() };
    let request = Request::from_parts(head, upload.boxed_unsync());
    let exchange = dial::within(timeouts.connect, calls.pool.request(request));
    let answer = answered(exchange, &sent, calls.limits.total.min(timeouts.head.unwrap_or(Duration::MAX))).await?;
    response::check_headers(answer.headers(), &calls.limits)?;
    let longest_pause = calls.limits.idle.min(timeouts.piece.unwrap_or(Duration::MAX));
    Ok(answer.map(|incoming| Download { incoming, longest_pause, timer: None, waiting: false, admitted }))
}

/// Whom to call: the host as the policy has read it, with path and query as the guest wrote them, which may be signed.
fn destination(calls: &Calls, target: &Uri) -> Result<Uri, Error> {
    let destination = calls.policy.destination(target.to_string().as_bytes())?;
    let mut parts = policy::uri(&destination.0)?.into_parts();
    parts.path_and_query = target.path_and_query().cloned().or(parts.path_and_query);
    Uri::from_parts(parts).map_err(|_| Error::InvalidUrl)
}

/// Leaves of the headers what is the guest's to say. How long the body is it may say: the library holds it to that.
fn describe(headers: &mut HeaderMap, method: &Method, body: &impl Body) {
    call::remove_ours(headers);
    if headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
    // RFC 9110 §8.6: methods that usually come with a body say that there is none.
    if body.size_hint().exact() == Some(0) && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("0"));
    }
}

/// Waits for the head of the answer. Only silence counts against the time, and a body on its way is no silence.
async fn answered(
    exchange: impl Future<Output = Result<Response<Incoming>, hyper_util::client::legacy::Error>>,
    sent: &AtomicU64,
    longest_silence: Duration,
) -> Result<Response<Incoming>, Error> {
    let mut exchange = std::pin::pin!(exchange);
    loop {
        let before = sent.load(Relaxed);
        match timeout(longest_silence, &mut exchange).await {
            Ok(answer) => return answer.map_err(Error::of_exchange),
            Err(_elapsed) if sent.load(Relaxed) == before => return Err(Error::TimedOut),
            Err(_elapsed) => {}
        }
    }
}

pin_project! {
    /// The body of a request on its way out.
    struct Upload<B> {
        #[pin]
        body: B,
        owner: Weak<CallBudget>,
        passed: ByteCounter,
        sent: Arc<AtomicU64>,
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        // A body ends when its guest does; what broke off like that must not look complete to whoever gets it.
        if this.owner.strong_count() == 0 {
            return Poll::Ready(Some(Err(Error::Stopped.into())));
        }
        this.sent.fetch_add(1, Relaxed);
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(match this.passed.add(frame.data_ref().map_or(0, Bytes::len)) {
                Ok(()) => Ok(frame),
                Err(error) => Err(error.into()),
            }),
            Some(Err(error)) => Some(Err(error.into())),
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

/// The body of an answer on its way in.
#[derive(Debug)]
pub struct Download {
    incoming: Incoming,
    longest_pause: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    admitted: CallPermit,
}

impl Download {
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let longest_pause = self.longest_pause;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(longest_pause)));
        if !std::mem::replace(&mut self.waiting, true) {
            timer.as_mut().reset(Instant::now() + longest_pause);
        }
        timer.as_mut().poll(cx)
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            return this.poll_late(cx).map(|()| Some(Err(Error::Silent)));
        };
        this.waiting = false;
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Error::of_exchange)?;
            this.admitted.passes().add(frame.data_ref().map_or(0, Bytes::len))?;
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
