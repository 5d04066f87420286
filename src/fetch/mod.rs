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
//! | `store` | how are fetched bytes kept so that they can be trusted? |
//! | `disk` | how do they get to the disk? |

mod bindle;
mod directory;
mod disk;
mod store;
#[cfg(test)]
mod tests;

pub use store::Store;

use std::io::{self, Read};

use crate::config::{BindleId, Config, Diagnostic, Sha256};

/// Somewhere bindles are to be had. A new one is one more file with an implementation and an arm in `bindle::fetch`.
///
/// It is asked on threads that may block, by several at once, and trusted in nothing: who asks looks at every byte.
trait Source: Sync {
    /// The invoice of a bindle: the name to speak of it by, and its bytes, of which there may be `most` and one more.
    fn invoice(&self, id: &BindleId, most: u64) -> Result<(String, Vec<u8>), Box<Diagnostic>>;

    /// The bytes of a parcel of the bindle.
    fn parcel(&self, id: &BindleId, sha256: &Sha256) -> io::Result<Box<dyn Read + '_>>;
}

/// Fetches the bindle that `config` names, if it names one, and adds its scripts. What is wrong with it is added to
/// `problems`; if an error is among them, scripts are missing.
///
/// The files of the scripts are there as long as the [`Store`] is.
#[must_use = "the store may be temporary: its files are gone when it is dropped"]
pub async fn complete(config: &mut Config, problems: &mut Vec<Diagnostic>) -> Option<Store> {
    let asked = config.bindle.take()?;
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
