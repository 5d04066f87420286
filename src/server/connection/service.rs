//! What does the service get of a request, and when has the connection finished the request? The HTTP library calls a
//! `ConnectionService` for each request of a connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::server::connection::expectation::{Expectation, awaits_continue};
use crate::server::connection::state::ConnectionState;
use crate::server::date;
use crate::server::service::HttpService;
use crate::server::shutdown::ShutdownStage;
use crate::server::{ClientIdentity, Peer, RequestBody};

/// The service, with what one connection adds to its requests.
pub(in crate::server) struct ConnectionService<S> {
    pub(in crate::server) service: S,
    pub(in crate::server) peer: Peer,
    /// The client, if it was asked for a certificate.
    pub(in crate::server) identity: Option<ClientIdentity>,
    pub(in crate::server) body_timeout: Duration,
    pub(in crate::server) state: Arc<ConnectionState>,
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for ConnectionService<S> {
    type Response = Response<TrackedResponseBody<S::ResponseBody>>;
    type Error = Infallible;
    type Future = ResponseFuture<S>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let version = request.version();
        if is_last(&request) {
            self.state.record_last_request();
        }
        let mut request = request.map(|incoming| RequestBody::new(incoming, self.body_timeout, &self.state));
        request.extensions_mut().insert(self.peer);
        if let Some(identity) = &self.identity {
            request.extensions_mut().insert(identity.clone());
        }
        let expectation = self.expectation(&mut request);
        ResponseFuture {
            step: ResponseStep::NotReady { service: self.service.clone(), request: Some(request) },
            open: Some(OpenRequest::new(&self.state)),
            expectation,
            version,
        }
    }
}

impl<S> ConnectionService<S> {
    /// The service for a connection of a client that was not asked for a certificate.
    pub(in crate::server) fn new(service: S, peer: Peer, body_timeout: Duration, state: Arc<ConnectionState>) -> Self {
        Self { service, peer, identity: None, body_timeout, state }
    }

    /// Returns the body of the request, for the future of the response, if the client waits for 100 (Continue) over HTTP/1.
    fn expectation(&self, request: &mut Request<RequestBody>) -> Option<Arc<Expectation>> {
        if request.body().is_end_stream() || !awaits_continue(request.headers()) {
            return None;
        }
        match request.version() {
            Version::HTTP_11 => request.body_mut().expect(),
            Version::HTTP_2 => {
                request.body_mut().expect_in_vain(self.body_timeout);
                None
            }
            // HTTP/1.0 has no such expectation.
            _ => None,
        }
    }
}

/// Whether the client expects the connection to end after the response (RFC 9112 §9.3).
fn is_last<B>(request: &Request<B>) -> bool {
    if request.version() >= Version::HTTP_2 {
        return false;
    }
    let has = |option: &str| {
        let mut fields = request.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        fields.any(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(option)))
    };
    has("close") || request.version() < Version::HTTP_11 && !has("keep-alive")
}

/// A request counted as open, until dropped.
struct OpenRequest(Arc<ConnectionState>);

impl OpenRequest {
    fn new(state: &Arc<ConnectionState>) -> Self {
        state.record_request_start();
        Self(Arc::clone(state))
    }

    /// Whether the response has to say that it is the last of its connection. HTTP/2 says it with a frame.
    fn is_last(&self, version: Version) -> bool {
        version < Version::HTTP_2 && self.0.control.stage() > ShutdownStage::Open
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.record_request_end();
    }
}

pin_project! {
    /// The future of the response to one request.
    pub(in crate::server) struct ResponseFuture<S: HttpService> {
        #[pin]
        step: ResponseStep<S, S::Future, Response<TrackedResponseBody<S::ResponseBody>>>,
        open: Option<OpenRequest>,
        // The unread body of a client that waits for 100 (Continue).
        expectation: Option<Arc<Expectation>>,
        version: Version,
    }
}

pin_project! {
    #[project = ResponseStepProjection]
    enum ResponseStep<S, F, R> {
        NotReady { service: S, request: Option<Request<RequestBody>> },
        Called { #[pin] future: F },
        // 100 (Continue) goes out before the head. Boxed, since few requests get here.
        Asked { response: Option<Box<R>> },
    }
}

impl<S: HttpService> Future for ResponseFuture<S> {
    type Output = Result<Response<TrackedResponseBody<S::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.step.as_mut().project() {
                ResponseStepProjection::NotReady { service, request } => {
                    let Ok(()) = ready!(service.poll_ready(cx));
                    #[expect(clippy::expect_used, reason = "a step is polled with its request in place")]
                    let request = request.take().expect("this step ends when the request is taken");
                    let future = service.call(request);
                    this.step.set(ResponseStep::Called { future });
                }
                ResponseStepProjection::Called { future } => {
                    let Ok(mut response) = ready!(future.poll(cx));
                    date::correct(response.headers_mut());
                    if this.open.as_ref().is_some_and(|open| open.is_last(*this.version)) {
                        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    let (open, close_delimited) = (this.open.take(), *this.version == Version::HTTP_10);
                    let response =
                        response.map(|body| TrackedResponseBody { body, open, frame_pending: false, close_delimited });
                    // The guest may read on while it responds.
                    if this.expectation.take().is_some_and(|expectation| expectation.ask(cx)) {
                        this.step.set(ResponseStep::Asked { response: Some(Box::new(response)) });
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    return Poll::Ready(Ok(response));
                }
                ResponseStepProjection::Asked { response } => {
                    #[expect(clippy::expect_used, reason = "a future is not polled after it was ready")]
                    let response = response.take().expect("this step ends when the response is taken");
                    return Poll::Ready(Ok(*response));
                }
            }
        }
    }
}

pin_project! {
    /// The service's response body, which keeps its request open until the last byte was taken.
    pub(in crate::server) struct TrackedResponseBody<B> {
        #[pin]
        body: B,
        open: Option<OpenRequest>,
        // A frame was yielded and the next one not polled for yet.
        frame_pending: bool,
        // The body may end with the connection: HTTP/1.0 knows no other end without a Content-Length.
        close_delimited: bool,
    }

    impl<B> PinnedDrop for TrackedResponseBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let (true, Some(open)) = (*this.frame_pending, this.open) {
                open.0.record_frame_consumed();
            }
        }
    }
}

impl<B> Body for TrackedResponseBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(OpenRequest(state)) = this.open else { return this.body.poll_frame(cx) };
        if std::mem::take(this.frame_pending) {
            state.record_frame_consumed();
        }
        let frame = ready!(this.body.poll_frame(cx));
        if frame.as_ref().is_some_and(Result::is_err) && *this.close_delimited {
            state.reset_on_close();
        }
        if let Some(Ok(_)) = frame {
            state.record_frame_yielded();
            *this.frame_pending = true;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
