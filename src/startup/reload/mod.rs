//! How does another configuration come into force while the server serves?
//!
//! A reload reads everything that a start reads, and loads it beside the configuration in force. If there is an error, it is
//! logged, and nothing else happens. Otherwise requests that begin from then on see the new configuration, and those under
//! way end with the one they began with. What nothing uses any more is freed then.
//!
//! | file | question |
//! | --- | --- |
//! | `first` | how does the first configuration come about? |
//! | `first_load` | what is it while its modules are being loaded? |
//! | `partial` | what is served while modules of the first one are still being compiled? |
//! | `in_force` | which configuration is in force? |
//! | `attempt` | what would be in force if the files are taken as they are now? |
//! | `files` | which files have changed, and which are still being written? |
//! | `optimize` | how does a developer get fast code, and does not wait for it? |
//! | `watch`, `directories` | when has a file changed? |
//! | `log` | what does the log say about it? |

mod attempt;
mod directories;
mod files;
mod first;
mod first_load;
mod in_force;
mod log;
mod optimize;
mod partial;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch as watch_channel;

use crate::cache::store::TemporaryDirectory;
use crate::config::{Audience, Config, Diagnostic, Options};
use crate::fetch::{Progress, Resolved};
use crate::gateway::{Gateway, ReloadHandle, ReloadOutcome, ReloadReport, ReloadRequests, RouteFiles};
use crate::observe::{AccessLog, LogWriter, ReloadResult};
use crate::server::ServerHandle;

use crate::startup::candidate::{Candidate, Counts, Fingerprint};
use crate::startup::error::Error;
use crate::startup::handover::Handover;
use crate::startup::platform::Platform;
use crate::startup::reload::attempt::{Attempt, AttemptInput, Cause, FailedAttempt};
use crate::startup::reload::files::{Stamps, open_for_writing};
pub use crate::startup::reload::first::{ReadConfiguration, StartStage};
pub use crate::startup::reload::in_force::{ConfigInForce, LoadedConfig};
pub use crate::startup::reload::partial::{KeptFiles, PartialStart, ServedRoutes};

/// A gateway whose configuration can be reloaded.
pub struct Reloader {
    options: Arc<Options>,
    platform: Arc<Platform>,
    gateway: Gateway,
    server: Option<ServerHandle>,
    current: Arc<Current>,
    in_force: ConfigInForce,
    /// Where fetched modules are if there is no other place. It stays over reloads, so that they are not fetched again.
    temporary: Option<Arc<TemporaryDirectory>>,
    /// The files as they were last read, for `watch`.
    watched: watch_channel::Sender<Stamps>,
    observer: Box<dyn Fn(ReloadStage<'_>) + Send + Sync>,
}

/// How far a reload is.
#[derive(Debug)]
pub enum ReloadStage<'a> {
    /// It begins.
    Begun,
    /// It has ended.
    Ended(&'a ReloadOutcome),
}

/// How long files may be half changed before that is an error: they change one after the other.
const RETRY_TIME: Duration = Duration::from_secs(2);

/// How often it is looked meanwhile.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Whether the code that is served stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeStage {
    Final,
    /// It was compiled in little time, and is to be replaced.
    Unoptimized,
}

/// The configuration in force.
struct Current {
    resolved: Arc<Resolved>,
    handover: Handover,
    parts: Fingerprint,
    counts: Counts,
    /// As its files were when they were read.
    stamps: Stamps,
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
        ReadConfiguration::read(options, problems).load(log, progress, problems).await
    }

    /// The gateway.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        self.current.resolved.config()
    }

    /// The same for those who need it later, as it is then.
    pub fn config_in_force(&self) -> ConfigInForce {
        self.in_force.clone()
    }

    /// The log files.
    pub fn logs(&self) -> Logs {
        Logs::new(self.platform.clone(), &self.gateway)
    }

    /// The same, which also changes the listeners and the certificates of a server.
    pub fn with_server(self, server: ServerHandle) -> Self {
        self.platform.own_addresses.replace(server.addresses());
        self.gateway.count_server(&server);
        self.gateway.begin_warm_starts();
        Self { server: Some(server), ..self }
    }

    /// The same, which tells `observer` how far it is.
    pub fn with_observer(self, observer: impl Fn(ReloadStage<'_>) + Send + Sync + 'static) -> Self {
        Self { observer: Box::new(observer), ..self }
    }

    /// Asks for a reload when a file changes that was read, if the options say so. Must be called within a tokio runtime.
    pub fn watch(&self, reload: &ReloadHandle) {
        if self.options.watch {
            tokio::spawn(watch::run(self.watched.subscribe(), reload.clone()));
        }
    }

    /// Does what is asked for, one reload at a time. What is asked for during a reload is one more. When nothing was asked for some
    /// time, lets a developer have optimized code.
    pub async fn run(mut self, mut requests: ReloadRequests) {
        let unoptimized = match self.options.audience {
            Audience::Users => CodeStage::Final,
            Audience::Developer => CodeStage::Unoptimized,
        };
        let mut code = unoptimized;
        loop {
            let first = tokio::select! {
                biased;
                first = requests.next() => first,
                better = optimize::run(self.platform.clone(), self.current.clone()), if code == CodeStage::Unoptimized => {
                    self.replace_code(better);
                    code = CodeStage::Final;
                    continue;
                }
            };
            let Some(first) = first else { return };
            let mut waiting = requests.waiting();
            waiting.push(first);
            let outcome = Arc::new(self.reload().await);
            if matches!(*outcome, ReloadOutcome::Swapped(_)) {
                code = unoptimized;
            }
            waiting.into_iter().for_each(|request| request.answer(&outcome));
        }
    }

    /// Puts the same configuration in force with other code, if there is any.
    fn replace_code(&mut self, candidate: Option<Candidate>) {
        let Some(Candidate { snapshot, handover, parts, .. }) = candidate else { return };
        self.gateway.extend(snapshot);
        self.gateway.begin_warm_starts();
        let Current { resolved, counts, stamps, .. } = &*self.current;
        let (resolved, counts, stamps) = (resolved.clone(), *counts, stamps.clone());
        self.current = Arc::new(Current { resolved, handover, parts, counts, stamps });
        tracing::debug!("optimized");
    }

    /// Reads all files again, and puts in force what they say. Logs what comes of it. Log files are opened again in any case: a
    /// tool that has moved them away must not depend on what the configuration says.
    pub async fn reload(&mut self) -> ReloadOutcome {
        let began = Instant::now();
        (self.observer)(ReloadStage::Begun);
        self.logs().reopen().await;
        let outcome = match self.attempt().await {
            Ok(attempt) => self.conclude(attempt, began),
            Err(failed) => {
                if let Some(stamps) = failed.stamps {
                    self.watched.send_replace(stamps);
                }
                ReloadOutcome::Refused { generation: self.gateway.generation(), problems: failed.problems }
            }
        };
        if let Some(server) = &self.server {
            self.platform.own_addresses.replace(server.addresses());
        }
        self.gateway.add_reload(match &outcome {
            ReloadOutcome::Swapped(_) => ReloadResult::Swapped,
            ReloadOutcome::Unchanged(_) => ReloadResult::Unchanged,
            ReloadOutcome::Refused { .. } => ReloadResult::Refused,
        });
        log::outcome(&outcome);
        (self.observer)(ReloadStage::Ended(&outcome));
        outcome
    }

    /// Attempts it until there is no error, or none that may pass by itself.
    async fn attempt(&self) -> Result<Attempt, Box<FailedAttempt>> {
        let (options, platform) = (self.options.clone(), self.platform.clone());
        let (current, server) = (self.current.clone(), self.server.clone());
        let input = AttemptInput { options, platform, current, server, temporary: self.temporary.clone() };
        // What is compiled in one attempt is there in the next one.
        let mut loaded = Vec::new();
        let mut deadline = None;
        loop {
            let failed = match attempt::run(input.clone()).await {
                Ok(attempt) => return Ok(attempt),
                Err(failed) => failed,
            };
            // The first attempt may have compiled for long.
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + RETRY_TIME);
            if !settled(&failed, deadline).await {
                return Err(failed);
            }
            loaded.extend(failed.parts);
        }
    }

    fn conclude(&mut self, attempt: Attempt, began: Instant) -> ReloadOutcome {
        let Attempt { resolved, candidate, stamps, temporary, prepared, problems, closes_code_cache } = attempt;
        self.temporary = self.temporary.take().or(temporary);
        self.watched.send_replace(stamps.clone());
        let generation = self.gateway.generation();
        if self.current.is_same(&candidate, resolved.config()) {
            let counts = Counts { compiled: 0, ..self.current.counts };
            return ReloadOutcome::Unchanged(report(generation, counts, began, problems));
        }
        if closes_code_cache {
            self.platform.close_code_cache();
        }
        let Candidate { snapshot, handover, parts, counts, .. } = candidate;
        handover.set_limits();
        if let Some(prepared) = prepared {
            prepared.commit();
        }
        let generation = self.gateway.replace(snapshot);
        self.gateway.begin_warm_starts();
        self.in_force.replace(resolved.clone());
        self.current = Arc::new(Current { resolved, handover, parts, counts, stamps });
        ReloadOutcome::Swapped(report(generation, counts, began, problems))
    }
}

impl Current {
    fn is_same(&self, candidate: &Candidate, config: &Config) -> bool {
        candidate.parts == self.parts && config.is_same(self.resolved.config())
    }
}

/// Waits until another attempt may succeed where one was refused. Returns whether it may.
async fn settled(failed: &FailedAttempt, deadline: Instant) -> bool {
    loop {
        tokio::time::sleep(RETRY_INTERVAL).await;
        if Instant::now() >= deadline {
            return false;
        }
        let is_settled = match &failed.cause {
            Cause::Operator => return false,
            Cause::HalfChanged => failed.stamps.as_ref().is_some_and(|read| Stamps::of(read.files()) != *read),
            Cause::OpenForWriting(files) => open_for_writing(files).is_empty(),
        };
        if is_settled {
            return true;
        }
    }
}

/// The log files of a server.
pub struct Logs {
    platform: Arc<Platform>,
    access_log: AccessLog,
}

/// How long opening log files may take before others stop to wait for it: a file system may not respond.
const REOPEN_TIMEOUT: Duration = Duration::from_secs(5);

impl Logs {
    fn new(platform: Arc<Platform>, gateway: &Gateway) -> Self {
        Self { platform, access_log: gateway.access_log() }
    }

    /// Waits until what guests and requests have left for them is written, but not for long.
    pub fn flush(&self) {
        self.access_log.flush();
        self.platform.flush_logs();
    }

    /// Opens them again, where they were: the operator has moved them away.
    pub async fn reopen(&self) {
        let (platform, access_log) = (self.platform.clone(), self.access_log.clone());
        let reopening = tokio::task::spawn_blocking(move || {
            access_log.reopen();
            platform.reopen_logs();
        });
        match tokio::time::timeout(REOPEN_TIMEOUT, reopening).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("opening the log files again failed: this is a defect of the server"),
            Err(_) => tracing::warn!("opening the log files again takes long: their file system does not respond"),
        }
    }
}

fn report(generation: u64, counts: Counts, began: Instant, warnings: Vec<Diagnostic>) -> ReloadReport {
    let Counts { routes, modules, compiled } = counts;
    ReloadReport { generation, routes, modules, compiled, took: began.elapsed(), warnings }
}

fn has_error(problems: &[Diagnostic]) -> bool {
    problems.iter().any(Diagnostic::is_error)
}

/// The files that guests may use: they stay as long as the configuration.
fn files(resolved: &Arc<Resolved>) -> RouteFiles {
    resolved.clone()
}
