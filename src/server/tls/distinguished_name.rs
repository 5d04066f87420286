//! How is the name of a certificate's subject written (RFC 4514)?
//!
//! As Apache and nginx write it, and `openssl x509 -nameopt RFC2253`: `CN=alice,O=Example`, the last part first. Everything
//! but visible ASCII is escaped. So no name holds a line break or ends a variable, whatever its authority has signed.

use std::fmt::Write as _;

use crate::server::tls::der::{Der, DerValue, OBJECT_IDENTIFIER, SEQUENCE, SET};

/// The names of attribute types, those of RFC 4514 §3 and others that OpenSSL knows. All others are written as numbers.
const ATTRIBUTES: [(&str, &str); 31] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.18", "postOfficeBox"),
    ("2.5.4.20", "telephoneNumber"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.3", "mail"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
];

/// The text of a name, of which `name` is the content. `None` if it is damaged.
pub(super) fn text(name: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut sets = Der(name);
    while sets.tag().is_some() {
        parts.push(relative_name(sets.value(SET)?)?);
    }
    parts.reverse();
    Some(parts.join(","))
}

/// One part of a name: mostly one attribute, at times several.
fn relative_name(set: &[u8]) -> Option<String> {
    let mut attributes = Vec::new();
    let mut values = Der(set);
    while values.tag().is_some() {
        let mut attribute = Der(values.value(SEQUENCE)?);
        let kind = object_identifier(attribute.value(OBJECT_IDENTIFIER)?)?;
        attributes.push(attribute_text(&kind, attribute.next()?));
    }
    attributes.reverse();
    Some(attributes.join("+"))
}

/// An attribute. One of an unknown type, or whose value is no text, is written as the bytes of its value (RFC 4514 §2.4).
fn attribute_text(kind: &str, value: DerValue<'_>) -> String {
    let known = ATTRIBUTES.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name);
    match known.and_then(|_| decoded(value)) {
        Some(text) => format!("{}={}", known.unwrap_or(kind), escaped(&text)),
        None => value.encoded.iter().fold(format!("{}=#", known.unwrap_or(kind)), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        }),
    }
}

/// A number such as `2.5.4.3`.
fn object_identifier(content: &[u8]) -> Option<String> {
    let (last, _) = content.split_last()?;
    if last & 0x80 != 0 {
        return None;
    }
    let mut text = String::new();
    let mut number = 0_u64;
    for byte in content {
        number = number.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 != 0 {
            continue;
        }
        let _ = match text.is_empty() {
            // The first two numbers share one: the first of them is 0, 1 or 2.
            true => write!(text, "{}.{}", (number / 40).min(2), number - (number / 40).min(2) * 40),
            false => write!(text, ".{number}"),
        };
        number = 0;
    }
    Some(text)
}

/// The text of a string, whatever its encoding. `None` for what is no string, and for text that is not valid.
fn decoded(value: DerValue<'_>) -> Option<String> {
    const UTF8: u8 = 0x0c;
    const UNIVERSAL: u8 = 0x1c;
    const BMP: u8 = 0x1e;
    let content = value.content;
    match value.tag {
        UTF8 => std::str::from_utf8(content).ok().map(str::to_owned),
        // Numeric, printable, teletex, IA5, the two times and visible: each byte is a character.
        0x12 | 0x13 | 0x14 | 0x16 | 0x17 | 0x18 | 0x1a => Some(content.iter().map(|&byte| char::from(byte)).collect()),
        BMP => {
            let (units, rest) = content.as_chunks::<2>();
            let characters = units.iter().map(|unit| char::from_u32(u16::from_be_bytes(*unit).into()));
            characters.collect::<Option<String>>().filter(|_| rest.is_empty())
        }
        UNIVERSAL => {
            let (units, rest) = content.as_chunks::<4>();
            let characters = units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            characters.collect::<Option<String>>().filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

/// A text with its special characters escaped (RFC 4514 §2.4).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        let is_edge = at == 0 || at + letter.len_utf8() == text.len();
        match letter {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => escaped.extend(['\\', letter]),
            ' ' if is_edge => escaped.push_str("\\ "),
            '#' if at == 0 => escaped.push_str("\\#"),
            ' '..='~' => escaped.push(letter),
            _ => {
                for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(escaped, "\\{byte:02X}");
                }
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use crate::server::tls::distinguished_name::*;

    const CN: &[u8] = &[0x55, 4, 3];

    fn encoded(tag: u8, content: &[u8]) -> Vec<u8> {
        assert!(content.len() < 0x80, "short enough for a length of one byte");
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        encoded(SEQUENCE, &[encoded(OBJECT_IDENTIFIER, kind), encoded(tag, value)].concat())
    }

    /// The text of a name of one attribute.
    fn one(kind: &[u8], tag: u8, value: &[u8]) -> String {
        text(&encoded(SET, &attribute(kind, tag, value))).expect("a name")
    }

    /// RFC 4514 §2.1 and §2.2
    #[test]
    fn the_last_part_comes_first_and_several_attributes_are_one_part() {
        let (country, organisation) =
            (attribute(&[0x55, 4, 6], 0x13, b"DE"), attribute(&[0x55, 4, 10], 0x0c, b"Example"));
        let person = [attribute(CN, 0x0c, b"alice"), attribute(&[0x55, 4, 5], 0x13, b"7")].concat();
        let name = [encoded(SET, &country), encoded(SET, &organisation), encoded(SET, &person)].concat();
        assert_eq!(text(&name).as_deref(), Some("serialNumber=7+CN=alice,O=Example,C=DE"));
        assert_eq!(text(&[]).as_deref(), Some(""));
    }

    /// RFC 4514 §2.4
    #[test]
    fn everything_special_is_escaped() {
        for (value, expected) in [
            ("plain", "plain"),
            ("a=b.c-d@e/f", "a=b.c-d@e/f"),
            (r#"a,b+c"d\e<f>g;h"#, r#"a\,b\+c\"d\\e\<f\>g\;h"#),
            (" both ends ", r"\ both ends\ "),
            ("# first #", r"\# first #"),
            (" ", r"\ "),
            ("a\nb\r\0c\x7f\t", r"a\0Ab\0D\00c\7F\09"),
            ("é日", r"\C3\A9\E6\97\A5"),
            ("a,CN=root", r"a\,CN=root"),
            ("", ""),
        ] {
            assert_eq!(one(CN, 0x0c, value.as_bytes()), format!("CN={expected}"), "{value:?}");
        }
    }

    #[test]
    fn each_kind_of_string_is_decoded() {
        for (tag, value, expected) in [
            (0x13, &b"a b"[..], "a b"),
            (0x16, b"a@b", "a@b"),
            (0x14, b"\xe9", r"\C3\A9"),
            (0x1e, b"\0a\x65\xe5", r"a\E6\97\A5"),
            (0x1c, b"\0\0\0a\0\x01\xf6\0", r"a\F0\9F\98\80"),
        ] {
            assert_eq!(one(CN, tag, value), format!("CN={expected}"), "{tag:#x}");
        }
    }

    #[test]
    fn what_is_no_text_is_written_as_bytes() {
        for (tag, value, expected) in [
            (0x0c, &b"a\xff"[..], "#0C0261FF"),
            (0x1e, b"\xd8\0", "#1E02D800"),
            (0x1e, b"\0aa", "#1E03006161"),
            (0x1c, b"\0\x11\0\0", "#1C0400110000"),
            (0x03, b"\0\x01", "#03020001"),
        ] {
            assert_eq!(one(CN, tag, value), format!("CN={expected}"), "{value:x?}");
        }
    }

    #[test]
    fn known_types_have_names_and_others_numbers() {
        let uid = [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1];
        let email = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
        assert_eq!(one(&uid, 0x0c, b"alice"), "UID=alice");
        assert_eq!(one(&email, 0x16, b"a@b"), "emailAddress=a@b");
        assert_eq!(one(&[0x88, 0x37, 3], 0x0c, b"a\n"), "2.999.3=#0C02610A");
        assert_eq!(one(&[0x55, 4, 0x81, 0x7f], 0x0c, b"a"), "2.5.4.255=#0C0161");
    }

    #[test]
    fn damaged_names_have_no_text() {
        let whole = encoded(SET, &attribute(CN, 0x0c, b"alice"));
        for end in 1..whole.len() {
            assert_eq!(text(&whole[..end]), None, "{end}");
        }
        for kind in [&[0x80][..], &[0x55, 0x84], &[0xff; 20], &[]] {
            assert_eq!(text(&encoded(SET, &attribute(kind, 0x0c, b"a"))), None, "{kind:x?}");
        }
    }
}
