//! What is attached to a module as a signature, and how is that kept beside it?

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::signature::content::{AttachedSignature, ContentError, bundle, simple_signing};
use crate::signature::json::{bytes, list};

/// A signature as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A bundle of Sigstore.
    Bundle(Vec<u8>),
    /// A layer of cosign's older format, with its annotations.
    SimpleSigning {
        /// The bytes of the layer.
        payload: Vec<u8>,
        /// What the manifest says about it.
        annotations: BTreeMap<String, String>,
    },
}

impl Evidence {
    pub(in crate::signature) fn read(&self) -> Result<AttachedSignature, ContentError> {
        match self {
            Self::Bundle(bytes) => bundle::read(bytes),
            Self::SimpleSigning { payload, annotations } => simple_signing::read(payload, annotations),
        }
    }

    /// Writes some of it as one document.
    pub fn write(evidence: &[Self]) -> Vec<u8> {
        let written = evidence.iter().map(|found| match found {
            Self::Bundle(bytes) => json!({ "bundle": STANDARD.encode(bytes) }),
            Self::SimpleSigning { payload, annotations } => {
                json!({ "payload": STANDARD.encode(payload), "annotations": annotations })
            }
        });
        json!({ "signatures": written.collect::<Vec<_>>() }).to_string().into_bytes()
    }

    /// Reads such a document. What is damaged is left out: it is fetched again.
    pub fn parse(document: &[u8]) -> Vec<Self> {
        let document: Value = serde_json::from_slice(document).unwrap_or_default();
        list(&document, "/signatures").filter_map(Self::parse_one).collect()
    }

    fn parse_one(value: &Value) -> Option<Self> {
        if let Some(bundle) = bytes(value, "/bundle") {
            return Some(Self::Bundle(bundle));
        }
        let annotations = value.get("annotations")?.as_object()?;
        Some(Self::SimpleSigning { payload: bytes(value, "/payload")?, annotations: Self::annotations(annotations) })
    }

    /// Those of the annotations of a manifest that belong to a signature.
    pub fn annotations(annotations: &Map<String, Value>) -> BTreeMap<String, String> {
        let known = annotations.iter().filter(|(name, _)| simple_signing::ANNOTATIONS.contains(&name.as_str()));
        known.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        match self {
            Self::Bundle(bytes) => bytes.len(),
            Self::SimpleSigning { payload, annotations } => {
                payload.len() + annotations.values().map(String::len).sum::<usize>()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::signature::evidence::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let annotations = BTreeMap::from([(simple_signing::ANNOTATIONS[0].to_owned(), "é\"".to_owned())]);
        let kept = [Evidence::Bundle(b"{}\xff".to_vec()), Evidence::SimpleSigning { payload: vec![0, 1], annotations }];
        assert_eq!(Evidence::parse(&Evidence::write(&kept)), kept);
        for damaged in [&b""[..], b"[]", b"{\"signatures\":[{},{\"payload\":\"?\"},3]}", b"\xff"] {
            assert_eq!(Evidence::parse(damaged), []);
        }
    }
}
