//! What is served while modules of the first configuration are still being compiled?
//!
//! The routes whose modules are there. The others have their places in the table, so that no request reaches another route than it will
//! when everything is loaded, and are answered by the gateway itself. What is loaded comes in as a reload does, by one store: each request
//! sees one table, and none is lost. All of it is one generation, since it is one configuration.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::store::TemporaryDirectory;
use crate::config::{Config, Diagnostic, ModuleRef};
use crate::fetch::Resolved;
use crate::gateway::Gateway;
use crate::server::ServerHandle;

use crate::startup;
use crate::startup::candidate::Candidate;
use crate::startup::error::Error;
use crate::startup::handover::Handover;
use crate::startup::load::so_far::{LoadState, LoadStep};
use crate::startup::reload::first_load::{FirstLoad, MountedParts};
use crate::startup::reload::{Logs, Reloader, files, has_error};

/// How long the table stays as it is when a module is ready: several small ones are ready at once.
const PAUSE: Duration = Duration::from_millis(200);

/// A start of which some routes can be served.
pub struct PartialStart {
    first: FirstLoad,
    gateway: Gateway,
    /// What the guests that are served share with those of the complete configuration.
    served: Handover,
    routes: ServedRoutes,
}

/// How much of a configuration is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedRoutes {
    /// The routes that are served.
    pub ready: usize,
    /// All routes that are known.
    pub known: usize,
    /// The modules that are being compiled.
    pub compiling: usize,
}

/// Files that guests may see. They stay at least as long as this is there.
pub struct KeptFiles {
    _resolved: Arc<Resolved>,
    _temporary: Option<Arc<TemporaryDirectory>>,
}

/// What becomes of a start that takes long.
pub(super) enum FirstStage {
    Partial(PartialStart),
    /// No route can be served yet.
    NothingReady(FirstLoad),
    /// There is an error.
    Refused,
}

impl PartialStart {
    /// Mounts the entries whose modules are there.
    pub(super) async fn begin(
        first: FirstLoad,
        states: Vec<LoadState>,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<FirstStage, Error> {
        let (mut found, before) = (Vec::new(), Handover::default());
        let waiting = states.iter().filter(|state| state.is_compiling()).count();
        let (compiling, kept) = (compiling(&first, &states), files(&first.resolved));
        let candidate = first.loading(&before).mount(states, Some(kept), &mut found).await?;
        if has_error(problems) || has_error(&found) {
            problems.append(&mut found);
            return Ok(FirstStage::Refused);
        }
        let ready = candidate.snapshot.ready();
        if ready == 0 {
            return Ok(FirstStage::NothingReady(first));
        }
        let gateway = startup::gateway(&first.platform, candidate.snapshot, &first.resolved)?;
        let routes = ServedRoutes { ready, known: ready + waiting, compiling };
        Ok(FirstStage::Partial(Self { first, gateway, served: candidate.handover, routes }))
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        self.first.resolved.config()
    }

    /// The log files.
    pub fn logs(&self) -> Logs {
        Logs::new(self.first.platform.clone(), &self.gateway)
    }

    /// How much is served.
    pub fn routes(&self) -> ServedRoutes {
        self.routes
    }

    /// Keeps what guests may see of fetched files.
    pub fn keep_files(&self) -> KeptFiles {
        KeptFiles { _resolved: self.first.resolved.clone(), _temporary: self.first.temporary.clone() }
    }

    /// Keeps guests from connecting to a server that serves them.
    pub fn refuse_to_guests(&self, server: &ServerHandle) {
        self.first.platform.own_addresses.replace(server.addresses());
    }

    /// Loads the rest, and puts in force what is ready, as it comes. What is wrong is added to `problems`; if an error is among them, the
    /// start is over, and the server must end.
    pub async fn complete(mut self, problems: &mut Vec<Diagnostic>) -> Result<Option<Reloader>, Error> {
        loop {
            match self.first.modules.next().await? {
                LoadStep::All(loaded) => {
                    let kept = files(&self.first.resolved);
                    let loading = self.first.loading(&self.served);
                    let candidate = loading.mount_all(loaded, Some(kept), problems).await?;
                    if has_error(problems) {
                        return Ok(None);
                    }
                    let Candidate { snapshot, handover, parts, counts, .. } = candidate;
                    self.gateway.extend(snapshot);
                    return Ok(Some(self.first.into_reloader(self.gateway, MountedParts { handover, parts, counts })));
                }
                LoadStep::Some(states) => {
                    let mut found = self.extend(states).await?;
                    if has_error(&found) {
                        problems.append(&mut found);
                        return Ok(None);
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Puts in force what is ready by now, unless there is an error among the problems, which are returned.
    async fn extend(&mut self, states: Vec<LoadState>) -> Result<Vec<Diagnostic>, Error> {
        let (mut found, kept) = (Vec::new(), files(&self.first.resolved));
        let candidate = self.first.loading(&self.served).mount(states, Some(kept), &mut found).await?;
        if !has_error(&found) {
            self.gateway.extend(candidate.snapshot);
            self.served = candidate.handover;
        }
        Ok(found)
    }
}

/// How many modules are being compiled.
fn compiling(first: &FirstLoad, states: &[LoadState]) -> usize {
    let entries = first.resolved.entries().zip(states).filter(|(_, state)| state.is_compiling());
    entries.map(|((entry, _), _)| &entry.module).collect::<HashSet<&ModuleRef>>().len()
}
