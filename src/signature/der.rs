//! How is DER read, and written?
//!
//! Certificates and timestamps are trees of elements, each with a tag and a length. Bytes in, slices of them out; no element is
//! read further than its length.

use std::time::{Duration, SystemTime};

pub(in crate::signature) const INTEGER: u8 = 0x02;
pub(in crate::signature) const BIT_STRING: u8 = 0x03;
pub(in crate::signature) const OCTET_STRING: u8 = 0x04;
pub(in crate::signature) const OBJECT_ID: u8 = 0x06;
pub(in crate::signature) const UTF8_STRING: u8 = 0x0c;
pub(in crate::signature) const BOOLEAN: u8 = 0x01;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
pub(in crate::signature) const SEQUENCE: u8 = 0x30;
pub(in crate::signature) const SET: u8 = 0x31;
/// `[0]` and `[3]`, with elements in them.
pub(in crate::signature) const CONTEXT_0: u8 = 0xa0;
pub(in crate::signature) const CONTEXT_3: u8 = 0xa3;

/// The low bits of a tag that goes on in the next byte. None of the tags read here does.
const LONG_TAG: u8 = 0x1f;

/// The bytes are not the DER that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not encoded as it should be")]
pub(in crate::signature) struct DerError;

/// An element, with its tag and length and without.
#[derive(Clone, Copy, Debug)]
pub(in crate::signature) struct DerElement<'a> {
    pub tag: u8,
    pub body: &'a [u8],
    pub whole: &'a [u8],
}

impl<'a> DerElement<'a> {
    /// The only element of some bytes.
    pub fn only(bytes: &'a [u8], tag: u8) -> Result<Self, DerError> {
        let mut elements = Elements(bytes);
        let element = elements.tagged(tag)?;
        elements.0.is_empty().then_some(element).ok_or(DerError)
    }

    /// The elements inside of it.
    pub fn elements(&self) -> Elements<'a> {
        Elements(self.body)
    }

    /// Returns the bytes of a bit string of whole bytes.
    pub fn bits(&self) -> Result<&'a [u8], DerError> {
        match self.body.split_first() {
            Some((0, bytes)) if self.tag == BIT_STRING => Ok(bytes),
            _ => Err(DerError),
        }
    }

    /// Returns the time that it says, in seconds since 1970.
    pub fn time(&self) -> Result<u64, DerError> {
        let text = std::str::from_utf8(self.body).map_err(|_| DerError)?;
        let text = text.strip_suffix('Z').ok_or(DerError)?;
        let year = match self.tag {
            // RFC 5280, section 4.1.2.5.1: two digits are a year from 1950 to 2049.
            UTC_TIME => format!("{}{}", if text.get(..1).ok_or(DerError)? < "5" { "20" } else { "19" }, text),
            GENERALIZED_TIME => text.split('.').next().unwrap_or_default().to_owned(),
            _ => return Err(DerError),
        };
        let part = |from: usize, to: usize| year.get(from..to).ok_or(DerError);
        let written = format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0, 4)?,
            part(4, 6)?,
            part(6, 8)?,
            part(8, 10)?,
            part(10, 12)?,
            part(12, 14)?
        );
        unix_time(&written).filter(|_| year.len() == 14).ok_or(DerError)
    }
}

/// The seconds since 1970 of a time such as `2026-11-29T12:00:00Z`.
pub(in crate::signature) fn unix_time(text: &str) -> Option<u64> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(SystemTime::UNIX_EPOCH);
    since.ok().as_ref().map(Duration::as_secs)
}

/// Elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(in crate::signature) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next element, whatever it is.
    pub fn any(&mut self) -> Result<DerElement<'a>, DerError> {
        let [tag, first, rest @ ..] = self.0 else { return Err(DerError) };
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x0f)).ok_or(DerError)?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return Err(DerError),
        };
        let (body, rest) = rest.split_at_checked(length).ok_or(DerError)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        (tag & LONG_TAG != LONG_TAG).then_some(DerElement { tag: *tag, body, whole }).ok_or(DerError)
    }

    /// Takes the next element, which has to have a tag.
    pub fn tagged(&mut self, tag: u8) -> Result<DerElement<'a>, DerError> {
        self.any().and_then(|element| (element.tag == tag).then_some(element).ok_or(DerError))
    }

    /// Takes the next element if it has a tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<DerElement<'a>>, DerError> {
        match self.0.first() {
            Some(found) if *found == tag => self.any().map(Some),
            _ => Ok(None),
        }
    }

    /// Takes all that are left.
    pub fn all(mut self) -> Result<Vec<DerElement<'a>>, DerError> {
        let mut all = Vec::new();
        while !self.is_empty() {
            all.push(self.any()?);
        }
        Ok(all)
    }
}

/// The element with this tag and content.
pub(in crate::signature) fn encode(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match u8::try_from(body.len()) {
        Ok(length @ 0..=0x7f) => element.push(length),
        _ => {
            let digits: Vec<u8> = body.len().to_be_bytes().into_iter().skip_while(|digit| *digit == 0).collect();
            // A length has at most eight digits.
            element.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            element.extend(digits);
        }
    }
    element.extend(body);
    element
}

#[cfg(test)]
mod tests {
    use crate::signature::der::*;

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let body = vec![7; length];
            let written = encode(OCTET_STRING, &body);
            let read = DerElement::only(&written, OCTET_STRING).expect("an element");
            assert_eq!((read.body, read.whole), (&body[..], &written[..]));
            for cut in 0..written.len().min(70_000) {
                assert!(DerElement::only(&written[..cut], OCTET_STRING).is_err(), "{length} {cut}");
            }
        }
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [
            &[0x30][..],
            &[0x30, 0x80],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 1],
            &[0x1f, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(Elements(bytes).any().is_err(), "{bytes:?}");
        }
        assert!(DerElement::only(&[4, 0, 0], OCTET_STRING).is_err(), "something follows");
    }

    #[test]
    fn times_are_read_in_both_forms() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000001Z", Some(1)),
            (UTC_TIME, "261129120000Z", Some(1_795_953_600)),
            (GENERALIZED_TIME, "20261129120000Z", Some(1_795_953_600)),
            (GENERALIZED_TIME, "20261129120000.123Z", Some(1_795_953_600)),
            (GENERALIZED_TIME, "20261129120000", None),
            (GENERALIZED_TIME, "20261329120000Z", None),
            (UTC_TIME, "1Z", None),
            (UTC_TIME, "é61129120000Z", None),
            (INTEGER, "261129120000Z", None),
        ] {
            let element = encode(tag, text.as_bytes());
            assert_eq!(DerElement::only(&element, tag).and_then(|element| element.time()).ok(), expected, "{text}");
        }
    }
}
