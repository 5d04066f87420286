//! Who makes the calls of one entry's guests?
//!
//! A [`Client`], whose connections live in the runtime of the server, whichever thread a guest computes on.

use std::error::Error as StdError;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::AllowedHosts;
use crate::net::connect::Connector;
use crate::net::connect::own_addresses::OwnAddresses;
use crate::net::connect::transport::{SystemTransport, Transport};
use crate::net::tls;
use crate::net::tls::ClientTlsError;
use crate::outbound::budget::{CallBudget, CallLimits};
use crate::outbound::error::Error;
use crate::outbound::open_responses::OpenResponses;
use crate::outbound::policy::{Destination, Policy};
use crate::outbound::pool::{CallContext, pool};
use crate::outbound::request::CallRequest;
use crate::outbound::response::CallResponse;
use crate::outbound::streaming::{CallResponseBody, StreamingRequest};
use crate::outbound::trace::{CallSpan, CallTracer};
use crate::outbound::{hop, streaming};

/// Bytes of responses that all runs may hold together. Each response is bounded, but not how many guests there are.
const MAX_MEMORY: usize = 256 * 1024 * 1024;

/// What the clients of all entries share: the transport, the trusted certificates, and memory for responses.
#[derive(Clone)]
pub struct Network {
    runtime: Handle,
    tls: Arc<ClientConfig>,
    transport: Arc<dyn Transport>,
    pub(super) memory: Arc<Semaphore>,
    trusted: Arc<RootCertStore>,
    /// Where no guest may call, whatever its list says.
    own: OwnAddresses,
}

impl Network {
    /// Reads the certificates of the system and those of `roots`, a PEM file. Connections live in `runtime`. None leads to an
    /// address of `own`.
    pub fn new(runtime: Handle, roots: Option<&Path>, own: OwnAddresses) -> Result<Self, ClientTlsError> {
        Ok(Self { own, ..Self::of(runtime, tls::roots(roots)?)? })
    }

    fn of(runtime: Handle, trusted: RootCertStore) -> Result<Self, ClientTlsError> {
        let tls = tls::verified(trusted.clone())?;
        Ok(Self { trusted: Arc::new(trusted), ..Self::with(runtime, tls, Arc::new(SystemTransport)) })
    }

    pub(super) fn with(runtime: Handle, tls: ClientConfig, transport: Arc<dyn Transport>) -> Self {
        let tls = Arc::new(tls::offering_http2(tls));
        Self {
            runtime,
            tls,
            transport,
            memory: Arc::new(Semaphore::new(MAX_MEMORY)),
            trusted: Arc::new(RootCertStore::empty()),
            own: OwnAddresses::default(),
        }
    }

    /// The same network if the system and `roots` have the same certificates as before, else one with those of now. Calls share
    /// the memory for responses in any case.
    pub fn reread(&self, roots: Option<&Path>) -> Result<Self, ClientTlsError> {
        let store = tls::roots(roots)?;
        if store.roots == self.trusted.roots {
            return Ok(self.clone());
        }
        let network = Self::of(self.runtime.clone(), store)?;
        Ok(Self { memory: self.memory.clone(), own: self.own.clone(), ..network })
    }

    /// How many certificates are trusted. With none, every call over TLS fails.
    pub fn roots(&self) -> usize {
        self.trusted.len()
    }

    /// The client of one entry. Entries do not share connections: what one may reach another perhaps may not, and a
    /// response that a server slipped in behind another must not get to a different entry.
    pub fn client(&self, allowed: AllowedHosts, limits: CallLimits) -> Client {
        let policy = Arc::new(Policy::new(allowed, self.own.clone()));
        let connector = Connector::new(self.transport.clone(), self.tls.clone(), policy.clone(), (&limits).into());
        let pool = pool(connector, &limits);
        let context = CallContext { policy, pool, limits, memory: self.memory.clone() };
        Client { runtime: self.runtime.clone(), context: Arc::new(context) }
    }
}

impl PartialEq for Network {
    /// Whether they trust the same certificates.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tls, &other.tls)
    }
}

impl Eq for Network {}

/// Makes the calls of one entry's guests. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    runtime: Handle,
    context: Arc<CallContext>,
}

impl Client {
    /// The destination of a guest's URL, if it may be called. Fails with [`Error::NotUtf8`], [`Error::InvalidUrl`] or one
    /// for a destination that is not allowed, in this order.
    pub fn destination(&self, url: &[u8]) -> Result<Destination, Error> {
        self.context.policy.destination(url)
    }

    /// Sends a request and reads the whole response. Takes no longer than the limit allows, nor than `time_left`;
    /// dropping the future ends the call.
    pub async fn send(
        &self,
        mut request: CallRequest,
        tracer: Option<Arc<dyn CallTracer>>,
        time_left: Duration,
    ) -> Result<CallResponse, Error> {
        let context = self.context.clone();
        let limit = context.limits.total.min(time_left);
        let CallRequest { destination, method, headers, .. } = &mut request;
        let mut span = CallSpan::begin(tracer, method, &destination.0, headers);
        let call = async move { timeout(limit, hop::follow(&context, request)).await };
        let response = match AbortOnDrop(self.runtime.spawn(call)).await {
            Ok(Ok(response)) => response,
            Ok(Err(_elapsed)) => Err(Error::TimedOut),
            Err(_stopped) => Err(Error::Stopped),
        };
        match &response {
            Ok(response) => span.set_status(response.status()),
            Err(error) => span.fail(error),
        }
        response
    }

    /// Sends a request and returns the response, either body passing piece by piece. Redirects are responses like others.
    /// Dropping the future, or else the response, ends the call.
    pub async fn send_streaming<B>(
        &self,
        request: StreamingRequest<B>,
    ) -> Result<http::Response<CallResponseBody>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let context = self.context.clone();
        match AbortOnDrop(self.runtime.spawn(async move { streaming::send(&context, request).await })).await {
            Ok(response) => response,
            Err(_stopped) => Err(Error::Stopped),
        }
    }

    /// The budget of one run, with up to `max_open` calls at a time.
    pub fn budget(&self, max_open: Option<u32>) -> Arc<CallBudget> {
        Arc::new(CallBudget::new(&self.context.limits, max_open))
    }

    /// The responses of one run, which may hold up to `max_open` of them.
    pub fn open_responses(&self, max_open: Option<u32>) -> OpenResponses {
        OpenResponses::new(&self.context.limits, max_open)
    }
}

/// A task that ends when nothing waits for it any more.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
