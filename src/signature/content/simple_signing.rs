//! cosign's older format.
//!
//! A signature is a layer of an artifact under the tag `sha256-HEX.sig`. The layer is a text with the digest of the signed manifest,
//! and all else is in its annotations.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::signature::content::{AttachedSignature, ContentError, SignedContent, SignedFile};
use crate::signature::json::{bytes, shown, text};
use crate::signature::key::pem_section;
use crate::signature::witness::log_entry::LogEntry;

/// The names of annotations.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const LOG_ENTRY: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

/// All that belong to a signature.
pub(in crate::signature) const ANNOTATIONS: [&str; 4] = [SIGNATURE, CERTIFICATE, LOG_ENTRY, TIMESTAMP];

/// What cosign writes as the type of the text.
const TYPE: &str = "cosign container image signature";

/// Reads a layer and its annotations.
pub(in crate::signature) fn read(
    payload: &[u8],
    annotations: &BTreeMap<String, String>,
) -> Result<AttachedSignature, ContentError> {
    let signature =
        annotations.get(SIGNATURE).ok_or(ContentError::Form("its layer has no annotation with a signature"))?;
    let signature =
        STANDARD.decode(signature.trim()).map_err(|_| ContentError::Form("its signature is not written in base64"))?;
    let certificate = match annotations.get(CERTIFICATE).filter(|text| !text.is_empty()) {
        Some(pem) => {
            Some(pem_section(pem, "CERTIFICATE").flatten().ok_or(ContentError::Form("its certificate is damaged"))?)
        }
        None => None,
    };
    let document = |name: &str, damaged| match annotations.get(name).filter(|text| !text.is_empty()) {
        Some(text) => serde_json::from_str::<Value>(text).map(Some).map_err(|_| ContentError::Form(damaged)),
        None => Ok(None),
    };
    let damaged_entry = "its entry of a log is damaged";
    let entry = document(LOG_ENTRY, damaged_entry)?;
    let entry =
        entry.map(|entry| LogEntry::of_annotation(&entry).ok_or(ContentError::Form(damaged_entry))).transpose()?;
    let timestamp = document(TIMESTAMP, "its timestamp is damaged")?;
    let timestamp = timestamp.and_then(|timestamp| bytes(&timestamp, "/SignedRFC3161Timestamp"));
    Ok(AttachedSignature {
        signature,
        content: SignedContent::SimpleSigning(payload.to_owned()),
        certificate,
        key_hint: None,
        entries: entry.into_iter().collect(),
        timestamps: timestamp.into_iter().collect(),
    })
}

/// Checks that the text is about a manifest.
pub(super) fn check(payload: &[u8], file: SignedFile<'_>) -> Result<(), ContentError> {
    let payload: Value =
        serde_json::from_slice(payload).map_err(|_| ContentError::Form("the signed text is not JSON"))?;
    let kind = text(&payload, "/critical/type").unwrap_or_default();
    if kind != TYPE {
        return Err(ContentError::OtherStatement(shown(kind)));
    }
    let digest = text(&payload, "/critical/image/docker-manifest-digest").unwrap_or_default();
    match digest.strip_prefix("sha256:") {
        Some(found) if found == file.sha256 => Ok(()),
        _ => Err(ContentError::OtherFile(shown(digest))),
    }
}
