//! What would be in force if the files are taken as they are now?
//!
//! All of it is done on a thread of the lowest priority, so that requests do not wait for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::cache::store::TemporaryDirectory;
use crate::config::{Audience, Config, Diagnostic, ListenAddress, Options};
use crate::fetch;
use crate::fetch::{Resolved, Silent};
use crate::runtime::lower_priority;
use crate::server;
use crate::server::{Prepared, ServerHandle, check_tls};

use crate::startup::candidate::{Candidate, Fingerprint, Loading};
use crate::startup::error::Error;
use crate::startup::load::Priority;
use crate::startup::platform::{Platform, check_authorities};
use crate::startup::reload::files::{Stamps, open_for_writing};
use crate::startup::reload::{Current, files, has_error};

/// A configuration without errors.
pub(super) struct Attempt {
    pub resolved: Arc<Resolved>,
    pub candidate: Candidate,
    pub stamps: Stamps,
    /// Where its fetched modules are, if that is a new temporary directory.
    pub temporary: Option<Arc<TemporaryDirectory>>,
    /// The listeners and certificates, if there is a server.
    pub prepared: Option<Prepared>,
    /// The warnings.
    pub problems: Vec<Diagnostic>,
    /// Whether its guests can write to the code cache, which must not be used from then on.
    pub closes_code_cache: bool,
}

/// A configuration with errors.
pub(super) struct FailedAttempt {
    pub problems: Vec<Diagnostic>,
    pub cause: Cause,
    /// As the files were when they were read.
    pub stamps: Option<Stamps>,
    /// What was loaded all the same, for the next attempt.
    pub parts: Option<Fingerprint>,
}

/// Whether another attempt may succeed, since files change one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Only if the operator changes something.
    Operator,
    /// When the files have changed that are only half there.
    HalfChanged,
    /// When these files are closed.
    OpenForWriting(Vec<PathBuf>),
}

/// What an attempt begins with.
#[derive(Clone)]
pub(super) struct AttemptInput {
    pub options: Arc<Options>,
    pub platform: Arc<Platform>,
    pub current: Arc<Current>,
    pub server: Option<ServerHandle>,
    pub temporary: Option<Arc<TemporaryDirectory>>,
}

/// Reads and loads everything. Fails with all problems if there is an error among them.
pub(super) async fn run(input: AttemptInput) -> Result<Attempt, Box<FailedAttempt>> {
    let (sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    let thread = thread::Builder::new().name("wagi-reload".into()).spawn(move || {
        if input.options.audience == Audience::Users {
            lower_priority();
        }
        // The server may be ending, and then nothing waits for the attempt.
        let _ = sender.send(runtime.block_on(input.load()));
    });
    if let Err(error) = thread {
        return Err(defect(Diagnostic::error("cannot start a thread for the reload").caused_by(&error)));
    }
    let ended = receiver.await;
    ended.unwrap_or_else(|_| Err(defect(Diagnostic::error("the reload failed: this is a defect of the server"))))
}

fn defect(problem: Diagnostic) -> Box<FailedAttempt> {
    Box::new(FailedAttempt { problems: vec![problem], cause: Cause::Operator, stamps: None, parts: None })
}

impl AttemptInput {
    async fn load(&self) -> Result<Attempt, Box<FailedAttempt>> {
        let Self { options, platform, current, .. } = self;
        let (began, before) = (SystemTime::now(), Stamps::of(current.stamps.files()));
        let (mut config, mut problems) = Config::load(options);
        if let (None, Some(directory)) = (&config.module_cache, &self.temporary) {
            config.module_cache = Some(directory.path().to_owned());
        }
        problems.extend(platform.keep_limits(&mut config));
        let stamps = Stamps::of_read(&config.files, &before, began);
        let mut resolved = fetch::complete(config, &mut problems, Arc::new(Silent)).await;
        let startup_lock = resolved.take_startup_lock();
        let temporary = resolved.take_temporary_directory().map(Arc::new);
        let resolved = Arc::new(resolved);
        let config = resolved.config();
        problems.extend(check_authorities(config));
        problems.extend(platform.check(config));
        let closes_code_cache = platform.check_code_cache(config, &mut problems);
        let tls: Vec<Diagnostic> = config.server.tls.iter().flat_map(check_tls).collect();
        let is_tls_broken = tls.iter().any(Diagnostic::is_error);
        problems.extend(tls);
        let priority = match options.audience {
            Audience::Users => Priority::Reload,
            Audience::Developer => Priority::Developer,
        };
        let loading = Loading { resolved: &resolved, platform, before: &current.handover, priority };
        let candidate = loading.load(Some(files(&resolved)), &mut problems).await;
        drop(startup_lock);
        let candidate = candidate.map_err(|error| problems.push(failed(&error))).ok();
        let prepared = if has_error(&problems) { Ok(None) } else { self.prepare(config) };
        // The files may have changed since they were checked.
        let is_tls_broken = is_tls_broken || matches!(&prepared, Err(error) if error.is_transient());
        let prepared = prepared.map_err(|error| problems.push(not_prepared(&error))).unwrap_or_default();
        let is_half = candidate.as_ref().is_some_and(|candidate| candidate.is_half_written);
        let is_half = is_tls_broken || is_half || self.has_lost(&stamps, config);
        let mut cause = if is_half { Cause::HalfChanged } else { Cause::Operator };
        let open = open_for_writing(&stamps.changed_since(&current.stamps));
        if !open.is_empty() {
            problems.extend(open.iter().map(|path| still_open(path)));
            cause = Cause::OpenForWriting(open);
        }
        match candidate {
            Some(candidate) if !has_error(&problems) => {
                Ok(Attempt { resolved, candidate, stamps, temporary, prepared, problems, closes_code_cache })
            }
            candidate => {
                let parts = candidate.map(|candidate| candidate.parts);
                Err(Box::new(FailedAttempt { problems, cause, stamps: Some(stamps), parts }))
            }
        }
    }

    /// Opens the listeners that are new, and reads the certificates. Guests must not connect even before they are in force.
    fn prepare(&self, config: &Config) -> Result<Option<Prepared>, server::Error> {
        let own_addresses = &self.platform.own_addresses;
        own_addresses.add(config.server.listen.iter().filter_map(ListenAddress::tcp));
        let Some(server) = &self.server else { return Ok(None) };
        let prepared = server.prepare(&config.server)?;
        own_addresses.add(prepared.addresses());
        Ok(Some(prepared))
    }

    /// Whether all entries or a whole file are gone.
    fn has_lost(&self, stamps: &Stamps, config: &Config) -> bool {
        config.is_empty && !self.current.resolved.config().is_empty || stamps.misses_one_of(&self.current.stamps)
    }
}

fn still_open(path: &Path) -> Diagnostic {
    let problem = Diagnostic::error(format!("`{}` is still open for writing in another process", path.display()));
    problem.help("reload when it is complete, or write another file and rename it to this one")
}

fn not_prepared(error: &server::Error) -> Diagnostic {
    let mut problem = Diagnostic::error(error.to_string());
    problem.help = error.help().map(|help| help.to_string());
    match std::error::Error::source(error) {
        Some(cause) => problem.caused_by(cause),
        None => problem,
    }
}

fn failed(error: &Error) -> Diagnostic {
    let problem = Diagnostic::error(error.to_string());
    match std::error::Error::source(error) {
        Some(cause) => problem.caused_by(cause),
        None => problem,
    }
}
