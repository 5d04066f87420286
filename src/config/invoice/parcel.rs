//! What does one `[[parcel]]` of an invoice say? Called by the parent for each of them.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{SpannedStr, Value, ValueError, array, count, string, table};
use crate::config::{Sha256, SourceLocation};

const LABEL: [&str; 9] =
    ["sha256", "mediaType", "media_type", "name", "size", "annotations", "feature", "origin", "created"];
const CONDITIONS: [&str; 3] = ["memberOf", "member_of", "requires"];
const FEATURES: [&str; 7] = ["route", "entrypoint", "argv", "allowed_hosts", "file", "bindle_server", "host"];

/// A file of a bindle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The name. If entries may see the parcel, it is a relative path without `..`.
    pub name: String,
    /// The digest of the contents.
    pub sha256: Sha256,
    /// The length in bytes.
    pub size: u64,
    /// The location of the digest in the invoice.
    pub digest_location: SourceLocation,
}

/// One `[[parcel]]`.
pub(super) struct ParcelTable<'t> {
    pub header: Range<usize>,
    pub label: Label<'t>,
    pub member_of: Vec<SpannedStr<'t>>,
    pub requires: Vec<SpannedStr<'t>>,
    pub requires_span: Range<usize>,
    pub features: WagiFeatures<'t>,
    /// Whether entries that require it see it as a file.
    pub is_file: bool,
}

/// The `label` of a parcel.
pub(super) struct Label<'t> {
    pub parcel: Parcel,
    pub name_span: Range<usize>,
    pub media_type: &'t str,
}

/// The values of `feature.wagi`.
#[derive(Default)]
pub(super) struct WagiFeatures<'t> {
    pub route: Option<SpannedStr<'t>>,
    pub entrypoint: Option<SpannedStr<'t>>,
    pub argv: Option<SpannedStr<'t>>,
    pub allowed_hosts: Option<SpannedStr<'t>>,
    pub file: Option<SpannedStr<'t>>,
}

/// Reads one `[[parcel]]` with its header at `header`. Returns `None` if it holds an error.
pub(super) fn read<'t>(entry: &'t DeTable<'_>, header: Range<usize>, report: &mut Report) -> Option<ParcelTable<'t>> {
    let errors_before = report.errors();
    report.unknown_keys(entry, &["label", "conditions"], "in `[[parcel]]`");
    if !entry.contains_key("label") {
        report.error(header.clone(), ValueError::new("`label` is missing in `[[parcel]]`"));
    }
    let label_table = report.optional(entry, "label", |value| table("label", value))?;
    let features = features(label_table, report);
    let is_file = features.file.as_ref().is_some_and(|file| file.text == "true");
    let label = label(label_table, is_file, &header, report);
    let conditions = report.optional(entry, "conditions", |value| table("conditions", value));
    if let Some(conditions) = conditions {
        report.unknown_keys(conditions, &CONDITIONS, "in `conditions`");
    }
    let member_of = conditions.and_then(|conditions| groups(conditions, &["memberOf", "member_of"], report));
    let requires = conditions.and_then(|conditions| groups(conditions, &["requires"], report));
    if report.errors() > errors_before {
        return None;
    }
    let label = label?;
    let requires_span = requires.as_ref().map_or_else(|| header.clone(), |requires| requires.span.clone());
    let [member_of, requires] =
        [member_of, requires].map(|groups| groups.map(|groups| groups.names).unwrap_or_default());
    Some(ParcelTable { header, label, member_of, requires, requires_span, features, is_file })
}

fn label<'t>(label: &'t DeTable<'_>, is_file: bool, header: &Range<usize>, report: &mut Report) -> Option<Label<'t>> {
    report.unknown_keys(label, &LABEL, "in `label`");
    let text = |keys: &[&'static str], report: &mut Report| {
        let (name, value) = required(label, keys, header, report)?;
        Some(SpannedStr { text: report.accept(value.span(), string(&name, value.get_ref()))?, span: value.span() })
    };
    let name = text(&["name"], report);
    if is_file && let Some(name) = &name {
        report.accept(name.span.clone(), check_path(name.text));
    }
    let media_type = text(&["mediaType", "media_type"], report);
    let digest = text(&["sha256"], report);
    let sha256 = digest.as_ref().and_then(|digest| report.accept(digest.span.clone(), parse_digest(digest.text)));
    let size = required(label, &["size"], header, report)
        .and_then(|(name, value)| report.accept(value.span(), count(&name, value.get_ref(), 0..=u64::MAX)));
    let (name, sha256) = (name?, sha256?);
    let digest_location = SourceLocation::new(report.file(), digest?.span);
    let parcel = Parcel { name: name.text.to_owned(), sha256, size: size?, digest_location };
    Some(Label { parcel, name_span: name.span, media_type: media_type?.text })
}

/// Returns the value of the first of `keys` that is there. They are spellings of one key.
pub(super) fn first_of<'t, 'i>(table: &'t DeTable<'i>, keys: &[&str]) -> Option<&'t Value<'i>> {
    keys.iter().find_map(|key| table.get(*key))
}

/// Returns the value of a key of `label`, with its name for messages. If it is missing, reports an error at the header.
fn required<'t, 'i>(
    label: &'t DeTable<'i>,
    keys: &[&'static str],
    header: &Range<usize>,
    report: &mut Report,
) -> Option<(String, &'t Value<'i>)> {
    let name = format!("label.{}", keys.first().copied().unwrap_or_default());
    let value = first_of(label, keys);
    if value.is_none() {
        report.error(header.clone(), ValueError::new(format!("`{name}` is missing in `[[parcel]]`")));
    }
    value.map(|value| (name, value))
}

fn parse_digest(text: &str) -> Result<Sha256, ValueError> {
    let parsed =
        text.parse().map_err(|()| ValueError::new(format!("`label.sha256` is not a SHA-256 digest: `{text}`")));
    parsed.map_err(|error| error.help("write its 64 hexadecimal digits, as `sha256sum` prints them"))
}

/// Checks that a path stays below the directory that it starts from, on every system.
fn check_path(name: &str) -> Result<(), ValueError> {
    let has_drive =
        name.split('/').any(|part| matches!(part.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()));
    let label = if name.is_empty() {
        "it is empty"
    } else if name.starts_with('/') {
        "it is absolute"
    } else if name.contains('\\') {
        "it contains a backslash"
    } else if has_drive {
        "it contains a drive letter"
    } else if name.split('/').any(|part| part == "..") {
        "it contains `..`"
    } else if name.split('/').any(|part| ["", "."].contains(&part)) {
        "it has a part that is empty or `.`"
    } else {
        return Ok(());
    };
    let error = ValueError::new(format!("`label.name` of a file must be a plain path, but is `{name}`"));
    Err(error.label(label).help("write the path below `/` in the guest, such as `images/logo.png`"))
}

fn features<'t>(label: &'t DeTable<'_>, report: &mut Report) -> WagiFeatures<'t> {
    let all = report.optional(label, "feature", |value| table("feature", value));
    let Some(wagi) = all.and_then(|all| report.optional(all, "wagi", |value| table("feature.wagi", value))) else {
        return WagiFeatures::default();
    };
    report.unknown_keys(wagi, &FEATURES, "in `feature.wagi`");
    let mut text = |key: &'static str| {
        let value = wagi.get(key)?;
        let quoted = |error: ValueError| match value.get_ref() {
            DeValue::Boolean(is) => error.help(format!("in quotes: `{key} = \"{is}\"`")),
            _ => error,
        };
        let parsed = string(&format!("feature.wagi.{key}"), value.get_ref()).map_err(quoted);
        Some(SpannedStr { text: report.accept(value.span(), parsed)?, span: value.span() })
    };
    let features = WagiFeatures {
        route: text("route"),
        entrypoint: text("entrypoint"),
        argv: text("argv"),
        allowed_hosts: text("allowed_hosts"),
        file: text("file"),
    };
    if let Some(host) = text("host") {
        let error = ValueError::new("`host` has no effect in a bindle: only entries of a modules.toml have hosts");
        report.warning(host.span, error.help("the route answers for every host"));
    }
    features
}

/// The groups of a condition.
struct Groups<'t> {
    names: Vec<SpannedStr<'t>>,
    span: Range<usize>,
}

fn groups<'t>(conditions: &'t DeTable<'_>, keys: &[&'static str], report: &mut Report) -> Option<Groups<'t>> {
    let value = first_of(conditions, keys)?;
    let key = format!("conditions.{}", keys.first().copied().unwrap_or_default());
    let values = report.accept(value.span(), array(&key, "an array of strings", value.get_ref())).unwrap_or_default();
    let names = values.iter().enumerate().filter_map(|(index, value)| {
        let text = report.accept(value.span(), string(&format!("{key}[{index}]"), value.get_ref()))?;
        Some(SpannedStr { text, span: value.span() })
    });
    Some(Groups { names: names.collect(), span: value.span() })
}

#[cfg(test)]
mod tests {
    use crate::config::invoice::parcel::*;

    #[test]
    fn the_name_of_a_file_stays_below_its_directory() {
        for name in ["a", "images/logo.png", "..a", "a..", "a/...", ".hidden/x", "ä ö/ü", "ab:c"] {
            assert_eq!(check_path(name), Ok(()), "{name}");
        }
        for name in
            ["", "/", "/a", "//a", "..", "../a", "a/..", "a/../../b", "a//b", "a/", ".", "./a", "c:a", "a/C:/b", "a\\b"]
        {
            assert!(check_path(name).is_err(), "{name}");
        }
    }
}
