//! Has a trusted authority issued a certificate, and was it valid at a time?

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring as algorithms};

use crate::signature::certificate::SignerCertificate;
use crate::signature::trusted_root::TrustedAuthority;

/// What a certificate is for: `1.3.6.1.5.5.7.3.3` and `.8`.
pub(in crate::signature) const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
pub(in crate::signature) const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

const ALGORITHMS: &[&dyn rustls_pki_types::SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
];

/// The authority that has issued `certificate` for `purpose` so that it was valid at `time`, if one of them has.
pub(in crate::signature) fn issuer<'t>(
    certificate: &[u8],
    authorities: &'t [TrustedAuthority],
    time: u64,
    purpose: &'static [u8],
) -> Option<&'t TrustedAuthority> {
    let mut trusted = authorities.iter().filter(|authority| authority.period.has(time));
    trusted.find(|authority| has_issued(authority, certificate, time, purpose))
}

fn has_issued(authority: &TrustedAuthority, certificate: &[u8], time: u64, purpose: &'static [u8]) -> bool {
    let chain: Vec<_> =
        authority.chain.iter().map(|certificate| CertificateDer::from(certificate.as_slice())).collect();
    let Some((root, intermediates)) = chain.split_last() else { return false };
    // An anchor is not asked how long it is valid.
    let is_root_valid =
        SignerCertificate::parse(root).is_ok_and(|root| (root.not_before..=root.not_after).contains(&time));
    let certificate = CertificateDer::from(certificate);
    let (Ok(anchor), Ok(leaf)) = (anchor_from_trusted_cert(root), EndEntityCert::try_from(&certificate)) else {
        return false;
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
    let usage = KeyUsage::required(purpose);
    let anchors = [anchor];
    let found = leaf.verify_for_usage(ALGORITHMS, &anchors, intermediates, time, usage, None, None);
    is_root_valid && found.is_ok()
}
