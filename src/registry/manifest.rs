//! What is in an artifact?
//!
//! A manifest lists layers, an index lists manifests. The one layer that is a module is picked here. If several layers
//! match, the artifact is rejected. Bytes in, nothing is fetched.

use serde_json::{Map, Value};

use crate::config::Sha256;

use crate::registry::reference;

pub(in crate::registry) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(in crate::registry) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(in crate::registry) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(in crate::registry) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The layers that are modules: in the layout of wasm-to-oci, and in the CNCF's.
pub(crate) const LEGACY_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
pub(in crate::registry) const WASM_LAYER: &str = "application/wasm";
const MODULES: [&str; 2] = [LEGACY_LAYER, WASM_LAYER];

/// How many media types an error message lists.
const MAX_NAMED: usize = 5;

/// How many characters of a text from a registry are shown. No digest has more.
const MAX_SHOWN: usize = 140;

/// The digest and size of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Descriptor {
    pub sha256: Sha256,
    pub size: u64,
}

/// What a manifest or an index leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum ManifestContent {
    /// The layer that is the module.
    Module(Descriptor),
    /// The manifest that an index lists.
    Manifest(Descriptor),
}

/// Why an artifact holds no module that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::registry) enum ManifestError {
    #[error("it is not JSON")]
    Json,
    #[error("it is neither a manifest nor an index: {0}")]
    Unknown(String),
    #[error("it is both a manifest and an index")]
    Both,
    #[error("its schema version is not 2")]
    Version,
    #[error("`{0}` is missing or of the wrong type")]
    Field(&'static str),
    #[error("its digest `{0}` is not a SHA-256")]
    Digest(String),
    #[error("no layer is a module; there are: {0}")]
    NoModule(String),
    #[error("the layers are packed as `{0}`, but a module has to be a layer of its own, neither packed nor compressed")]
    Packed(String),
    #[error("{0} of the layers are modules: which one is meant is not said")]
    SeveralModules(usize),
    #[error("the index lists {0} artifacts and does not say which one is for WebAssembly")]
    SeveralManifests(usize),
    #[error("the index lists nothing that is a manifest")]
    EmptyIndex,
    #[error("an index lists another index")]
    Nested,
}

/// Reads a manifest or index. `content_type` is that of the registry's response.
pub(in crate::registry) fn read(bytes: &[u8], content_type: Option<&str>) -> Result<ManifestContent, ManifestError> {
    let json: Value = serde_json::from_slice(bytes).map_err(|_| ManifestError::Json)?;
    let document = json.as_object().ok_or(ManifestError::Json)?;
    let stated = document.get("mediaType").map(|value| value.as_str().ok_or(ManifestError::Field("mediaType")));
    let content_type = content_type.filter(|name| is_index(name).is_some());
    let (layers, manifests) = (document.get("layers"), document.get("manifests"));
    // A document that can be read in two ways is read in another way by other programs.
    for name in stated.transpose()?.into_iter().chain(content_type) {
        match is_index(name) {
            None => return Err(ManifestError::Unknown(format!("its type is `{}`", shortened(name)))),
            Some(true) if manifests.is_none() || layers.is_some() => return Err(ManifestError::Both),
            Some(false) if layers.is_none() || manifests.is_some() => return Err(ManifestError::Both),
            Some(_) => {}
        }
    }
    if document.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
        return Err(ManifestError::Version);
    }
    match (layers.map(Value::as_array), manifests.map(Value::as_array)) {
        (Some(Some(layers)), None) => pick_layer(layers).map(ManifestContent::Module),
        (None, Some(Some(manifests))) => pick_manifest(manifests).map(ManifestContent::Manifest),
        (Some(_), Some(_)) => Err(ManifestError::Both),
        (Some(None), None) => Err(ManifestError::Field("layers")),
        (None, Some(None)) => Err(ManifestError::Field("manifests")),
        (None, None) => Err(ManifestError::Unknown("it has neither `layers` nor `manifests`".to_owned())),
    }
}

/// The first characters of a text from elsewhere, without control characters.
pub(in crate::registry) fn shortened(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(MAX_SHOWN).collect()
}

fn is_index(media_type: &str) -> Option<bool> {
    match media_type {
        OCI_INDEX | DOCKER_LIST => Some(true),
        OCI_MANIFEST | DOCKER_MANIFEST => Some(false),
        _ => None,
    }
}

fn pick_layer(layers: &[Value]) -> Result<Descriptor, ManifestError> {
    let modules: Vec<_> = layers.iter().filter(|layer| MODULES.contains(&media_type(layer))).collect();
    match modules[..] {
        [module] => descriptor(module),
        [] => Err(no_module(layers)),
        _ => Err(ManifestError::SeveralModules(modules.len())),
    }
}

fn no_module(layers: &[Value]) -> ManifestError {
    let is_packed = |name: &&str| ["gzip", "zstd", "tar"].iter().any(|packing| name.contains(packing));
    let mut names: Vec<_> = layers.iter().map(media_type).collect();
    if let Some(name) = names.iter().copied().find(is_packed) {
        return ManifestError::Packed(shortened(name));
    }
    names.dedup();
    names.truncate(MAX_NAMED);
    let names: Vec<_> = names.iter().map(|name| format!("`{}`", shortened(name))).collect();
    ManifestError::NoModule(if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}

fn pick_manifest(listed: &[Value]) -> Result<Descriptor, ManifestError> {
    let known: Vec<_> = listed.iter().filter(|listed| is_index(media_type(listed)) == Some(false)).collect();
    let for_wasm: Vec<_> = known.iter().copied().filter(|listed| platform(listed, "architecture") == "wasm").collect();
    // If there is a component as well, the module is the one for WASI preview 1.
    let is_first = |listed: &&Value| ["wasi", "wasip1"].contains(&platform(listed, "os"));
    let first: Vec<_> = for_wasm.iter().copied().filter(is_first).collect();
    for candidates in [&for_wasm, &first, &known] {
        if let [only] = candidates[..] {
            return descriptor(only);
        }
    }
    match known.len() {
        0 if listed.iter().any(|listed| is_index(media_type(listed)) == Some(true)) => Err(ManifestError::Nested),
        0 => Err(ManifestError::EmptyIndex),
        several => Err(ManifestError::SeveralManifests(several)),
    }
}

fn media_type(described: &Value) -> &str {
    described.get("mediaType").and_then(Value::as_str).unwrap_or("no media type")
}

fn platform<'v>(listed: &'v Value, key: &str) -> &'v str {
    listed.get("platform").and_then(|platform| platform.get(key)).and_then(Value::as_str).unwrap_or_default()
}

fn descriptor(described: &Value) -> Result<Descriptor, ManifestError> {
    let fields: &Map<String, Value> = described.as_object().ok_or(ManifestError::Field("layers"))?;
    let digest = fields.get("digest").and_then(Value::as_str).ok_or(ManifestError::Field("digest"))?;
    let sha256 = reference::sha256(digest).map_err(|_| ManifestError::Digest(shortened(digest)))?;
    let size = fields.get("size").and_then(Value::as_u64).ok_or(ManifestError::Field("size"))?;
    Ok(Descriptor { sha256, size })
}

#[cfg(test)]
#[path = "tests/manifest.rs"]
mod tests;
