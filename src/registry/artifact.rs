//! How is a module laid out for a registry?
//!
//! As a layer with its bytes, a configuration that says what it is, and a manifest that names both by their digests.
//! Bytes in, bytes out: nothing is sent here.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use wasmparser::{BinaryReaderError, Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::cache::disk::sha256;
use crate::config::Sha256;
use crate::wasm_bytes::{MAGIC, NotWasm, to_binary};

use crate::registry::manifest::{LEGACY_LAYER, OCI_MANIFEST, WASM_LAYER};

/// The configurations that go with the two kinds of layers.
const LEGACY_CONFIG: &str = "application/vnd.wasm.config.v1+json";
pub(crate) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The end of the year 9999, which is the last that can be written.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// How an artifact is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The layout of the CNCF's Wasm working group.
    Cncf,
    /// The layout of wasm-to-oci.
    Legacy,
}

/// A blob, and its type in a manifest.
#[derive(Debug)]
pub(in crate::registry) struct Blob {
    pub bytes: Bytes,
    pub sha256: Sha256,
    pub media_type: &'static str,
}

/// The blobs of an artifact.
#[derive(Debug)]
pub(in crate::registry) struct ArtifactBlobs {
    pub module: Blob,
    pub config: Blob,
    pub manifest: Blob,
}

/// Why a file cannot be published.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum ArtifactError {
    #[error("there is nothing in it")]
    Empty,
    #[error("it is neither WebAssembly in binary form nor in text form: {0}")]
    Text(#[from] NotWasm),
    #[error("it is not valid WebAssembly")]
    Invalid(#[from] BinaryReaderError),
}

impl ArtifactBlobs {
    /// The artifact of a module or component in binary or text form that was created at a time.
    pub fn new(file: Vec<u8>, layout: Layout, created: SystemTime) -> Result<Self, ArtifactError> {
        if file.trim_ascii().is_empty() {
            return Err(ArtifactError::Empty);
        }
        let bytes = match file.starts_with(MAGIC) {
            true => file,
            false => to_binary(&file)?.into_owned(),
        };
        Validator::new_with_features(WasmFeatures::all()).validate_all(&bytes)?;
        let (layer_type, config_type) = match layout {
            Layout::Cncf => (WASM_LAYER, WASM_CONFIG),
            Layout::Legacy => (LEGACY_LAYER, LEGACY_CONFIG),
        };
        let config = match layout {
            Layout::Cncf => cncf_config(&bytes, created)?,
            Layout::Legacy => json!({}),
        };
        let module = Blob::new(bytes.into(), layer_type);
        let config = Blob::new(config.to_string().into(), config_type);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.descriptor(),
            "layers": [module.descriptor()],
        });
        Ok(Self { module, config, manifest: Blob::new(manifest.to_string().into(), OCI_MANIFEST) })
    }
}

impl Blob {
    pub fn new(bytes: Bytes, media_type: &'static str) -> Self {
        Self { sha256: sha256(&bytes), bytes, media_type }
    }

    /// The blob as a manifest names it.
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": format!("sha256:{}", self.sha256), "size": self.bytes.len() })
    }
}

/// The configuration of the CNCF's layout. From it, a host knows before the download whether it can run the module.
fn cncf_config(bytes: &[u8], created: SystemTime) -> Result<Value, BinaryReaderError> {
    let created = created.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST_SECOND);
    let component = component_config(bytes)?;
    let mut config = Map::new();
    config.insert("created".to_owned(), json!(humantime::format_rfc3339_seconds(created).to_string()));
    config.insert("architecture".to_owned(), json!("wasm"));
    // Components have no other value here, whatever they import.
    config.insert("os".to_owned(), json!(if component.is_some() { "wasip2" } else { "wasip1" }));
    config.insert("layerDigests".to_owned(), json!([format!("sha256:{}", sha256(bytes))]));
    config.extend(component.map(|component| ("component".to_owned(), component)));
    Ok(config.into())
}

/// The exports and imports of a component. `None` for a module.
fn component_config(bytes: &[u8]) -> Result<Option<Value>, BinaryReaderError> {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Ok(None),
            // Exports and imports of inner components are not those of the whole.
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name);
                }
            }
            _ => {}
        }
    }
    Ok(Some(json!({ "exports": exports, "imports": imports })))
}

#[cfg(test)]
mod tests {
    use crate::registry::artifact::*;

    /// A component that holds a module and another component with names of their own.
    const COMPONENT: &str = r#"(component
        (import "wasi:cli/environment@0.2.0" (instance))
        (import "a-function" (func))
        (component (import "inner" (func)))
        (core module (func (export "core")))
        (instance $run)
        (export "wasi:cli/run@0.2.0" (instance $run)))"#;

    fn artifact(text: &str, layout: Layout) -> ArtifactBlobs {
        ArtifactBlobs::new(text.into(), layout, SystemTime::UNIX_EPOCH + Duration::from_secs(1)).expect("valid")
    }

    fn json_of(blob: &Blob) -> Value {
        serde_json::from_slice(&blob.bytes).expect("JSON")
    }

    #[test]
    fn a_manifest_names_what_goes_with_it() {
        for (layout, layer, config) in
            [(Layout::Cncf, WASM_LAYER, WASM_CONFIG), (Layout::Legacy, LEGACY_LAYER, LEGACY_CONFIG)]
        {
            let made = artifact("(module)", layout);
            let manifest = json_of(&made.manifest);
            assert_eq!(manifest["schemaVersion"], 2);
            assert_eq!(manifest["mediaType"], OCI_MANIFEST);
            for (described, blob, media_type) in
                [(&manifest["config"], &made.config, config), (&manifest["layers"][0], &made.module, layer)]
            {
                assert_eq!(described["mediaType"], media_type);
                assert_eq!(described["digest"], format!("sha256:{}", sha256(&blob.bytes)));
                assert_eq!(described["size"], blob.bytes.len());
            }
        }
        assert_eq!(artifact("(module)", Layout::Legacy).config.bytes, "{}");
    }

    #[test]
    fn the_configuration_says_what_a_module_or_component_is() {
        let module = artifact("(module (import \"x\" \"y\" (func)))", Layout::Cncf);
        let digest = format!("sha256:{}", module.module.sha256);
        let expected = json!({
            "created": "1970-01-01T00:00:01Z", "architecture": "wasm", "os": "wasip1", "layerDigests": [digest],
        });
        assert_eq!(json_of(&module.config), expected);
        let component = json_of(&artifact(COMPONENT, Layout::Cncf).config);
        assert_eq!(component["os"], "wasip2");
        let names = json!({
            "exports": ["wasi:cli/run@0.2.0"], "imports": ["wasi:cli/environment@0.2.0", "a-function"],
        });
        assert_eq!(component["component"], names);
    }

    #[test]
    fn the_same_file_is_the_same_artifact_and_no_time_is_too_strange() {
        let digest = |created| {
            let made = ArtifactBlobs::new("(module)".into(), Layout::Cncf, created).expect("valid");
            made.manifest.sha256
        };
        let (begin, day) = (SystemTime::UNIX_EPOCH, Duration::from_secs(86_400));
        assert_eq!(digest(begin), digest(begin - day));
        assert_ne!(digest(begin), digest(begin + day));
        assert_eq!(digest(begin + LAST_SECOND), digest(begin + LAST_SECOND + day));
    }

    #[test]
    fn what_is_not_webassembly_is_refused() {
        for (file, part) in [
            (&b"hello"[..], "form: the file is a text that is not WebAssembly"),
            (b"\xff\xfe", "neither"),
            (b"(module (func call 7))", "not valid"),
            (b"\0asm\x01\0\0\0\x07", "not valid"),
            (b" \n", "nothing in it"),
        ] {
            let refusal = ArtifactBlobs::new(file.to_vec(), Layout::Cncf, SystemTime::UNIX_EPOCH).expect_err(part);
            assert!(refusal.to_string().contains(part), "{refusal}");
        }
    }
}
