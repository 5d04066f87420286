//! How does one request become one answer?
//!
//! The only place where CGI, routes and guests meet. A [`Gateway`] finds the route, takes the body in, describes the
//! request to the script, starts it, reads the head of what it prints and answers. It is a `tower` service that cannot
//! fail: every failure is already a response.

mod component_request;
mod concurrency;
mod failure;
mod request_body;
mod response;
mod response_body;
mod response_start;

pub use crate::gateway::response_body::{ResponseAborted, ResponseBody};

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response};
use http_body::Body;

use crate::cgi::{CommandLine, Endpoint, RequestHead, RouteVariables};
use crate::config::{EntryConfig, GatewayLimits};
use crate::observe::{AccessLog, Record, RouteName};
use crate::route::{RouteMatch, RoutePattern, RouteTable};
use crate::runtime::{ComponentRequest, Guest, Invocation, Run};
use crate::server::Peer;

use crate::gateway::component_request::RouteFields;
use crate::gateway::concurrency::{Admission, Places};
use crate::gateway::failure::Failure;
use crate::gateway::request_body::Shelf;
use crate::gateway::response_start::{BodyUse, Opening};

/// Answers requests. Clones share everything.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    routes: RouteTable<Target>,
    endpoint: Endpoint,
    admission: Admission,
    shelf: Shelf,
    access_log: AccessLog,
    requests: AtomicU64,
}

/// What a route leads to.
pub(crate) enum Target {
    /// The built-in health check.
    Health,
    /// A script.
    Guest(Box<GuestRoute>),
}

/// A script at a route, with everything about it that is the same for each request.
pub(crate) struct GuestRoute {
    name: Arc<RouteName>,
    told: Told,
    script: Guest,
    places: Places,
    longest_body: u64,
    longest_head: usize,
    time_to_head: Duration,
    time_between_outputs: Duration,
}

/// How a script is told of its requests.
enum Told {
    /// As CGI has it.
    Cgi { variables: RouteVariables, command_line: CommandLine },
    /// By the request itself.
    Http(RouteFields),
}

/// How many guests of one module may run at once; the routes of a module share it.
#[derive(Clone)]
pub(crate) struct ModulePlaces(Places);

impl ModulePlaces {
    /// So many.
    pub fn new(count: usize) -> Self {
        Self(Places::new(count))
    }
}

impl GuestRoute {
    /// Mounts a script at a pattern.
    pub fn new(
        pattern: &RoutePattern,
        name: Arc<RouteName>,
        config: &EntryConfig,
        script: Guest,
        places: &ModulePlaces,
    ) -> Self {
        let told = if script.speaks_http() {
            Told::Http(RouteFields::new(pattern, config.pass_authorization.unwrap_or(true)))
        } else {
            let pass_authorization = config.pass_authorization.unwrap_or(false);
            Told::Cgi {
                variables: RouteVariables::new(pattern, &config.environment, pass_authorization),
                command_line: config.argv.as_deref().map_or_else(CommandLine::default, CommandLine::from_template),
            }
        };
        Self {
            name,
            told,
            script,
            places: places.0.clone(),
            longest_body: config.limits.request_body,
            longest_head: config.limits.response_head,
            time_to_head: config.limits.time_to_head,
            time_between_outputs: config.limits.time_between_outputs,
        }
    }

    fn speaks_http(&self) -> bool {
        matches!(self.told, Told::Http(_))
    }
}

impl Gateway {
    /// A gateway over a finished table of routes.
    pub(crate) fn new(
        routes: RouteTable<Target>,
        endpoint: Endpoint,
        limits: &GatewayLimits,
        access_log: AccessLog,
    ) -> Self {
        let admission = Admission::new(limits.total_concurrency, limits.queue, limits.queue_wait);
        // The upper half tells starts of the server apart, the lower half counts.
        let requests = AtomicU64::new(u64::from(getrandom::u32().unwrap_or_default()) << 32);
        Self { shared: Arc::new(Shared { routes, endpoint, admission, shelf: Shelf::new(), access_log, requests }) }
    }

    /// The routes as they are tried, each with what it leads to: `None` for the built-in health check.
    pub fn routes(&self) -> impl Iterator<Item = (&RoutePattern, Option<&str>)> {
        self.shared.routes.entries().map(|(pattern, target)| match target {
            Target::Health => (pattern, None),
            Target::Guest(script) => (pattern, Some(script.name.module.as_str())),
        })
    }

    /// Answers one request. The client's address is taken from a [`Peer`] among the request's extensions.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let shared = &*self.shared;
        let id = shared.requests.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let client = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip());
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let mut record = Box::new(Record::open(&shared.access_log, id, client, method, uri, parts.version));
        let matched = match shared.find(&parts) {
            Ok(matched) => matched,
            Err(failure) => return response::refused(&failure, record),
        };
        let Target::Guest(script) = matched.target else { return response::healthy(record) };
        record.route = Some(script.name.clone());
        match shared.run(script, &matched, &parts, client, body, &mut record).await {
            Ok(opened) => response::answered(opened, &parts.method, script, record),
            Err(failure) => response::refused(&failure, record),
        }
    }
}

impl Shared {
    fn find<'a>(&'a self, parts: &'a http::request::Parts) -> Result<RouteMatch<'a, 'a, Target>, Failure> {
        // CONNECT asks for a tunnel and TRACE for an echo of what scripts must not see; neither is a script's to answer.
        if parts.method == Method::CONNECT || parts.method == Method::TRACE {
            return Err(Failure::MethodNotServed);
        }
        // RFC 9112 §3.2: which of several names was meant is not ours to guess.
        if parts.headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(Failure::SeveralHosts);
        }
        self.routes.find(parts.uri.path()).ok_or(Failure::NoRoute)
    }

    async fn run<B>(
        &self,
        route: &GuestRoute,
        matched: &RouteMatch<'_, '_, Target>,
        parts: &http::request::Parts,
        client: IpAddr,
        body: B,
        record: &mut Record,
    ) -> Result<response_start::Opened, Failure>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let run = match &route.told {
            Told::Cgi { variables, command_line } => {
                let body = request_body::intake(body, route.longest_body, &self.shelf).await?;
                let head = RequestHead {
                    method: &parts.method,
                    uri: &parts.uri,
                    version: parts.version,
                    headers: &parts.headers,
                    content_length: body.length,
                    remote_address: client,
                };
                let environment = variables.environment(&self.endpoint, &head, matched.path_info)?;
                let arguments = command_line.arguments(&parts.uri);
                let place = self.admission.enter(&route.places).await?;
                let invocation = Invocation { arguments, environment, stdin: body.stdin, request: record.id() };
                Some(route.script.start(invocation, place))
            }
            Told::Http(fields) => {
                let body = request_body::passing(body, route.longest_body)?;
                let head = fields.head(&self.endpoint, parts, (matched.path_info, client));
                let place = self.admission.enter(&route.places).await?;
                route.script.handle(ComponentRequest { head, body, request: record.id() }, place)
            }
        };
        let mut started = Started { run, record };
        let body_use = if parts.method == Method::HEAD { BodyUse::Discarded } else { BodyUse::Sent };
        Opening::new(&mut started.run, route.longest_head, route.time_to_head, body_use).await
    }
}

/// A guest until its answer is committed. What it has computed is noted even if the client leaves before that.
struct Started<'a> {
    run: Option<Run>,
    record: &'a mut Record,
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        if let Some(run) = &self.run {
            self.record.cpu_time = run.cpu_time();
        }
    }
}

impl<B> tower_service::Service<Request<B>> for Gateway
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gateway = self.clone();
        Box::pin(async move { Ok(gateway.handle(request).await) })
    }
}
