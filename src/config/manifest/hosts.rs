//! The key `host` of an entry.

use std::collections::HashSet;

use toml::de::DeTable;

use crate::config::reader::report::Report;
use crate::config::reader::values::{StringItem, ValueError, string_or_array};
use crate::config::{HostPattern, HostPatternError};

/// Returns the names that an entry answers: none if it answers every name.
pub(super) fn read(entry: &DeTable<'_>, report: &mut Report) -> Vec<HostPattern> {
    let Some(value) = entry.get("host") else { return Vec::new() };
    let Some(items) = report.accept(value.span(), string_or_array("host", value)) else { return Vec::new() };
    if items.is_empty() {
        let error = ValueError::new("`host` names no host: the entry would answer no request");
        report.error(value.span(), error.help("leave it out: the entry then answers every name"));
    }
    let mut seen = HashSet::new();
    let parsed = items.iter().filter_map(|item| report.accept(item.span(), pattern(item)));
    parsed.filter(|host| seen.insert(host.clone())).collect()
}

fn pattern(item: &StringItem<'_, '_>) -> Result<HostPattern, ValueError> {
    let invalid = |error: HostPatternError| ValueError::new(format!("in `host`: {error}")).help(error.help());
    item.string()?.parse().map_err(invalid)
}
