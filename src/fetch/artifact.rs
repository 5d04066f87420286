//! What is one artifact of a registry?
//!
//! It is pulled like the module of an entry, and its manifest says in which layout it was published.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::config::{Diagnostic, MAX_MODULE_SIZE, ModuleRef, Registries, TrustedSigners};

use crate::cache::fetched::{FetchedModule, FetchedModules};
use crate::cache::store::Store;
use crate::net::progress::Progress;
use crate::registry;
use crate::regular_file;

use crate::fetch::signature_report::{SignatureLookup, SignatureReport};

/// An artifact that was pulled. Its files may be removed when it is dropped.
pub struct Artifact {
    /// Its reference, with the scheme.
    pub reference: String,
    /// Its module.
    pub module: FetchedModule,
    /// The layout of its manifest: `cncf`, `legacy`, `index` or `other`.
    pub layout: &'static str,
    /// Who vouches for it.
    pub signature: SignatureReport,
    /// Its files.
    _store: Store,
}

/// What is asked for.
pub struct ArtifactRequest {
    /// Its reference, with or without the scheme.
    pub reference: String,
    /// Whose signature it has to have, if it is to be verified.
    pub signers: Option<TrustedSigners>,
    /// Where it is kept; in a temporary directory without one.
    pub module_cache: Option<PathBuf>,
    /// How registries are asked.
    pub registries: Registries,
}

/// The module that a reference names, with or without its scheme.
pub fn artifact_ref(reference: &str) -> ModuleRef {
    ModuleRef::Oci(registry::without_scheme(reference).to_owned())
}

/// Pulls an artifact. What is wrong is added to `problems`.
pub async fn artifact(
    request: ArtifactRequest,
    progress: Arc<dyn Progress>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Artifact> {
    let pulling = tokio::task::spawn_blocking(move || {
        let mut problems = Vec::new();
        let artifact = pull(request, progress, &mut problems);
        (artifact.map_err(|problem| problems.push(*problem)).ok().flatten(), problems)
    });
    let Ok((artifact, found)) = pulling.await else {
        problems.push(Diagnostic::error("pulling the module failed: this is a defect of the program"));
        return None;
    };
    problems.extend(found);
    artifact
}

fn pull(
    request: ArtifactRequest,
    progress: Arc<dyn Progress>,
    problems: &mut Vec<Diagnostic>,
) -> Result<Option<Artifact>, Box<Diagnostic>> {
    let ArtifactRequest { reference, signers, module_cache, registries } = request;
    let store = Store::open(module_cache.as_deref())?;
    let reference = artifact_ref(&reference);
    let options = registry::PullOptions { registries, max_module_size: MAX_MODULE_SIZE, progress, lock: None };
    // What is wanted is read before anything is asked for.
    let lookup = SignatureLookup::new(&store, &options.registries, signers.as_ref())?;
    let FetchedModules { mut by_reference, problems: found } = registry::fetch_one(&reference, &store, &options);
    problems.extend(found);
    let Some(module) = by_reference.remove(&reference) else { return Ok(None) };
    let signature = lookup.report(&reference, &module, problems);
    let layout = layout(&store, &module);
    Ok(Some(Artifact { reference: reference.to_string(), module, layout, signature, _store: store }))
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
