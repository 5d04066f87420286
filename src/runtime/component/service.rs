//! How is a component asked over HTTP?
//!
//! It gets the request and says what the answer is, both as it goes along. The future of its call and the pump that takes
//! its answer away are polled together, by whoever holds the [`Run`].

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use tokio::sync::oneshot;
use wasmtime::component::Accessor;
use wasmtime::{Result, Store};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{WasiHttpView, p3};

use crate::runtime::component::body::{Answered, Pump, RequestBody, Upload, WaitsFor};
use crate::runtime::component::engine::Linked;
use crate::runtime::component::state::State;
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
    pub body: RequestBody,
    /// The number the log knows the request by.
    pub request: u64,
}

impl Linked {
    /// Starts a fresh instance that handles a request. It computes only while the run is polled. `permit` is dropped together
    /// with the instance. `None` for a component that does not serve HTTP requests.
    pub fn handle<P: Send + 'static>(
        &self,
        grants: &Grants,
        incoming: ComponentRequest,
        executors: Arc<Executors>,
        permit: P,
    ) -> Option<Run> {
        if !self.speaks_http() {
            return None;
        }
        let linked = self.clone();
        let pipes = Arc::new(grants.pipes(None, incoming.request));
        let response = Arc::new(ResponseState::default());
        let store = linked.store(State::of_service(grants, &pipes), grants.limits.memory);
        let bodiless = incoming.head.method == http::Method::HEAD;
        let upload = Upload { body: incoming.body, pipes: pipes.clone(), response: response.clone() };
        let request = http::Request::from_parts(incoming.head, upload);
        let (sender, answered) = oneshot::channel();
        let mut pump = Pump::new(answered, bodiless, pipes.clone(), response.clone());
        let guest = Box::pin(async move {
            let _permit = permit;
            match &linked {
                Linked::Service2(service) => drive(pump, call_2(store, service, request, sender)).await,
                Linked::Service3(service) => {
                    let said = Said { answer: sender, heard: pump.done() };
                    drive(pump, call_3(store, service, request, said)).await
                }
                Linked::Command2(_) | Linked::Command3(_) => Ending::Succeeded,
            }
        });
        Some(Run::new(guest, pipes, executors).with_response(response))
    }
}

type Sender = oneshot::Sender<Answered>;

/// Asks over HTTP as WASI 0.2 has it. The store is given back, because an answer that is not complete when the guest
/// returns would look complete when the store is dropped.
async fn call_2(
    mut store: Store<State>,
    service: &ProxyPre<State>,
    request: http::Request<Upload>,
    sender: Sender,
) -> (Store<State>, Result<(), Ending>) {
    let service = match service.instantiate_async(&mut store).await {
        Ok(service) => service,
        Err(error) => return (store, Err(Ending::of_instantiation(error))),
    };
    let scheme = if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) { Scheme::Https } else { Scheme::Http };
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request);
    let answer = http.new_response_outparam_from_callback(|answered| {
        let answered = answered.map_err(|code| format!("it answered with the error {code:?}"));
        // Nobody listens when the run is being dropped.
        let _ = sender.send(answered);
    });
    let called = match (request, answer) {
        (Ok(request), Ok(answer)) => {
            service.wasi_http_incoming_handler().call_handle(&mut store, request, answer).await
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    (store, called.map_err(Ending::from))
}

/// Where an answer goes, and how to learn that all of it has been passed on.
struct Said {
    answer: Sender,
    heard: oneshot::Receiver<()>,
}

/// Asks over HTTP as WASI 0.3 has it. The call is over when everything the guest has begun is done; its answer comes
/// forth only as long as the call goes on.
async fn call_3(
    mut store: Store<State>,
    service: &ServicePre<State>,
    request: http::Request<Upload>,
    said: Said,
) -> (Store<State>, Result<(), Ending>) {
    let service = match service.instantiate_async(&mut store).await {
        Ok(service) => service,
        Err(error) => return (store, Err(Ending::of_instantiation(error))),
    };
    let (request, sent) = p3::Request::from_http(store.data_mut().http().hooks, request);
    let call = async |accessor: &Accessor<State>| {
        match service.handle(accessor, request).await? {
            Ok(response) => {
                let response = accessor.with(|store| response.into_http(store, sent))?;
                let _ = said.answer.send(Ok(response));
            }
            Err(code) => drop(said.answer.send(Err(format!("it answered with the error {code:?}")))),
        }
        poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
        let _ = said.heard.await;
        wasmtime::error::Ok(())
    };
    let called = store.run_concurrent(call).await.flatten();
    (store, called.map_err(Ending::from))
}

/// Drives a call and takes its answer away until both are done, or one has failed.
async fn drive(mut pump: Pump, call: impl Future<Output = (Store<State>, Result<(), Ending>)>) -> Ending {
    let mut call = pin!(call);
    let mut over = None;
    let mut passed_on = false;
    let mut step = |cx: &mut Context<'_>| {
        loop {
            if over.is_none()
                && let Poll::Ready((store, called)) = call.as_mut().poll(cx)
            {
                if let Err(ending) = called {
                    // What it has said before goes out, as far as there is room for it.
                    let _ = pump.poll(cx);
                    return Poll::Ready(ending);
                }
                over = Some(store);
            }
            return match pump.poll(cx) {
                Poll::Ready(Err(ending)) => Poll::Ready(ending),
                Poll::Ready(Ok(())) if over.is_some() => Poll::Ready(Ending::Succeeded),
                // Most guests that hear that their answer has gone out are done: once more, before they are moved.
                Poll::Ready(Ok(())) if !std::mem::replace(&mut passed_on, true) => continue,
                Poll::Pending if over.is_some() => match pump.waits_for() {
                    Some(WaitsFor::Head) => Poll::Ready(Ending::NoResponse("it returned without one".into())),
                    Some(WaitsFor::Body) => Poll::Ready(Ending::NoResponse("it returned before its end".into())),
                    Some(WaitsFor::Client) | None => Poll::Pending,
                },
                _ => Poll::Pending,
            };
        }
    };
    poll_fn(&mut step).await
}
