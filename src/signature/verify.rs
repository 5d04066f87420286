//! Is one of the signatures of a file the one that is wanted?
//!
//! One that is good is enough. If none is, each has its reason.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use crate::format::hex;

use crate::signature::certificate::chain::{CODE_SIGNING, issuer};
use crate::signature::certificate::{SignerCertificate, sct};
use crate::signature::content::{AttachedSignature, ContentError, SignedFile};
use crate::signature::evidence::Evidence;
use crate::signature::json::shown;
use crate::signature::key::PublicKey;
use crate::signature::policy::{Signer, TrustPolicy, matches};
use crate::signature::trusted_root::{TrustedAuthority, TrustedRoot};
use crate::signature::witness::log_body::ExpectedEntry;
use crate::signature::witness::log_entry::{LogEntryError, LogWitness};
use crate::signature::witness::timestamp;
use crate::signature::witness::timestamp::TimestampError;

/// The bytes of a SHA-256.
const FINGERPRINT: usize = 32;

/// Why a signature is not the one that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not one of this file.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It is of another key.
    #[error("it is not of {wanted}, but of {by}")]
    OtherKey {
        /// The key that is wanted.
        wanted: String,
        /// Who says to have made it.
        by: String,
    },
    /// It is of a key, and a certificate is wanted.
    #[error("it is of a key, without a certificate that says whose")]
    NoCertificate,
    /// Its certificate cannot be read.
    #[error("its certificate is damaged")]
    Certificate,
    /// It is of another person or program.
    #[error("it is of `{found}`, and not of `{wanted}`")]
    OtherIdentity {
        /// Who has signed.
        found: String,
        /// Who should have.
        wanted: String,
    },
    /// Another issuer says who it is.
    #[error("that it is of `{identity}` says `{found}`, and not `{wanted}`")]
    OtherIssuer {
        /// Who has signed.
        identity: String,
        /// Who says so.
        found: String,
        /// Who should say so.
        wanted: String,
    },
    /// The key of the certificate did not make it.
    #[error("it is damaged: its key has not signed these bytes")]
    Damaged,
    /// The key of the certificate, or the key that is wanted, may have made it in a form that is not known.
    #[error("it is of an Ed25519 key, and damaged or in the form Ed25519ph, which wagi does not know")]
    Prehashed,
    /// No authority has issued the certificate.
    #[error("no authority in the trusted root has issued its certificate for that time")]
    UnknownAuthority,
    /// The certificate was not valid.
    #[error("it was made at {made}, and its certificate is valid from {from} to {to} only: it has expired")]
    Expired {
        /// When it was made.
        made: String,
        /// The first second.
        from: String,
        /// The last second.
        to: String,
    },
    /// No log has the certificate.
    #[error("no log in the trusted root has written down its certificate")]
    UnloggedCertificate,
    /// No log has the signature.
    #[error("no log has written it down, and the trusted root names logs")]
    Unlogged,
    /// It is not known when it was made.
    #[error("no log and no clock in the trusted root says when it was made")]
    NoTime,
    /// An entry of a log is wrong.
    #[error("{0}")]
    LogEntry(String),
    /// A timestamp is wrong.
    #[error("{0}")]
    Timestamp(String),
}

/// The keys of which one has to have signed.
fn wanted_keys(keys: &[PublicKey]) -> String {
    match keys {
        [key] => Signer::Key(key.fingerprint()).to_string(),
        _ => format!("one of the {} keys", keys.len()),
    }
}

impl From<LogEntryError> for SignatureError {
    fn from(error: LogEntryError) -> Self {
        Self::LogEntry(error.to_string())
    }
}

impl From<TimestampError> for SignatureError {
    fn from(error: TimestampError) -> Self {
        Self::Timestamp(error.to_string())
    }
}

/// Looks for the signature that is wanted. Returns who has signed, and which of the signatures it is; or why none of them is it. If
/// several keys have signed, the first that is wanted counts, in whatever order the signatures are.
pub fn verify<'e>(
    file: SignedFile<'_>,
    evidence: &'e [Evidence],
    policy: &TrustPolicy,
) -> Result<(Signer, &'e Evidence), Vec<SignatureError>> {
    let mut errors = Vec::new();
    let mut right: Option<(usize, Signer, &Evidence)> = None;
    for found in evidence {
        match verify_one(file, found, policy) {
            Ok(signer) => {
                let rank = policy.rank(&signer);
                if right.as_ref().is_none_or(|(known, ..)| rank < *known) {
                    right = Some((rank, signer, found));
                }
                if rank == 0 {
                    break;
                }
            }
            Err(error) => errors.push(error),
        }
    }
    right.map(|(_, signer, found)| (signer, found)).ok_or(errors)
}

fn verify_one(file: SignedFile<'_>, evidence: &Evidence, policy: &TrustPolicy) -> Result<Signer, SignatureError> {
    let attached = evidence.read()?;
    attached.content.check(file)?;
    let attached = Examined { file, attached: &attached };
    match policy {
        TrustPolicy::Keys { keys, root } => attached.of_key(keys, root.as_ref()),
        TrustPolicy::Identity { identity, issuer, root } => attached.of_identity(identity, issuer, root),
    }
}

/// Who says to have made a signature. Nothing of it is verified.
pub fn claimed_by(evidence: &Evidence) -> String {
    let Ok(AttachedSignature { certificate, key_hint, .. }) = evidence.read() else {
        return "a damaged signature".to_owned();
    };
    let Some(der) = certificate else {
        let fingerprint = key_hint.filter(|hint| hint.len() == FINGERPRINT);
        return fingerprint.map_or("a key".to_owned(), |fingerprint| Signer::Key(hex(&fingerprint)).to_string());
    };
    match SignerCertificate::parse(&der) {
        Ok(certificate) => {
            let (identity, issuer) = (identity(&certificate), identity_issuer(&certificate));
            Signer::Identity { identity, issuer }.to_string()
        }
        Err(_) => "a damaged certificate".to_owned(),
    }
}

fn identity(certificate: &SignerCertificate<'_>) -> String {
    certificate.identities().first().map_or("no name".to_owned(), |name| shown(name))
}

fn identity_issuer(certificate: &SignerCertificate<'_>) -> String {
    certificate.identity_issuer().map_or("no issuer".to_owned(), |name| shown(&name))
}

/// A signature of a file that is about it.
struct Examined<'a> {
    file: SignedFile<'a>,
    attached: &'a AttachedSignature,
}

impl Examined<'_> {
    fn of_key(&self, keys: &[PublicKey], root: Option<&TrustedRoot>) -> Result<Signer, SignatureError> {
        let message = self.attached.content.message(self.file);
        let key = keys.iter().find(|key| key.has_signed(&message, &self.attached.signature));
        let Some(key) = key else {
            return Err(self.other_key(keys));
        };
        if let Some(root) = root {
            self.times(root, key.spki())?;
        }
        Ok(Signer::Key(key.fingerprint()))
    }

    /// Why none of the keys has made it.
    fn other_key(&self, keys: &[PublicKey]) -> SignatureError {
        let AttachedSignature { certificate, key_hint, .. } = self.attached;
        let certificate = certificate.as_deref().and_then(|der| SignerCertificate::parse(der).ok());
        let hint = key_hint.as_ref().filter(|hint| hint.len() == FINGERPRINT).map(|hint| hex(hint));
        let by = match (certificate, hint) {
            (Some(certificate), _) => format!("`{}`", identity(&certificate)),
            (None, Some(hint)) => match keys.iter().find(|key| key.fingerprint() == hint) {
                Some(key) => return damaged(key),
                None => Signer::Key(hint).to_string(),
            },
            (None, None) if keys.iter().any(PublicKey::may_sign_prehashed) => {
                "another key, or in the form Ed25519ph, which wagi does not know".to_owned()
            }
            (None, None) => "another key".to_owned(),
        };
        SignatureError::OtherKey { wanted: wanted_keys(keys), by }
    }

    fn of_identity(&self, wanted: &str, wanted_issuer: &str, root: &TrustedRoot) -> Result<Signer, SignatureError> {
        let der = self.attached.certificate.as_deref().ok_or(SignatureError::NoCertificate)?;
        let certificate = SignerCertificate::parse(der).map_err(|_| SignatureError::Certificate)?;
        let names = certificate.identities();
        let Some(name) = names.iter().find(|name| matches(wanted, name)) else {
            return Err(SignatureError::OtherIdentity { found: identity(&certificate), wanted: wanted.to_owned() });
        };
        let found_issuer = certificate.identity_issuer().unwrap_or_default();
        if found_issuer != wanted_issuer {
            let (identity, found) = (shown(name), identity_issuer(&certificate));
            return Err(SignatureError::OtherIssuer { identity, found, wanted: wanted_issuer.to_owned() });
        }
        let message = self.attached.content.message(self.file);
        let key = PublicKey::from_spki(certificate.spki).map_err(|_| SignatureError::Certificate)?;
        if !key.has_signed(&message, &self.attached.signature) {
            return Err(damaged(&key));
        }
        for time in self.times(root, der)? {
            check_certificate(der, &certificate, root, time)?;
        }
        Ok(Signer::Identity { identity: name.clone(), issuer: found_issuer })
    }

    /// When the signature was made, by all who say so and are trusted. If the trusted root names logs, one has to have seen it.
    fn times(&self, root: &TrustedRoot, verifier: &[u8]) -> Result<Vec<u64>, SignatureError> {
        let logged = if root.signature_logs.is_empty() { Vec::new() } else { self.logged(root, verifier)? };
        let mut times: Vec<u64> = logged.iter().filter_map(|witness| witness.time).collect();
        let stamps = self.attached.timestamps.iter().filter(|_| !root.clocks.is_empty());
        let mut problem = None;
        for stamp in stamps {
            // There may be others, of clocks that are not in the trusted root.
            match timestamp::check(stamp, &self.attached.signature, &root.clocks) {
                Ok(time) => times.push(time),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        if times.is_empty() {
            return Err(problem.map_or(SignatureError::NoTime, SignatureError::from));
        }
        // A key that was retired may be known to others by now.
        match logged.iter().all(|witness| times.iter().all(|time| witness.period.has(*time))) {
            true => Ok(times),
            false => Err(LogEntryError::UnknownLog.into()),
        }
    }

    /// The trusted logs that have written it down: at least one. Others say nothing.
    fn logged(&self, root: &TrustedRoot, verifier: &[u8]) -> Result<Vec<LogWitness>, SignatureError> {
        let AttachedSignature { signature, content, entries, .. } = self.attached;
        let message = content.message(self.file);
        let expected = ExpectedEntry { signature, message: &message, payload: content.payload(), verifier };
        let mut witnesses = Vec::new();
        for entry in entries {
            match entry.check(&root.signature_logs) {
                Err(LogEntryError::UnknownLog) => {}
                Err(error) => return Err(error.into()),
                Ok(_) if !expected.is_in(&entry.body) => return Err(LogEntryError::OtherSignature.into()),
                Ok(witness) => witnesses.push(witness),
            }
        }
        match (witnesses.is_empty(), entries.is_empty()) {
            (false, _) => Ok(witnesses),
            (true, true) => Err(SignatureError::Unlogged),
            (true, false) => Err(LogEntryError::UnknownLog.into()),
        }
    }
}

/// Why a key has not made a signature that says to be of it.
fn damaged(key: &PublicKey) -> SignatureError {
    if key.may_sign_prehashed() { SignatureError::Prehashed } else { SignatureError::Damaged }
}

/// Checks that a certificate was good at a time.
fn check_certificate(
    der: &[u8],
    certificate: &SignerCertificate<'_>,
    root: &TrustedRoot,
    time: u64,
) -> Result<(), SignatureError> {
    let valid: RangeInclusive<u64> = certificate.not_before..=certificate.not_after;
    if !valid.contains(&time) {
        let [made, from, to] = [time, *valid.start(), *valid.end()].map(written);
        return Err(SignatureError::Expired { made, from, to });
    }
    let authority: &TrustedAuthority =
        issuer(der, &root.authorities, time, CODE_SIGNING).ok_or(SignatureError::UnknownAuthority)?;
    let is_logged = || sct::is_logged(certificate, authority, &root.certificate_logs);
    match root.certificate_logs.is_empty() || is_logged() {
        true => Ok(()),
        false => Err(SignatureError::UnloggedCertificate),
    }
}

/// A time as people read it.
fn written(time: u64) -> String {
    // The year 9999 is the last that can be written.
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time.min(253_402_300_799));
    humantime::format_rfc3339_seconds(time).to_string()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use crate::signature::signing::{SPKI_OF_P256, SigningKey};
    use crate::signature::verify::*;

    const FILE: SignedFile<'_> = SignedFile { bytes: b"manifest", sha256: "00" };

    /// A new key, and the bundle by which it vouches for the file.
    fn signed() -> (PublicKey, Evidence) {
        let (kind, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("random numbers");
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).expect("a key");
        let public = PublicKey::from_spki(&[SPKI_OF_P256, pair.public_key().as_ref()].concat()).expect("a key");
        let encoded = STANDARD.encode(pkcs8.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n");
        let key = SigningKey::from_pem(pem.as_bytes()).expect("a key");
        (public, Evidence::Bundle(key.sign(FILE.sha256).expect("random numbers")))
    }

    #[test]
    fn the_first_key_that_is_wanted_counts_in_whatever_order_signatures_are() {
        let [(first, by_first), (second, by_second), (_, by_other)] = [signed(), signed(), signed()];
        let policy = TrustPolicy::Keys { keys: vec![first.clone(), second.clone()], root: None };
        let signer = |evidence: &[Evidence]| verify(FILE, evidence, &policy).map(|(signer, _)| signer).ok();
        let [is_first, is_second] = [first, second].map(|key| Some(Signer::Key(key.fingerprint())));
        assert_eq!(signer(&[by_first.clone(), by_second.clone()]), is_first);
        assert_eq!(signer(&[by_other.clone(), by_second.clone(), by_first.clone()]), is_first);
        assert_eq!(signer(&[by_other.clone(), by_second.clone()]), is_second);
        assert_eq!(signer(&[by_other]), None);
        let other_file = SignedFile { sha256: "01", ..FILE };
        assert!(verify(other_file, &[by_first, by_second], &policy).is_err());
    }
}
