//! What is one artifact of a registry, to somebody who only wants to look at it?
//!
//! It is pulled like the module of a script, and its manifest says in which layout it was published.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::config::{Diagnostic, EntryConfig, Fetched, LARGEST_MODULE, ModuleRef, Origin, Registries};

use crate::bindle;
use crate::cache::store::Store;
use crate::fetch::Progress;
use crate::route::RoutePattern;

/// An artifact that is here now.
pub struct Artifact {
    /// Its module.
    pub module: Fetched,
    /// How it is laid out.
    pub layout: &'static str,
    /// Keeps its files.
    _store: Store,
}

/// Pulls the artifact that `reference` names, with or without its scheme. What is wrong is added to `problems`.
pub async fn artifact(
    reference: &str,
    module_cache: Option<PathBuf>,
    registries: Registries,
    progress: Arc<dyn Progress>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Artifact> {
    let named = crate::registry::without_scheme(reference).to_owned();
    let mut scripts = vec![EntryConfig::new(Origin::command_line(), RoutePattern::new("/..."), ModuleRef::Oci(named))];
    let means = crate::registry::Means { registries, largest_module: LARGEST_MODULE, progress, lock: None };
    let pulling = tokio::task::spawn_blocking(move || {
        let store =
            Store::open(module_cache.as_deref()).map_err(|error| bindle::unusable(module_cache.as_deref(), &error))?;
        let found = crate::registry::complete(&mut scripts, &store, means);
        Ok::<_, Box<Diagnostic>>((store, scripts, found))
    });
    match pulling.await {
        Ok(Ok((store, scripts, found))) => {
            problems.extend(found);
            let Some(ModuleRef::Fetched(module)) = scripts.into_iter().next().map(|script| script.module) else {
                return None;
            };
            let layout = layout(&store, &module);
            Some(Artifact { module: *module, layout, _store: store })
        }
        Ok(Err(problem)) => {
            problems.push(*problem);
            None
        }
        Err(_) => {
            problems.push(Diagnostic::error("pulling the module failed: this is a defect of the program"));
            None
        }
    }
}

/// What the manifest says of itself.
fn layout(store: &Store, module: &Fetched) -> &'static str {
    let manifest = module.manifest.as_ref().and_then(|digest| fs::read(store.path(digest.as_str())).ok());
    let manifest: Value = manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    if manifest.get("manifests").is_some() {
        return "index";
    }
    let media_type = |described: Option<&Value>| Some(described?.get("mediaType")?.as_str()?.to_owned());
    let config = media_type(manifest.get("config")).unwrap_or_default();
    let layers = manifest.get("layers").and_then(Value::as_array);
    let is_legacy = layers
        .into_iter()
        .flatten()
        .any(|layer| media_type(Some(layer)).as_deref() == Some(crate::registry::LEGACY_LAYER));
    match (config.as_str(), is_legacy) {
        (crate::registry::WASM_CONFIG, _) => "cncf",
        (_, true) => "legacy",
        _ => "other",
    }
}
