//! What does a signed statement say, and about what?
//!
//! A statement is in-toto's: what it is about, by digest, and what it says of it. It is signed in an envelope, so that the type of
//! the statement is signed too.

use serde_json::{Value, json};

use crate::signature::content::{ContentError, SignedFile};
use crate::signature::json::{list, shown, text};

/// The type of the payload of an envelope.
pub(in crate::signature) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// What a statement says that is a signature and nothing else.
pub const SIGNS: &str = "https://sigstore.dev/cosign/sign/v1";

/// The versions of statements.
const STATEMENTS: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// The bytes that are signed of an envelope.
pub(in crate::signature) fn envelope(payload: &[u8], payload_type: &str) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// A statement by which its signer vouches for the file with this digest.
pub(in crate::signature) fn signing(sha256: &str) -> Vec<u8> {
    let statement = json!({
        "_type": STATEMENTS[0],
        "subject": [{ "digest": { "sha256": sha256 } }],
        "predicateType": SIGNS,
        "predicate": {},
    });
    statement.to_string().into_bytes()
}

/// Whether a statement says something else than that its signer vouches. An empty text says nothing.
pub fn is_other_statement(says: &str) -> bool {
    !says.is_empty() && says != SIGNS
}

/// Checks that the signer of a statement vouches for a file by it. A scanner that has found a hole signs its statement too.
pub(super) fn check(payload: &[u8], payload_type: &str, file: SignedFile<'_>) -> Result<(), ContentError> {
    if payload_type != PAYLOAD_TYPE {
        return Err(ContentError::OtherStatement(shown(payload_type)));
    }
    let statement: Value =
        serde_json::from_slice(payload).map_err(|_| ContentError::Form("the signed statement is not JSON"))?;
    if !text(&statement, "/_type").is_some_and(|kind| STATEMENTS.contains(&kind)) {
        return Err(ContentError::Form("the signed text is not a statement of in-toto"));
    }
    let says = text(&statement, "/predicateType").unwrap_or_default();
    if says != SIGNS {
        return Err(ContentError::OtherStatement(shown(says)));
    }
    let digests: Vec<_> = list(&statement, "/subject").filter_map(|subject| text(subject, "/digest/sha256")).collect();
    match digests.contains(&file.sha256) {
        true => Ok(()),
        false => Err(ContentError::OtherFile(
            digests.first().map_or("nothing".to_owned(), |other| format!("sha256:{}", shown(other))),
        )),
    }
}
