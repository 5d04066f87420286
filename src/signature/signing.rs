//! How is a module signed?
//!
//! With a private key on an elliptic curve, as cosign makes them: over a statement with the digest of the manifest, in a bundle.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};

use crate::signature::content::{bundle, statement};
use crate::signature::key::pem_section;

/// The `SubjectPublicKeyInfo` of a key on P-256, before the key itself.
pub(in crate::signature) const SPKI_OF_P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A private key that can sign modules.
pub struct SigningKey(EcdsaKeyPair);

/// Why a key cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// It is of no text form that is known.
    #[error("it has no `-----BEGIN PRIVATE KEY-----`")]
    NoPem,
    /// It is in the form that OpenSSL wrote formerly.
    #[error("its key is in an older form, `EC PRIVATE KEY`")]
    Older,
    /// It is encrypted.
    #[error("its key is encrypted with a password")]
    Encrypted,
    /// It is of another kind, or damaged.
    #[error("its key is damaged, or none of ECDSA with P-256")]
    Unknown,
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl SigningKey {
    /// Reads a file with `-----BEGIN PRIVATE KEY-----`.
    pub fn from_pem(text: &[u8]) -> Result<Self, SigningKeyError> {
        let text = std::str::from_utf8(text).map_err(|_| SigningKeyError::NoPem)?;
        let key = match pem_section(text, "PRIVATE KEY") {
            Some(key) => key.ok_or(SigningKeyError::Unknown)?,
            None if text.contains("-----BEGIN ENCRYPTED ") => return Err(SigningKeyError::Encrypted),
            None if text.contains("-----BEGIN EC PRIVATE KEY-----") => return Err(SigningKeyError::Older),
            None => return Err(SigningKeyError::NoPem),
        };
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key, &SystemRandom::new());
        key.map(Self).map_err(|_| SigningKeyError::Unknown)
    }

    /// The bundle by which the key vouches for the manifest with this SHA-256.
    pub fn sign(&self, sha256: &str) -> Result<Vec<u8>, SigningKeyError> {
        let statement = statement::signing(sha256);
        let message = statement::envelope(&statement, statement::PAYLOAD_TYPE);
        let signature = self.0.sign(&SystemRandom::new(), &message).map_err(|_| SigningKeyError::Random)?;
        let spki = [SPKI_OF_P256, self.0.public_key().as_ref()].concat();
        Ok(bundle::write(&statement, signature.as_ref(), &STANDARD.encode(Sha256::digest(spki))))
    }
}

impl SigningKeyError {
    /// What the operator can do about it.
    pub fn help(self) -> Option<&'static str> {
        match self {
            Self::Encrypted => Some(
                "wagi signs with keys without a password: make one with `openssl genpkey -algorithm EC -pkeyopt \
                 ec_paramgen_curve:P-256 -out sign.key`; with a key of cosign, push without `--sign-key`, and then \
                 `cosign sign --key cosign.key REFERENCE`",
            ),
            Self::Older => Some("write it anew: `openssl pkcs8 -topk8 -nocrypt -in OLD.key -out NEW.key`"),
            _ => None,
        }
    }
}
