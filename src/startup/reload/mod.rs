//! How does another configuration come into force while the server serves?
//!
//! A reload reads everything that a start reads, and loads it beside the configuration in force. If there is an error, it is
//! logged, and nothing else happens. Otherwise requests that begin from then on see the new configuration, and those under
//! way end with the one they began with. What nothing uses any more is freed then.
//!
//! | file | question |
//! | --- | --- |
//! | `attempt` | what would be in force if the files are taken as they are now? |
//! | `log` | what does the log say about it? |

mod attempt;
mod log;

use std::sync::Arc;
use std::time::Instant;

use crate::config::{Config, Diagnostic, Options};
use crate::fetch;
use crate::fetch::{Progress, Resolved};
use crate::gateway::{Gateway, ReloadOutcome, ReloadReport, ReloadRequests, RouteFiles};
use crate::observe::{AccessLog, LogWriter};
use crate::server::check_tls;

use crate::startup;
use crate::startup::candidate::{Candidate, Counts, Parts};
use crate::startup::error::Error;
use crate::startup::handover::Handover;
use crate::startup::platform::Platform;
use crate::startup::reload::attempt::Attempt;

/// A gateway whose configuration can be reloaded.
pub struct Reloader {
    options: Arc<Options>,
    platform: Arc<Platform>,
    gateway: Gateway,
    current: Arc<Current>,
}

/// The configuration in force.
struct Current {
    resolved: Arc<Resolved>,
    handover: Handover,
    parts: Parts,
    counts: Counts,
}

impl Reloader {
    /// Reads and loads what `options` name. What is wrong is added to `problems`; if an error is among them, the gateway is
    /// not complete and must not serve.
    pub async fn start(
        options: Options,
        log: &LogWriter,
        progress: Arc<dyn Progress>,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Self, Error> {
        let (config, found) = Config::load(&options);
        problems.extend(found);
        let mut resolved = fetch::complete(config, problems, progress).await;
        let startup_lock = resolved.take_startup_lock();
        let resolved = Arc::new(resolved);
        problems.extend(resolved.config().server.tls.iter().flat_map(check_tls));
        let (platform, candidate) = startup::first(&resolved, Some(files(&resolved)), log, problems).await?;
        drop(startup_lock);
        let Candidate { snapshot, handover, parts, counts, .. } = candidate;
        let gateway = startup::gateway(&platform, snapshot, &resolved)?;
        let current = Arc::new(Current { resolved, handover, parts, counts });
        Ok(Self { options: Arc::new(options), platform: Arc::new(platform), gateway, current })
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        self.current.resolved.config()
    }

    /// The log files.
    pub fn logs(&self) -> Logs {
        Logs { platform: self.platform.clone(), access_log: self.gateway.access_log() }
    }

    /// Does what is asked for, one reload at a time. What is asked for during a reload is one more.
    pub async fn run(mut self, mut requests: ReloadRequests) {
        while let Some(first) = requests.next().await {
            let mut waiting = requests.waiting();
            waiting.push(first);
            let outcome = Arc::new(self.reload().await);
            waiting.into_iter().for_each(|request| request.answer(&outcome));
        }
    }

    /// Reads all files again, and puts in force what they say. Logs what comes of it. Log files are opened again in any case: a
    /// tool that has moved them away must not depend on what the configuration says.
    pub async fn reload(&mut self) -> ReloadOutcome {
        let began = Instant::now();
        self.logs().reopen().await;
        let attempt = attempt::run(&self.options, &self.platform, &self.current).await;
        let outcome = match attempt {
            Ok(attempt) => self.conclude(attempt, began),
            Err(problems) => ReloadOutcome::Refused { generation: self.gateway.generation(), problems },
        };
        log::outcome(&outcome);
        outcome
    }

    fn conclude(&mut self, attempt: Attempt, began: Instant) -> ReloadOutcome {
        let Attempt { resolved, candidate, problems, closes_code_cache } = attempt;
        let generation = self.gateway.generation();
        if candidate.parts == self.current.parts && resolved.config().is_same(self.current.resolved.config()) {
            let counts = Counts { compiled: 0, ..self.current.counts };
            return ReloadOutcome::Unchanged(report(generation, counts, began, problems));
        }
        if closes_code_cache {
            self.platform.close_code_cache();
        }
        let Candidate { snapshot, handover, parts, counts, .. } = candidate;
        handover.set_limits();
        let generation = self.gateway.replace(snapshot);
        self.current = Arc::new(Current { resolved, handover, parts, counts });
        ReloadOutcome::Swapped(report(generation, counts, began, problems))
    }
}

/// The log files of a server.
pub struct Logs {
    platform: Arc<Platform>,
    access_log: AccessLog,
}

impl Logs {
    /// Opens them again, where they were: the operator has moved them away.
    pub async fn reopen(&self) {
        let (platform, access_log) = (self.platform.clone(), self.access_log.clone());
        let reopening = tokio::task::spawn_blocking(move || {
            access_log.reopen();
            platform.reopen_logs();
        });
        if reopening.await.is_err() {
            tracing::error!("opening the log files again failed: this is a defect of the server");
        }
    }
}

fn report(generation: u64, counts: Counts, began: Instant, warnings: Vec<Diagnostic>) -> ReloadReport {
    let Counts { routes, modules, compiled } = counts;
    ReloadReport { generation, routes, modules, compiled, took: began.elapsed(), warnings }
}

/// The files that guests may use: they stay as long as the configuration.
fn files(resolved: &Arc<Resolved>) -> RouteFiles {
    resolved.clone()
}
