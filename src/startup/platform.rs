//! What is the same for each configuration? The engines and their threads, the network and the log.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::config::{AllowedHosts, Config, Diagnostic};
use crate::net::tls;
use crate::observe::LogWriter;
use crate::outbound::Network;
use crate::runtime::{CompilerProcess, EngineConfig, Runtime};

use crate::startup::error::Error;
use crate::startup::guest_writable;
use crate::startup::load;
use crate::startup::load::{LoadResult, ModuleSpec};

/// The problems of the files with certificates that the operator names, whether a module of this configuration needs them or
/// not.
pub(super) fn check_authorities(config: &Config) -> Vec<Diagnostic> {
    let files = [("--outbound-ca", &config.outbound_ca), ("--registry-ca", &config.registries.ca_file)];
    let checked =
        files.into_iter().filter_map(|(option, file)| Some((option, tls::check_file(file.as_deref()?).err()?)));
    let problem = |(option, error): (&str, tls::ClientTlsError)| {
        let problem = Diagnostic::error(format!("cannot use the certificates of {option}")).caused_by(&error);
        problem.help("the file must be PEM text with `BEGIN CERTIFICATE` sections")
    };
    checked.map(problem).collect()
}

/// The engines, the network for guests, and the log.
pub(super) struct Platform {
    runtime: Arc<Runtime>,
    network: OnceLock<Network>,
    pub log: LogWriter,
}

impl Platform {
    /// Starts the engine, with pools as large as `config` needs.
    pub async fn new(config: &Config, log: LogWriter, problems: &mut Vec<Diagnostic>) -> Result<Self, Error> {
        let engine = EngineConfig {
            instances: u32::try_from(config.limits.total_concurrency).unwrap_or(u32::MAX),
            memory: config.entries.iter().map(|entry| entry.limits.memory).max().unwrap_or(0),
            table_elements: config.entries.iter().map(|entry| entry.limits.table_elements).max().unwrap_or(0),
            wasm_stack: config.limits.wasm_stack,
            cache: guest_writable::code_cache_config(config, problems),
        };
        let runtime = spawn_blocking(move || Runtime::new(&engine)).await.map_err(|_| Error::Compiling)??;
        let limits = &config.limits;
        let compiler = config.compiler.clone();
        let compiler = compiler.map(|path| CompilerProcess::new(path, limits.compile_time, limits.compile_memory));
        Ok(Self { runtime: Arc::new(runtime.with_compiler(compiler)), network: OnceLock::new(), log })
    }

    /// Loads modules side by side. The results are in the order of `specs`.
    pub async fn load(&self, specs: Vec<ModuleSpec>, size_limit: u64) -> Result<Vec<LoadResult>, Error> {
        let runtime = self.runtime.clone();
        let loading = spawn_blocking(move || load::executables(&runtime, &specs, size_limit));
        loading.await.map_err(|_| Error::Compiling)
    }

    /// The network for guests; `None` if `config` lets no guest call other servers: reading certificates takes time.
    pub fn network(&self, config: &Config) -> Result<Option<&Network>, Error> {
        if config.entries.iter().all(|entry| entry.allowed_hosts == AllowedHosts::None) {
            return Ok(None);
        }
        if let Some(network) = self.network.get() {
            return Ok(Some(network));
        }
        // A file that cannot be used is reported already, and ends the start.
        let authorities = config.outbound_ca.as_deref().filter(|file| tls::check_file(file).is_ok());
        let network = Network::new(Handle::current(), authorities)?;
        if network.roots() == 0 {
            tracing::warn!("the system has no certificates to trust: guests cannot call other servers over https");
        }
        Ok(Some(self.network.get_or_init(|| network)))
    }
}
