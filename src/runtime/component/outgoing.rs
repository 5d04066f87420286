//! How does a component call somebody else?
//!
//! Through `outbound`, like the imports of `wasi_experimental_http`: the same policy, the same connections. wasmtime-wasi-http
//! has checked the form of the request; bodies pass as they come.

use std::future::Future;
use std::sync::Arc;

use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use crate::outbound;
use crate::outbound::{Allowance, Client, Nature, Patience, Streamed};
use crate::runtime::instance::state::Outbound;

/// The most of a body that is taken from a guest at a time. wasmtime-wasi-http holds two such pieces for each body that is
/// being written, and a guest may be writing many.
const CHUNK: usize = 16 * 1024;

/// The way out of one guest; there is none for those that may call nobody.
pub(in crate::runtime::component) struct Outgoing(Option<(Client, Arc<Allowance>)>);

impl Outgoing {
    pub fn new(outbound: Option<&Outbound>) -> Self {
        Self(outbound.map(|outbound| (outbound.client.clone(), outbound.client.allowance(outbound.most_open))))
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
        let Some((client, allowance)) = &self.0 else { return Box::new(async { Err(Error::HttpRequestDenied) }) };
        let options = options.unwrap_or_default();
        let patience = Patience {
            connect: options.connect_timeout,
            head: options.first_byte_timeout,
            piece: options.between_bytes_timeout,
        };
        let (client, allowance) = (client.clone(), Arc::downgrade(allowance));
        Box::new(async move {
            let response = client.pass(Streamed { request, patience, allowance }).await.map_err(told)?;
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
    match error.nature() {
        Nature::Denied => Error::HttpRequestDenied,
        Nature::DeniedAddress => Error::DestinationIpProhibited,
        Nature::Malformed => Error::HttpRequestUriInvalid,
        Nature::UnknownName => Error::DnsError { rcode: None, info_code: None },
        Nature::NameTimedOut => Error::DnsTimeout,
        Nature::Refused => Error::ConnectionRefused,
        Nature::ConnectTimedOut => Error::ConnectionTimeout,
        Nature::Unreachable => Error::DestinationUnavailable,
        Nature::Tls => Error::TlsProtocolError,
        Nature::Certificate => Error::TlsCertificateError,
        Nature::TimedOut => Error::ConnectionReadTimeout,
        Nature::HeadersTooLarge => Error::HttpResponseHeaderSectionSize(None),
        Nature::TooLarge => Error::HttpResponseBodySize(None),
        Nature::Busy => Error::ConnectionLimitReached,
        Nature::Broken => Error::HttpProtocolError,
    }
}
