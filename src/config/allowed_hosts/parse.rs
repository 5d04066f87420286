//! What does the key `allowed_hosts` say?
//!
//! Its values are texts, or tables that say host, scheme and port one by one. `config::entry` asks for each `[[module]]`.

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{Value, ValueError, array, count, string};

use crate::config::allowed_hosts::host::{AllowedHost, HostError, Hosts, Scheme};
use crate::config::allowed_hosts::list::{ALLOW_ALL, AllowedHosts};

/// What an entry in the form of a table may say.
const KEYS: [&str; 3] = ["host", "scheme", "port"];

/// The list of one `[[module]]`.
pub(in crate::config) fn read(entry: &DeTable<'_>, report: &mut Report) -> AllowedHosts {
    let mut hosts = AllowedHosts::None;
    let written =
        report.optional(entry, "allowed_hosts", |value| array("allowed_hosts", "an array of strings or tables", value));
    for (index, value) in written.into_iter().flatten().enumerate() {
        let name = format!("allowed_hosts[{index}]");
        if let DeValue::Table(table) = value.get_ref() {
            hosts.push_from(in_parts(&name, (value, table), report));
        } else {
            let added = string(&name, value.get_ref()).and_then(|text| hosts.add(text).map_err(host_error));
            report.accept(value.span(), added);
        }
    }
    hosts
}

impl AllowedHosts {
    fn push_from(&mut self, host: Option<AllowedHost>) {
        if let Some(host) = host {
            self.push(host);
        }
    }
}

/// What is said about an entry that is no host.
pub(in crate::config) fn host_error(error: HostError) -> ValueError {
    ValueError::new(format!("in `allowed_hosts`: {error}")).help(error.help())
}

fn in_parts(name: &str, (value, table): (&Value<'_>, &DeTable<'_>), report: &mut Report) -> Option<AllowedHost> {
    report.unknown_keys(table, &KEYS, &format!("in `{name}`"));
    if !table.contains_key("host") {
        report.error(value.span(), ValueError::new(format!("`host` is missing in `{name}`")));
    }
    let errors_before = report.errors();
    let hosts = report.optional(table, "host", |value| hosts(string("host", value)?));
    let scheme = report.optional(table, "scheme", |value| scheme(string("scheme", value)?));
    let port = report.optional(table, "port", |value| count("port", value, 1..=u16::MAX.into()));
    if report.errors() > errors_before {
        return None;
    }
    Some(AllowedHost { hosts: hosts?, scheme, port: port.and_then(|port| port.try_into().ok()) })
}

fn hosts(text: &str) -> Result<Hosts, ValueError> {
    let text = text.trim();
    if text == ALLOW_ALL {
        let error = ValueError::new(format!("in `allowed_hosts`: `{ALLOW_ALL}` is no host"));
        return Err(error.help(format!("write \"{ALLOW_ALL}\" as an entry of its own")));
    }
    text.parse().map_err(host_error)
}

fn scheme(text: &str) -> Result<Scheme, ValueError> {
    text.parse().map_err(|()| ValueError::new("`scheme` must be `\"http\"` or `\"https\"`"))
}
