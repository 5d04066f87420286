//! What can be asked of registries besides the modules of a configuration? What the commands of the program ask: each waits
//! here for a thread that may block.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Diagnostic, Login, MAX_MODULE_SIZE, Registries};

use crate::cache::store::Store;
use crate::net::progress::Progress;
use crate::registry::{LoggedIn, LoggedOut, Publication, PullOptions, PulledModule};

/// Pulls modules into a module cache, side by side. `references` are `[HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST]`, with or
/// without `oci:` before them. What became of each is said in their order; what keeps all of them away, once.
pub async fn pull(
    references: Vec<String>,
    module_cache: PathBuf,
    registries: Registries,
    progress: Arc<dyn Progress>,
) -> Vec<Result<PulledModule, Box<Diagnostic>>> {
    let options = PullOptions { registries, max_module_size: MAX_MODULE_SIZE, progress, lock: None };
    let pulling = blocking(move || match Store::open(Some(&module_cache)) {
        Ok(store) => crate::registry::pull(&references, &store, &options),
        Err(error) => vec![Err(error.into())],
    });
    pulling.await.unwrap_or_else(|problem| vec![Err(problem)])
}

/// Publishes a module or component, and says which it is: its reference by digest.
pub async fn push(
    publication: Publication,
    registries: Registries,
    progress: Arc<dyn Progress>,
) -> Result<String, Box<Diagnostic>> {
    let options = PullOptions { registries, max_module_size: MAX_MODULE_SIZE, progress, lock: None };
    blocking(move || crate::registry::push(&publication, &options)).await?
}

/// Keeps name and password for the registry `HOST[:PORT]`, once it finds them good, in the first of the files of
/// credentials or with the program which that names.
pub async fn log_in(registry: String, login: Login, registries: Registries) -> Result<LoggedIn, Box<Diagnostic>> {
    blocking(move || crate::registry::log_in(&registry, &login, &registries)).await?
}

/// Forgets name and password for the registry `HOST[:PORT]` in the first of the files of credentials, and with the program
/// which that names.
pub async fn log_out(registry: String, credentials: Vec<PathBuf>) -> Result<LoggedOut, Box<Diagnostic>> {
    blocking(move || crate::registry::log_out(&registry, &credentials)).await?
}

async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> Result<T, Box<Diagnostic>> {
    let asked = tokio::task::spawn_blocking(ask).await;
    asked.map_err(|_| Box::new(Diagnostic::error("asking the registry failed: this is a defect of the program")))
}
