//! What can the server serve? The bounds on a service are written only here.

use std::convert::Infallible;
use std::error::Error as StdError;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use crate::server::RequestBody;

/// A `tower` service that responds to HTTP requests and never fails. It is implemented for every service with these bounds. Each
/// connection has a clone of the service.
pub trait HttpService:
    tower_service::Service<
        Request<RequestBody>,
        Response = Response<<Self as HttpService>::ResponseBody>,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type ResponseBody: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type ResponseBody = B;
}
