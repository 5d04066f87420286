//! Where are fetched modules kept?

use std::path::{Path, PathBuf};

use crate::cache;
use crate::config::{Config, Diagnostic};

/// The directory for modules: the one that the operator names, or else the default one, if it can be made and only its
/// owner can write to it.
pub(super) fn module_cache(config: &Config, problems: &mut Vec<Diagnostic>) -> Option<PathBuf> {
    let exposed = |path: &Path| cache::exposure(path).ok().flatten();
    if let Some(named) = &config.module_cache {
        if let Some(exposure) = exposed(named) {
            let message = "other users can change the files of the module cache";
            problems.push(Diagnostic::warning(message).caused_by(&exposure).help(exposure.help()));
        }
        return Some(named.clone());
    }
    let default = cache::default_module_cache(config.user_cache.as_deref()?);
    if let Err(error) = cache::create(&default) {
        tracing::info!(directory = %default.display(), %error, "fetched modules are not kept for the next start");
        return None;
    }
    if let Some(exposure) = exposed(&default) {
        let message = format!("fetched modules are not kept in `{}`", default.display());
        problems.push(Diagnostic::warning(message).caused_by(&exposure).help(exposure.help()));
        return None;
    }
    Some(default)
}
