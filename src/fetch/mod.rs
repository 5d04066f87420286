//! How do the modules of a configuration become files?
//!
//! Everything is fetched before anything is compiled. The invoice of a bindle says what is served; its parcels, and the
//! modules that entries name in registries and on bindle servers, become files of a store, checked against their
//! digests. The result is a [`Resolved`] configuration, which is all that `startup::load` accepts: what comes later
//! knows no registries and no bindles.
//!
//! | file | question |
//! | --- | --- |
//! | `modules` | how are the modules of the entries fetched and verified? |
//! | `resolved` | what is a configuration in which every module is a file? |
//! | `module_cache` | where are fetched modules kept? |
//! | `lock_check` | are the files those that the lock file names? |
//! | `verification` | have they the signatures that they need? |
//! | `registry_policies` | which signature do the modules of a registry need? |
//! | `kept_signatures` | which signatures of an artifact were right before? |
//! | `signature_report` | who vouches for what is inspected? |
//! | `artifact` | what is one artifact of a registry? |

mod artifact;
mod kept_signatures;
mod lock_check;
mod module_cache;
mod modules;
mod registry_policies;
mod resolved;
mod signature_report;
mod verification;

pub use crate::cache::fetched::{Arrival, FetchedModule};
pub use crate::fetch::artifact::{Artifact, ArtifactRequest, artifact, artifact_ref};
pub use crate::fetch::lock_check::write_lock;
pub use crate::fetch::resolved::{ModuleFile, Resolved};
pub use crate::fetch::signature_report::{SignatureReport, file_signature, wanted_signers};
pub use crate::net::progress::{ModuleCompilation, Progress, Silent, Transfer};
pub use crate::registry::Layout;
pub use crate::registry::commands::{LoggedIn, LoggedOut, Publication, PulledModule, log_in, log_out, pull, push};

use std::sync::Arc;

use crate::bindle;
use crate::config::{Config, Diagnostic, Lock};

use crate::fetch::module_cache::module_cache;
use crate::fetch::modules::Modules;
use crate::fetch::resolved::ResolvedEntry;

/// Fetches the bindle that `config` names, if it names one, and adds its entries; and the modules that its entries name
/// but that are not files. What is wrong is added to `problems`. If there is an error among them, entries are missing,
/// and the result must not be served.
///
/// Downloads of modules are reported to `progress`.
pub async fn complete(mut config: Config, problems: &mut Vec<Diagnostic>, progress: Arc<dyn Progress>) -> Resolved {
    let bindle = fetch_bindle(&mut config, problems).await;
    let Modules { mut entries, store } = modules::fetch(&mut config, bindle.store, problems, progress).await;
    entries.extend(bindle.entries.into_iter().map(ResolvedEntry::from));
    Resolved::new(config, entries, store)
}

async fn fetch_bindle(config: &mut Config, problems: &mut Vec<Diagnostic>) -> bindle::FetchedBindle {
    let Some(asked) = config.bindle.take() else { return bindle::FetchedBindle::default() };
    let directory = module_cache(config, problems);
    let fetching = tokio::task::spawn_blocking(move || bindle::fetch(&asked, directory.as_deref()));
    let Ok(mut fetched) = fetching.await else {
        problems.push(Diagnostic::error("fetching the bindle failed: this is a defect of the server"));
        return bindle::FetchedBindle::default();
    };
    problems.append(&mut fetched.problems);
    fetched
}

/// Looks up and fetches every module that `config` names, and returns the lock file with what they are now. `None` if
/// one of them cannot be fetched.
pub async fn make_lock(config: Config, problems: &mut Vec<Diagnostic>, progress: Arc<dyn Progress>) -> Option<Lock> {
    let resolved = complete(config, problems, progress).await;
    let locking = tokio::task::spawn_blocking(move || lock_check::of(&resolved)).await.ok()?;
    let lock = locking.map_err(|problem| problems.push(*problem)).ok()?;
    (!problems.iter().any(Diagnostic::is_error)).then_some(lock)
}
