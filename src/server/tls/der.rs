//! How is DER read (X.690)? As far as certificates need it: one value behind the other. `certificate` and
//! `distinguished_name` ask.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// A sequence of DER values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a>(pub &'a [u8]);

/// One value.
#[derive(Clone, Copy, Debug)]
pub(super) struct DerValue<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// The value as it is encoded: tag, length and content.
    pub encoded: &'a [u8],
}

impl<'a> Der<'a> {
    /// The tag of the next value.
    pub fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Takes the next value. `None` if there is none, or it is damaged.
    pub fn next(&mut self) -> Option<DerValue<'a>> {
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
        let (content, rest) = rest.split_at_checked(length)?;
        let (encoded, _) = self.0.split_at_checked(self.0.len() - rest.len())?;
        self.0 = rest;
        Some(DerValue { tag, content, encoded })
    }

    /// Takes the next value, which must have this tag.
    pub fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|value| value.tag == tag).map(|value| value.content)
    }

    /// Takes the next value if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.tag() == Some(tag) { self.value(tag) } else { None }
    }
}
