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
mod candidate;
mod diagnostics;
mod discover;
mod error;
mod grants;
mod guest_writable;
mod handover;
mod inspect;
mod load;
mod platform;
mod reload;
mod routes;
mod warm_start;

use std::sync::Arc;

use crate::config::{AccessLogTarget, Config, Diagnostic};
use crate::fetch::{Progress, Resolved, Silent};
use crate::gateway::{Gateway, Snapshot};
use crate::net::connect::own_addresses::OwnAddresses;
use crate::observe::{AccessLog, LogWriter};
use crate::runtime::RunWatcher;

use crate::startup::candidate::Loading;
pub use crate::startup::error::{Error, help};
use crate::startup::handover::Handover;
pub use crate::startup::inspect::{Inspection, Item, inspect};
use crate::startup::load::Priority;
use crate::startup::platform::{Platform, check_authorities};
pub use crate::startup::reload::{
    ConfigInForce, KeptFiles, LoadedConfig, Logs, PartialStart, ReadConfiguration, ReloadStage, Reloader, ServedRoutes,
    StartStage,
};

/// Makes a gateway whose configuration stays as it is: [`Reloader`] makes one that can be reloaded. What is wrong with the
/// configuration's entries is added to `problems`; if an error is among them, the gateway is not complete and must not serve.
///
/// When it returns, other processes may prune what the gateway does not use from the module cache.
pub async fn load(resolved: &mut Resolved, log: &LogWriter, problems: &mut Vec<Diagnostic>) -> Result<Gateway, Error> {
    load_watched(resolved, log, None, problems).await
}

/// The same, with a watcher of what the guests get and print.
pub async fn load_watched(
    resolved: &mut Resolved,
    log: &LogWriter,
    watcher: Option<Arc<dyn RunWatcher>>,
    problems: &mut Vec<Diagnostic>,
) -> Result<Gateway, Error> {
    let _startup = resolved.take_startup_lock();
    let (own_addresses, progress) = (OwnAddresses::default(), Arc::new(Silent));
    let platform = FirstConfiguration { resolved, own_addresses, watcher, progress }.platform(log, problems).await?;
    let before = Handover::default();
    let loading = Loading { resolved, platform: &platform, before: &before, priority: Priority::Start };
    let candidate = loading.load(None, problems).await?;
    gateway(&platform, candidate.snapshot, resolved)
}

/// The first configuration of a process.
struct FirstConfiguration<'a> {
    resolved: &'a Resolved,
    /// Where this process listens already.
    own_addresses: OwnAddresses,
    watcher: Option<Arc<dyn RunWatcher>>,
    /// What shows what is compiled.
    progress: Arc<dyn Progress>,
}

impl FirstConfiguration<'_> {
    /// Makes the platform.
    async fn platform(self, log: &LogWriter, problems: &mut Vec<Diagnostic>) -> Result<Platform, Error> {
        let Self { resolved, own_addresses, watcher, progress } = self;
        let config = resolved.config();
        problems.extend(check_authorities(config));
        let platform = Platform::new(config, own_addresses, log.clone(), problems).await?;
        announce_hosts(config);
        Ok(platform.watched_by(watcher).showing(progress))
    }
}

/// Says that a key has an effect which had none before, so that nothing changes in silence.
fn announce_hosts(config: &Config) {
    let entries = config.entries.iter().filter(|entry| !entry.hosts.is_empty()).count();
    if entries > 0 {
        tracing::info!(entries, "`host` decides which requests an entry answers; up to wagi 0.9 it had no effect");
    }
}

fn gateway(platform: &Platform, snapshot: Snapshot, resolved: &Resolved) -> Result<Gateway, Error> {
    let config = resolved.config();
    let access_log = match &config.log.access {
        AccessLogTarget::StandardError => AccessLog::new(platform.log.clone(), config.log.format),
        AccessLogTarget::Nowhere => AccessLog::disabled(),
        AccessLogTarget::File(path) => {
            let file = LogWriter::append_to(path);
            let file = file.map_err(|source| Error::AccessLog { path: path.clone(), source })?;
            AccessLog::new(file, config.log.format)
        }
    };
    let (concurrency, requests) = (config.limits.total_concurrency, platform.requests());
    Ok(Gateway::new(snapshot, concurrency, access_log, platform.metrics.clone(), requests))
}
