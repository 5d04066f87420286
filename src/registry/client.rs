//! What is the same for requests to all registries? Made once for everything that is pulled or pushed together.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use url::Url;

use crate::config::{Diagnostic, Lock, PullPolicy, Registries};
use crate::net::client::{ClientError, ClientOptions, HttpClient};
use crate::net::progress::Progress;

use crate::registry::reference::{ReferenceError, Registry};

/// The options of pulling modules.
pub(crate) struct PullOptions {
    pub registries: Registries,
    /// The limit on the size of a module, in bytes.
    pub max_module_size: u64,
    /// Follows the downloads.
    pub progress: Arc<dyn Progress>,
    /// The lock file, if it is to be obeyed.
    pub lock: Option<Lock>,
}

/// A client for registries, with the options of the operator.
pub(in crate::registry) struct RegistryClient {
    pub http: HttpClient,
    /// The runtime that the client's I/O is done on.
    pub runtime: Handle,
    /// The files of credentials.
    pub credentials: Vec<PathBuf>,
    /// The registries without TLS, besides those on this machine.
    plain_http: Vec<Registry>,
    policy: PullPolicy,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum RegistryClientError {
    #[error(transparent)]
    Http(#[from] ClientError),
    #[error("in `--plain-http`")]
    PlainHttp(#[from] ReferenceError),
}

impl RegistryClientError {
    pub fn report(&self) -> Diagnostic {
        Diagnostic::error("cannot ask registries").caused_by(self)
    }
}

impl RegistryClient {
    /// For a thread with a runtime around it.
    pub fn new(registries: &Registries) -> Result<Self, RegistryClientError> {
        let plain_http = registries.plain_http.iter().map(|name| Registry::parse_alone(name));
        let plain_http = plain_http.collect::<Result<_, _>>()?;
        let http = HttpClient::new(&ClientOptions { roots: registries.ca_file.clone(), ..ClientOptions::default() })?;
        let credentials = registries.credentials.clone();
        Ok(Self { http, runtime: Handle::current(), credentials, plain_http, policy: registries.pull })
    }

    /// Whether a tag that was pulled before is not asked for again.
    pub fn prefers_cached(&self) -> bool {
        self.policy != PullPolicy::Always
    }

    /// Whether registries may be asked for modules at all.
    pub fn may_pull(&self) -> bool {
        self.policy != PullPolicy::Never
    }

    /// The URL of a path below the root of a registry's API.
    pub fn url(&self, registry: &Registry, path: &str) -> Option<Url> {
        let is_plain_http = registry.is_local() || self.plain_http.contains(registry);
        registry.url(if is_plain_http { "http" } else { "https" }, path)
    }
}

#[cfg(test)]
impl RegistryClient {
    /// A client that speaks plain HTTP with `registry.example`.
    pub fn for_tests(http: HttpClient, runtime: Handle) -> Self {
        let plain_http = vec![Registry::parse_alone("registry.example").expect("a registry")];
        Self { http, runtime, credentials: Vec::new(), plain_http, policy: PullPolicy::Always }
    }
}
