//! Is what a log has written down the signature that is looked at?
//!
//! Logs have written entries in several forms over the years. All have the signature, the key or certificate, and a digest of
//! what was signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::format::hex;

use crate::signature::json::{bytes, list, text};
use crate::signature::key::pem_section;

/// What has to be in an entry.
pub(in crate::signature) struct ExpectedEntry<'a> {
    pub signature: &'a [u8],
    /// The bytes that were signed.
    pub message: &'a [u8],
    /// The payload of an envelope, which the message is made of.
    pub payload: Option<&'a [u8]>,
    /// The certificate, or the public key.
    pub verifier: &'a [u8],
}

impl ExpectedEntry<'_> {
    /// Whether it is what is in the entry.
    pub fn is_in(&self, body: &[u8]) -> bool {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
        let kind = (text(&body, "/kind").unwrap_or_default(), text(&body, "/apiVersion").unwrap_or_default());
        match kind {
            ("hashedrekord", "0.0.1") => self.is_in_hashed(&body).is_some(),
            ("dsse", "0.0.1") => self.is_in_envelope(&body).is_some(),
            ("intoto", "0.0.2") => self.is_in_statement(&body).is_some(),
            ("hashedrekord", "0.0.2") => self.is_in_newer_hashed(&body).is_some(),
            ("dsse", "0.0.2") => self.is_in_newer_envelope(&body).is_some(),
            _ => false,
        }
    }

    fn is_in_hashed(&self, body: &Value) -> Option<()> {
        is_digest(body.pointer("/spec/data/hash")?, self.message)?;
        is(bytes(body, "/spec/signature/content")? == self.signature)?;
        self.is_pem(&bytes(body, "/spec/signature/publicKey/content")?)
    }

    fn is_in_envelope(&self, body: &Value) -> Option<()> {
        is_digest(body.pointer("/spec/payloadHash")?, self.payload?)?;
        self.is_one_of(body, "/spec/signatures", |signature| {
            is(bytes(signature, "/signature")? == self.signature)?;
            self.is_pem(&bytes(signature, "/verifier")?)
        })
    }

    fn is_in_statement(&self, body: &Value) -> Option<()> {
        is_digest(body.pointer("/spec/content/payloadHash")?, self.payload?)?;
        self.is_one_of(body, "/spec/content/envelope/signatures", |signature| {
            // It is encoded twice.
            is(STANDARD.decode(bytes(signature, "/sig")?).ok()? == self.signature)?;
            self.is_pem(&bytes(signature, "/publicKey")?)
        })
    }

    fn is_in_newer_hashed(&self, body: &Value) -> Option<()> {
        let spec = body.pointer("/spec/hashedRekordV002")?;
        is_newer_digest(spec.get("data")?, self.message)?;
        is(bytes(spec, "/signature/content")? == self.signature)?;
        self.is_verifier(spec.pointer("/signature/verifier")?)
    }

    fn is_in_newer_envelope(&self, body: &Value) -> Option<()> {
        let spec = body.pointer("/spec/dsseV002")?;
        is_newer_digest(spec.get("payloadHash")?, self.payload?)?;
        self.is_one_of(spec, "/signatures", |signature| {
            is(bytes(signature, "/content")? == self.signature)?;
            self.is_verifier(signature.get("verifier")?)
        })
    }

    /// An entry about several signatures would say nothing about one of them.
    fn is_one_of(&self, value: &Value, path: &str, is_right: impl Fn(&Value) -> Option<()>) -> Option<()> {
        let mut signatures = list(value, path);
        let only = signatures.next().filter(|_| signatures.next().is_none())?;
        is_right(only)
    }

    fn is_pem(&self, pem: &[u8]) -> Option<()> {
        let pem = std::str::from_utf8(pem).ok()?;
        let found = ["CERTIFICATE", "PUBLIC KEY"].iter().find_map(|title| pem_section(pem, title).flatten());
        is(found? == self.verifier)
    }

    fn is_verifier(&self, value: &Value) -> Option<()> {
        let found = bytes(value, "/x509Certificate/rawBytes").or_else(|| bytes(value, "/publicKey/rawBytes"));
        is(found? == self.verifier)
    }
}

/// Whether it is the digest of the bytes, in hexadecimal digits. Keys on P-384 sign with SHA-384.
fn is_digest(value: &Value, of: &[u8]) -> Option<()> {
    let found = text(value, "/value")?;
    is(match text(value, "/algorithm")? {
        "sha256" => found == hex(&Sha256::digest(of)),
        "sha384" => found == hex(&Sha384::digest(of)),
        "sha512" => found == hex(&Sha512::digest(of)),
        _ => false,
    })
}

/// The same in newer entries, in base64.
fn is_newer_digest(value: &Value, of: &[u8]) -> Option<()> {
    let found = bytes(value, "/digest")?;
    is(match text(value, "/algorithm")? {
        "SHA2_256" => found == Sha256::digest(of).as_slice(),
        "SHA2_384" => found == Sha384::digest(of).as_slice(),
        "SHA2_512" => found == Sha512::digest(of).as_slice(),
        _ => false,
    })
}

fn is(condition: bool) -> Option<()> {
    condition.then_some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::signature::witness::log_body::*;

    const EXPECTED: ExpectedEntry<'_> =
        ExpectedEntry { signature: b"signature", message: b"message", payload: None, verifier: b"key" };

    fn encoded(bytes: impl AsRef<[u8]>) -> String {
        STANDARD.encode(bytes)
    }

    #[test]
    fn an_entry_has_the_digest_that_it_names() {
        let key = encoded(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", encoded("key")));
        let is_in = |algorithm: &str, value: String| {
            let signature = json!({ "content": encoded("signature"), "publicKey": { "content": key } });
            let spec =
                json!({ "data": { "hash": { "algorithm": algorithm, "value": value } }, "signature": signature });
            let body = json!({ "kind": "hashedrekord", "apiVersion": "0.0.1", "spec": spec });
            EXPECTED.is_in(body.to_string().as_bytes())
        };
        assert!(is_in("sha256", hex(&Sha256::digest("message"))));
        assert!(is_in("sha384", hex(&Sha384::digest("message"))));
        assert!(is_in("sha512", hex(&Sha512::digest("message"))));
        assert!(!is_in("sha384", hex(&Sha384::digest("other"))));
        assert!(!is_in("sha256", hex(&Sha384::digest("message"))));
        assert!(!is_in("md5", hex(&Sha256::digest("message"))));
    }

    #[test]
    fn a_newer_entry_has_the_digest_that_it_names() {
        let is_in = |algorithm: &str, digest: &[u8]| {
            let verifier = json!({ "publicKey": { "rawBytes": encoded("key") } });
            let spec = json!({
                "data": { "algorithm": algorithm, "digest": encoded(digest) },
                "signature": { "content": encoded("signature"), "verifier": verifier },
            });
            let body = json!({ "kind": "hashedrekord", "apiVersion": "0.0.2", "spec": { "hashedRekordV002": spec } });
            EXPECTED.is_in(body.to_string().as_bytes())
        };
        assert!(is_in("SHA2_256", &Sha256::digest("message")));
        assert!(is_in("SHA2_384", &Sha384::digest("message")));
        assert!(!is_in("SHA2_384", &Sha384::digest("other")));
        assert!(!is_in("SHA3_256", &Sha256::digest("message")));
    }
}
