//! Is a certificate written down in a trusted log?
//!
//! The log promises it with a signature, the signed certificate timestamp, which is in the certificate itself (RFC 6962). It is over
//! the certificate without that part.

use sha2::{Digest as _, Sha256};

use crate::signature::certificate::{Extension, SignerCertificate};
use crate::signature::der::{CONTEXT_3, DerElement, DerError, OCTET_STRING, SEQUENCE, encode};
use crate::signature::trusted_root::{TrustedAuthority, TrustedLog};

/// The extension with the timestamps: `1.3.6.1.4.1.11129.2.4.2`.
const TIMESTAMPS: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];

/// How many timestamps are looked at. A certificate has one or two.
const MAX_TIMESTAMPS: usize = 16;

/// What a log promises with one timestamp.
struct CertificateTimestamp<'a> {
    log: &'a [u8],
    /// In milliseconds since 1970.
    time: [u8; 8],
    extensions: &'a [u8],
    signature: &'a [u8],
}

/// Whether one of the logs has promised to write down the certificate, which one of the authority's certificates has issued.
pub(in crate::signature) fn is_logged(
    certificate: &SignerCertificate<'_>,
    authority: &TrustedAuthority,
    logs: &[TrustedLog],
) -> bool {
    let Some(list) = certificate.extension(TIMESTAMPS) else { return false };
    let (Ok(timestamps), Ok(signed)) = (timestamps(list), without_timestamps(certificate)) else { return false };
    let issuers = authority.chain.iter().filter_map(|issuer| SignerCertificate::parse(issuer).ok());
    let issuers: Vec<_> = issuers.filter(|issuer| issuer.subject == certificate.issuer).collect();
    timestamps.iter().any(|timestamp| {
        let time = u64::from_be_bytes(timestamp.time) / 1_000;
        let logs = logs.iter().filter(|log| log.id == timestamp.log && log.period.has(time));
        logs.into_iter().any(|log| {
            let is_right = |issuer: &SignerCertificate<'_>| {
                log.key.has_signed(&message(timestamp, issuer, &signed), timestamp.signature)
            };
            issuers.iter().any(is_right)
        })
    })
}

/// What a log has signed.
fn message(timestamp: &CertificateTimestamp<'_>, issuer: &SignerCertificate<'_>, signed: &[u8]) -> Vec<u8> {
    // Version 1, a timestamp of a certificate; then its time; then the kind of the entry, a certificate before its end.
    let mut message = vec![0, 0];
    message.extend(timestamp.time);
    message.extend([0, 1]);
    message.extend(Sha256::digest(issuer.spki));
    message.extend(&(signed.len() as u64).to_be_bytes()[5..]);
    message.extend(signed);
    message.extend(&(timestamp.extensions.len() as u64).to_be_bytes()[6..]);
    message.extend(timestamp.extensions);
    message
}

/// The signed part of a certificate, without the extension with the timestamps.
fn without_timestamps(certificate: &SignerCertificate<'_>) -> Result<Vec<u8>, DerError> {
    let is_kept = |extension: &&Extension<'_>| extension.id != TIMESTAMPS;
    let extensions = certificate.extensions.iter().filter(is_kept).flat_map(|extension| extension.whole);
    let extensions: Vec<u8> = extensions.copied().collect();
    let mut body = Vec::new();
    for field in certificate.tbs.all()? {
        match field.tag {
            CONTEXT_3 => body.extend(encode(CONTEXT_3, &encode(SEQUENCE, &extensions))),
            _ => body.extend(field.whole),
        }
    }
    Ok(encode(SEQUENCE, &body))
}

/// Reads the list of timestamps, which is encoded as TLS does it: lengths of two bytes before each part.
fn timestamps(extension: &[u8]) -> Result<Vec<CertificateTimestamp<'_>>, DerError> {
    let mut list = DerElement::only(extension, OCTET_STRING)?.body;
    let mut list = sized(&mut list)?;
    let mut timestamps = Vec::new();
    while !list.is_empty() && timestamps.len() < MAX_TIMESTAMPS {
        let mut rest = sized(&mut list)?;
        let [version] = taken(&mut rest)?;
        let log = rest.split_off(..32).ok_or(DerError)?;
        let time = taken(&mut rest)?;
        let extensions = sized(&mut rest)?;
        // Which hash and which kind of key follows from the key of the log.
        let [_, _] = taken(&mut rest)?;
        let signature = sized(&mut rest)?;
        if version == 0 {
            timestamps.push(CertificateTimestamp { log, time, extensions, signature });
        }
    }
    Ok(timestamps)
}

fn taken<const LENGTH: usize>(bytes: &mut &[u8]) -> Result<[u8; LENGTH], DerError> {
    let taken = bytes.split_off(..LENGTH).ok_or(DerError)?;
    taken.try_into().map_err(|_| DerError)
}

/// Takes a length of two bytes, and as many bytes.
fn sized<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], DerError> {
    let length = u16::from_be_bytes(taken(bytes)?);
    bytes.split_off(..usize::from(length)).ok_or(DerError)
}
