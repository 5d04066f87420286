//! How does one accepted socket become requests: with or without TLS, over HTTP/1 or HTTP/2? `accept` has a `ConnectionBuilder`
//! and spawns its `serve` for every connection.

pub(in crate::server) mod disconnect;
pub(in crate::server) mod driver;
pub(in crate::server) mod expectation;
pub(in crate::server) mod frames;
pub(in crate::server) mod io;
pub(in crate::server) mod protocol;
mod proxy_header;
pub(in crate::server) mod request_body;
pub(in crate::server) mod service;
pub(in crate::server) mod socket;
pub(in crate::server) mod state;

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use crate::config::{ConnectionLimits, ServerConfig, WebServerProtocol};
use crate::server::connection::driver::{CloseReason, ConnectionPhase, HttpConnection, TimedConnection};
use crate::server::connection::frames::FramedIo;
use crate::server::connection::io::ConnectionIo;
use crate::server::connection::protocol::{Protocol, StreamExecutor};
use crate::server::connection::service::ConnectionService;
use crate::server::connection::state::ConnectionState;
use crate::server::counters::{ConnectionProtocol, CountedConnection, Counters, OpeningFailure};
use crate::server::idle::IdleWatch;
use crate::server::limiter::ConnectionQueue;
use crate::server::listener::set::{self, Listeners};
use crate::server::listener::{Accepted, ListenerKind};
use crate::server::redirect::{RedirectToHttps, RedirectUnlessForwarded};
use crate::server::service::HttpService;
use crate::server::shutdown::ShutdownStage;
use crate::server::tls::{self, ActiveTls, ClientIdentity, ServerTls};
use crate::server::web_server::facts::WithFacts;
use crate::server::web_server::io::SharedIo;
use crate::server::{Peer, RemoteAddress, RequestScheme};

/// A connection that is younger than this when the server begins to drain may still send its first request.
const NEWCOMER: Duration = Duration::from_secs(1);

/// Web servers send their own facts beside the header fields, and some of these twice.
const PARAMETERS_PER_HEAD: usize = 4;

/// What the connections of all configurations of a server share.
#[derive(Clone)]
pub(in crate::server) struct ServerParts {
    pub(in crate::server) counters: Arc<Counters>,
    pub(in crate::server) tls: Arc<ServerTls>,
    /// Who watches whether the server is idle, if it is to end then.
    pub(in crate::server) idle: Option<Arc<IdleWatch>>,
    /// The connections, if the oldest are to make room for new ones.
    pub(in crate::server) oldest_first: Option<Arc<ConnectionQueue>>,
}

/// A connection that was accepted and counted.
pub(in crate::server) struct OpenConnection {
    pub(in crate::server) state: Arc<ConnectionState>,
    peer: Peer,
    kind: ListenerKind,
}

impl OpenConnection {
    pub(in crate::server) fn new(accepted: Accepted) -> Self {
        let Accepted { socket, peer, kind, control, counters } = accepted;
        let state = Arc::new(ConnectionState::new(socket, control, CountedConnection::new(counters)));
        Self { state, peer, kind }
    }
}

/// What all connections of a configuration share.
pub(in crate::server) struct ConnectionBuilder {
    config: ServerConfig,
    parts: ServerParts,
    limits: Arc<ConnectionLimits>,
    /// What plain ports answer, if not what the service answers.
    redirect: Option<RedirectToHttps>,
    http1: http1::Builder,
    http2: http2::Builder<StreamExecutor>,
}

impl ConnectionBuilder {
    /// The connections of `listeners`.
    pub(in crate::server) fn new(config: &ServerConfig, listeners: &Listeners, parts: ServerParts) -> Self {
        let limits = &config.limits;
        let https_port = config.tls.as_ref().and_then(|_| set::tls_port(listeners));
        Self {
            http1: protocol::http1_builder(limits),
            http2: protocol::http2_builder(limits, &parts.counters),
            limits: Arc::new(limits.clone()),
            redirect: https_port.filter(|_| config.redirect_https).map(|port| RedirectToHttps { port }),
            parts,
            config: config.clone(),
        }
    }

    pub(in crate::server) fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Serves one connection to its end.
    pub(in crate::server) async fn serve<S: HttpService>(&self, connection: OpenConnection, service: S) {
        let OpenConnection { state, peer, kind } = connection;
        let _watched = self.parts.idle.as_ref().map(|idle| idle.watch(&state));
        let mut io = ConnectionIo::new(Arc::clone(&state));
        if let ListenerKind::WebServer(protocol) = kind {
            return self.serve_web_server(protocol, io, self.service(service, peer, state)).await;
        }
        let Some(mut peer) = self.announced(&mut io, &state, peer).await else { return };
        let tls = if kind == ListenerKind::Port { self.parts.tls.current() } else { None };
        peer.scheme = Some(if tls.is_some() { RequestScheme::Https } else { RequestScheme::Http });
        match (tls, self.redirect) {
            (Some(tls), _) => self.serve_tls(io, &tls, self.service(service, peer, state)).await,
            (None, Some(redirect)) if kind == ListenerKind::PlainPort => {
                let ServerConfig { trusted_proxies: proxies, forwarded: fields, .. } = &self.config;
                if peer.is_trusted(proxies) {
                    let (proxies, fields) = (proxies.clone(), *fields);
                    let service = RedirectUnlessForwarded { redirect, service, proxies, fields };
                    self.serve_plain(io, self.service(service, peer, state)).await;
                } else {
                    self.serve_plain(io, self.service(redirect, peer, state)).await;
                }
            }
            (None, _) => self.serve_plain(io, self.service(service, peer, state)).await,
        }
    }

    fn service<S>(&self, service: S, peer: Peer, state: Arc<ConnectionState>) -> ConnectionService<S> {
        ConnectionService::new(service, peer, self.limits.body_timeout, state)
    }

    async fn serve_plain<S: HttpService>(&self, mut io: ConnectionIo, service: ConnectionService<S>) {
        let opened = Instant::from_std(service.state.opened());
        let detected = self.within(self.limits.header_timeout, &service.state, Protocol::detect(&mut io)).await;
        match detected {
            Some(Ok(Some(protocol))) => self.serve_protocol(io, protocol, service, opened).await,
            Some(_) => {}
            None => service.state.counted.fail(OpeningFailure::TimedOut),
        }
    }

    /// Serves a connection over FastCGI or SCGI.
    async fn serve_web_server<S: HttpService>(
        &self,
        protocol: WebServerProtocol,
        io: ConnectionIo,
        connection: ConnectionService<S>,
    ) {
        let ConnectionService { service, peer, state, .. } = connection;
        if !self.may_hand_over(protocol, peer) {
            return state.counted.fail(OpeningFailure::Untrusted);
        }
        state.counted.accept(protocol.into());
        let limits = (PARAMETERS_PER_HEAD * self.limits.header_block, self.limits.connections);
        let io = SharedIo::new(io, Arc::clone(&state), protocol, limits);
        let service = WithFacts { service, facts: io.facts() };
        let mut opened = Instant::from_std(state.opened());
        // A request that is given up takes the connection of the library with it, but not that of the web server.
        let reason = loop {
            let service = self.service(service.clone(), peer, Arc::clone(&state));
            let http = self.http1.serve_connection(TokioIo::new(io.clone()), service);
            if let Some(reason) = io.drive(self.timed(http, &state, opened)).await {
                break reason;
            }
            match tokio::time::timeout(self.limits.send_timeout, io.go_on()).await {
                Ok(Ok(true)) if state.control.stage() < ShutdownStage::Draining => opened = Instant::now(),
                Ok(Ok(_)) => break CloseReason::Finished(Ok(())),
                Ok(Err(_)) => break CloseReason::Reset,
                Err(_) => break CloseReason::TimedOut(ConnectionPhase::Writing(state.writes())),
            }
        };
        io.finish();
        self.close(&state, peer, reason).await;
    }

    /// Only local web servers and trusted proxies may say for which client a request is.
    fn may_hand_over(&self, protocol: WebServerProtocol, peer: Peer) -> bool {
        if peer.remote == RemoteAddress::Unix || peer.is_trusted(&self.config.trusted_proxies) {
            return true;
        }
        let untrusted = Counters::increment(&self.parts.counters.untrusted);
        // The log does not grow with what a stranger does.
        if untrusted.is_power_of_two() {
            let protocol = protocol.as_str();
            tracing::warn!(peer = %peer.remote, protocol, untrusted, "a peer that is not in `trusted_proxies`: connection closed");
        }
        false
    }

    async fn serve_tls<S: HttpService>(&self, io: ConnectionIo, tls: &ActiveTls, mut service: ConnectionService<S>) {
        let peer = service.peer;
        match self.within(self.limits.tls_handshake, &service.state, handshake(tls, io)).await {
            Some(Ok(Handshake::PlainHttp(io))) => self.refuse_plain_http(io, &service.state, peer).await,
            Some(Ok(Handshake::Done(io, identity))) => {
                service.identity = identity;
                let http2 = io.get_ref().1.alpn_protocol() == Some(tls::ALPN_H2);
                let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
                self.serve_protocol(*io, protocol, service, Instant::now()).await;
            }
            failed => {
                Counters::increment(&self.parts.counters.handshakes_failed);
                service.state.counted.fail(OpeningFailure::HandshakeFailed);
                let error = failed.and_then(Result::err).map(tracing::field::display);
                tracing::debug!(peer = %peer.remote, error, "TLS handshake failed");
            }
        }
    }

    /// The peer for which a trusted proxy forwards the connection, if proxies have to announce it. `None` if none does in time.
    async fn announced(&self, io: &mut ConnectionIo, state: &ConnectionState, peer: Peer) -> Option<Peer> {
        if !self.config.proxy_protocol {
            return Some(peer);
        }
        let received = proxy_header::receive(io, peer, &self.config.trusted_proxies);
        let received = self.within(proxy_header::TIMEOUT, state, received).await;
        if let Some(Ok(peer)) = received {
            return Some(peer);
        }
        Counters::increment(&self.parts.counters.unannounced);
        state.counted.fail(OpeningFailure::Unannounced);
        let error = received.and_then(Result::err).map(tracing::field::display);
        tracing::debug!(peer = %peer.remote, error, "no PROXY header of a trusted proxy: connection closed");
        None
    }

    /// Tells a client that it has to speak TLS.
    async fn refuse_plain_http(&self, mut io: ConnectionIo, state: &Arc<ConnectionState>, peer: Peer) {
        Counters::increment(&self.parts.counters.handshakes_failed);
        state.counted.fail(OpeningFailure::HandshakeFailed);
        tracing::info!(peer = %peer.remote, "a client spoke HTTP where HTTPS is served: it gets 400");
        // A client that does not read it has what it asked for.
        let _ = self.within(self.limits.tls_handshake, state, io.write_all(protocol::HTTPS_ONLY)).await;
        disconnect::linger(state, true).await;
    }

    /// The result of a future; `None` if it takes longer than `limit`, or if the server drains and the client is no newcomer.
    async fn within<T>(&self, limit: Duration, state: &ConnectionState, opening: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            outcome = opening => Some(outcome),
            () = tokio::time::sleep(limit) => None,
            () = cut_off(state) => None,
        }
    }

    async fn serve_protocol<IO, S>(&self, io: IO, protocol: Protocol, service: ConnectionService<S>, opened: Instant)
    where
        IO: AsyncRead + AsyncWrite + Unpin + 'static,
        S: HttpService,
    {
        let state = Arc::clone(&service.state);
        let peer = service.peer;
        state.counted.accept(match protocol {
            Protocol::Http1 => ConnectionProtocol::Http1,
            Protocol::Http2 => ConnectionProtocol::Http2,
        });
        if matches!(protocol, Protocol::Http2) {
            state.record_http2();
        }
        let reason = match protocol {
            Protocol::Http1 => {
                let io = TokioIo::new(io);
                self.timed(self.http1.serve_connection(io, service), &state, opened).await
            }
            Protocol::Http2 => {
                let io = TokioIo::new(FramedIo::new(io, Arc::clone(&state)));
                self.timed(self.http2.serve_connection(io, service), &state, opened).await
            }
        };
        self.close(&state, peer, reason).await;
    }

    fn timed<H: HttpConnection>(&self, http: H, state: &Arc<ConnectionState>, opened: Instant) -> TimedConnection<H> {
        TimedConnection::new(http, Arc::clone(state), Arc::clone(&self.limits)).opened_at(opened)
    }

    async fn close(&self, state: &ConnectionState, peer: Peer, reason: CloseReason) {
        match &reason {
            CloseReason::Finished(_) if state.is_flooded() => {
                Counters::increment(&self.parts.counters.flooded);
            }
            CloseReason::Finished(outcome) => {
                if let Err(error) = outcome {
                    tracing::debug!(peer = %peer.remote, error = error as &dyn StdError, "connection failed");
                }
                return disconnect::linger(state, outcome.is_err()).await;
            }
            CloseReason::TimedOut(ConnectionPhase::HandlingHalfClosed(_)) | CloseReason::Reset => {
                Counters::increment(&self.parts.counters.disconnected);
            }
            CloseReason::TimedOut(_) => {
                Counters::increment(&self.parts.counters.timed_out);
            }
            CloseReason::Aborted => {}
        }
        tracing::debug!(peer = %peer.remote, end = ?reason, "connection cut");
        // Requests of an HTTP/2 connection live in tasks of their own and would keep the socket open.
        state.shutdown_both();
    }
}

/// Resolves when the server drains, and a client that has sent no request yet has had the time to send one.
async fn cut_off(state: &ConnectionState) {
    state.control.draining().await;
    tokio::time::sleep_until(Instant::from_std(state.opened()) + NEWCOMER).await;
}

/// How a connection to a port with TLS began.
enum Handshake {
    Done(Box<TlsStream<ConnectionIo>>, Option<ClientIdentity>),
    PlainHttp(ConnectionIo),
}

async fn handshake(tls: &ActiveTls, mut io: ConnectionIo) -> std::io::Result<Handshake> {
    if protocol::is_plain_http(&mut io).await {
        return Ok(Handshake::PlainHttp(io));
    }
    let (io, identity) = tls.accept(io).await?;
    Ok(Handshake::Done(Box::new(io), identity))
}
