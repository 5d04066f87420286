//! The behaviour of the server over real sockets. Each file tests one kind of behaviour; this one starts
//! servers and speaks raw HTTP/1 to them.

mod disconnect;
mod handle;
mod http1;
mod http2;
mod limits;
mod shutdown;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::{ConnectionLimits, ListenAddress, ServerConfig, TlsConfig, TlsFiles, WhenFull};
use crate::server::{Counters, RequestBody, Server, ServerHandle};

type ResponseBody = UnsyncBoxBody<Bytes, std::io::Error>;
type TestResponse = Response<ResponseBody>;
type ResponseFuture = Pin<Box<dyn Future<Output = Result<TestResponse, Infallible>> + Send>>;

/// Longer than anything here should take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often what is about time is tried.
const ATTEMPTS: usize = 5;

#[derive(Clone)]
struct Closure<F>(F);

impl<F> tower_service::Service<Request<RequestBody>> for Closure<F>
where
    F: Fn(Request<RequestBody>) -> ResponseFuture,
{
    type Response = TestResponse;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> ResponseFuture {
        (self.0)(request)
    }
}

struct Running {
    address: SocketAddr,
    counters: Arc<Counters>,
    handle: ServerHandle,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

fn config(change: impl FnOnce(&mut ConnectionLimits)) -> ServerConfig {
    let mut limits = ConnectionLimits {
        connections: 100,
        connections_per_address: 100,
        header_block: 32 << 10,
        header_timeout: TIMEOUT,
        body_timeout: TIMEOUT,
        send_timeout: TIMEOUT,
        keep_alive: TIMEOUT,
        tls_handshake: TIMEOUT,
        shutdown_grace: TIMEOUT,
    };
    change(&mut limits);
    ServerConfig { listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 0).into())], limits, ..ServerConfig::default() }
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn tls_config(cert: &str, key: &str) -> TlsConfig {
    TlsConfig::new(TlsFiles::new(fixture(cert), fixture(key)))
}

async fn start<F, A>(config: ServerConfig, respond: F) -> Running
where
    F: Fn(Request<RequestBody>) -> A + Clone + Send + 'static,
    A: Future<Output = TestResponse> + Send + 'static,
{
    let server = Server::bind(&config).await.unwrap();
    let (address, counters, handle) = (server.addresses()[0], server.counters(), server.handle());
    let (stop, stopped) = oneshot::channel::<()>();
    let service = Closure(move |request| -> ResponseFuture {
        let response = respond(request);
        Box::pin(async move { Ok(response.await) })
    });
    let served = tokio::spawn(server.serve(service, async {
        let _ = stopped.await;
    }));
    Running { address, counters, handle, stop, served }
}

fn text(text: impl Into<Bytes>) -> TestResponse {
    Response::new(Full::new(text.into()).map_err(|never| match never {}).boxed_unsync())
}

async fn hello(_: Request<RequestBody>) -> TestResponse {
    text("hello")
}

/// A service that announces each request and never answers. The announcement resolves with an error once the future
/// of that request was dropped.
fn stuck() -> (impl Fn(Request<RequestBody>) -> Stuck + Clone + Send, Arrivals) {
    let (announce, arrivals) = mpsc::unbounded_channel();
    let service = move |request| -> Stuck {
        let (alive, dropped) = oneshot::channel::<()>();
        announce.send(dropped).unwrap();
        Box::pin(async move {
            let _held = (alive, request);
            std::future::pending().await
        })
    };
    (service, arrivals)
}

type Stuck = Pin<Box<dyn Future<Output = TestResponse> + Send>>;
type Arrivals = mpsc::UnboundedReceiver<oneshot::Receiver<()>>;

async fn arrival(arrivals: &mut Arrivals) -> oneshot::Receiver<()> {
    promptly(arrivals.recv()).await.unwrap()
}

async fn promptly<T>(outcome: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, outcome).await.expect("takes too long")
}

/// Fails if something takes longer than `limit` however often it is tried: what else the machine is doing may hold up one
/// attempt, but not all of them.
async fn within(limit: Duration, mut attempt: impl AsyncFnMut() -> Duration) {
    let mut times = Vec::new();
    while times.len() < ATTEMPTS {
        let time = attempt().await;
        if time < limit {
            return;
        }
        times.push(time);
    }
    panic!("{times:?} and never less than {limit:?}");
}

/// Sends the bytes on a new connection.
async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(bytes.as_ref()).await.unwrap();
    client
}

/// Everything the server still sends, until it closes.
async fn rest(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset counts as the end; what was said before is compared anyway.
    let _ = promptly(client.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the server sends up to and with `end`.
async fn until(client: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let byte = promptly(client.read_u8()).await;
        seen.push(byte.unwrap_or_else(|_| panic!("ended after {:?}", String::from_utf8_lossy(&seen))));
    }
    String::from_utf8_lossy(&seen).into_owned()
}
