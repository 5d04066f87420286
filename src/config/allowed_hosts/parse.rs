//! The key `allowed_hosts` of a `[[module]]`.
//!
//! Its values are strings, or tables with the keys `host`, `scheme` and `port`.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{ValueError, array, count, string};

use crate::config::allowed_hosts::host::{AllowedHost, HostError, HostRange, Scheme};
use crate::config::allowed_hosts::list::{ALLOW_ALL, AllowedHosts};

/// The keys of an item that is a table.
const KEYS: [&str; 3] = ["host", "scheme", "port"];

/// Returns the list of one `[[module]]`.
pub(in crate::config) fn read(entry: &DeTable<'_>, report: &mut Report) -> AllowedHosts {
    let mut hosts = AllowedHosts::None;
    let values =
        report.optional(entry, "allowed_hosts", |value| array("allowed_hosts", "an array of strings or tables", value));
    for (index, value) in values.into_iter().flatten().enumerate() {
        let name = format!("allowed_hosts[{index}]");
        if let DeValue::Table(table) = value.get_ref() {
            if let Some(host) = host_table(&name, table, value.span(), report) {
                hosts.push(host);
            }
        } else {
            let added = string(&name, value.get_ref()).and_then(|text| hosts.add(text).map_err(host_error));
            report.accept(value.span(), added);
        }
    }
    hosts
}

/// Names the key in the message of `error`.
pub(in crate::config) fn host_error(error: HostError) -> ValueError {
    ValueError::new(format!("in `allowed_hosts`: {error}")).help(error.help())
}

/// Reads the item `name`, a table at `span`.
fn host_table(name: &str, table: &DeTable<'_>, span: Range<usize>, report: &mut Report) -> Option<AllowedHost> {
    report.unknown_keys(table, &KEYS, &format!("in `{name}`"));
    if !table.contains_key("host") {
        report.error(span, ValueError::new(format!("`host` is missing in `{name}`")));
    }
    let errors_before = report.errors();
    let hosts = report.optional(table, "host", |value| host_pattern(string("host", value)?));
    let scheme = report.optional(table, "scheme", |value| scheme(string("scheme", value)?));
    let port = report.optional(table, "port", |value| count("port", value, 1..=u16::MAX.into()));
    if report.errors() > errors_before {
        return None;
    }
    Some(AllowedHost { hosts: hosts?, scheme, port: port.and_then(|port| port.try_into().ok()) })
}

fn host_pattern(text: &str) -> Result<HostRange, ValueError> {
    let text = text.trim();
    if text == ALLOW_ALL {
        let error = ValueError::new(format!("in `allowed_hosts`: `{ALLOW_ALL}` is not a host"));
        return Err(error.help(format!("write \"{ALLOW_ALL}\" as an entry of its own")));
    }
    text.parse().map_err(host_error)
}

fn scheme(text: &str) -> Result<Scheme, ValueError> {
    text.parse().map_err(|()| ValueError::new("`scheme` must be `\"http\"` or `\"https\"`"))
}
