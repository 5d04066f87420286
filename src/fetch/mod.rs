//! How does what stands elsewhere become files here?
//!
//! A bindle is fetched once, before anything is compiled: its invoice says what is served, its parcels become files of a
//! store, checked against their digests, and the configuration is completed with scripts that name those files. What
//! comes later knows nothing of bindles. `main` calls [`complete`] between `Config::load` and `startup::load`.
//!
//! | file | question |
//! | --- | --- |
//! | `bindle` | what has to be fetched for a bindle, and where does it go? |
//! | `directory` | where is it in a directory of standalone bindles? |
//! | `server` | where is it on a bindle server? |
//! | `http`, `dial`, `tls` | how are bytes fetched from a server? |
//! | `login` | how do we say who we are? |
//! | `module` | where is the program of a `bindle:` module? |
//! | `oci` | how do modules of registries become files? |
//! | `store` | how are fetched bytes kept so that they can be trusted? |
//! | `disk` | how do they get to the disk? |
//! | `progress` | who wants to know how far a transfer is? |

mod bindle;
mod dial;
mod directory;
mod disk;
mod http;
mod login;
mod module;
mod oci;
mod progress;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod tls;

pub use progress::{Progress, Silent, Step};
pub use store::Store;

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::config::{BindleId, Config, Diagnostic, ModuleRef, ScriptConfig, Sha256};

/// Somewhere bindles are to be had. A new one is one more file with an implementation and an arm in `bindle::fetch`.
///
/// It is asked on threads that may block, by several at once, and trusted in nothing: who asks looks at every byte.
trait Source: Sync {
    /// The invoice of a bindle: the name to speak of it by, and its bytes, of which there may be `most` and one more.
    fn invoice(&self, id: &BindleId, most: u64) -> Result<(String, Vec<u8>), Box<Diagnostic>>;

    /// The bytes of a parcel of the bindle.
    fn parcel(&self, id: &BindleId, sha256: &Sha256) -> io::Result<Box<dyn Read + '_>>;
}

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
    let directory = config.module_cache.clone();
    let fetching = tokio::task::spawn_blocking(move || bindle::fetch(&asked, directory.as_deref()));
    let Ok(fetched) = fetching.await else {
        problems.push(Diagnostic::error("fetching the bindle failed: this is a defect of the server"));
        return None;
    };
    config.scripts.extend(fetched.scripts);
    problems.extend(fetched.problems);
    fetched.store
}

/// Makes files of the modules that are elsewhere, and drops the scripts whose module cannot be had.
async fn modules(config: &mut Config, problems: &mut Vec<Diagnostic>, progress: Arc<dyn Progress>) -> Option<Store> {
    if !config.scripts.iter().any(|script| matches!(script.module, ModuleRef::Bindle { .. } | ModuleRef::Oci(_))) {
        return None;
    }
    let (directory, mut scripts) = (config.module_cache.clone(), std::mem::take(&mut config.scripts));
    let means =
        oci::Means { registries: config.registries.clone(), largest_module: config.limits.module_size, progress };
    let fetching = tokio::task::spawn_blocking(move || {
        let fetched = fetch_modules(&mut scripts, directory.as_deref(), means);
        (scripts, fetched)
    });
    let Ok((scripts, (store, found))) = fetching.await else {
        problems.push(Diagnostic::error("fetching the modules failed: this is a defect of the server"));
        return None;
    };
    config.scripts = scripts;
    problems.extend(found);
    store
}

fn fetch_modules(
    scripts: &mut Vec<ScriptConfig>,
    directory: Option<&Path>,
    means: oci::Means,
) -> (Option<Store>, Vec<Diagnostic>) {
    let store = match Store::open(directory) {
        Ok(store) => store,
        Err(error) => {
            scripts.clear();
            return (None, vec![*bindle::unusable(directory, &error)]);
        }
    };
    let mut problems = oci::complete(scripts, &store, means);
    let mut modules = module::Modules::new(&store);
    scripts.retain_mut(|script| match modules.complete(script) {
        Ok(()) => true,
        Err(problem) => {
            problems.push(*problem);
            false
        }
    });
    (Some(store), problems)
}
