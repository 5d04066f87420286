//! How are arguments and environment variables laid out for a guest?
//!
//! WASI passes both as NUL-terminated strings laid end to end, with one pointer per string, and they are built in that
//! layout: `cgi` writes a block once per request, `runtime` copies it into the guest in one call.

use std::fmt;

/// NUL-terminated strings laid end to end in one buffer.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StringBlock {
    bytes: Vec<u8>,
    /// The starts of all strings but the first, which starts at 0: most guests have one argument.
    later_starts: Vec<u32>,
}

impl StringBlock {
    /// An empty block with the capacity for `strings` strings of `bytes` bytes together.
    pub fn with_capacity(strings: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), later_starts: Vec::with_capacity(strings.saturating_sub(1)) }
    }

    /// Appends one string. It must hold no NUL, at which a guest would see it end.
    #[inline]
    pub fn push(&mut self, string: &str) {
        self.start_string();
        self.bytes.extend_from_slice(string.as_bytes());
        self.bytes.push(0);
    }

    /// Appends `name=value` as one string. The value is given in pieces.
    // An environment has some twenty of them, most with a name and a number of pieces that the compiler knows here.
    #[inline(always)]
    pub fn push_variable(&mut self, name: &str, value: &[&str]) {
        self.start_string();
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b'=');
        for piece in value {
            self.bytes.extend_from_slice(piece.as_bytes());
        }
        self.bytes.push(0);
    }

    /// Appends `name=value` with a name made of `prefix` and `letters`, which hold no NUL.
    pub fn push_derived(&mut self, prefix: &str, letters: impl Iterator<Item = u8>, value: &str) {
        self.start_string();
        self.bytes.extend_from_slice(prefix.as_bytes());
        self.bytes.extend(letters);
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
    }

    /// Appends all strings of `other`.
    pub fn extend_from_block(&mut self, other: &StringBlock) {
        let shift = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        if !self.is_empty() && !other.is_empty() {
            self.later_starts.push(shift);
        }
        self.later_starts.extend(other.later_starts.iter().map(|start| start.saturating_add(shift)));
        self.bytes.extend_from_slice(&other.bytes);
    }

    #[inline]
    fn start_string(&mut self) {
        if !self.is_empty() {
            // A block over 4 GiB could not be copied into a 32-bit guest anyway.
            self.later_starts.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        }
    }

    /// The number of strings.
    pub fn len(&self) -> usize {
        if self.is_empty() { 0 } else { 1 + self.later_starts.len() }
    }

    /// Whether there are no strings.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes of all strings, each with its NUL.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The start of each string in [`bytes`](Self::bytes).
    pub fn starts(&self) -> impl Iterator<Item = u32> {
        let first = if self.is_empty() { None } else { Some(0) };
        first.into_iter().chain(self.later_starts.iter().copied())
    }

    /// The strings without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let ends = self.later_starts.iter().map(|&start| start as usize).chain([self.bytes.len()]);
        self.starts().zip(ends).map(|(start, end)| {
            let string = self.bytes.get(start as usize..end.saturating_sub(1)).unwrap_or_default();
            std::str::from_utf8(string).unwrap_or_default()
        })
    }

    /// The value of the variable `name`, of the first `name=value` there is.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|string| string.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The block of these strings, none of which holds a NUL.
impl<S: AsRef<str>> FromIterator<S> for StringBlock {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut block = Self::default();
        strings.into_iter().for_each(|string| block.push(string.as_ref()));
        block
    }
}

/// Shows the number of strings and not their text, which is often secret.
impl fmt::Debug for StringBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StringBlock").field("strings", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::strings::*;

    #[test]
    fn strings_come_back_as_they_went_in() {
        let mut block = StringBlock::default();
        block.push("/hello");
        block.push("");
        block.push_variable("SERVER_NAME", &["[", "::1", "]"]);
        block.push_derived("HTTP_", "host".bytes().map(|letter| letter.to_ascii_uppercase()), "a");
        assert_eq!(block.iter().collect::<Vec<_>>(), ["/hello", "", "SERVER_NAME=[::1]", "HTTP_HOST=a"]);
        assert_eq!(block.bytes(), b"/hello\0\0SERVER_NAME=[::1]\0HTTP_HOST=a\0");
        assert_eq!(block.starts().collect::<Vec<_>>(), [0, 7, 8, 26]);
        assert_eq!((block.len(), StringBlock::default().len()), (4, 0));
        assert_eq!((block.variable("HTTP_HOST"), block.variable("HTTP")), (Some("a"), None));
    }

    #[test]
    fn a_block_appended_to_another_gives_the_strings_of_both_in_order() {
        let mut block = StringBlock::from_iter(["A=1"]);
        let other = StringBlock::from_iter(["B=22", ""]);
        block.extend_from_block(&other);
        block.extend_from_block(&StringBlock::default());
        block.push("C=3");
        assert_eq!(block.iter().collect::<Vec<_>>(), ["A=1", "B=22", "", "C=3"]);
        assert_eq!(block.starts().collect::<Vec<_>>(), [0, 4, 9, 10]);
        let mut copy = StringBlock::default();
        copy.extend_from_block(&block);
        assert_eq!((copy.len(), &copy), (4, &block));
    }
}
