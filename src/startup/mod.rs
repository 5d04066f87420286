//! How does a configuration become a gateway?
//!
//! Every entry is tried and every problem reported before start-up gives up: modules are read and compiled, once per
//! distinct content and side by side; then entry by entry the program gets its entry point and grants, is instantiated
//! once, asked for its sub-routes, and mounted. What is checked here cannot fail for a request.

pub mod ahead;
mod discover;
mod exposure;
mod inspect;
mod load;
mod mount;
mod refusal;

use std::io;
use std::path::PathBuf;

use crate::cgi::Endpoint;
use crate::config::{Config, Diagnostic};
use crate::fetch::Resolved;
use crate::gateway::{Gateway, Snapshot};
use crate::net::tls::TrustError;
use crate::observe::{AccessLog, LogWriter};
use crate::runtime;
use crate::runtime::{EngineConfig, Runtime};

pub use crate::startup::inspect::{Inspection, Item, inspect};
use crate::startup::mount::Mounting;

/// Why start-up cannot even look at the modules.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] runtime::Error),
    /// Compiling came to an end it should not.
    #[error("compiling the modules failed: this is a defect of the server")]
    Compiling,
    /// What guests need to call others cannot be set up.
    #[error("cannot set up the calls of guests to others")]
    Outbound(#[from] TrustError),
    /// The directory for guests' stderr cannot be used.
    #[error("cannot use the log directory `{}`", path.display())]
    LogDirectory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Makes the gateway. What is wrong with the configuration's entries is added to `problems`; if an error is among them,
/// the gateway is not complete and must not serve.
///
/// When it returns, other processes may prune what the gateway does not use from the module cache.
pub async fn load(resolved: &mut Resolved, log: &LogWriter, problems: &mut Vec<Diagnostic>) -> Result<Gateway, Error> {
    let _startup = resolved.take_startup_lock();
    let (resolved, config) = (&*resolved, resolved.config());
    let engine = EngineConfig { cache: exposure::keep(config, problems), ..engine_config(config) };
    let wanted: Vec<_> = resolved.entries().map(load::Wanted::from).collect();
    let size_limit = config.limits.module_size;
    let compiling = tokio::task::spawn_blocking(move || {
        let runtime = Runtime::new(&engine)?;
        Ok::<_, runtime::Error>(load::programs(&runtime, &wanted, size_limit))
    });
    let programs = compiling.await.map_err(|_| Error::Compiling)??;
    let mut mounting = Mounting::new(config, log, problems)?;
    for ((script, file), program) in resolved.entries().zip(programs) {
        match program.and_then(|program| exposure::check(config, script, file).map(|()| program)) {
            Ok(program) => mounting.mount(script, file, &program).await,
            Err(error) => mounting.refuse(script, &error),
        }
    }
    let routes = mounting.finish()?;
    let hostname = config.hostname.explicit.then(|| config.hostname.to_string());
    let endpoint = Endpoint::new(config.server.tls.is_some(), hostname.as_deref());
    let access_log = AccessLog::new(log.clone(), config.log.format);
    let snapshot = Snapshot::new(routes, endpoint, &config.limits);
    Ok(Gateway::new(snapshot, config.limits.total_concurrency, access_log))
}

fn engine_config(config: &Config) -> EngineConfig {
    EngineConfig {
        instances: u32::try_from(config.limits.total_concurrency).unwrap_or(u32::MAX),
        memory: config.entries.iter().map(|script| script.limits.memory).max().unwrap_or(0),
        table_elements: config.entries.iter().map(|script| script.limits.table_elements).max().unwrap_or(0),
        wasm_stack: config.limits.wasm_stack,
        cache: None,
    }
}
