//! How does a configuration become a gateway?
//!
//! A start tries every entry, and reports every problem before it gives up. Modules with the same content are compiled once,
//! and several modules at the same time. Then each entry is tried in turn: its executable gets an entry point and grants, is
//! instantiated once and asked for its sub-routes, and its routes go into the table. What is checked here cannot fail for a
//! request.
//!
//! `platform` makes what is the same for each configuration: engines, threads, the network. The routes, with all that is
//! checked for them, become one immutable `Snapshot`.

pub mod ahead_of_time;
mod diagnostics;
mod discover;
mod error;
mod grants;
mod guest_writable;
mod inspect;
mod load;
mod platform;
mod routes;

use crate::cgi::Endpoint;
use crate::config::Diagnostic;
use crate::fetch::Resolved;
use crate::gateway::{Gateway, Snapshot};
use crate::observe::{AccessLog, LogWriter};

pub use crate::startup::error::{Error, help};
pub use crate::startup::inspect::{Inspection, Item, inspect};
use crate::startup::load::ModuleSpec;
use crate::startup::platform::{Platform, check_authorities};
use crate::startup::routes::RouteTableBuilder;

/// Makes the gateway. What is wrong with the configuration's entries is added to `problems`; if an error is among them,
/// the gateway is not complete and must not serve.
///
/// When it returns, other processes may prune what the gateway does not use from the module cache.
pub async fn load(resolved: &mut Resolved, log: &LogWriter, problems: &mut Vec<Diagnostic>) -> Result<Gateway, Error> {
    let _startup = resolved.take_startup_lock();
    let config = resolved.config();
    problems.extend(check_authorities(config));
    let platform = Platform::new(config, log.clone(), problems).await?;
    let snapshot = snapshot(resolved, &platform, problems).await?;
    let access_log = AccessLog::new(log.clone(), config.log.format);
    Ok(Gateway::new(snapshot, config.limits.total_concurrency, access_log))
}

/// Loads the modules of a configuration and mounts its entries.
async fn snapshot(resolved: &Resolved, platform: &Platform, problems: &mut Vec<Diagnostic>) -> Result<Snapshot, Error> {
    let config = resolved.config();
    let specs = resolved.entries().map(|(entry, file)| ModuleSpec::new(entry, file)).collect();
    let executables = platform.load(specs, config.limits.module_size).await?;
    let mut routes = RouteTableBuilder::new(config, platform, problems)?;
    for ((entry, file), executable) in resolved.entries().zip(executables) {
        match executable.and_then(|executable| guest_writable::check(config, entry, file).map(|()| executable)) {
            Ok(executable) => routes.add_entry(entry, file, &executable).await,
            Err(error) => routes.report(entry, &error),
        }
    }
    let routes = routes.finish()?;
    let hostname = config.hostname.explicit.then(|| config.hostname.to_string());
    let endpoint = Endpoint::new(config.server.tls.is_some(), hostname.as_deref());
    Ok(Snapshot::new(routes, endpoint, &config.limits, config.server.limits.send_timeout))
}
