//! What does a request to the admin listener get?

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::admin::access::Access;
use crate::admin::endpoints::AdminEndpoint;
use crate::admin::response::{self, AdminResponse, for_method, json, text};
use crate::admin::state::{AdminState, ServedParts};
use crate::admin::{configuration, reload, requests, status};
use crate::observe::MetricsFormat;
use crate::server::{Peer, RequestBody};

/// The most bytes of a request body.
const MAX_BODY: usize = 4096;

/// How long such a body may take as a whole.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Answers the requests of operators. Clones share everything.
#[derive(Clone)]
pub(super) struct AdminService {
    state: Arc<AdminState>,
}

impl AdminService {
    pub fn new(state: Arc<AdminState>) -> Self {
        Self { state }
    }

    /// Lets the gateway look at its counts.
    pub fn tick(&self) {
        if let Some(parts) = self.state.stage().parts() {
            drop(parts.gateway.route_figures());
        }
    }

    async fn respond(&self, request: Request<RequestBody>) -> AdminResponse {
        let (head, body) = request.into_parts();
        let response = match self.admitted(&head) {
            Ok(endpoint) => self.answer(endpoint, &head, body).await,
            Err(refused) => *refused,
        };
        for_method(&head.method, response)
    }

    /// The endpoint of a request that is answered.
    fn admitted(&self, head: &Parts) -> Result<AdminEndpoint, Box<AdminResponse>> {
        let endpoint = AdminEndpoint::find(head.uri.path());
        Access::check_origin(head).map_err(|refusal| Box::new(response::refused(refusal)))?;
        if !endpoint.is_some_and(AdminEndpoint::is_open) {
            self.check(head)?;
        }
        let endpoint = endpoint.ok_or_else(|| Box::new(response::not_found()))?;
        if endpoint.has(&head.method) {
            return Ok(endpoint);
        }
        Err(Box::new(response::method_not_allowed(endpoint.allow())))
    }

    fn check(&self, head: &Parts) -> Result<(), Box<AdminResponse>> {
        let config = self.state.admin_config();
        let local = head.extensions.get::<Peer>().and_then(|peer| peer.local).map(|address| address.ip());
        let access = Access { hosts: &config.hosts, token: config.token.as_ref(), local };
        access.check(head).map_err(|refusal| Box::new(response::refused(refusal)))
    }

    async fn answer(&self, endpoint: AdminEndpoint, head: &Parts, body: RequestBody) -> AdminResponse {
        match endpoint {
            AdminEndpoint::Page => response::page(),
            AdminEndpoint::Livez => text(StatusCode::OK, "ok"),
            AdminEndpoint::Readyz => match self.state.stage().reason() {
                None => text(StatusCode::OK, "ok"),
                Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
            },
            AdminEndpoint::Status => json(StatusCode::OK, &status::status(&self.state)),
            AdminEndpoint::LogLevel => self.set_log_level(body).await,
            AdminEndpoint::Metrics
            | AdminEndpoint::Requests
            | AdminEndpoint::Request(_)
            | AdminEndpoint::Profiles
            | AdminEndpoint::Profile(_)
            | AdminEndpoint::Routes
            | AdminEndpoint::Modules
            | AdminEndpoint::Config
            | AdminEndpoint::Reload => {
                let parts = self.state.stage().parts().cloned();
                match parts {
                    Some(parts) => answer_about(endpoint, head, &parts).await,
                    None => not_serving(self.state.stage().reason()),
                }
            }
        }
    }

    async fn set_log_level(&self, body: RequestBody) -> AdminResponse {
        let bytes = match collected(body).await {
            Ok(bytes) => bytes,
            Err(response) => return *response,
        };
        let words = String::from_utf8_lossy(&bytes);
        let words = words.trim();
        match self.state.log_level.set(words) {
            Ok(()) => {
                tracing::warn!(
                    level = words,
                    "the admin listener has changed which events are logged, until the next reload"
                );
                json(StatusCode::OK, &serde_json::json!({ "log_level": words }))
            }
            Err(error) => {
                text(StatusCode::BAD_REQUEST, format!("{error}; write it as RUST_LOG, for example wagi=debug\n"))
            }
        }
    }
}

/// The response of an endpoint that is about a server that serves.
async fn answer_about(endpoint: AdminEndpoint, head: &Parts, parts: &ServedParts) -> AdminResponse {
    match endpoint {
        AdminEndpoint::Metrics => {
            let format = MetricsFormat::accepted(&head.headers);
            let metrics = parts.gateway.render_metrics_as(format);
            response::response(StatusCode::OK, format.content_type(), metrics)
        }
        AdminEndpoint::Requests => json(StatusCode::OK, &requests::requests(&parts.gateway)),
        AdminEndpoint::Request(id) => requests::cancel(&parts.gateway, id),
        AdminEndpoint::Profiles => json(StatusCode::OK, &requests::profiles(&parts.gateway)),
        AdminEndpoint::Profile(id) => requests::profile(&parts.gateway, id),
        AdminEndpoint::Routes => json(StatusCode::OK, &configuration::routes(parts)),
        AdminEndpoint::Modules => json(StatusCode::OK, &configuration::modules(parts)),
        AdminEndpoint::Config => json(StatusCode::OK, &configuration::config(&parts.config())),
        AdminEndpoint::Reload => reload::reload(&parts.reload).await,
        AdminEndpoint::Page
        | AdminEndpoint::Livez
        | AdminEndpoint::Readyz
        | AdminEndpoint::Status
        | AdminEndpoint::LogLevel => response::not_found(),
    }
}

/// What a client is told whose body does not come.
const TOO_SLOW: &str = "the body of the request did not come in 5 seconds\n";

fn not_serving(reason: Option<&'static str>) -> AdminResponse {
    text(StatusCode::SERVICE_UNAVAILABLE, reason.unwrap_or("starting"))
}

async fn collected(body: RequestBody) -> Result<Bytes, Box<AdminResponse>> {
    let collecting = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    let collected =
        collecting.map_err(|_| Box::new(text(StatusCode::REQUEST_TIMEOUT, TOO_SLOW)))?.map_err(|error| {
            Box::new(match error.is::<LengthLimitError>() {
                true => text(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {MAX_BODY} bytes here\n")),
                false => text(StatusCode::BAD_REQUEST, "the body of the request did not come whole\n"),
            })
        })?;
    Ok(collected.to_bytes())
}

impl tower_service::Service<Request<RequestBody>> for AdminService {
    type Response = AdminResponse;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<AdminResponse, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}
