//! What does the table `[admin]` say?

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::admin::{AdminAddress, AdminAddressError, AdminTable};
use crate::config::reader::report::Report;
use crate::config::reader::values::{StringItem, ValueError, string, string_or_array};
use crate::config::{HostPattern, HostPatternError, SourceLocation, UnknownGroup};

const KEYS: [&str; 3] = ["listen", "hosts", "token_file"];

impl AdminTable {
    /// Reads `[admin]`.
    pub(super) fn read(admin: &DeTable<'_>, report: &mut Report) -> Self {
        report.unknown_keys(admin, &KEYS, "in `[admin]`");
        let location = |key: &str, report: &Report| {
            let span = admin.get(key).map_or(0..0, |value| value.span());
            SourceLocation::new(report.file(), span)
        };
        let listen = report.optional(admin, "listen", address);
        let token_file = report.optional(admin, "token_file", |value| string("token_file", value).map(PathBuf::from));
        if let Some(path) = &token_file {
            report.names_file(Path::new(path));
        }
        Self {
            listen: listen.map(|address| (address, location("listen", report))),
            hosts: hosts(admin, report),
            token_file: token_file.map(|path| (path, location("token_file", report))),
        }
    }
}

/// The names that the listener answers besides its own.
fn hosts(admin: &DeTable<'_>, report: &mut Report) -> Vec<HostPattern> {
    let Some(value) = admin.get("hosts") else { return Vec::new() };
    let items = report.accept(value.span(), string_or_array("hosts", value)).unwrap_or_default();
    items.iter().filter_map(|item| report.accept(item.span(), host(item))).collect()
}

fn host(item: &StringItem<'_, '_>) -> Result<HostPattern, ValueError> {
    item.string()?.parse().map_err(|error: HostPatternError| {
        let help = match error {
            HostPatternError::EveryName(_) => {
                "name each host: a page of any other one could ask the listener by a name of its own".to_owned()
            }
            _ => error.help(),
        };
        ValueError::new(format!("in `hosts`: {error}")).help(help)
    })
}

fn address(value: &DeValue<'_>) -> Result<AdminAddress, ValueError> {
    let error = |error: &dyn std::error::Error| ValueError::new(format!("in `listen` of `[admin]`: {error}"));
    let address: AdminAddress =
        string("listen", value)?.parse().map_err(|unknown: AdminAddressError| error(&unknown))?;
    address.check_group().map_err(|unknown| error(&unknown).help(UnknownGroup::HELP))?;
    Ok(address)
}
