//! What would be in force if the files are taken as they are now?
//!
//! All of it is done on a thread of the lowest priority, so that requests do not wait for it.

use std::sync::Arc;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::config::{Config, Diagnostic, Options};
use crate::fetch;
use crate::fetch::{Resolved, Silent};
use crate::runtime::lower_priority;
use crate::server::check_tls;

use crate::startup::candidate::{Candidate, Loading};
use crate::startup::error::Error;
use crate::startup::load::Priority;
use crate::startup::platform::{Platform, check_authorities};
use crate::startup::reload::{Current, files};

/// A configuration without errors.
pub(super) struct Attempt {
    pub resolved: Arc<Resolved>,
    pub candidate: Candidate,
    /// The warnings.
    pub problems: Vec<Diagnostic>,
    /// Whether its guests can write to the code cache, which must not be used from then on.
    pub closes_code_cache: bool,
}

/// Reads and loads everything. Fails with all problems if there is an error among them.
pub(super) async fn run(
    options: &Arc<Options>,
    platform: &Arc<Platform>,
    current: &Arc<Current>,
) -> Result<Attempt, Vec<Diagnostic>> {
    let (options, platform, current) = (options.clone(), platform.clone(), current.clone());
    let (sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    let thread = thread::Builder::new().name("wagi-reload".into()).spawn(move || {
        lower_priority();
        let attempt = runtime.block_on(load(&options, &platform, &current));
        // The server may be ending.
        let _ = sender.send(attempt);
    });
    if let Err(error) = thread {
        return Err(vec![Diagnostic::error("cannot start a thread for the reload").caused_by(&error)]);
    }
    receiver.await.unwrap_or_else(|_| Err(vec![Diagnostic::error("the reload failed: this is a defect of the server")]))
}

async fn load(options: &Options, platform: &Platform, current: &Current) -> Result<Attempt, Vec<Diagnostic>> {
    let (config, mut problems) = Config::load(options);
    let mut resolved = fetch::complete(config, &mut problems, Arc::new(Silent)).await;
    let startup_lock = resolved.take_startup_lock();
    let resolved = Arc::new(resolved);
    problems.extend(check_authorities(resolved.config()));
    problems.extend(platform.check(resolved.config()));
    problems.extend(resolved.config().server.tls.iter().flat_map(check_tls));
    let closes_code_cache = platform.check_code_cache(resolved.config(), &mut problems);
    let loading = Loading { resolved: &resolved, platform, before: &current.handover, priority: Priority::Reload };
    let loaded = loading.load(Some(files(&resolved)), &mut problems).await;
    drop(startup_lock);
    match loaded {
        Ok(candidate) if !problems.iter().any(Diagnostic::is_error) => {
            Ok(Attempt { resolved, candidate, problems, closes_code_cache })
        }
        Ok(_) => Err(problems),
        Err(error) => {
            problems.push(failed(&error));
            Err(problems)
        }
    }
}

fn failed(error: &Error) -> Diagnostic {
    let problem = Diagnostic::error(error.to_string());
    match std::error::Error::source(error) {
        Some(cause) => problem.caused_by(cause),
        None => problem,
    }
}
