//! What does a certificate say (RFC 5280 §4.1): its version, its dates, its subject and the names of servers?
//!
//! The TLS library does not check the dates of the server's own certificate, but clients do.

use std::time::SystemTime;

use rustls_pki_types::DnsName;

use crate::server::tls::der::{Der, GENERALIZED_TIME, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, UTC_TIME};
use crate::server::tls::distinguished_name;

/// The fields of a certificate that have a tag of their own.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// The extension with the names of the server, `id-ce-subjectAltName`, and a DNS name in it.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const DNS_NAME: u8 = 0x82;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The version, 1 to 3.
    pub version: u8,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    /// The subject as text (RFC 4514).
    pub subject: String,
    /// The DNS names of the server, in lower case. One may begin with `*.`.
    pub names: Vec<String>,
}

impl Certificate {
    /// Reads a certificate. `None` if it is not one as far as it is read.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).value(SEQUENCE)?);
        let mut fields = Der(certificate.value(SEQUENCE)?);
        let version = match fields.optional(VERSION) {
            Some(version) => Der(version).value(INTEGER)?.last()?.checked_add(1)?,
            None => 1,
        };
        // The serial number, the algorithm, the issuer.
        fields.value(INTEGER)?;
        fields.value(SEQUENCE)?;
        fields.value(SEQUENCE)?;
        let mut validity = Der(fields.value(SEQUENCE)?);
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        let subject = distinguished_name::text(fields.value(SEQUENCE)?)?;
        let mut names = Vec::new();
        while let Some(field) = fields.next() {
            if field.tag == EXTENSIONS {
                names = dns_names(Der(field.content).value(SEQUENCE)?)?;
            }
        }
        Some(Self { version, not_before, not_after, subject, names })
    }

    /// Why clients refuse the certificate at a time, if its dates are the reason.
    pub fn invalid_at(&self, now: SystemTime) -> Option<String> {
        match () {
            () if now > self.not_after => Some(format!("it expired on {}", date(self.not_after))),
            () if now < self.not_before => Some(format!("it is not valid before {}", date(self.not_before))),
            () => None,
        }
    }
}

/// The day of a time, `YYYY-MM-DD`.
fn date(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.get(..10).unwrap_or_default().to_owned()
}

/// Takes the next value, which must be a time (RFC 5280 §4.1.2.5).
fn time(values: &mut Der<'_>) -> Option<SystemTime> {
    let value = values.next()?;
    let digits = std::str::from_utf8(value.content).ok()?.strip_suffix('Z')?;
    let century = match (value.tag, digits.get(..2)?.parse::<u8>().ok()?) {
        (GENERALIZED_TIME, _) => "",
        (UTC_TIME, 50..) => "19",
        (UTC_TIME, _) => "20",
        _ => return None,
    };
    let text = Some(format!("{century}{digits}")).filter(|text| text.len() == 14)?;
    // What was before the clocks of computers began is as good as their beginning.
    if text.as_str() < "1970" && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(SystemTime::UNIX_EPOCH);
    }
    let part = |range| text.get(range);
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14)?);
    humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

/// The DNS names among the extensions of a certificate.
fn dns_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut extensions = Der(extensions);
    while extensions.tag().is_some() {
        let mut extension = Der(extensions.value(SEQUENCE)?);
        if extension.value(OBJECT_IDENTIFIER)? != SUBJECT_ALT_NAME {
            continue;
        }
        // Whether the extension is critical may stand before its value.
        let value = std::iter::from_fn(|| extension.next()).find(|value| value.tag == OCTET_STRING)?;
        let mut alternatives = Der(Der(value.content).value(SEQUENCE)?);
        while alternatives.tag().is_some() {
            let alternative = alternatives.next()?;
            names.extend(Some(alternative).filter(|name| name.tag == DNS_NAME).and_then(|name| dns_name(name.content)));
        }
    }
    Some(names)
}

/// A name of a server, in the form in which names are compared. `None` for a name that no client asks for.
fn dns_name(content: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(content).ok()?.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).ok()?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use crate::server::tls::certificate::*;

    fn fixture() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/ec.cert.pem");
        CertificateDer::from_pem_file(path).expect("a certificate").to_vec()
    }

    #[test]
    fn the_fields_of_a_certificate_are_read() {
        let certificate = Certificate::parse(&fixture()).expect("a certificate");
        assert_eq!((certificate.version, certificate.subject.as_str()), (3, "CN=localhost"));
        assert_eq!(certificate.names, ["localhost"]);
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

    fn time_of(tag: u8, text: &str) -> Option<String> {
        let encoded = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        time(&mut Der(&encoded)).map(|time| humantime::format_rfc3339_seconds(time).to_string())
    }

    /// RFC 5280 §4.1.2.5
    #[test]
    fn times_have_two_or_four_digits_for_the_year() {
        for (tag, text, expected) in [
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (UTC_TIME, "700101000000Z", Some("1970-01-01T00:00:00Z")),
            (UTC_TIME, "500101000000Z", Some("1970-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59Z")),
            (GENERALIZED_TIME, "18000101000000Z", Some("1970-01-01T00:00:00Z")),
            (UTC_TIME, "491331235959Z", None),
            (UTC_TIME, "4912312359Z", None),
            (UTC_TIME, "491231235959+0100", None),
            (GENERALIZED_TIME, "é990101000000Z", None),
            (INTEGER, "491231235959Z", None),
        ] {
            assert_eq!(time_of(tag, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn names_of_servers_are_compared_in_lower_case_and_without_a_dot_at_their_end() {
        for (written, name) in [
            ("A.Example", Some("a.example")),
            ("a.example.", Some("a.example")),
            ("*.Example.org", Some("*.example.org")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("*", None),
            ("f*.example", None),
            ("*.*.example", None),
            ("a..example", None),
            ("a\0.example", None),
            ("bücher.example", None),
            ("", None),
        ] {
            assert_eq!(dns_name(written.as_bytes()).as_deref(), name, "{written:?}");
        }
    }
}
