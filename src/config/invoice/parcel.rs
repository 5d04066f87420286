//! What does one `[[parcel]]` of an invoice say? Called by the parent, for each of them.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{Value, ValueError, array, count, string, table};
use crate::config::{Place, Sha256};

const LABEL: [&str; 9] =
    ["sha256", "mediaType", "media_type", "name", "size", "annotations", "feature", "origin", "created"];
const CONDITIONS: [&str; 3] = ["memberOf", "member_of", "requires"];
const WAGI: [&str; 7] = ["route", "entrypoint", "argv", "allowed_hosts", "file", "bindle_server", "host"];

/// A text and where it stands.
pub(super) type Written<'t> = (&'t str, Range<usize>);

/// A file of a bindle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Its name; if a script may see it, its path, which leads nowhere but down.
    pub name: String,
    /// The digest of its contents.
    pub sha256: Sha256,
    /// How many bytes it has.
    pub size: u64,
    /// Where the invoice has its digest.
    pub place: Place,
}

/// All that matters of a `[[parcel]]`.
pub(super) struct Described<'t> {
    pub header: Range<usize>,
    pub parcel: Parcel,
    pub name_span: Range<usize>,
    pub media_type: &'t str,
    pub member_of: Vec<Written<'t>>,
    pub requires: Vec<Written<'t>>,
    pub requires_span: Range<usize>,
    pub wagi: Wagi<'t>,
    /// Whether scripts that require it see it as a file.
    pub is_file: bool,
}

/// What `feature.wagi` says.
#[derive(Default)]
pub(super) struct Wagi<'t> {
    pub route: Option<Written<'t>>,
    pub entrypoint: Option<Written<'t>>,
    pub argv: Option<Written<'t>>,
    pub allowed_hosts: Option<Written<'t>>,
    pub file: Option<Written<'t>>,
}

/// Reads the `[[parcel]]` with its header at `header`; `None` if it holds an error.
pub(super) fn read<'t>(entry: &'t DeTable<'_>, header: Range<usize>, report: &mut Report) -> Option<Described<'t>> {
    let errors_before = report.errors();
    report.unknown_keys(entry, &["label", "conditions"], "in `[[parcel]]`");
    let label = required(entry, ["label", "label"], "label", &header, report)?;
    let label = report.accept(label.span(), table("label", label.get_ref()))?;
    let wagi = wagi(label, report);
    let is_file = wagi.file.as_ref().is_some_and(|(text, _)| *text == "true");
    let labelled = read_label(label, is_file, &header, report);
    let conditions = report.optional(entry, "conditions", |value| table("conditions", value));
    if let Some(conditions) = conditions {
        report.unknown_keys(conditions, &CONDITIONS, "in `conditions`");
    }
    let (member_of, _) = groups(conditions, ["memberOf", "member_of"], report);
    let (requires, requires_span) = groups(conditions, ["requires", "requires"], report);
    if report.errors() > errors_before {
        return None;
    }
    let (parcel, name_span, media_type) = labelled?;
    let requires_span = requires_span.unwrap_or_else(|| header.clone());
    Some(Described { header, parcel, name_span, media_type, member_of, requires, requires_span, wagi, is_file })
}

/// The file that a label describes, where its name stands, and its type.
fn read_label<'t>(
    label: &'t DeTable<'_>,
    is_file: bool,
    header: &Range<usize>,
    report: &mut Report,
) -> Option<(Parcel, Range<usize>, &'t str)> {
    report.unknown_keys(label, &LABEL, "in `label`");
    let text = |keys: [&'static str; 2], report: &mut Report| {
        let name = format!("label.{}", keys[0]);
        let value = required(label, keys, &name, header, report)?;
        Some((report.accept(value.span(), string(&name, value.get_ref()))?, value.span()))
    };
    let name = text(["name", "name"], report);
    if is_file && let Some((name, span)) = &name {
        report.accept(span.clone(), path(name));
    }
    let media_type = text(["mediaType", "media_type"], report);
    let sha256 = text(["sha256", "sha256"], report)
        .and_then(|(text, span)| Some((report.accept(span.clone(), digest(text))?, span)));
    let size = required(label, ["size", "size"], "label.size", header, report)
        .and_then(|value| report.accept(value.span(), count("label.size", value.get_ref(), 0..=u64::MAX)));
    let ((name, name_span), (sha256, digest_span)) = (name?, sha256?);
    let place = Place::new(report.file(), digest_span);
    Some((Parcel { name: name.to_owned(), sha256, size: size?, place }, name_span, media_type?.0))
}

/// The value of a key with two spellings; the first is preferred.
pub(super) fn spelled<'t, 'i>(table: &'t DeTable<'i>, keys: [&str; 2]) -> Option<&'t Value<'i>> {
    keys.into_iter().find_map(|key| table.get(key))
}

/// The value at a key, or else an error at the header.
fn required<'t, 'i>(
    table: &'t DeTable<'i>,
    keys: [&str; 2],
    name: &str,
    header: &Range<usize>,
    report: &mut Report,
) -> Option<&'t Value<'i>> {
    let value = spelled(table, keys);
    if value.is_none() {
        report.error(header.clone(), ValueError::new(format!("`{name}` is missing in `[[parcel]]`")));
    }
    value
}

fn digest(text: &str) -> Result<Sha256, ValueError> {
    let parsed =
        text.parse().map_err(|()| ValueError::new(format!("`label.sha256` is not a SHA-256 digest: `{text}`")));
    parsed.map_err(|error| error.help("write its 64 hexadecimal digits, as `sha256sum` prints them"))
}

/// A path that stays below the directory it starts from, on any system.
fn path(name: &str) -> Result<(), ValueError> {
    let has_drive =
        name.split('/').any(|part| matches!(part.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()));
    let wrong = if name.is_empty() {
        "it is empty"
    } else if name.starts_with('/') {
        "it is absolute"
    } else if name.contains('\\') {
        "it holds a backslash"
    } else if has_drive {
        "it holds the letter of a drive"
    } else if name.split('/').any(|part| part == "..") {
        "it climbs with `..`"
    } else if name.split('/').any(|part| ["", "."].contains(&part)) {
        "it has a part that is empty or `.`"
    } else {
        return Ok(());
    };
    let error = ValueError::new(format!("`label.name` of a file must be a plain path, but is `{name}`"));
    Err(error.label(wrong).help("write the path below the script's `/`, such as `images/logo.png`"))
}

fn wagi<'t>(label: &'t DeTable<'_>, report: &mut Report) -> Wagi<'t> {
    let features = report.optional(label, "feature", |value| table("feature", value));
    let Some(wagi) = features.and_then(|all| report.optional(all, "wagi", |value| table("feature.wagi", value))) else {
        return Wagi::default();
    };
    report.unknown_keys(wagi, &WAGI, "in `feature.wagi`");
    let mut text = |key: &'static str| {
        let value = wagi.get(key)?;
        let quoted = |error: ValueError| match value.get_ref() {
            DeValue::Boolean(is) => error.help(format!("in quotes: `{key} = \"{is}\"`")),
            _ => error,
        };
        let parsed = string(&format!("feature.wagi.{key}"), value.get_ref()).map_err(quoted);
        Some((report.accept(value.span(), parsed)?, value.span()))
    };
    let features = Wagi {
        route: text("route"),
        entrypoint: text("entrypoint"),
        argv: text("argv"),
        allowed_hosts: text("allowed_hosts"),
        file: text("file"),
    };
    if let Some((_, span)) = text("host") {
        let error = ValueError::new("`host` has no effect: virtual hosts are not applied");
        report.warning(span, error.help("the route answers for every host"));
    }
    features
}

/// The groups that a condition names, and where it stands.
fn groups<'t>(
    conditions: Option<&'t DeTable<'_>>,
    keys: [&'static str; 2],
    report: &mut Report,
) -> (Vec<Written<'t>>, Option<Range<usize>>) {
    let Some(value) = conditions.and_then(|table| spelled(table, keys)) else { return (Vec::new(), None) };
    let name = format!("conditions.{}", keys[0]);
    let names = report.accept(value.span(), array(&name, "an array of strings", value.get_ref())).unwrap_or_default();
    let groups = names.iter().enumerate().filter_map(|(index, value)| {
        Some((report.accept(value.span(), string(&format!("{name}[{index}]"), value.get_ref()))?, value.span()))
    });
    (groups.collect(), Some(value.span()))
}

#[cfg(test)]
mod tests {
    use crate::config::invoice::parcel::*;

    #[test]
    fn a_file_has_a_name_that_leads_nowhere_but_down() {
        for name in ["a", "images/logo.png", "..a", "a..", "a/...", ".hidden/x", "ä ö/ü", "ab:c"] {
            assert_eq!(path(name), Ok(()), "{name}");
        }
        for name in
            ["", "/", "/a", "//a", "..", "../a", "a/..", "a/../../b", "a//b", "a/", ".", "./a", "c:a", "a/C:/b", "a\\b"]
        {
            assert!(path(name).is_err(), "{name}");
        }
    }
}
