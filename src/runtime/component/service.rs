//! How does a component handle an HTTP request?
//!
//! It reads the request and writes the response as it goes along. The future of its call and the forwarder of its response
//! are polled together, by the holder of the [`Run`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http_body::Body;
use tokio::sync::oneshot;
use tokio::task::coop::has_budget_remaining;
use wasmtime::component::Accessor;
use wasmtime::{Result, Store};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::{WasiHttpView, p3};

use crate::outbound::CallTracer;
use crate::runtime::component::body::{
    Blocked, BodyForwarder, ComponentRequestBody, GuestRequestBody, GuestResponse, Reader,
};
use crate::runtime::component::engine::LinkedComponent;
use crate::runtime::component::state;
use crate::runtime::component::state::ComponentState;
use crate::runtime::engine::executors::Executors;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::response_state::ResponseState;
use crate::runtime::instance::run::Run;

/// A request for a component.
pub struct ComponentRequest {
    /// All but the body; the target is an absolute URL.
    pub head: Parts,
    /// The body.
    pub body: ComponentRequestBody,
    /// The number of the request in the log.
    pub id: u64,
    /// What makes spans of the calls of the component, if the request has a trace.
    pub tracer: Option<Arc<dyn CallTracer>>,
}

impl LinkedComponent {
    /// Starts a fresh instance that handles a request. It computes only while the run is polled. `permit` is dropped together
    /// with the instance. `None` for a component that does not serve HTTP requests.
    pub fn handle<P: Send + 'static>(
        &self,
        grants: &Grants,
        request: ComponentRequest,
        executors: Arc<Executors>,
        permit: P,
    ) -> Option<Run> {
        if !self.is_http_component() {
            return None;
        }
        let linked = self.clone();
        let mut stdio = grants.stdio(None, request.id);
        stdio.has_request_body = !request.body.is_end_stream();
        stdio.tracer = request.tracer;
        let stdio = Arc::new(stdio);
        let response = Arc::new(ResponseState::default());
        let mut store = linked.store(ComponentState::of_service(grants, &stdio), grants, request.id);
        let is_head = request.head.method == http::Method::HEAD;
        let reader = if matches!(self, Self::ServiceP3(_)) { Reader::P3 } else { Reader::P2 };
        let body = GuestRequestBody { body: request.body, stdio: stdio.clone(), response: response.clone(), reader };
        let request = http::Request::from_parts(request.head, body);
        let (sender, head) = oneshot::channel();
        let mut forwarder = BodyForwarder::new(head, is_head, stdio.clone(), response.clone());
        let guest = Box::pin(async move {
            let _permit = permit;
            match &linked {
                LinkedComponent::ServiceP2(service) => match service.instantiate_async(&mut store).await {
                    Ok(service) => drive(forwarder, handle_p2(store, service, request, sender)).await,
                    Err(error) => Ending::of_instantiation(error),
                },
                LinkedComponent::ServiceP3(service) => match service.instantiate_async(&mut store).await {
                    Ok(service) => {
                        let responder = Responder { sender, forwarded: forwarder.done() };
                        drive(forwarder, handle_p3(store, service, request, responder)).await
                    }
                    Err(error) => Ending::of_instantiation(error),
                },
                LinkedComponent::CommandP2(_) | LinkedComponent::CommandP3(_) => Ending::Succeeded,
            }
        });
        let run = Run::new(guest, stdio, executors).with_volumes(grants.volumes.threads());
        Some(run.with_files_at_once().with_response(response))
    }
}

type Sender = oneshot::Sender<GuestResponse>;

/// The end of a call, and its store.
type Called = (Store<ComponentState>, Result<()>);

/// Calls the handler of WASI 0.2. The store is returned, so that the caller drops it after it has looked at the response. If
/// the store were dropped here, an incomplete response would look complete.
async fn handle_p2(
    mut store: Store<ComponentState>,
    service: Proxy,
    request: http::Request<GuestRequestBody>,
    sender: Sender,
) -> Called {
    let scheme = if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) { Scheme::Https } else { Scheme::Http };
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request);
    let outparam = http.new_response_outparam_from_callback(|response| {
        let response = response.map_err(error_reason);
        // The receiver is gone when the run is being dropped.
        let _ = sender.send(response);
    });
    let called = match (request, outparam) {
        (Ok(request), Ok(outparam)) => {
            service.wasi_http_incoming_handler().call_handle(&mut store, request, outparam).await
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    (store, called)
}

/// Why there is no response, as the log has it.
fn error_reason(code: impl std::fmt::Debug) -> String {
    format!("it answered with the error {code:?}")
}

/// Takes the response of a guest, and reports when all of it has been forwarded.
struct Responder {
    sender: Sender,
    forwarded: oneshot::Receiver<()>,
}

/// Calls the handler of WASI 0.3. The call ends when all tasks of the guest have ended; the response is produced only as long
/// as the call goes on.
async fn handle_p3(
    mut store: Store<ComponentState>,
    service: Service,
    request: http::Request<GuestRequestBody>,
    responder: Responder,
) -> Called {
    let (request, sent) = p3::Request::from_http(store.data_mut().http().hooks, request);
    let call = async |accessor: &Accessor<ComponentState>| {
        match service.handle(accessor, request).await? {
            Ok(response) => {
                let response = accessor.with(|store| response.into_http(store, sent))?;
                let _ = responder.sender.send(Ok(response));
            }
            Err(code) => drop(responder.sender.send(Err(error_reason(code)))),
        }
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        let _ = responder.forwarded.await;
        wasmtime::error::Ok(())
    };
    let called = store.run_concurrent(call).await.flatten();
    (store, called)
}

/// Polls a call and the forwarder of its response until both are done, or one has failed.
async fn drive(mut forwarder: BodyForwarder, call: impl Future<Output = Called>) -> Ending {
    let mut call = pin!(call);
    // Kept until the response is forwarded, see `handle_p2`.
    let mut store = None;
    let mut forwarded = false;
    let mut step = |cx: &mut Context<'_>| {
        loop {
            if store.is_none()
                && let Poll::Ready((returned, called)) = call.as_mut().poll(cx)
            {
                store = Some(returned);
                if let Err(error) = called {
                    return Poll::Ready(Err(error));
                }
            }
            return match forwarder.poll(cx) {
                Poll::Ready(Err(ending)) => Poll::Ready(Ok(ending)),
                Poll::Ready(Ok(())) if store.is_some() => Poll::Ready(Ok(Ending::Succeeded)),
                // Most guests end as soon as their response is forwarded: one more poll, before they are detached.
                Poll::Ready(Ok(())) if !std::mem::replace(&mut forwarded, true) => continue,
                // With its budget used up, a task of tokio finds every channel empty, and is woken at once.
                Poll::Pending if store.is_some() && has_budget_remaining() => match forwarder.blocked_on() {
                    Some(Blocked::Head) => Poll::Ready(Ok(Ending::NoResponse("it returned without one".into()))),
                    Some(Blocked::Body) => Poll::Ready(Ok(Ending::NoResponse("it returned before its end".into()))),
                    Some(Blocked::Client) | None => Poll::Pending,
                },
                _ => Poll::Pending,
            };
        }
    };
    match (poll_fn(&mut step).await, &mut store) {
        (Ok(ending), _) => ending,
        (Err(error), None) => error.into(),
        (Err(error), Some(store)) => failed(error, store, forwarder).await,
    }
}

/// How a guest ended whose call has failed.
async fn failed(error: wasmtime::Error, store: &mut Store<ComponentState>, mut forwarder: BodyForwarder) -> Ending {
    let ending = state::ending(error, store).await;
    // What it produced before is forwarded, as far as it fits.
    let _ = poll_fn(|cx| Poll::Ready(forwarder.poll(cx))).await;
    ending
}
