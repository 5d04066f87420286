//! How do a request and its response pass piece by piece?
//!
//! For guests that send and read bodies piece by piece. No body is collected and no redirect is followed: the guest itself calls
//! the new URL. The limits are the time without a byte, the number of bytes, and the end of the guest.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::timeout;

use crate::idle_timeout::IdleTimeout;
use crate::net::connect;
use crate::outbound::budget::{ByteCounter, CallBudget, CallPermit};
use crate::outbound::error::Error;
use crate::outbound::policy::{Policy, uri};
use crate::outbound::pool::CallContext;
use crate::outbound::request::{check_method, remove_restricted};
use crate::outbound::response::check_headers;
use crate::outbound::trace::{CallSpan, CallTracer};

/// How long a guest waits. Longer times than the limits of all calls have no effect.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallTimeouts {
    /// For a connection.
    pub connect: Option<Duration>,
    /// For the head of the response.
    pub first_byte: Option<Duration>,
    /// For each piece of its body.
    pub between_bytes: Option<Duration>,
}

/// A request of a guest. Its target is an absolute URL.
pub struct StreamingRequest<B> {
    /// The request.
    pub request: Request<B>,
    /// How long the guest waits.
    pub timeouts: CallTimeouts,
    /// The budget of its run. The call ends with the run.
    pub budget: Weak<CallBudget>,
    /// What makes its span.
    pub tracer: Option<Arc<dyn CallTracer>>,
}

/// Sends the request and returns the response.
pub(super) async fn send<B>(
    context: &CallContext,
    request: StreamingRequest<B>,
) -> Result<Response<CallResponseBody>, Error>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let StreamingRequest { request, timeouts, budget, tracer } = request;
    let (mut head, body) = request.into_parts();
    head.uri = destination(&context.policy, &head.uri)?;
    check_method(&head.method)?;
    let permit = budget.upgrade().ok_or(Error::Stopped)?.acquire()?;
    set_headers(&mut head.headers, &head.method, &body);
    let mut span = CallSpan::begin(tracer, &head.method, &head.uri, &mut head.headers);
    let sent = Arc::new(AtomicU64::new(0));
    let method = head.method.clone();
    let is_sent = is_body_sent(&head, &body);
    let body = StreamingCallBody { body, owner: budget, counter: permit.byte_counter(), sent: sent.clone() };
    let (body, unsent) = if is_sent {
        (body.boxed_unsync(), None)
    } else {
        (Empty::new().map_err(|never| match never {}).boxed_unsync(), Some(body))
    };
    let exchange = connect::with_timeout(timeouts.connect, context.request(Request::from_parts(head, body)));
    let limits = &context.limits;
    let first_byte = limits.total.min(timeouts.first_byte.unwrap_or(Duration::MAX));
    let response = unless_body(wait_for_head(exchange, &sent, first_byte), unsent, method).await;
    let response = response.and_then(|response| check_headers(response.headers(), limits).map(|()| response));
    let response = response.inspect_err(|error| span.fail(error))?;
    span.set_status(response.status().as_u16());
    let idle = IdleTimeout::new(limits.idle.min(timeouts.between_bytes.unwrap_or(Duration::MAX)));
    Ok(response.map(|incoming| CallResponseBody { incoming, idle, permit, span }))
}

/// The host as the policy has read it, with path and query as the guest wrote them, which may be signed.
fn destination(policy: &Policy, target: &Uri) -> Result<Uri, Error> {
    let destination = policy.destination(target.to_string().as_bytes())?;
    // Bytes beyond ASCII belong percent-encoded (RFC 3986 §2), and servers disagree about what raw ones mean.
    if target.path_and_query().is_some_and(|path| !path.as_str().is_ascii()) {
        return Err(Error::InvalidUrl);
    }
    let mut parts = uri(&destination.0)?.into_parts();
    parts.path_and_query = target.path_and_query().cloned().or(parts.path_and_query);
    Uri::from_parts(parts).map_err(|_| Error::InvalidUrl)
}

/// Leaves the headers that are the guest's to set. It may set the length of the body: the library holds it to that.
fn set_headers(headers: &mut HeaderMap, method: &Method, body: &impl Body) {
    remove_restricted(headers);
    if headers.get_all(header::CONTENT_LENGTH).iter().nth(1).is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
    // RFC 9110 §8.6: methods that usually come with a body say that there is none.
    if body.size_hint().exact() == Some(0) && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("0"));
    }
}

/// Whether the library sends the body: with the methods that usually have none, only if its length is known.
fn is_body_sent(head: &Parts, body: &impl Body) -> bool {
    ![Method::GET, Method::HEAD].contains(&head.method)
        || head.headers.contains_key(header::CONTENT_LENGTH)
        || body.size_hint().exact().is_some()
}

/// The exchange, which fails when a body that is not sent turns out to have content.
async fn unless_body<T>(
    exchange: impl Future<Output = Result<T, Error>>,
    unsent: Option<impl Body<Data = Bytes>>,
    method: Method,
) -> Result<T, Error> {
    let Some(unsent) = unsent else { return exchange.await };
    let content = async {
        let mut unsent = std::pin::pin!(unsent);
        while let Some(Ok(frame)) = unsent.frame().await {
            if frame.data_ref().is_some_and(|data| !data.is_empty()) {
                return;
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = content => Err(Error::UnexpectedBody(method)),
        response = exchange => response,
    }
}

/// Waits for the head of the response. Only silence counts against the time, and a body on its way is no silence.
async fn wait_for_head(
    exchange: impl Future<Output = Result<Response<Incoming>, Error>>,
    sent: &AtomicU64,
    limit: Duration,
) -> Result<Response<Incoming>, Error> {
    let mut exchange = std::pin::pin!(exchange);
    loop {
        let before = sent.load(Relaxed);
        match timeout(limit, &mut exchange).await {
            Ok(response) => return response,
            Err(_elapsed) if sent.load(Relaxed) == before => return Err(Error::TimedOut),
            Err(_elapsed) => {}
        }
    }
}

pin_project! {
    /// The body of a request on its way out.
    struct StreamingCallBody<B> {
        #[pin]
        body: B,
        owner: Weak<CallBudget>,
        counter: ByteCounter,
        sent: Arc<AtomicU64>,
    }
}

impl<B> Body for StreamingCallBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        // A body ends when its guest does. What broke off like that must not look complete to the server.
        if this.owner.strong_count() == 0 {
            return Poll::Ready(Some(Err(Error::Stopped.into())));
        }
        this.sent.fetch_add(1, Relaxed);
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(match this.counter.add(frame.data_ref().map_or(0, Bytes::len)) {
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

/// The body of a response on its way in.
#[derive(Debug)]
pub struct CallResponseBody {
    incoming: Incoming,
    idle: IdleTimeout,
    permit: CallPermit,
    /// The span of the call, which goes on until the body has come.
    span: CallSpan,
}

impl Body for CallResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            ready!(this.idle.poll_elapsed(cx));
            this.span.fail(&Error::IdleTimedOut);
            return Poll::Ready(Some(Err(Error::IdleTimedOut)));
        };
        this.idle.reset();
        let frame = frame.map(|frame| {
            let frame = frame.map_err(Error::from_exchange)?;
            this.permit.byte_counter().add(frame.data_ref().map_or(0, Bytes::len))?;
            Ok(frame)
        });
        match &frame {
            Some(Ok(_)) => {}
            Some(Err(error)) => this.span.fail(error),
            None => this.span.finish(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
