//! How does text from outside reach a terminal without becoming more than text?
//!
//! Names in modules, files and messages of registries may hold terminal codes, line breaks that forge a message, and
//! characters that change the direction of writing. All text for a terminal passes here.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest text in a message, in characters. A name in a module may have megabytes.
const MAX_LENGTH: usize = 4_000;

/// Whether a terminal, or a reader of a log, may take the character for more than text: a control character, the end of a
/// line, or a change of the direction of writing.
pub fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// Returns one line: every unprintable character is written as its escape, such as `\n` or `\u{1b}`, and a text that is
/// too long is cut, with the number of characters that are left out.
pub fn line(text: &str) -> Cow<'_, str> {
    shorten(escape(text, |_| false))
}

/// Returns one line, with a blank for each line break and the blanks around it: for messages of libraries, which break lines.
pub fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    line(&lines.join(" ")).into_owned()
}

/// Returns lines: as [`line()`], but line feeds and tabs stay. Only for text whose line feeds and tabs are the caller's own.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// Returns a JSON text in which every unprintable character, which can only be inside a string, is written as its escape.
/// Line feeds between the values stay.
pub fn json(text: &str) -> Cow<'_, str> {
    let mut escaped = String::new();
    let mut done = 0;
    for (at, character) in text.char_indices().filter(|&(_, character)| character != '\n' && is_unprintable(character))
    {
        escaped.push_str(text.get(done..at).unwrap_or_default());
        // Writing to a string does not fail. All unprintable characters are in the first plane.
        let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        done = at + character.len_utf8();
    }
    replaced(text, escaped, done)
}

/// Returns a line of a file with a replacement of the same length in bytes for what a renderer of source code leaves raw.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    let is_raw = |character: char| !character.is_ascii() && is_unprintable(character);
    if !text.contains(is_raw) {
        return Cow::Borrowed(text);
    }
    let replacement = |character: char| match (is_raw(character), character.len_utf8()) {
        (false, _) => character.to_string(),
        (true, 3) => char::REPLACEMENT_CHARACTER.to_string(),
        (true, length) => "?".repeat(length),
    };
    text.chars().map(replacement).collect()
}

fn escape(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    let mut escaped = String::new();
    let mut done = 0;
    for (at, character) in text.char_indices().filter(|&(_, character)| is_unprintable(character) && !stays(character))
    {
        escaped.push_str(text.get(done..at).unwrap_or_default());
        escaped.extend(character.escape_default());
        done = at + character.len_utf8();
    }
    replaced(text, escaped, done)
}

/// The escaped beginning and the rest of `text`, or `text` itself if nothing was escaped.
fn replaced(text: &str, mut escaped: String, done: usize) -> Cow<'_, str> {
    if done == 0 {
        return Cow::Borrowed(text);
    }
    escaped.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(escaped)
}

fn shorten(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= MAX_LENGTH {
        return text;
    }
    match text.char_indices().nth(MAX_LENGTH) {
        None => text,
        Some((end, _)) => {
            let rest = text.chars().count() - MAX_LENGTH;
            // Tools know no tools, so not `format::counted`.
            let letters = if rest == 1 { "character" } else { "characters" };
            format!("{}... ({rest} more {letters})", text.get(..end).unwrap_or_default()).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::printable::*;

    /// Every character that must not reach a terminal.
    fn unprintable() -> String {
        let ranges = ['\0'..='\u{1f}', '\u{7f}'..='\u{9f}', '\u{200e}'..='\u{200f}', '\u{2028}'..='\u{202e}'];
        let all: String = ranges.into_iter().flatten().chain('\u{2066}'..='\u{2069}').chain(['\u{61c}']).collect();
        assert!(all.chars().all(is_unprintable));
        all
    }

    #[test]
    fn no_unprintable_character_is_left_in_any_form() {
        let text = format!("a{}é", unprintable());
        for shown in [line(&text).into_owned(), one_line(&text), lines(&text).into_owned(), excerpt(&text).into_owned()]
        {
            assert!(!shown.contains(|c: char| !c.is_ascii() && is_unprintable(c)), "{shown:?}");
            assert!(shown.starts_with('a') && shown.ends_with('é'), "{shown:?}");
        }
        assert!(!line(&text).contains(is_unprintable));
        assert!(!one_line(&text).contains(is_unprintable));
        assert!(!lines(&text).contains(|c| is_unprintable(c) && c != '\n' && c != '\t'));
        assert_eq!(excerpt(&text).len(), text.len());
    }

    #[test]
    fn plain_text_is_not_copied() {
        for text in ["", "plain é 語", "🦀"] {
            assert!(matches!(line(text), Cow::Borrowed(same) if same == text));
            assert!(matches!(json(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn escapes_say_which_character_it_was() {
        assert_eq!(line("a\nb\u{1b}[2J\u{202e}c"), "a\\nb\\u{1b}[2J\\u{202e}c");
        assert_eq!(one_line("expected `(`\n    --> 1:1\r\n  |\n"), "expected `(` --> 1:1 |");
        assert_eq!(lines("a\tb\nc\r"), "a\tb\nc\\r");
    }

    #[test]
    fn json_with_escapes_has_the_same_value() {
        let value = serde_json::json!({ "name": unprintable(), "list": ["é"] });
        for text in [value.to_string(), format!("{value:#}")] {
            let escaped = json(&text).into_owned();
            assert!(!escaped.contains(|c| is_unprintable(c) && c != '\n'), "{escaped:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).expect("JSON"), value);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_the_rest_is_counted() {
        let text = "é".repeat(MAX_LENGTH + 7);
        assert!(line(&text).ends_with("é... (7 more characters)"));
        assert_eq!(line(&text[..2 * MAX_LENGTH]), text[..2 * MAX_LENGTH]);
    }
}
