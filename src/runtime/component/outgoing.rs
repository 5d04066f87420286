//! How does a component call a server?
//!
//! Through `outbound`, like the imports of `wasi_experimental_http`: the same policy, the same connections. wasmtime-wasi-http
//! has checked the form of the request; bodies are streamed.

use std::future::Future;
use std::sync::Arc;

use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use crate::outbound;
use crate::outbound::{CallBudget, CallTimeouts, Client, ErrorKind, StreamingRequest};
use crate::runtime::component::call_wait::{CallWait, CallWaitBody, Side};
use crate::runtime::instance::calls::CountedCall;
use crate::runtime::instance::grants::Outbound;
use crate::runtime::instance::stdio::Stdio;

/// The largest chunk of a body that is taken from a guest. wasmtime-wasi-http holds two such chunks for each body that is
/// being written, and a guest may be writing many.
const CHUNK: usize = 16 * 1024;

/// The calls of one guest. `None` for a guest without the grant to call servers.
pub(in crate::runtime::component) struct Outgoing {
    calls: Option<Calls>,
    /// For notes in the log.
    stdio: Arc<Stdio>,
}

struct Calls {
    client: Client,
    budget: Arc<CallBudget>,
}

impl Outgoing {
    pub fn new(outbound: Option<&Outbound>, stdio: &Arc<Stdio>) -> Self {
        let calls = |outbound: &Outbound| Calls {
            client: outbound.client.clone(),
            budget: outbound.client.budget(outbound.max_open),
        };
        Self { calls: outbound.map(calls), stdio: stdio.clone() }
    }
}

type OutgoingResponse = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<()>> + Send>)>;

impl WasiHttpHooks for Outgoing {
    /// `outbound` sets the Host field by the URL.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Box<dyn Future<Output = OutgoingResponse> + Send> {
        let counted_call = CountedCall::begin(&self.stdio);
        let Some(Calls { client, budget }) = &self.calls else {
            let denied = outbound::Error::of_no_grant(request.uri().to_string().as_bytes());
            self.stdio.note_denied_call(&denied);
            let error = guest_error(denied.clone());
            counted_call.end::<()>(&Err(denied));
            return Box::new(async { Err(error) });
        };
        let options = options.unwrap_or_default();
        let timeouts = CallTimeouts {
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        let (client, budget, stdio) = (client.clone(), Arc::downgrade(budget), self.stdio.clone());
        let (call, tracer) = (CallWait::begin(&stdio), stdio.tracer.clone());
        let request = request.map(|body| counted(body, call.as_ref(), Side::Request));
        Box::new(async move {
            let sent = client.send_streaming(StreamingRequest { request, timeouts, budget, tracer });
            let response = CallWait::response(call.clone(), sent).await;
            counted_call.end(&response);
            let response = response.inspect_err(|error| stdio.note_denied_call(error)).map_err(guest_error)?;
            let response = response.map(|body| body.map_err(guest_error).boxed_unsync());
            let over: Box<dyn Future<Output = Result<()>> + Send> = Box::new(async { Ok(()) });
            Ok((response.map(|body| counted(body, call.as_ref(), Side::Response)), over))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }
}

/// The same body, whose waits count if those of its call do.
fn counted(body: WasiBody, call: Option<&Arc<CallWait>>, side: Side) -> WasiBody {
    match call {
        Some(call) => CallWaitBody::new(body, call.clone(), side).boxed_unsync(),
        None => body,
    }
}

/// Returns the error that the guest gets.
fn guest_error(error: outbound::Error) -> Error {
    tracing::debug!(%error, "a call to a server failed");
    match error.kind() {
        ErrorKind::Denied => Error::HttpRequestDenied,
        ErrorKind::DeniedAddress => Error::DestinationIpProhibited,
        ErrorKind::Malformed => Error::HttpRequestUriInvalid,
        ErrorKind::MethodNotSent => Error::HttpRequestMethodInvalid,
        ErrorKind::UnexpectedBody => Error::HttpRequestBodySize(None),
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
