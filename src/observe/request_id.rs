//! How is the id of a request written?
//!
//! As 16 hexadecimal digits: in the log, in REQUEST_ID and in X-Request-Id. `gateway` gives each request its number, which no
//! other request of this server has.

/// The id of a request: its number, with its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    number: u64,
    digits: [u8; 16],
}

impl RequestId {
    /// The id with this number.
    pub fn new(number: u64) -> Self {
        let digit = |place: usize| b"0123456789abcdef"[(number >> (60 - 4 * place)) as usize & 15];
        Self { number, digits: std::array::from_fn(digit) }
    }

    /// The id that is written so.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| is_id).map(Self::new)
    }

    /// The number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::request_id::*;

    #[test]
    fn an_id_is_16_hexadecimal_digits() {
        for number in [0, 0xabc, 0x5c1f_3a92_0000_0000, u64::MAX] {
            assert_eq!(RequestId::new(number).as_str(), format!("{number:016x}"));
            assert_eq!(RequestId::new(number).number(), number);
            assert_eq!(RequestId::parse(RequestId::new(number).as_str()), Some(RequestId::new(number)));
        }
        for text in ["", "abc", "+00000000000000a", "000000000000000g", "00000000000000001", "0000000000000é"] {
            assert_eq!(RequestId::parse(text), None, "{text}");
        }
    }
}
