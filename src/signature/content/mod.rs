//! What is a signature over, and what comes with it?
//!
//! Both formats lead to the same: `simple_signing` is cosign's older one, `bundle` is Sigstore's, in which the signed text
//! may be a `statement`.

pub(in crate::signature) mod bundle;
pub(in crate::signature) mod simple_signing;
pub(in crate::signature) mod statement;

use std::borrow::Cow;

use crate::signature::witness::log_entry::LogEntry;

/// What is signed: the manifest of an artifact, or a file.
#[derive(Clone, Copy)]
pub struct SignedFile<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Their SHA-256, as hexadecimal digits.
    pub sha256: &'a str,
}

/// A signature, and what comes with it.
#[derive(Debug)]
pub(in crate::signature) struct AttachedSignature {
    pub signature: Vec<u8>,
    pub content: SignedContent,
    /// The certificate of the signer, unless it is a key that the operator has.
    pub certificate: Option<Vec<u8>>,
    /// Which key it is, as the signer says: usually its SHA-256.
    pub key_hint: Option<Vec<u8>>,
    pub entries: Vec<LogEntry>,
    /// Timestamps as clocks have sent them.
    pub timestamps: Vec<Vec<u8>>,
}

/// What a signature is over.
#[derive(Debug)]
pub(in crate::signature) enum SignedContent {
    /// A text with the digest of a manifest.
    SimpleSigning(Vec<u8>),
    /// A statement in an envelope.
    Envelope { payload: Vec<u8>, payload_type: String },
    /// The bytes of the file itself, whose digest is perhaps named.
    File { digest: Option<Vec<u8>> },
}

/// Why a signature is not one of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Form(&'static str),
    /// It is for other bytes.
    #[error("it is for {0}, and not for this module")]
    OtherFile(String),
    /// It says something else about them than that they are good.
    #[error("it says `{0}` about the module, and not that its signer vouches for it")]
    OtherStatement(String),
}

impl SignedContent {
    /// Checks that it is about a file.
    pub fn check(&self, file: SignedFile<'_>) -> Result<(), ContentError> {
        match self {
            Self::SimpleSigning(payload) => simple_signing::check(payload, file),
            Self::Envelope { payload, payload_type } => statement::check(payload, payload_type, file),
            Self::File { digest: Some(digest) } if crate::format::hex(digest) != file.sha256 => {
                Err(ContentError::OtherFile(format!("sha256:{}", crate::format::hex(digest))))
            }
            Self::File { .. } => Ok(()),
        }
    }

    /// The bytes that are signed.
    pub fn message<'a>(&'a self, file: SignedFile<'a>) -> Cow<'a, [u8]> {
        match self {
            Self::SimpleSigning(payload) => payload.into(),
            Self::Envelope { payload, payload_type } => statement::envelope(payload, payload_type).into(),
            Self::File { .. } => file.bytes.into(),
        }
    }

    /// The payload of an envelope.
    pub fn payload(&self) -> Option<&[u8]> {
        match self {
            Self::Envelope { payload, .. } => Some(payload),
            Self::SimpleSigning(_) | Self::File { .. } => None,
        }
    }
}
