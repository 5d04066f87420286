//! One request and its answer: what the service is given, and when the line counts them as over. The HTTP library
//! calls an `ConnectionService` for each request of a connection.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use crate::server::connection::state::ConnectionState;
use crate::server::{Peer, RequestBody};

/// The service as one connection sees it.
pub(in crate::server) struct ConnectionService<S> {
    pub(in crate::server) service: S,
    pub(in crate::server) peer: Peer,
    pub(in crate::server) body_timeout: Duration,
    pub(in crate::server) line: Arc<ConnectionState>,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for ConnectionService<S>
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = Response<AnswerBody<B>>;
    type Error = Infallible;
    type Future = ResponseFuture<S, S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let ends_connection = request.version() == Version::HTTP_10;
        let mut request = request.map(|incoming| RequestBody::new(incoming, self.body_timeout, &self.line));
        request.extensions_mut().insert(self.peer);
        ResponseFuture {
            step: Step::Asked { service: self.service.clone(), request: Some(request) },
            open: Some(Open::new(&self.line)),
            ends_connection,
        }
    }
}

/// A request counted as open, until dropped.
struct Open(Arc<ConnectionState>);

impl Open {
    fn new(line: &Arc<ConnectionState>) -> Self {
        line.note_opened();
        Self(Arc::clone(line))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.note_served();
    }
}

pin_project! {
    /// The answer to one request, in the making.
    pub(in crate::server) struct ResponseFuture<S, F> {
        #[pin]
        step: Step<S, F>,
        open: Option<Open>,
        ends_connection: bool,
    }
}

pin_project! {
    #[project = StepPinned]
    enum Step<S, F> {
        Asked { service: S, request: Option<Request<RequestBody>> },
        Answering { #[pin] future: F },
    }
}

impl<S, B> Future for ResponseFuture<S, S::Future>
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
{
    type Output = Result<Response<AnswerBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.step.as_mut().project() {
                StepPinned::Asked { service, request } => {
                    let Ok(()) = ready!(service.poll_ready(cx));
                    let request = request.take().expect("the step ends with the request it began with");
                    let future = service.call(request);
                    this.step.set(Step::Answering { future });
                }
                StepPinned::Answering { future } => {
                    let Ok(response) = ready!(future.poll(cx));
                    let (open, ends_connection) = (this.open.take(), *this.ends_connection);
                    let answer = response.map(|body| AnswerBody { body, open, given: false, ends_connection });
                    return Poll::Ready(Ok(answer));
                }
            }
        }
    }
}

pin_project! {
    /// The service's response body, which keeps its request open until the last byte was taken.
    pub(in crate::server) struct AnswerBody<B> {
        #[pin]
        body: B,
        open: Option<Open>,
        given: bool,
        // HTTP/1.0 knows no other end of a body whose length was not announced.
        ends_connection: bool,
    }

    impl<B> PinnedDrop for AnswerBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let (true, Some(open)) = (*this.given, this.open) {
                open.0.note_frame_taken();
            }
        }
    }
}

impl<B> Body for AnswerBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(Open(line)) = this.open else { return this.body.poll_frame(cx) };
        if std::mem::take(this.given) {
            line.note_frame_taken();
        }
        let frame = ready!(this.body.poll_frame(cx));
        if frame.as_ref().is_some_and(Result::is_err) && *this.ends_connection {
            line.note_broken();
        }
        if let Some(Ok(_)) = frame {
            line.note_frame_given();
            *this.given = true;
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
