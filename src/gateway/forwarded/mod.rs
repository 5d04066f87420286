//! For which client does a trusted proxy forward a request, and how did the client reach it?
//!
//! The answer is in header fields, which count only if the peer is trusted. What they say of the client and the scheme takes its
//! place in `Peer`, where all else finds it. `Generation::respond` asks once for each request, with the configuration that the request sees.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use http::request::Parts;

use crate::cgi::Host;
use crate::config::{ForwardedFields, ServerConfig, TrustedProxies};
use crate::proxy::{Forwarded, read_forwarded};
use crate::server::{Peer, RemoteAddress, RequestScheme};

use crate::gateway::routed_request;

/// The proxies that a configuration trusts, and the fields in which they speak.
pub(super) struct ProxyTrust {
    proxies: TrustedProxies,
    fields: ForwardedFields,
}

impl ProxyTrust {
    pub fn new(config: &ServerConfig) -> Self {
        Self { proxies: config.trusted_proxies.clone(), fields: config.forwarded }
    }

    /// The proxies that are trusted.
    pub fn trusted(&self) -> &TrustedProxies {
        &self.proxies
    }

    /// Replaces the peer of a request by the client for which a trusted proxy sends it. Returns the host that the client named, with
    /// or without a port, if the proxy tells one. Values that make no sense are counted.
    pub fn apply(&self, head: &mut Parts, malformed: &AtomicU64) -> Option<String> {
        // Few servers have proxies, and the others pay nothing.
        if self.proxies.is_empty() {
            return None;
        }
        let peer = *head.extensions.get::<Peer>()?;
        if !peer.is_trusted(&self.proxies) {
            return None;
        }
        let forwarded = read_forwarded(&head.headers, self.fields, &self.proxies);
        for field in &forwarded.malformed {
            malformed.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(proxy = %peer.remote, %field, "a trusted proxy sent a value that makes no sense: the field is ignored");
        }
        let remote = forwarded.client.map_or(peer.remote, RemoteAddress::from);
        let scheme =
            forwarded.https.map(|https| if https { RequestScheme::Https } else { RequestScheme::Http }).or(peer.scheme);
        let authority = authority(&forwarded, head);
        head.extensions.insert(Peer { remote, scheme, ..peer });
        authority
    }
}

/// The host that the client named, with the port that it reached. What the proxy does not tell of them is in the request itself.
fn authority(forwarded: &Forwarded<'_>, head: &Parts) -> Option<String> {
    let Some(port) = forwarded.port else { return forwarded.host.as_deref().map(str::to_owned) };
    let host = match &forwarded.host {
        Some(host) => Host::parse(host.as_bytes()),
        None => routed_request::host(head, None).ok().flatten(),
    };
    Some(format!("{}:{port}", host.map_or("", |host| host.name())))
}
