//! What does the invoice of a bindle say?
//!
//! An invoice lists parcels, which are files with a digest. A module with a route becomes an entry. A file is visible
//! to a guest that requires a group of the file. The reader visits the invoice value by value, as for a modules.toml,
//! so that one run finds every problem with its location. Called by the room `bindle`, which fetches the invoice and
//! the parcels.
//!
//! | file | contents |
//! | --- | --- |
//! | `bindle` | the bindle that the operator asked for |
//! | `id` | its id |
//! | `parcel` | one `[[parcel]]` |
//! | `groups` | the graph of parcels and groups |
//! | `entries` | from parcels to entries |

mod bindle;
mod entries;
mod groups;
mod id;
mod parcel;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use toml::de::DeTable;

pub use crate::config::invoice::bindle::BindleConfig;
pub use crate::config::invoice::entries::BindleEntry;
pub use crate::config::invoice::id::{BindleId, BindleIdError};
pub use crate::config::invoice::parcel::Parcel;

use crate::config::invoice::parcel::{ParcelTable, first_of};
use crate::config::reader::file;
use crate::config::reader::report::{Report, parse_toml};
use crate::config::reader::values::{ValueError, array, boolean, string, table};
use crate::config::{Diagnostic, SourceFile};

/// The largest invoice in bytes: more than ten thousand parcels fit.
pub const MAX_INVOICE_SIZE: u64 = 4 << 20;

const KEYS: [&str; 9] = [
    "bindleVersion",
    "bindle_version",
    "bindle",
    "yanked",
    "yankedSignature",
    "annotations",
    "group",
    "signature",
    "parcel",
];

/// Reads the invoice of `bindle`. Messages call it `name`. If a problem is an error, the entries are those without
/// errors.
pub fn read_invoice(name: &str, bytes: Vec<u8>, bindle: &BindleConfig) -> (Vec<BindleEntry>, Vec<Diagnostic>) {
    let file = match file::decode(name, "invoice", MAX_INVOICE_SIZE, bytes, SourceFile::new) {
        Ok(file) => file,
        Err(problem) => return (Vec::new(), vec![*problem]),
    };
    let mut report = Report::new(Arc::clone(&file), bindle.strict);
    let mut entries = Vec::new();
    if let Some(root) = parse_toml(&file, &mut report) {
        check_head(root.get_ref(), bindle, &mut report);
        let parcels = parcels(root.get_ref(), &mut report);
        entries = entries::read(&parcels, bindle, &mut report);
    }
    (entries, report.finish())
}

/// Checks everything that is not in a parcel.
fn check_head(root: &DeTable<'_>, expected: &BindleConfig, report: &mut Report) {
    report.unknown_keys(root, &KEYS, "in the invoice");
    if first_of(root, &["bindleVersion", "bindle_version"]).is_none() {
        report.warning(0..0, ValueError::new("`bindleVersion` is missing").help("write `bindleVersion = \"1.0.0\"`"));
    }
    if report.optional(root, "yanked", |value| boolean("yanked", value)) == Some(true) {
        let span = root.get("yanked").map_or(0..0, toml::Spanned::span);
        let error = ValueError::new(format!("bindle `{}` is yanked: its publisher has withdrawn it", expected.id));
        report.error(span, error.help("ask for another version"));
    }
    let Some(value) = root.get("bindle") else {
        return report.error(0..0, ValueError::new("`[bindle]` with its `name` and `version` is missing"));
    };
    let Some(bindle) = report.accept(value.span(), table("bindle", value.get_ref())) else { return };
    for (key, text) in [("name", expected.id.name()), ("version", expected.id.version())] {
        let Some(value) = bindle.get(key) else {
            report.error(value.span(), ValueError::new(format!("`bindle.{key}` is missing")));
            continue;
        };
        let Some(found) = report.accept(value.span(), string(&format!("bindle.{key}"), value.get_ref())) else {
            continue;
        };
        if found != text {
            let error = ValueError::new(format!("this is the invoice of another bindle than `{}`", expected.id));
            report.error(value.span(), error.label(format!("expected `{text}`")));
        }
    }
}

fn parcels<'t>(root: &'t DeTable<'_>, report: &mut Report) -> Vec<ParcelTable<'t>> {
    let parse = |value| {
        array("parcel", "an array of tables", value)
            .map_err(|error| error.help("write `[[parcel]]`, in two pairs of brackets"))
    };
    let values = report.optional(root, "parcel", parse).unwrap_or_default();
    let tables = values.iter().enumerate().filter_map(|(index, value)| {
        let entry = report.accept(value.span(), table(&format!("parcel[{index}]"), value.get_ref()))?;
        parcel::read(entry, value.span(), report)
    });
    tables.collect()
}
