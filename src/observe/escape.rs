//! How is text from outside written to a log?
//!
//! Text of a client or a guest may have line ends and terminal codes in it. They are escaped, so that the text stays one field of
//! one line.

use std::fmt::Write;

use crate::printable::is_unprintable;

/// Appends `text` with quotes, backslashes, control characters and what is not UTF-8 written as escapes. The result is
/// the inside of a JSON string as well.
pub fn push(line: &mut String, text: &[u8]) {
    if let Some(plain) = plain(text) {
        line.push_str(plain);
        return;
    }
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => line.push_str("\\\""),
                '\\' => line.push_str("\\\\"),
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                '\t' => line.push_str("\\t"),
                _ if is_unprintable(character) => push_unicode_escape(line, character),
                _ => line.push(character),
            }
        }
        if !chunk.invalid().is_empty() {
            line.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// The text itself if nothing in it has to be escaped, as with nearly all texts.
fn plain(text: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) && !matches!(byte, b'"' | b'\\');
    if text.iter().all(is_plain) { std::str::from_utf8(text).ok() } else { None }
}

fn push_unicode_escape(line: &mut String, character: char) {
    // Writing to a string does not fail.
    let _ = write!(line, "\\u{:04x}", u32::from(character));
}

#[cfg(test)]
mod tests {
    use crate::observe::escape::*;

    #[test]
    fn every_text_stays_on_one_line() {
        let cases: [(&[u8], &str); 5] = [
            (b"/a b?c=d", "/a b?c=d"),
            (b"a\r\nb\"c\\d", "a\\r\\nb\\\"c\\\\d"),
            (b"\x1b[31m\x00\x7f", "\\u001b[31m\\u0000\\u007f"),
            ("\u{2028}é\u{200f}\u{9b}".as_bytes(), "\\u2028é\\u200f\\u009b"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        ];
        for (text, expected) in cases {
            let mut line = String::new();
            push(&mut line, text);
            assert_eq!(line, expected);
        }
    }
}
