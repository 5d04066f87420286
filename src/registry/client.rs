//! What does it take to ask registries? What the operator has said of all of them. Made once for everything that is asked
//! together; `registry` has a conversation with each over it.

use std::path::PathBuf;

use tokio::runtime::Handle;
use url::Url;

use crate::config::{PullPolicy, Registries};
use crate::net::client::{ClientError, ClientOptions, HttpClient};

use crate::registry::reference::{ReferenceError, Registry};

/// What it takes to ask registries.
pub(in crate::registry) struct RegistryClient {
    pub http: HttpClient,
    /// What the network is waited for with.
    pub runtime: Handle,
    /// The files of credentials.
    pub credentials: Vec<PathBuf>,
    /// Those that speak plain HTTP, besides those on this machine.
    plain: Vec<Registry>,
    policy: PullPolicy,
}

/// Why registries cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum RegistryClientError {
    #[error(transparent)]
    Http(#[from] ClientError),
    #[error("in `--plain-http`")]
    Plain(#[from] ReferenceError),
}

impl RegistryClient {
    /// For a thread with a runtime around it.
    pub fn new(registries: &Registries) -> Result<Self, RegistryClientError> {
        let plain = registries.plain_http.iter().map(|name| Registry::named(name)).collect::<Result<_, _>>()?;
        let http = HttpClient::new(&ClientOptions { roots: registries.ca_file.clone(), ..ClientOptions::default() })?;
        let credentials = registries.credentials.clone();
        Ok(Self { http, runtime: Handle::current(), credentials, plain, policy: registries.pull })
    }

    /// Whether what has been pulled before is good enough.
    pub fn asks_for_what_is_missing_only(&self) -> bool {
        self.policy != PullPolicy::Always
    }

    /// Whether registries may be asked for modules at all.
    pub fn may_pull(&self) -> bool {
        self.policy != PullPolicy::Never
    }

    /// The URL of a path below the root of a registry's API.
    pub fn url(&self, registry: &Registry, path: &str) -> Option<Url> {
        let is_plain = registry.is_local() || self.plain.contains(registry);
        registry.url(if is_plain { "http" } else { "https" }, path)
    }
}
