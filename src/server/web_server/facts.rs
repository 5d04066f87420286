//! What does the service learn from a web server? Client, scheme, version of HTTP and user, as from a trusted proxy.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Request;

use crate::fastcgi::StatedFacts;
use crate::server::service::HttpService;
use crate::server::{ClientIdentity, Peer, RemoteAddress, RequestBody, RequestScheme, StatedIdentity};

/// The facts of the request whose head was read last.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct CurrentFacts(Arc<Mutex<Option<StatedFacts>>>);

impl CurrentFacts {
    pub(in crate::server) fn set(&self, facts: StatedFacts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(facts);
    }

    fn take(&self) -> Option<StatedFacts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A service whose requests come from a web server.
#[derive(Clone, Debug)]
pub(in crate::server) struct WithFacts<S> {
    pub(in crate::server) service: S,
    pub(in crate::server) facts: CurrentFacts,
}

impl<S: HttpService> tower_service::Service<Request<RequestBody>> for WithFacts<S> {
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> S::Future {
        if let Some(facts) = self.facts.take() {
            apply(facts, &mut request);
        }
        self.service.call(request)
    }
}

fn apply<B>(facts: StatedFacts, request: &mut Request<B>) {
    let scheme = Some(if facts.is_https { RequestScheme::Https } else { RequestScheme::Http });
    let extensions = request.extensions_mut();
    let remote = facts.client.map(RemoteAddress::from);
    let remote = remote.or_else(|| extensions.get::<Peer>().map(|peer| peer.remote));
    if let Some(remote) = remote {
        extensions.insert(Peer { local: facts.local, scheme, ..Peer::new(remote) });
    }
    if let Some(user) = facts.user {
        let stated =
            StatedIdentity { auth_type: user.auth_type, user: user.name, verify: user.verify, subject: user.subject };
        extensions.insert(ClientIdentity::Stated(Arc::new(stated)));
    }
    *request.version_mut() = facts.version;
}
