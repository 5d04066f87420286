//! How does wagi talk to registries and bindle servers?
//!
//! Over HTTP/1.1, with a timeout for each step and for the whole. The client follows redirects, but never from `https` to `http`.
//! The callers check every byte of a response.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::ClientConfig;
use url::Url;

use crate::net::connect::policy::NamedBy;
use crate::net::connect::transport::{SystemTransport, Transport};
use crate::net::connect::{ConnectLimits, Connector};
use crate::net::interim::{InterimResponses, MAX_INTERIM};
use crate::net::redirect::{Redirect, RedirectError, safe_location};
use crate::net::response::{FetchBody, FetchTimeouts, time_for};
use crate::net::tls;
use crate::net::upload::Upload;
use crate::net::url::{is_http, is_same_server, redacted, without_user};

pub(crate) use crate::net::error::ClientError;
pub(crate) use crate::net::response::{BodyReader, Fetch, FetchResponse};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

const TIMEOUTS: FetchTimeouts =
    FetchTimeouts { head: Duration::from_secs(30), idle: Duration::from_secs(15), total: Duration::from_secs(60) };

/// The largest head of a response.
const MAX_HEAD: usize = 64 << 10;

/// How long a connection is kept for the next request. Servers rarely keep theirs much longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const CONNECT_LIMITS: ConnectLimits = ConnectLimits {
    resolve: Duration::from_secs(5),
    connect: Duration::from_secs(5),
    // Callers have few requests under way at a time.
    connections: usize::MAX,
};

/// Which certificates are trusted.
#[derive(Debug, Default)]
pub(crate) struct ClientOptions {
    /// A PEM file of certificates that are trusted besides the system's.
    pub roots: Option<PathBuf>,
    /// Whether every certificate is accepted.
    pub accept_any_certificate: bool,
}

/// An HTTP client with pools of connections. Needs a tokio runtime around it.
#[derive(Clone)]
pub(crate) struct HttpClient {
    /// Connections to hosts that the operator has named.
    operator_pool: HyperClient,
    /// Connections to hosts that a server has named. Two pools, so that no request gets a connection that was made
    /// under a policy less strict than its own.
    server_pool: HyperClient,
    timeouts: FetchTimeouts,
}

type HyperClient = Client<Connector, Upload>;

impl HttpClient {
    pub fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let tls = match options.accept_any_certificate {
            true => tls::insecure()?,
            false => tls::verified(tls::roots(options.roots.as_deref())?)?,
        };
        Ok(Self::with(&Arc::new(tls), &(Arc::new(SystemTransport) as Arc<dyn Transport>), TIMEOUTS))
    }

    /// The same, which waits for longer: its callers have limits of their own.
    pub fn patient(mut self, longer: Duration) -> Self {
        let FetchTimeouts { head, idle, total } = self.timeouts;
        self.timeouts = FetchTimeouts { head: head + longer, idle: idle + longer, total: total + longer };
        self
    }

    pub(in crate::net) fn with(
        tls: &Arc<ClientConfig>,
        transport: &Arc<dyn Transport>,
        timeouts: FetchTimeouts,
    ) -> Self {
        let pool = |named_by: NamedBy| {
            let connector = Connector::new(transport.clone(), tls.clone(), Arc::new(named_by), CONNECT_LIMITS);
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(KEEP_ALIVE)
                .http1_max_buf_size(MAX_HEAD)
                .build(connector)
        };
        Self { operator_pool: pool(NamedBy::Operator), server_pool: pool(NamedBy::Server), timeouts }
    }

    /// The response to a GET of a URL that the operator has named. It may have any status; redirects are followed. What
    /// `headers` authorize is only for the host and port of `url`.
    pub async fn get(&self, url: &Url, headers: &HeaderMap, fetch: Fetch) -> Result<FetchResponse, ClientError> {
        let (method, named_by) = (Method::GET, NamedBy::Operator);
        self.send(&FetchRequest { method, url, named_by, headers, body: &Upload::default, fetch }).await
    }

    /// The response to any request, the same way. The body, too, is only for the host and port of its URL.
    pub async fn send(&self, request: &FetchRequest<'_>) -> Result<FetchResponse, ClientError> {
        let (mut url, mut headers) = (request.url.clone(), request.headers.clone());
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("wagi/", env!("CARGO_PKG_VERSION"))));
        let limit = self.timeouts.head + time_for((request.body)().len());
        let deadline = Instant::now() + limit.min(request.fetch.time_left(0, &self.timeouts));
        for _ in 0..=MAX_REDIRECTS {
            let late = || ClientError::HeadTimedOut { url: redacted(&url), seconds: limit.as_secs() };
            if deadline <= Instant::now() {
                // A timeout that has already passed would still let a fast server answer.
                return Err(late());
            }
            let response =
                timeout_at(deadline, self.send_once(request, &url, &headers)).await.map_err(|_| late())??;
            let Some(redirect) = Redirect::from_status(response.status) else { return Ok(response) };
            let Some(next) = safe_location(&url, &response.headers)? else { return Ok(response) };
            let (is_same, is_bodiless) = (is_same_server(&next, &url), request.is_bodiless());
            if !is_bodiless && redirect == Redirect::AsGet {
                // That is not the request that was asked for.
                return Ok(response);
            }
            if !is_bodiless && !is_same {
                return Err(RedirectError::new(&url, &next, "a server that what is sent is not for").into());
            }
            if !is_same {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(ClientError::TooManyRedirects { url: redacted(&url), limit: MAX_REDIRECTS })
    }

    async fn send_once(
        &self,
        request: &FetchRequest<'_>,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<FetchResponse, ClientError> {
        let uri = Some(url).filter(|url| is_http(url)).and_then(|url| without_user(url).as_str().parse::<Uri>().ok());
        let body = (request.body)();
        let length = body.len();
        let mut message = http::Request::new(body);
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = uri.ok_or_else(|| ClientError::NoServer(redacted(url)))?;
        *message.headers_mut() = headers.clone();
        if !request.is_bodiless() {
            // Some servers insist on it even where it is 0.
            message.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        let interim = InterimResponses::count(&mut message);
        let response = interim.limit(self.pool(request, url).request(message)).await;
        let response =
            response.ok_or_else(|| ClientError::TooManyInterim { url: redacted(url), limit: MAX_INTERIM })?;
        let (head, incoming) = response.map_err(|error| ClientError::from_exchange(url, error))?.into_parts();
        let body = FetchBody { incoming, fetch: request.fetch, timeouts: self.timeouts, received: 0 };
        Ok(FetchResponse { status: head.status, headers: head.headers, url: url.clone(), body })
    }

    /// The pool for the next step of a request. A redirect to another host is one that a server has named.
    fn pool(&self, request: &FetchRequest<'_>, url: &Url) -> &HyperClient {
        match request.named_by {
            NamedBy::Operator if url.host() == request.url.host() => &self.operator_pool,
            NamedBy::Operator | NamedBy::Server => &self.server_pool,
        }
    }
}

/// A request to a server.
pub(crate) struct FetchRequest<'r> {
    pub method: Method,
    pub url: &'r Url,
    /// Who has named the host of the URL.
    pub named_by: NamedBy,
    pub headers: &'r HeaderMap,
    /// Makes the body, once for each time that it is sent.
    pub body: &'r (dyn Fn() -> Upload + Sync),
    /// The fetch that it is part of.
    pub fetch: Fetch,
}

impl FetchRequest<'_> {
    fn is_bodiless(&self) -> bool {
        [Method::GET, Method::HEAD].contains(&self.method)
    }
}

#[cfg(test)]
impl HttpClient {
    /// A client that trusts no certificate.
    pub(crate) fn for_tests(transport: Arc<dyn Transport>) -> Self {
        let tls = tls::verified(tokio_rustls::rustls::RootCertStore::empty()).expect("TLS");
        Self::with(&Arc::new(tls), &transport, TIMEOUTS)
    }
}
