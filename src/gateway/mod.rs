//! How does a request become a response?
//!
//! The only place where CGI, routes and guests meet. A [`Gateway`] finds the route, takes the request body, describes the
//! request to the guest, starts it, reads the head of what it prints and responds. It is a `tower` service that cannot
//! fail: every failure is already a response.

mod admission;
mod component_request;
mod compression;
mod failure;
mod figures;
mod files;
mod forwarded;
mod guest_route;
mod guest_timer;
mod hosts;
mod printed_body;
mod rehearsal;
mod reload;
mod response;
mod response_body;
mod response_start;
mod routed_request;
mod snapshot;

pub(crate) use crate::gateway::admission::concurrency::EntryConcurrency;
pub use crate::gateway::figures::routes::{HiddenBy, ServedRoute, StartingRoute, StartingRoutes};
pub use crate::gateway::figures::warm_starts::ProvenRoute;
pub(crate) use crate::gateway::guest_route::{FilesRoute, GuestRoute, ModuleFacts, RouteFiles, RouteTarget};
pub(crate) use crate::gateway::hosts::{HiddenRow, HostRoutes, RouteRow};
pub(crate) use crate::gateway::rehearsal::requests as rehearsal_requests;
pub use crate::gateway::reload::{
    ReloadHandle, ReloadOutcome, ReloadReport, ReloadRequest, ReloadRequests, reload_channel,
};
pub use crate::gateway::response::FailedResponse;
pub use crate::gateway::response_body::{ResponseAborted, ResponseBody};
pub(crate) use crate::gateway::snapshot::Snapshot;
pub use crate::runtime::{ColdExplanation, ColdSpan, SnapshotScope, WarmStartChance, WarmStartProof, WarmStartView};

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body;

use crate::cgi::{Endpoint, Host, RequestHead};
use crate::observe::{AccessLog, Metrics, Phase, Record, RequestId, RequestStep, RequestTrace, RouteCounters, Tracer};
use crate::route::RouteMatch;
use crate::runtime::{ComponentRequest, Invocation, RequestCount, Run, RunUsage};
use crate::server::{Peer, RemoteAddress};

use crate::gateway::admission::buffer_budget::BufferBudget;
use crate::gateway::admission::cancellation::Cancellation;
use crate::gateway::admission::concurrency::{Permit, TotalConcurrency};
use crate::gateway::admission::counted_body::CountedBody;
use crate::gateway::admission::request_body::{BodyLimits, BoxError, StdinBody, for_component};
use crate::gateway::admission::uploads::UploadLimit;
use crate::gateway::failure::Failure;
use crate::gateway::figures::{EarlierStarts, ServerList};
use crate::gateway::files::find_script;
use crate::gateway::files::limits::SentLimits;
use crate::gateway::guest_route::Interface;
use crate::gateway::response_start::{BodyUse, ResponseStart, StartedResponse};
use crate::gateway::routed_request::{RoutedRequest, X_REQUEST_ID};
use crate::gateway::snapshot::HealthState;

/// Stands for the client if an embedding program does not say which it is.
const UNKNOWN_CLIENT: RemoteAddress = RemoteAddress::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));

/// Responds to requests. Clones share everything.
#[derive(Clone)]
pub struct Gateway {
    in_force: Arc<ArcSwap<Generation>>,
}

/// A snapshot, and beside it what all snapshots share. A request takes one at its beginning, and keeps it to its end.
struct Generation {
    number: u64,
    snapshot: Snapshot,
    shared: Arc<Shared>,
    earlier_starts: EarlierStarts,
}

/// What outlives a snapshot.
struct Shared {
    concurrency: TotalConcurrency,
    uploads: UploadLimit,
    body_buffers: BufferBudget,
    sent: SentLimits,
    access_log: AccessLog,
    metrics: Arc<Metrics>,
    servers: ServerList,
    requests: RequestCount,
    /// The number of the first one.
    first_request: u64,
    /// The server was asked to stop.
    is_stopping: AtomicBool,
    malformed_forwarded: AtomicU64,
    /// What traces requests, if they are to be traced.
    tracer: OnceLock<Arc<Tracer>>,
}

impl Gateway {
    /// A gateway that serves `snapshot` with at most `concurrency` guests at once.
    pub(crate) fn new(
        snapshot: Snapshot,
        concurrency: usize,
        access_log: AccessLog,
        metrics: Arc<Metrics>,
        requests: RequestCount,
    ) -> Self {
        // The upper 32 bits are random, so ids differ between server starts. The lower 32 bits count.
        let first_request = u64::from(getrandom::u32().unwrap_or_default()) << 32;
        let (uploads, concurrency) = (UploadLimit::new(concurrency), TotalConcurrency::new(concurrency));
        let body_buffers = BufferBudget::new();
        let is_stopping = AtomicBool::new(false);
        let malformed_forwarded = AtomicU64::new(0);
        metrics.enter(snapshot.route_names());
        let shared = Arc::new(Shared {
            concurrency,
            uploads,
            body_buffers,
            sent: SentLimits::new(),
            access_log,
            metrics,
            servers: ServerList::default(),
            requests,
            first_request,
            is_stopping,
            malformed_forwarded,
            tracer: OnceLock::new(),
        });
        let first = Generation { number: 1, snapshot, shared, earlier_starts: EarlierStarts::default() };
        Self { in_force: Arc::new(ArcSwap::from_pointee(first)) }
    }

    /// Lets the health check fail from now on: the server was asked to stop, and goes on for as long as clients need to notice.
    pub fn announce_stop(&self) {
        self.in_force.load().shared.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Traces the requests that begin from now on. Only the first call has an effect.
    pub fn trace_requests(&self, tracer: Arc<Tracer>) {
        let _ = self.in_force.load().shared.tracer.set(tracer);
    }

    /// Waits until the spans of requests that are over have been sent, but not for long.
    pub async fn flush_traces(&self) {
        let tracer = self.in_force.load().shared.tracer.get().cloned();
        if let Some(tracer) = tracer {
            tracer.flush().await;
        }
    }

    /// The log of requests.
    pub fn access_log(&self) -> AccessLog {
        self.in_force.load().shared.access_log.clone()
    }

    /// How many header fields of trusted proxies were ignored since their values make no sense.
    pub fn malformed_forwarded_fields(&self) -> u64 {
        self.in_force.load().shared.malformed_forwarded.load(Ordering::Relaxed)
    }

    /// Responds to one request. The client's address is taken from a [`Peer`] among the request's extensions.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        self.in_force.load().handle(request).await
    }
}

impl Generation {
    async fn handle<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let id = RequestId::new(self.shared.first_request.wrapping_add(self.shared.requests.begin()));
        let is_head = request.method() == Method::HEAD;
        let mut response = self.respond(id, request).await;
        if is_head {
            response::discard_content(&mut response);
        }
        if self.snapshot.shows_request_id
            && let Ok(id) = HeaderValue::from_str(id.as_str())
        {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }

    async fn respond<B>(&self, id: RequestId, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let Self { snapshot, shared, .. } = self;
        let (mut head, body) = request.into_parts();
        let client_request_id = routed_request::client_request_id(&head, snapshot.proxies.trusted());
        let forwarded_host = snapshot.proxies.apply(&mut head, &shared.malformed_forwarded);
        let peer = head.extensions.get::<Peer>().copied().unwrap_or_else(|| Peer::new(UNKNOWN_CLIENT));
        let mut record = Box::new(Record::new(&shared.access_log, id, peer.remote, &head));
        record.client_request_id = client_request_id;
        let endpoint = snapshot.endpoint(peer.scheme);
        record.trace = shared.tracer.get().and_then(|tracer| tracer.begin(&mut head, endpoint.scheme()));
        if let Err(failure) = routed_request::check(&mut head) {
            return shared.refuse(&failure, record);
        }
        let (host, matched) = match find(snapshot, &head, forwarded_host.as_deref(), endpoint) {
            Ok(found) => found,
            Err(failure) => return shared.refuse(&failure, record),
        };
        let route = match matched.target {
            RouteTarget::Guest(route) => route,
            RouteTarget::Health => return shared.health_check(record, snapshot.health),
            RouteTarget::Starting(name) => return response::starting(name, record),
            RouteTarget::Files(route) => return shared.send_file(route, &head, matched.path_info, record).await,
        };
        record.set_route(route.name.clone());
        let script = match find_script(route, &head, matched.path_info).await {
            Ok(script) => script,
            Err(missing) => return shared.respond_without_script(missing, route, &head, record).await,
        };
        let request = RoutedRequest {
            head: &head,
            host,
            forwarded_host: forwarded_host.as_deref(),
            client: peer.remote,
            client_certificate: routed_request::client_certificate(&head),
            path_info: script.as_ref().map_or(matched.path_info, |script| &script.path_info),
            script: script.as_ref().map(|script| script.script.as_str()),
            endpoint,
            queue: snapshot.queue,
            readers: &shared.concurrency.readers,
            max_lag: snapshot.max_lag,
            local_address: peer.local.map(|address| address.ip()),
            id,
            trace: record.trace.clone(),
        };
        shared.respond_with_guest(route, &request, body, record).await
    }
}

/// The host that a request names, and the route for it.
fn find<'a>(
    snapshot: &'a Snapshot,
    head: &'a Parts,
    forwarded_host: Option<&'a str>,
    endpoint: &'a Endpoint,
) -> Result<(Option<Host<'a>>, RouteMatch<'a, 'a, RouteTarget>), Failure> {
    let host = routed_request::host(head, forwarded_host)?;
    Ok((host, snapshot.find(head, || endpoint.requested(host))?))
}

impl Shared {
    /// Responds to a request that gets no route.
    fn refuse(&self, failure: &Failure, mut record: Box<Record>) -> Response<ResponseBody> {
        record.set_unrouted(&self.metrics.unrouted);
        response::from_failure(failure, record)
    }

    fn health_check(&self, mut record: Box<Record>, serving: HealthState) -> Response<ResponseBody> {
        record.set_unrouted(&self.metrics.unrouted);
        let is_stopping = self.is_stopping.load(Ordering::Relaxed);
        response::health_check(record, if is_stopping { HealthState::Stopping } else { serving })
    }

    /// The response of the guest of a route.
    async fn respond_with_guest<B>(
        &self,
        route: &GuestRoute,
        request: &RoutedRequest<'_>,
        body: B,
        mut record: Box<Record>,
    ) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        match self.start_response(route, request, body, &mut record).await {
            Ok(started) if route.compress => {
                let response = response::from_guest(started, request, route, record);
                let permit = || self.sent.encoder(request.head);
                Box::pin(compression::compress(request.head, response, permit)).await
            }
            Ok(started) => response::from_guest(started, request, route, record),
            Err(failure) => response::from_failure(&failure, record),
        }
    }

    /// Starts a guest and waits for the head of its response.
    async fn start_response<B>(
        &self,
        route: &GuestRoute,
        request: &RoutedRequest<'_>,
        body: B,
        record: &mut Record,
    ) -> Result<StartedResponse, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (registration, usage) = record.for_run();
        let cancellation = Cancellation::from(registration);
        let body = CountedBody::new(body, &route.name, request.trace.as_ref());
        let run = self.start(route, request, body, cancellation).await?;
        request.trace.iter().for_each(|trace| trace.begin_guest());
        let mut recorded = RecordedRun { run, usage };
        let body_use = if request.head.method == Method::HEAD { BodyUse::Discarded } else { BodyUse::Sent };
        let started = ResponseStart::new(&mut recorded.run, &route.limits, body_use, cancellation).await;
        if started.is_err() {
            cancellation.set_run(|| recorded.run.as_ref().map(Run::view));
        }
        started
    }

    /// Starts a guest as soon as there is a permit for it.
    async fn start<B>(
        &self,
        route: &GuestRoute,
        request: &RoutedRequest<'_>,
        body: B,
        cancellation: Cancellation<'_>,
    ) -> Result<Option<Run>, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let limits = BodyLimits {
            length: route.limits.request_body,
            head: request.head,
            entry: &route.concurrency,
            uploads: &self.uploads,
            buffers: &self.body_buffers,
            cancellation,
        };
        let tracer = request.trace.as_ref().map(RequestTrace::call_tracer);
        Ok(match &route.interface {
            Interface::Cgi { variables, argv } => {
                let body = StdinBody::read(body, &limits).await?;
                let head = RequestHead {
                    method: &request.head.method,
                    uri: &request.head.uri,
                    version: request.head.version,
                    headers: &request.head.headers,
                    host: request.host,
                    content_length: body.length,
                    remote_address: request.client,
                    client_certificate: request.client_certificate,
                    local_address: request.local_address,
                    request_id: request.id.as_str(),
                    script: request.script,
                };
                let environment = variables.environment(request.endpoint, &head, request.path_info)?;
                let arguments = argv.arguments(&request.head.uri, &environment);
                let permit = (self.permit(route, request, cancellation).await?, route.files.clone());
                let (stdin, id) = (body.stream, request.id.number());
                let invocation = Invocation { arguments, environment, stdin, request: id, tracer };
                Some(route.guest.start(invocation, permit))
            }
            Interface::WasiHttp(fields) => {
                let body = for_component(body, &limits).await?;
                let head = fields.request_head(request);
                let permit = (self.permit(route, request, cancellation).await?, route.files.clone());
                route.guest.handle(ComponentRequest { head, body, id: request.id.number(), tracer }, permit)
            }
        })
    }

    async fn permit(
        &self,
        route: &GuestRoute,
        request: &RoutedRequest<'_>,
        cancellation: Cancellation<'_>,
    ) -> Result<Permit, Failure> {
        let mut span = request.trace.as_ref().and_then(|trace| trace.begin(RequestStep::Queue));
        if let Some(permit) = self.concurrency.try_acquire(&route.concurrency) {
            route.name.counters().iter().for_each(|counters| counters.skip_queue());
            return Ok(permit);
        }
        let _waiting = route.name.counters().map(RouteCounters::wait_in_queue);
        // Boxed, since few requests get here.
        let mut permit = Box::pin(self.concurrency.acquire_later(&route.concurrency, request.queue));
        let permit = cancellation.wait(Phase::Queue, permit.as_mut()).await;
        if let (Err(failure), Some(span)) = (&permit, &mut span) {
            span.fail(failure.end().as_str(), &failure.to_string());
        }
        permit
    }
}

/// A run whose head is not committed yet. What it has used is recorded even if the client leaves before that.
struct RecordedRun<'a> {
    run: Option<Run>,
    usage: &'a mut Option<RunUsage>,
}

impl Drop for RecordedRun<'_> {
    fn drop(&mut self) {
        if let Some(run) = &self.run {
            *self.usage = Some(run.usage());
        }
    }
}

impl<B> tower_service::Service<Request<B>> for Gateway
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let generation = self.in_force.load();
        Box::pin(async move { Ok(generation.handle(request).await) })
    }
}
