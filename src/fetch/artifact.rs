//! What is one artifact of a registry?
//!
//! It is pulled like the module of an entry, and its manifest says in which layout it was published.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::config::{Diagnostic, MAX_MODULE_SIZE, ModuleRef, Registries};

use crate::cache::fetched::{FetchedModule, FetchedModules};
use crate::cache::store::Store;
use crate::net::progress::Progress;
use crate::registry;
use crate::registry::signatures::SignedArtifact;
use crate::regular_file;
use crate::signature::claimed_by;

/// An artifact that was pulled. Its files may be removed when it is dropped.
pub struct Artifact {
    /// Its reference, with the scheme.
    pub reference: String,
    /// Its module.
    pub module: FetchedModule,
    /// The layout of its manifest: `cncf`, `legacy`, `index` or `other`.
    pub layout: &'static str,
    /// Who says to have signed it. Nothing of it is verified. `None` if the registry did not say.
    pub claimed_signers: Option<Vec<String>>,
    /// Its files.
    _store: Store,
}

/// Pulls the artifact with a reference, with or without its scheme. What is wrong is added to `problems`.
pub async fn artifact(
    reference: &str,
    module_cache: Option<PathBuf>,
    registries: Registries,
    progress: Arc<dyn Progress>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Artifact> {
    let reference = ModuleRef::Oci(registry::without_scheme(reference).to_owned());
    let module = reference.clone();
    let options = registry::PullOptions { registries, max_module_size: MAX_MODULE_SIZE, progress, lock: None };
    let pulling = tokio::task::spawn_blocking(move || {
        let store = Store::open(module_cache.as_deref())?;
        let fetched = registry::fetch_one(&module, &store, &options);
        let signers = fetched.by_reference.get(&module).and_then(|found| claimed_signers(&module, found, &options));
        Ok::<_, Box<Diagnostic>>((store, fetched, signers))
    });
    match pulling.await {
        Ok(Ok((store, FetchedModules { mut by_reference, problems: found }, claimed_signers))) => {
            problems.extend(found);
            let module = by_reference.remove(&reference)?;
            let layout = layout(&store, &module);
            Some(Artifact { reference: reference.to_string(), module, layout, claimed_signers, _store: store })
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

/// Who says to have signed a module.
fn claimed_signers(module: &ModuleRef, found: &FetchedModule, options: &registry::PullOptions) -> Option<Vec<String>> {
    let reference = registry::without_scheme(&module.to_string()).to_owned();
    let artifact = SignedArtifact { reference, manifest: found.manifest.clone()? };
    let found = registry::signatures::fetch(&[artifact], &options.registries).pop()?;
    let is_known = found.problem.is_none() || !found.evidence.is_empty();
    is_known.then(|| found.evidence.iter().map(claimed_by).collect())
}

/// The layout of a module's manifest.
fn layout(store: &Store, module: &FetchedModule) -> &'static str {
    let manifest =
        module.manifest.as_ref().and_then(|digest| regular_file::read(&store.path(digest.as_str()), u64::MAX).ok());
    let manifest: Value = manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    if manifest.get("manifests").is_some() {
        return "index";
    }
    let media_type = |described: Option<&Value>| Some(described?.get("mediaType")?.as_str()?.to_owned());
    let config = media_type(manifest.get("config")).unwrap_or_default();
    let layers = manifest.get("layers").and_then(Value::as_array);
    let is_legacy =
        layers.into_iter().flatten().any(|layer| media_type(Some(layer)).as_deref() == Some(registry::LEGACY_LAYER));
    match (config.as_str(), is_legacy) {
        (registry::WASM_CONFIG, _) => "cncf",
        (_, true) => "legacy",
        _ => "other",
    }
}
