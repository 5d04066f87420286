//! Which public key is it, and has it made a signature?

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::format::sha256_hex;

use crate::signature::der::{BIT_STRING, DerElement, OBJECT_ID, SEQUENCE};

/// The object ids of the kinds of keys, and of the curves.
const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// What may have been done to a message to sign it, for each kind of key.
const WITH_P256: &[&dyn VerificationAlgorithm] =
    &[&signature::ECDSA_P256_SHA256_ASN1, &signature::ECDSA_P256_SHA384_ASN1];
const WITH_P384: &[&dyn VerificationAlgorithm] =
    &[&signature::ECDSA_P384_SHA384_ASN1, &signature::ECDSA_P384_SHA256_ASN1];
const WITH_ED25519: &[&dyn VerificationAlgorithm] = &[&signature::ED25519];
const WITH_RSA: &[&dyn VerificationAlgorithm] = &[
    &signature::RSA_PKCS1_2048_8192_SHA256,
    &signature::RSA_PKCS1_2048_8192_SHA384,
    &signature::RSA_PKCS1_2048_8192_SHA512,
];

/// A public key that can check signatures.
#[derive(Clone)]
pub struct PublicKey {
    /// Its `SubjectPublicKeyInfo`.
    spki: Vec<u8>,
    /// The key alone, as `ring` takes it.
    key: Vec<u8>,
    kind: KeyKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    P256,
    P384,
    /// Of its two forms the plain one: `ring` has no Ed25519ph.
    Ed25519,
    Rsa,
}

impl KeyKind {
    fn algorithms(self) -> &'static [&'static dyn VerificationAlgorithm] {
        match self {
            Self::P256 => WITH_P256,
            Self::P384 => WITH_P384,
            Self::Ed25519 => WITH_ED25519,
            Self::Rsa => WITH_RSA,
        }
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is of no text form that is known.
    #[error("it has no `-----BEGIN PUBLIC KEY-----`")]
    NoPem,
    /// It is damaged.
    #[error("the key in it is damaged")]
    Damaged,
    /// Its kind is unknown.
    #[error("the key in it is none of ECDSA with P-256 or P-384, Ed25519, and RSA")]
    Unknown,
    /// It is secret.
    #[error("it is a private key, and the public one is wanted")]
    Private,
}

impl PublicKey {
    /// Reads a file with `-----BEGIN PUBLIC KEY-----`.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::NoPem)?;
        match pem_section(text, "PUBLIC KEY") {
            Some(spki) => Self::from_spki(&spki.ok_or(KeyError::Damaged)?),
            None if text.contains("PRIVATE KEY-----") => Err(KeyError::Private),
            None => Err(KeyError::NoPem),
        }
    }

    /// Reads a `SubjectPublicKeyInfo`.
    pub(in crate::signature) fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let parse = || {
            let mut fields = DerElement::only(spki, SEQUENCE)?.elements();
            let mut algorithm = fields.tagged(SEQUENCE)?.elements();
            let kind = algorithm.tagged(OBJECT_ID)?.body;
            let curve = algorithm.optional(OBJECT_ID)?.map(|curve| curve.body);
            Ok((kind, curve, fields.tagged(BIT_STRING)?.bits()?))
        };
        let (kind, curve, key) = parse().map_err(|_: crate::signature::der::DerError| KeyError::Damaged)?;
        let kind = match (kind, curve) {
            (ELLIPTIC, Some(P256)) => KeyKind::P256,
            (ELLIPTIC, Some(P384)) => KeyKind::P384,
            (ED25519, None) => KeyKind::Ed25519,
            (RSA, None) => KeyKind::Rsa,
            _ => return Err(KeyError::Unknown),
        };
        Ok(Self { spki: spki.to_owned(), key: key.to_owned(), kind })
    }

    /// Whether the key has signed the message.
    pub(in crate::signature) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let accepts = |algorithm: &&'static dyn VerificationAlgorithm| {
            UnparsedPublicKey::new(*algorithm, &self.key).verify(message, signature).is_ok()
        };
        self.kind.algorithms().iter().any(accepts)
    }

    /// Whether it may have made a signature in a form that is not known here.
    pub(in crate::signature) fn may_sign_prehashed(&self) -> bool {
        self.kind == KeyKind::Ed25519
    }

    /// The `SubjectPublicKeyInfo`.
    pub(in crate::signature) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The SHA-256 of the `SubjectPublicKeyInfo`, by which people compare keys.
    pub fn fingerprint(&self) -> String {
        sha256_hex(&self.spki)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(sha256:{})", self.fingerprint())
    }
}

/// The bytes of the first section of a PEM file with this title. `None` if there is none, and `Some(None)` if it is damaged.
pub(in crate::signature) fn pem_section(text: &str, title: &str) -> Option<Option<Vec<u8>>> {
    let (_, after) = text.split_once(&format!("-----BEGIN {title}-----"))?;
    let body = after.split_once(&format!("-----END {title}-----")).map(|(body, _)| body);
    let digits = body.map(|body| body.split_ascii_whitespace().collect::<String>());
    Some(digits.and_then(|digits| STANDARD.decode(digits).ok()))
}

#[cfg(test)]
mod tests {
    use crate::signature::key::*;

    /// A key that OpenSSL made.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEm2Q7EeoveQiXlf2x0+AZMkOZxP72\n7KVfOaQgWt4N/pE53fB+gD1uBBNwDIC9YOASRmcs/tYMoB2lEGO3B/F2Fg==\n-----END PUBLIC KEY-----\n";

    #[test]
    fn a_key_is_read_whatever_is_around_it() {
        let key = PublicKey::from_pem(PEM.as_bytes()).expect("a key");
        let again = PublicKey::from_pem(format!("a comment\n{}", PEM.replace('\n', "\r\n")).as_bytes()).expect("a key");
        assert_eq!(key.fingerprint(), again.fingerprint());
        assert!(!key.has_signed(b"message", b"signature") && !key.has_signed(b"", b""));
    }

    /// RFC 8032, section 7.1, the second test.
    #[test]
    fn ed25519_is_known_in_its_plain_form() {
        let bytes = |digits: &str| -> Vec<u8> {
            let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
            pairs.map(|pair| u8::from_str_radix(pair, 16).expect("digits")).collect()
        };
        let key = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let key = PublicKey::from_spki(&[&bytes("302a300506032b6570032100")[..], &key].concat()).expect("a key");
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert!(key.has_signed(&[0x72], &bytes(signature)) && !key.has_signed(&[0x73], &bytes(signature)));
        assert!(key.may_sign_prehashed());
        assert!(!PublicKey::from_pem(PEM.as_bytes()).expect("a key").may_sign_prehashed());
    }

    #[test]
    fn what_is_no_public_key_is_refused_with_the_reason() {
        let private = PEM.replace("PUBLIC", "PRIVATE");
        let cut = PEM.replace("-----END", "----END");
        let other = PEM.replace("KoZIzj0DAQcD", "KoZIzj0DAQYD");
        for (text, expected) in [
            ("", KeyError::NoPem),
            (&private, KeyError::Private),
            (&cut, KeyError::Damaged),
            (&PEM.replace("MFkw", "MFww"), KeyError::Damaged),
            (&other, KeyError::Unknown),
        ] {
            assert_eq!(PublicKey::from_pem(text.as_bytes()).err(), Some(expected), "{text}");
        }
        assert_eq!(PublicKey::from_pem(b"\xff").err(), Some(KeyError::NoPem));
    }
}
