//! Which parameters does a request have? Pairs of a name and a value (FastCGI 1.0 §3.4).

use bytes::{Buf, Bytes};

use crate::fastcgi::BadInput;

/// The most parameters of one request. Web servers send about 30, and one for each header field.
const MAX_PARAMETERS: usize = 512;

/// The parameters of a request, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(Bytes, Bytes)>);

impl Parameters {
    /// Reads pairs with their lengths.
    pub(super) fn read(mut bytes: Bytes) -> Result<Self, BadInput> {
        let mut parameters = Self::default();
        while !bytes.is_empty() {
            let (name, value) = (length(&mut bytes)?, length(&mut bytes)?);
            if bytes.len().checked_sub(name).is_none_or(|rest| rest < value) {
                return Err(BadInput::Malformed);
            }
            let pair = (bytes.split_to(name), bytes.split_to(value));
            parameters.push(pair.0, pair.1)?;
        }
        Ok(parameters)
    }

    pub(super) fn push(&mut self, name: Bytes, value: Bytes) -> Result<(), BadInput> {
        if self.0.len() == MAX_PARAMETERS {
            return Err(BadInput::TooLong);
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The value of the last parameter of this name, if it is not empty. Web servers send standard parameters first, and then those of
    /// their operator.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().rev().find(|(found, _)| found == name.as_bytes());
        found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// CONTENT_LENGTH, if it is a number.
    pub(super) fn content_length(&self) -> Option<u64> {
        let text = self.text("CONTENT_LENGTH")?;
        text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The same as text without control characters.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.value(name)?).ok()?;
        (!text.contains(char::is_control)).then_some(text)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// A length: one byte up to 127, else four.
fn length(bytes: &mut Bytes) -> Result<usize, BadInput> {
    let first = *bytes.first().ok_or(BadInput::Malformed)?;
    if first < 0x80 {
        bytes.advance(1);
        return Ok(usize::from(first));
    }
    let long = bytes.try_get_u32().map_err(|_| BadInput::Malformed)?;
    usize::try_from(long & 0x7fff_ffff).map_err(|_| BadInput::Malformed)
}
