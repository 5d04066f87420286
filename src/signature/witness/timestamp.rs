//! When was a signature stamped by a trusted clock? RFC 3161.
//!
//! A timestamp is the response of the clock: a digest of the signature and the time, in a signed message (RFC 5652).

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::signature::certificate::SignerCertificate;
use crate::signature::certificate::chain::{TIME_STAMPING, issuer};
use crate::signature::der::{CONTEXT_0, DerElement, DerError, INTEGER, OBJECT_ID, OCTET_STRING, SEQUENCE, SET, encode};
use crate::signature::key::PublicKey;
use crate::signature::trusted_root::TrustedAuthority;

/// The object ids of a signed message, of what a clock says, and of two of the attributes that are signed.
const SIGNED_MESSAGE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TIMESTAMP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];

/// The begin of the object ids of SHA-2, and the last bytes of the three that are used.
const SHA_2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// Why a timestamp says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::signature) enum TimestampError {
    #[error("its timestamp is damaged")]
    Damaged,
    #[error("its timestamp is for another signature")]
    OtherSignature,
    #[error("its timestamp is from a clock that is not trusted")]
    UnknownClock,
}

impl From<DerError> for TimestampError {
    fn from(_: DerError) -> Self {
        Self::Damaged
    }
}

/// A timestamp, as slices of its bytes.
struct ClockTimestamp<'a> {
    /// What the clock says.
    content: &'a [u8],
    /// The issuer and the serial number of the clock's certificate.
    signer: (&'a [u8], &'a [u8]),
    digest_algorithm: &'a [u8],
    attributes: DerElement<'a>,
    signature: &'a [u8],
}

/// Checks that one of the clocks has stamped the signature, and returns when, in seconds since 1970.
pub(in crate::signature) fn check(
    response: &[u8],
    signature: &[u8],
    clocks: &[TrustedAuthority],
) -> Result<u64, TimestampError> {
    let timestamp = ClockTimestamp::parse(response)?;
    let (time, algorithm, stamped) = read_content(timestamp.content)?;
    if digest(algorithm, signature)? != stamped {
        return Err(TimestampError::OtherSignature);
    }
    timestamp.check_attributes()?;
    // What is signed is the set, and not the tag that stands for it in the message.
    let message = encode(SET, timestamp.attributes.body);
    let is_right = |clock: &&TrustedAuthority| {
        let Some((first, _)) = clock.chain.split_first() else { return false };
        let Ok(certificate) = SignerCertificate::parse(first) else { return false };
        let has_signed = |key: PublicKey| key.has_signed(&message, timestamp.signature);
        (certificate.issuer, certificate.serial) == timestamp.signer
            && issuer(first, std::slice::from_ref(clock), time, TIME_STAMPING).is_some()
            && PublicKey::from_spki(certificate.spki).is_ok_and(has_signed)
    };
    clocks.iter().find(is_right).map(|_| time).ok_or(TimestampError::UnknownClock)
}

impl<'a> ClockTimestamp<'a> {
    fn parse(response: &'a [u8]) -> Result<Self, DerError> {
        let mut response = DerElement::only(response, SEQUENCE)?.elements();
        // Granted, perhaps with changes.
        is(matches!(response.tagged(SEQUENCE)?.elements().tagged(INTEGER)?.body, [0 | 1]))?;
        let mut token = response.tagged(SEQUENCE)?.elements();
        is(token.tagged(OBJECT_ID)?.body == SIGNED_MESSAGE)?;
        let mut message = DerElement::only(token.tagged(CONTEXT_0)?.body, SEQUENCE)?.elements();
        message.tagged(INTEGER)?;
        message.tagged(SET)?;
        let mut content = message.tagged(SEQUENCE)?.elements();
        is(content.tagged(OBJECT_ID)?.body == TIMESTAMP)?;
        let content = DerElement::only(content.tagged(CONTEXT_0)?.body, OCTET_STRING)?.body;
        // The signers come last, after certificates and revocations.
        let signers = message.all()?.pop().filter(|last| last.tag == SET).ok_or(DerError)?;
        let mut signer = DerElement::only(signers.body, SEQUENCE)?.elements();
        signer.tagged(INTEGER)?;
        let mut id = signer.tagged(SEQUENCE)?.elements();
        let id = (id.tagged(SEQUENCE)?.whole, id.tagged(INTEGER)?.body);
        let digest_algorithm = signer.tagged(SEQUENCE)?.elements().tagged(OBJECT_ID)?.body;
        let attributes = signer.tagged(CONTEXT_0)?;
        signer.tagged(SEQUENCE)?;
        let signature = signer.tagged(OCTET_STRING)?.body;
        Ok(Self { content, signer: id, digest_algorithm, attributes, signature })
    }

    /// Whether the signed attributes are about the content.
    fn check_attributes(&self) -> Result<(), DerError> {
        is(self.attribute(CONTENT_TYPE, OBJECT_ID)? == TIMESTAMP)?;
        is(self.attribute(MESSAGE_DIGEST, OCTET_STRING)? == digest(self.digest_algorithm, self.content)?)
    }

    /// The only value of the only attribute with this id.
    fn attribute(&self, id: &[u8], tag: u8) -> Result<&'a [u8], DerError> {
        let mut values = Vec::new();
        for attribute in self.attributes.elements().all()? {
            let mut fields = attribute.elements();
            if fields.tagged(OBJECT_ID)?.body == id {
                values.push(DerElement::only(fields.tagged(SET)?.body, tag)?.body);
            }
        }
        match values[..] {
            [value] => Ok(value),
            _ => Err(DerError),
        }
    }
}

/// What a clock says: the time, and the digest of what it has stamped, with the algorithm.
fn read_content(content: &[u8]) -> Result<(u64, &[u8], &[u8]), DerError> {
    let mut fields = DerElement::only(content, SEQUENCE)?.elements();
    fields.tagged(INTEGER)?;
    fields.tagged(OBJECT_ID)?;
    let mut stamped = fields.tagged(SEQUENCE)?.elements();
    let algorithm = stamped.tagged(SEQUENCE)?.elements().tagged(OBJECT_ID)?.body;
    let stamped = stamped.tagged(OCTET_STRING)?.body;
    fields.tagged(INTEGER)?;
    Ok((fields.any()?.time()?, algorithm, stamped))
}

fn digest(algorithm: &[u8], bytes: &[u8]) -> Result<Vec<u8>, DerError> {
    match algorithm.strip_prefix(SHA_2) {
        Some([1]) => Ok(Sha256::digest(bytes).to_vec()),
        Some([2]) => Ok(Sha384::digest(bytes).to_vec()),
        Some([3]) => Ok(Sha512::digest(bytes).to_vec()),
        _ => Err(DerError),
    }
}

fn is(condition: bool) -> Result<(), DerError> {
    condition.then_some(()).ok_or(DerError)
}
