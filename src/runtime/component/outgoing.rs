//! How does a component call somebody else?
//!
//! Through `outbound`, like the imports of `wasi_experimental_http`: the same policy, the same connections. wasmtime-wasi-http
//! has checked the form of the request; bodies pass as they come.

use std::future::Future;
use std::sync::Arc;

use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use crate::outbound;
use crate::outbound::{CallBudget, Client, ErrorKind, StreamingRequest, Timeouts};
use crate::runtime::instance::grants::Outbound;

/// The most of a body that is taken from a guest at a time. wasmtime-wasi-http holds two such pieces for each body that is
/// being written, and a guest may be writing many.
const CHUNK: usize = 16 * 1024;

/// The way out of one guest; there is none for those that may call nobody.
pub(in crate::runtime::component) struct Outgoing(Option<(Client, Arc<CallBudget>)>);

impl Outgoing {
    pub fn new(outbound: Option<&Outbound>) -> Self {
        Self(outbound.map(|outbound| (outbound.client.clone(), outbound.client.budget(outbound.max_open))))
    }
}

type Answer = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<()>> + Send>)>;

impl WasiHttpHooks for Outgoing {
    /// Whom a request is for is said once, in its URL.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let Some((client, budget)) = &self.0 else { return Box::new(async { Err(Error::HttpRequestDenied) }) };
        let options = options.unwrap_or_default();
        let timeouts = Timeouts {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        let (client, budget) = (client.clone(), Arc::downgrade(budget));
        Box::new(async move {
            let response = client.send_streaming(StreamingRequest { request, timeouts, budget }).await.map_err(told)?;
            let over: Box<dyn Future<Output = Result<()>> + Send> = Box::new(async { Ok(()) });
            Ok((response.map(|body| body.map_err(told).boxed_unsync()), over))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }
}

/// What the guest is told.
fn told(error: outbound::Error) -> Error {
    tracing::debug!(%error, "a call to a server failed");
    match error.kind() {
        ErrorKind::Denied => Error::HttpRequestDenied,
        ErrorKind::DeniedAddress => Error::DestinationIpProhibited,
        ErrorKind::Malformed => Error::HttpRequestUriInvalid,
        ErrorKind::UnknownName => Error::DnsError { rcode: None, info_code: None },
        ErrorKind::ResolveTimedOut => Error::DnsTimeout,
        ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        ErrorKind::ConnectTimedOut => Error::ConnectionTimeout,
        ErrorKind::Unreachable => Error::DestinationUnavailable,
        ErrorKind::Tls => Error::TlsProtocolError,
        ErrorKind::Certificate => Error::TlsCertificateError,
        ErrorKind::TimedOut => Error::ConnectionReadTimeout,
        ErrorKind::HeadersTooLarge => Error::HttpResponseHeaderSectionSize(None),
        ErrorKind::TooLarge => Error::HttpResponseBodySize(None),
        ErrorKind::Busy => Error::ConnectionLimitReached,
        ErrorKind::Broken => Error::HttpProtocolError,
    }
}
