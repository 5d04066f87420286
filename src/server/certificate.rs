//! When is a certificate valid, and of which version is it?
//!
//! The TLS library does not check the dates of the server's own certificate, but clients do. This file reads only the few fields
//! at the start of a certificate (RFC 5280 §4.1).

use std::time::SystemTime;

/// The tags of DER that a certificate begins with.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What the start of a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The version, 1 to 3.
    pub version: u8,
    not_before: Time,
    not_after: Time,
}

/// A point in time as `YYYYMMDDhhmmss`, UTC, so that texts compare as times do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Time(String);

impl Certificate {
    /// Reads the start of a certificate. `None` if it is not the start of one.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).value(SEQUENCE)?);
        let mut fields = Der(certificate.value(SEQUENCE)?);
        let version = match fields.0.first()? {
            &VERSION => Der(fields.value(VERSION)?).value(INTEGER)?.last()?.checked_add(1)?,
            _ => 1,
        };
        // The serial number, the algorithm, the issuer.
        fields.value(INTEGER)?;
        fields.value(SEQUENCE)?;
        fields.value(SEQUENCE)?;
        let mut validity = Der(fields.value(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        Some(Self { version, not_before, not_after })
    }

    /// Why clients refuse the certificate at a time, if its dates are the reason.
    pub fn invalid_at(&self, now: SystemTime) -> Option<String> {
        let now = Time::of(now);
        match () {
            () if now > self.not_after => Some(format!("it expired on {}", self.not_after.date())),
            () if now < self.not_before => Some(format!("it is not valid before {}", self.not_before.date())),
            () => None,
        }
    }
}

impl Time {
    fn of(time: SystemTime) -> Self {
        let text = humantime::format_rfc3339_seconds(time).to_string();
        Self(text.chars().filter(char::is_ascii_digit).collect())
    }

    fn date(&self) -> String {
        let part = |range| self.0.get(range).unwrap_or_default();
        format!("{}-{}-{}", part(0..4), part(4..6), part(6..8))
    }
}

/// A sequence of DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Takes the next value and its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Up to four bytes of length: more than any certificate has.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// Takes the next value, which must have this tag.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    fn time(&mut self) -> Option<Time> {
        let (tag, value) = self.next()?;
        let digits = std::str::from_utf8(value).ok()?.strip_suffix('Z')?;
        let century = match (tag, digits.get(..2)?.parse::<u8>().ok()?) {
            (GENERALIZED_TIME, _) => "",
            (UTC_TIME, 50..) => "19",
            (UTC_TIME, _) => "20",
            _ => return None,
        };
        Some(Time(format!("{century}{digits}"))).filter(|time| time.0.len() == 14)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use crate::server::certificate::*;

    fn fixture() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ec.cert.pem");
        CertificateDer::from_pem_file(path).expect("a certificate").to_vec()
    }

    #[test]
    fn the_dates_and_the_version_of_a_certificate_are_read() {
        let certificate = Certificate::parse(&fixture()).expect("a certificate");
        assert_eq!(certificate.version, 3);
        assert!(certificate.not_before < certificate.not_after);
        assert_eq!(certificate.invalid_at(SystemTime::now()), None);
        assert!(certificate.invalid_at(SystemTime::UNIX_EPOCH).is_some_and(|why| why.contains("not valid before 20")));
        let late = SystemTime::now() + Duration::from_secs(7_000 * 365 * 24 * 3_600);
        assert!(certificate.invalid_at(late).is_some_and(|why| why.contains("expired on ")));
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_no_certificate_and_no_panic() {
        let whole = fixture();
        for end in 0..whole.len() {
            assert_eq!(Certificate::parse(&whole[..end]), None, "{end}");
        }
        let mut damaged = whole;
        for at in 0..damaged.len() {
            for value in [0, 0x7f, 0x80, 0x84, 0xff] {
                let before = std::mem::replace(&mut damaged[at], value);
                let _ = Certificate::parse(&damaged);
                damaged[at] = before;
            }
        }
    }
}
