//! How does a developer get fast code, and does not wait for it?
//!
//! A change is served by code that is compiled in little time. When nothing has changed for a while, the same modules are compiled again,
//! optimized, on threads of the lowest priority, and take the place of the others. A change meanwhile is served first: what was being
//! compiled is dropped when it is there.

use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::runtime::lower_priority;

use crate::startup::candidate::{Candidate, Loading};
use crate::startup::load::Priority;
use crate::startup::platform::Platform;
use crate::startup::reload::files::Stamps;
use crate::startup::reload::{Current, files, has_error};

/// How long nothing must change before: who writes and tries changes something every few seconds.
const QUIET: Duration = Duration::from_secs(3);

/// Waits, and compiles what is served. `None` if a file has changed meanwhile, or if it cannot be compiled: then what is served stays.
pub(super) async fn run(platform: Arc<Platform>, current: Arc<Current>) -> Option<Candidate> {
    let before = Stamps::of(current.stamps.files());
    tokio::time::sleep(QUIET).await;
    let (sender, receiver) = oneshot::channel();
    let runtime = Handle::current();
    let thread = thread::Builder::new().name("wagi-optimizer".into()).spawn(move || {
        lower_priority();
        let _turn = platform.optimizing.lock().unwrap_or_else(PoisonError::into_inner);
        if !sender.is_closed() {
            let candidate = runtime.block_on(load(&platform, &current));
            // After a change nothing waits for it.
            let _ = sender.send(candidate.filter(|_| Stamps::of(current.stamps.files()) == before));
        }
    });
    if let Err(error) = thread {
        tracing::debug!(%error, "cannot start a thread that optimizes");
        return None;
    }
    receiver.await.ok().flatten()
}

async fn load(platform: &Platform, current: &Current) -> Option<Candidate> {
    let (resolved, priority) = (&current.resolved, Priority::Optimization);
    let mut problems = Vec::new();
    let loading = Loading { resolved, platform, before: &current.handover, priority };
    let made = platform.make_optimized();
    let candidate = match made {
        Ok(()) => loading.load(Some(files(resolved)), &mut problems).await,
        Err(error) => Err(error),
    };
    let candidate = candidate.inspect_err(|error| tracing::debug!(%error, "cannot optimize")).ok();
    candidate.filter(|_| !has_error(&problems))
}
