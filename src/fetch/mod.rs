//! How does what stands elsewhere become files here?
//!
//! A bindle is fetched once, before anything is compiled: its invoice says what is served, its parcels become files of a
//! store, checked against their digests, and the configuration is completed with scripts that name those files. What
//! comes later knows nothing of bindles. `main` calls [`complete`] between `Config::load` and `startup::load`.
//!
//! | file | question |
//! | --- | --- |
//! | `artifact` | what is one artifact, to somebody who only looks? |
//! | `bindle` | what has to be fetched for a bindle, and where does it go? |
//! | `directory` | where is it in a directory of standalone bindles? |
//! | `server` | where is it on a bindle server? |
//! | `http`, `dial`, `tls` | how are bytes fetched from a server? |
//! | `redirect`, `upload` | where may an answer send us, and what goes to a server? |
//! | `login` | how do we say who we are? |
//! | `module` | where is the program of a `bindle:` module? |
//! | `oci` | how do modules of registries become files? |
//! | `registries` | what can be asked of registries besides? |
//! | `lock` | is what is here what the lock file says? |
//! | `store` | how are fetched bytes kept so that they can be trusted? |
//! | `disk` | how do they get to the disk? |
//! | `progress` | who wants to know how far a transfer is? |

mod artifact;
mod lock;

pub use crate::cache::store::Store;
pub use crate::fetch::artifact::{Artifact, artifact};
pub use crate::fetch::lock::write_lock;
pub use crate::net::progress::{Progress, Silent, Step};
pub use crate::registry::commands::{log_in, log_out, pull, push};
pub use crate::registry::{Layout, LoggedIn, LoggedOut, Publication, PulledModule};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache;
use crate::config::{Config, Diagnostic, EntryConfig, Lock, ModuleRef};

use crate::fetch::lock::Comparison;

/// Fetches the bindle that `config` names, if it names one, and adds its scripts; and the modules that its scripts name
/// but that are not here. What is wrong is added to `problems`; if an error is among them, scripts are missing.
///
/// The files of the scripts are there as long as the [`Store`] is. Downloads of modules are told to `progress`.
#[must_use = "the store may be temporary: its files are gone when it is dropped"]
pub async fn complete(
    config: &mut Config,
    problems: &mut Vec<Diagnostic>,
    progress: Arc<dyn Progress>,
) -> Option<Store> {
    let Some(asked) = config.bindle.take() else { return modules(config, problems, progress).await };
    let directory = home(config, problems);
    let fetching = tokio::task::spawn_blocking(move || crate::bindle::fetch(&asked, directory.as_deref()));
    let Ok(fetched) = fetching.await else {
        problems.push(Diagnostic::error("fetching the bindle failed: this is a defect of the server"));
        return None;
    };
    config.entries.extend(fetched.entries);
    problems.extend(fetched.problems);
    fetched.store
}

/// Looks up and fetches every module that `config` names, and returns what they are now: what a lock file has to say. `None`
/// if one of them cannot be had.
pub async fn resolve(config: &mut Config, problems: &mut Vec<Diagnostic>, progress: Arc<dyn Progress>) -> Option<Lock> {
    let _store = complete(config, problems, progress).await;
    let scripts = std::mem::take(&mut config.entries);
    let taken = tokio::task::spawn_blocking(move || lock::take(&scripts)).await.ok()?;
    let lock = taken.map_err(|problem| problems.push(*problem)).ok()?;
    (!problems.iter().any(Diagnostic::is_error)).then_some(lock)
}

/// The directory to keep modules in: the one that was named or else the usual one, if it can be had and nobody else can write
/// there.
fn home(config: &Config, problems: &mut Vec<Diagnostic>) -> Option<PathBuf> {
    let exposed = |path: &Path| cache::exposure(path).ok().flatten();
    if let Some(named) = &config.module_cache {
        if let Some(exposure) = exposed(named) {
            let message = "somebody else can change the files of the module cache";
            problems.push(Diagnostic::warning(message).caused_by(&exposure).help(exposure.help()));
        }
        return Some(named.clone());
    }
    let usual = cache::usual_modules(config.user_cache.as_deref()?);
    if let Err(error) = cache::create(&usual) {
        tracing::info!(directory = %usual.display(), %error, "fetched modules are not kept for the next start");
        return None;
    }
    if let Some(exposure) = exposed(&usual) {
        let message = format!("fetched modules are not kept in `{}`", usual.display());
        problems.push(Diagnostic::warning(message).caused_by(&exposure).help(exposure.help()));
        return None;
    }
    Some(usual)
}

/// Makes files of the modules that are elsewhere, and drops the scripts whose module cannot be had.
async fn modules(config: &mut Config, problems: &mut Vec<Diagnostic>, progress: Arc<dyn Progress>) -> Option<Store> {
    let is_elsewhere = |script: &EntryConfig| matches!(script.module, ModuleRef::Bindle { .. } | ModuleRef::Oci(_));
    if config.locked && config.lock.is_none() {
        // That is reported; what they are is not known.
        config.entries.retain(|script| !is_elsewhere(script));
    }
    let any_elsewhere = config.entries.iter().any(is_elsewhere);
    if !any_elsewhere && config.lock.is_none() {
        return None;
    }
    let fetching = Fetching {
        directory: any_elsewhere.then(|| home(config, problems)),
        lock: config.lock.clone(),
        is_lock_required: config.locked,
        means: crate::registry::Means {
            registries: config.registries.clone(),
            largest_module: config.limits.module_size,
            progress,
            lock: config.lock.clone(),
        },
    };
    let mut scripts = std::mem::take(&mut config.entries);
    let fetched = tokio::task::spawn_blocking(move || {
        let fetched = fetching.fetch(&mut scripts);
        (scripts, fetched)
    });
    let Ok((scripts, (store, found))) = fetched.await else {
        problems.push(Diagnostic::error("fetching the modules failed: this is a defect of the server"));
        return None;
    };
    config.entries = scripts;
    problems.extend(found);
    store
}

/// What modules are fetched with.
struct Fetching {
    /// Where they are kept, if there are any to be fetched; within that, `None` for a temporary directory.
    directory: Option<Option<PathBuf>>,
    lock: Option<Lock>,
    is_lock_required: bool,
    means: crate::registry::Means,
}

impl Fetching {
    fn fetch(self, scripts: &mut Vec<EntryConfig>) -> (Option<Store>, Vec<Diagnostic>) {
        let Self { directory, lock, is_lock_required, means } = self;
        let comparison = lock.as_ref().map(|lock| Comparison { lock, is_required: is_lock_required });
        let mut problems = comparison.as_ref().map(|comparison| comparison.compare(scripts)).unwrap_or_default();
        let store =
            match directory.map(|directory| Store::open(directory.as_deref()).map_err(|error| (directory, error))) {
                None => None,
                Some(Ok(store)) => Some(store),
                Some(Err((directory, error))) => {
                    scripts.clear();
                    problems.push(*crate::bindle::unusable(directory.as_deref(), &error));
                    return (None, problems);
                }
            };
        if let Some(store) = &store {
            let mut modules = crate::bindle::module::Modules::new(store, means.largest_module, lock.as_ref());
            problems.extend(crate::registry::complete(scripts, store, means));
            scripts.retain_mut(|script| match modules.complete(script) {
                Ok(()) => true,
                Err(problem) => {
                    problems.push(*problem);
                    false
                }
            });
        }
        problems.extend(comparison.iter().flat_map(|comparison| comparison.verify(scripts)));
        (store, problems)
    }
}
