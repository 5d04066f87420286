//! What does the field `Forwarded` (RFC 7239) say?
//!
//! Each proxy appends an element: pairs of a name and a value, which may be a quoted string. The field is read from its end.
//! So a client that opens a quoted string and does not close it cannot make its own text of what the proxies wrote behind it.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::FORWARDED;

use crate::config::TrustedProxies;
use crate::proxy::forwarded::Forwarded;
use crate::proxy::node::{Node, client};
use crate::proxy::values::{MAX_ELEMENT, MAX_ELEMENTS, Malformed, host, https};

/// What one proxy has written.
#[derive(Debug, Default)]
struct Element<'a> {
    node: Option<Node>,
    https: Option<bool>,
    host: Option<Cow<'a, str>>,
}

/// Reads the field.
pub(super) fn read<'a>(headers: &'a HeaderMap, trusted: &TrustedProxies) -> Forwarded<'a> {
    well_formed(headers, trusted)
        .unwrap_or_else(|Malformed| Forwarded { malformed: vec![FORWARDED], ..Forwarded::default() })
}

fn well_formed<'a>(headers: &'a HeaderMap, trusted: &TrustedProxies) -> Result<Forwarded<'a>, Malformed> {
    let mut elements = elements(headers);
    let Some(nearest) = elements.next().transpose()? else { return Ok(Forwarded::default()) };
    // A proxy that does not tell for which client it forwards hides it.
    let node = |node: Option<Node>| node.unwrap_or(Node::Hidden);
    let first = Ok(node(nearest.node));
    let nodes = std::iter::once(first).chain(elements.map(|element| Ok(node(element?.node))));
    let client = client(nodes, trusted)?;
    Ok(Forwarded { client, https: nearest.https, host: nearest.host, ..Forwarded::default() })
}

/// The elements, from the last one. Empty ones are none (RFC 9110 §5.6.1).
fn elements(headers: &HeaderMap) -> impl Iterator<Item = Result<Element<'_>, Malformed>> {
    let texts = headers.get_all(FORWARDED).iter().rev().flat_map(|value| FromEnd { rest: Some(value.as_bytes()) });
    let texts = texts.enumerate().map(|(number, text)| text.filter(|_| number < MAX_ELEMENTS).ok_or(Malformed));
    let texts = texts.filter(|text| !matches!(text, Ok(text) if text.trim_ascii().is_empty()));
    texts.map(|text| Element::parse(text?.trim_ascii()))
}

/// The texts between the commas of a field, from the last one. `None` for one with an open string, or a long one.
struct FromEnd<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for FromEnd<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        let text = self.rest.take()?;
        let mut start = text.len();
        let mut is_quoted = false;
        while let Some(&byte) = start.checked_sub(1).and_then(|before| text.get(before)) {
            if byte == b',' && !is_quoted {
                self.rest = text.get(..start - 1);
                break;
            }
            start -= 1;
            if byte == b'"' {
                let escapes = text[..start].iter().rev().take_while(|byte| **byte == b'\\').count();
                start -= escapes;
                // A quotation mark behind a backslash is part of the string.
                is_quoted = !is_quoted || escapes % 2 == 1;
            }
        }
        Some(text.get(start..).filter(|element| !is_quoted && element.len() <= MAX_ELEMENT))
    }
}

impl<'a> Element<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        let mut element = Self::default();
        let mut rest = std::str::from_utf8(text).map_err(|_| Malformed)?;
        while !rest.is_empty() {
            let (pair, behind) = split_pair(rest)?;
            rest = behind;
            let Some((name, value)) = pair else { continue };
            element.set(name, value)?;
        }
        Ok(element)
    }

    /// Takes a pair. Each name occurs once; names that are not known are for others (RFC 7239 §4, §5.5).
    fn set(&mut self, name: &str, value: Cow<'a, str>) -> Result<(), Malformed> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let is_first = match () {
            () if is("for") => self.node.replace(Node::parse(&value, false)?).is_none(),
            () if is("proto") => self.https.replace(https(&value)?).is_none(),
            () if is("host") => self.host.replace(host(value)?).is_none(),
            () => true,
        };
        is_first.then_some(()).ok_or(Malformed)
    }
}

/// A name and its value.
type Pair<'a> = (&'a str, Cow<'a, str>);

/// Splits off the first pair, if one stands there, and the semicolon behind it.
fn split_pair(text: &str) -> Result<(Option<Pair<'_>>, &str), Malformed> {
    let text = text.trim_ascii_start();
    let name_length = text.bytes().take_while(|byte| is_token(*byte)).count();
    let (name, rest) = text.split_at(name_length);
    let (pair, rest) = match rest.strip_prefix('=') {
        Some(rest) if !name.is_empty() => {
            let (value, rest) = split_value(rest)?;
            (Some((name, value)), rest)
        }
        None if name.is_empty() => (None, rest),
        _ => return Err(Malformed),
    };
    let rest = rest.trim_ascii_start();
    match rest.strip_prefix(';') {
        Some(behind) => Ok((pair, behind)),
        None if rest.is_empty() => Ok((pair, rest)),
        None => Err(Malformed),
    }
}

/// Splits off a value: a quoted string, or a token. Addresses and ports without quotation marks are clear enough.
fn split_value(text: &str) -> Result<(Cow<'_, str>, &str), Malformed> {
    if let Some(text) = text.strip_prefix('"') {
        return split_quoted(text);
    }
    let length = text.bytes().take_while(|byte| is_token(*byte) || matches!(byte, b':' | b'[' | b']')).count();
    let (value, rest) = text.split_at(length);
    if value.is_empty() { Err(Malformed) } else { Ok((Cow::Borrowed(value), rest)) }
}

/// Splits off the rest of a quoted string (RFC 9110 §5.6.4).
fn split_quoted(text: &str) -> Result<(Cow<'_, str>, &str), Malformed> {
    let end = text.find(['"', '\\']).ok_or(Malformed)?;
    if text.as_bytes().get(end) == Some(&b'"') {
        return Ok((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Cow::Owned(value), &text[at + 1..])),
            '\\' => value.push(letters.next().ok_or(Malformed)?.1),
            letter => value.push(letter),
        }
    }
    Err(Malformed)
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
