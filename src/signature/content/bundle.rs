//! Sigstore's bundles: one document with a signature and all that comes with it. cosign 3 writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::signature::content::statement::PAYLOAD_TYPE;
use crate::signature::content::{AttachedSignature, ContentError, SignedContent};
use crate::signature::json::{bytes, list, text};
use crate::signature::witness::log_entry::LogEntry;

/// The type of a bundle that is written here. It is also how others find it among the artifacts that refer to one.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The begin of the types of bundles, before the version or after it.
const BUNDLES: &str = "application/vnd.dev.sigstore.bundle";

/// Whether a media type is that of a bundle.
pub fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with(BUNDLES)
}

/// Reads a bundle.
pub(in crate::signature) fn read(bundle: &[u8]) -> Result<AttachedSignature, ContentError> {
    let bundle: Value = serde_json::from_slice(bundle).map_err(|_| ContentError::Form("it is not JSON"))?;
    if !text(&bundle, "/mediaType").is_some_and(is_bundle) {
        return Err(ContentError::Form("it is not a bundle of Sigstore"));
    }
    let (signature, content) = content(&bundle)?;
    let material = "/verificationMaterial";
    let (entries, stamps) =
        (format!("{material}/tlogEntries"), format!("{material}/timestampVerificationData/rfc3161Timestamps"));
    let entries = list(&bundle, &entries)
        .map(|entry| LogEntry::of_bundle(entry).ok_or(ContentError::Form("its entry of a log is damaged")));
    let timestamps = list(&bundle, &stamps)
        .map(|stamp| bytes(stamp, "/signedTimestamp").ok_or(ContentError::Form("its timestamp is damaged")));
    // The first of a chain is the one that has signed. The others have to be known anyway.
    let certificate = ["certificate", "x509CertificateChain/certificates/0"];
    let certificate = certificate.iter().find_map(|path| bundle.pointer(&format!("{material}/{path}/rawBytes")));
    let damaged = || ContentError::Form("its certificate is damaged");
    let certificate = certificate.map(|written| written.as_str().and_then(|text| STANDARD.decode(text).ok()));
    Ok(AttachedSignature {
        signature,
        content,
        certificate: certificate.map(|bytes| bytes.ok_or_else(damaged)).transpose()?,
        key_hint: bytes(&bundle, &format!("{material}/publicKey/hint")),
        entries: entries.collect::<Result<_, _>>()?,
        timestamps: timestamps.collect::<Result<_, _>>()?,
    })
}

fn content(bundle: &Value) -> Result<(Vec<u8>, SignedContent), ContentError> {
    if let Some(message) = bundle.get("messageSignature") {
        let signature = bytes(message, "/signature").ok_or(ContentError::Form("it has no signature"))?;
        let is_sha256 = text(message, "/messageDigest/algorithm").is_none_or(|name| name == "SHA2_256");
        let digest = bytes(message, "/messageDigest/digest").filter(|_| is_sha256);
        return Ok((signature, SignedContent::File { digest }));
    }
    let envelope = bundle.get("dsseEnvelope").ok_or(ContentError::Form("nothing in it is signed"))?;
    let mut signatures = list(envelope, "/signatures");
    let only = signatures.next().filter(|_| signatures.next().is_none());
    let only = only.ok_or(ContentError::Form("its envelope has not exactly one signature"))?;
    let signature = bytes(only, "/sig").ok_or(ContentError::Form("it has no signature"))?;
    let payload = bytes(envelope, "/payload").ok_or(ContentError::Form("its envelope has no payload"))?;
    let payload_type = text(envelope, "/payloadType").unwrap_or_default().to_owned();
    Ok((signature, SignedContent::Envelope { payload, payload_type }))
}

/// A bundle with a statement that the key with this hint has signed.
pub(in crate::signature) fn write(statement: &[u8], signature: &[u8], key_hint: &str) -> Vec<u8> {
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": key_hint }, "tlogEntries": [] },
        "dsseEnvelope": {
            "payload": STANDARD.encode(statement),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{ "sig": STANDARD.encode(signature) }],
        },
    });
    bundle.to_string().into_bytes()
}
