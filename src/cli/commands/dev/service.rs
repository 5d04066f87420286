//! What does a request get in development? The response of the gateway, and in a browser what the developer has to know. Called by
//! the parent.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use tower_service::Service;

use wagi::server::RequestBody;
use wagi::{FailedResponse, Gateway, ResponseBody, has_whole_content};

use crate::cli::commands::dev::body::DevBody;
use crate::cli::commands::dev::page;
use crate::cli::commands::dev::state::{DevState, LiveReload};

const HTML: &str = "text/html";
const PAGE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The gateway, as a developer sees it.
#[derive(Clone)]
pub(super) struct DevService {
    pub gateway: Gateway,
    pub state: Arc<DevState>,
}

/// What of a request decides how its response is shown.
struct Asked {
    is_head: bool,
    /// Whether a browser shows the response as a page.
    wants_page: bool,
}

impl Asked {
    fn of(request: &Request<RequestBody>) -> Self {
        let is_head = request.method() == Method::HEAD;
        Self { is_head, wants_page: names_html(request.headers(), ACCEPT) }
    }
}

fn names_html(fields: &HeaderMap, name: HeaderName) -> bool {
    fields.get_all(name).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(HTML)))
}

impl Service<Request<RequestBody>> for DevService {
    type Response = Response<DevBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let state = self.state.clone();
        if state.live == LiveReload::On && request.uri().path() == page::LIVE_PATH {
            return Box::pin(async move { Ok(live(&state)) });
        }
        let asked = Asked::of(&request);
        let mut gateway = self.gateway.clone();
        Box::pin(async move {
            state.reloaded().await;
            let response = Service::call(&mut gateway, request).await?;
            Ok(shown(response, &asked, &state))
        })
    }
}

fn live(state: &DevState) -> Response<DevBody> {
    let mut response = Response::new(DevBody::live(state.reloads()));
    response.headers_mut().extend([(CONTENT_TYPE, EVENTS), (CACHE_CONTROL, NO_STORE)]);
    response
}

fn shown(response: Response<ResponseBody>, asked: &Asked, state: &DevState) -> Response<DevBody> {
    let status = response.status();
    if let Some(failed) = response.extensions().get::<FailedResponse>().filter(|_| asked.wants_page && !asked.is_head) {
        let page = page::failure(status, failed, &state.stderr()) + &addition(state);
        return with_page(response, page);
    }
    let (mut parts, body) = response.into_parts();
    let addition = addition(state);
    let is_page = names_html(&parts.headers, CONTENT_TYPE) && !parts.headers.contains_key(CONTENT_ENCODING);
    if addition.is_empty() || !is_page || !has_whole_content(status) {
        return Response::from_parts(parts, DevBody::Gateway(Box::new(body), Bytes::new()));
    }
    // The page is longer than its program said, and may differ the next time.
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(ETAG);
    parts.headers.insert(CACHE_CONTROL, NO_STORE);
    let end = if asked.is_head { Bytes::new() } else { addition.into() };
    Response::from_parts(parts, DevBody::Gateway(Box::new(body), end))
}

/// The same status with a page. The rest of the response is dropped, and with it its line goes to the log.
fn with_page(response: Response<ResponseBody>, page: String) -> Response<DevBody> {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend([(CONTENT_TYPE, PAGE), (CACHE_CONTROL, NO_STORE)]);
    Response::from_parts(parts, DevBody::Page(page.into()))
}

/// What pages get besides.
fn addition(state: &DevState) -> String {
    let mut addition = state.broken().map(|why| page::banner(&why)).unwrap_or_default();
    if state.live == LiveReload::On {
        addition.push_str(page::LIVE_SCRIPT);
    }
    addition
}
