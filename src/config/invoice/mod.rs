//! What does the invoice of a bindle ask for?
//!
//! An invoice lists parcels, which are files with a digest. Some are programs with a route, and become scripts; some are
//! files that a program sees if it requires a group they are in. It is walked like a modules.toml, so that every problem in
//! it is found in one go, each with its place. Called by `fetch`, which has the bytes and gets those of the parcels.
//!
//! | file | question |
//! | --- | --- |
//! | `id` | how is a bindle named? |
//! | `parcel` | what does one `[[parcel]]` say? |
//! | `served` | which parcels are scripts, and what are they given? |
//! | `groups` | which parcels does one require? |

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

use crate::config::invoice::parcel::{Described, spelled};
use crate::config::reader::file;
use crate::config::reader::report::{Report, parse_toml};
use crate::config::reader::values::{ValueError, array, boolean, string, table};
use crate::config::{Diagnostic, SourceFile};

/// No invoice is larger than this many bytes: more than ten thousand parcels fit.
pub const LARGEST_INVOICE: u64 = 4 << 20;

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

/// Reads the invoice with the name `name`, which is to be that of the bindle asked for. If a problem is an error, the
/// scripts are what is left without it.
pub fn read_invoice(name: &str, bytes: Vec<u8>, asked: &BindleConfig) -> (Vec<BindleEntry>, Vec<Diagnostic>) {
    let file = match file::text(name, "invoice", LARGEST_INVOICE, bytes, SourceFile::new) {
        Ok(file) => file,
        Err(problem) => return (Vec::new(), vec![*problem]),
    };
    let mut report = Report::new(Arc::clone(&file), asked.strict);
    let mut scripts = Vec::new();
    if let Some(root) = parse_toml(&file, &mut report) {
        check_head(root.get_ref(), asked, &mut report);
        let parcels = parcels(root.get_ref(), &mut report);
        scripts = entries::scripts(&parcels, asked, &mut report);
    }
    (scripts, report.finish())
}

/// What does not belong to a parcel.
fn check_head(root: &DeTable<'_>, asked: &BindleConfig, report: &mut Report) {
    report.unknown_keys(root, &KEYS, "in the invoice");
    if spelled(root, ["bindleVersion", "bindle_version"]).is_none() {
        report.warning(0..0, ValueError::new("`bindleVersion` is missing").help("write `bindleVersion = \"1.0.0\"`"));
    }
    if report.optional(root, "yanked", |value| boolean("yanked", value)) == Some(true) {
        let span = root.get("yanked").map_or(0..0, toml::Spanned::span);
        let error = ValueError::new(format!("bindle `{}` is yanked: its publisher has withdrawn it", asked.id));
        report.error(span, error.help("ask for another version"));
    }
    let Some(value) = root.get("bindle") else {
        return report.error(0..0, ValueError::new("`[bindle]` with its `name` and `version` is missing"));
    };
    let Some(bindle) = report.accept(value.span(), table("bindle", value.get_ref())) else { return };
    for (key, expected) in [("name", asked.id.name()), ("version", asked.id.version())] {
        let Some(value) = bindle.get(key) else {
            report.error(value.span(), ValueError::new(format!("`bindle.{key}` is missing")));
            continue;
        };
        let Some(found) = report.accept(value.span(), string(&format!("bindle.{key}"), value.get_ref())) else {
            continue;
        };
        if found != expected {
            let error = ValueError::new(format!("this is the invoice of another bindle than `{}`", asked.id));
            report.error(value.span(), error.label(format!("expected `{expected}`")));
        }
    }
}

fn parcels<'t>(root: &'t DeTable<'_>, report: &mut Report) -> Vec<Described<'t>> {
    let parse = |value| {
        array("parcel", "an array of tables", value)
            .map_err(|error| error.help("write `[[parcel]]`, in two pairs of brackets"))
    };
    let values = report.optional(root, "parcel", parse).unwrap_or_default();
    let read = values.iter().enumerate().filter_map(|(index, value)| {
        let entry = report.accept(value.span(), table(&format!("parcel[{index}]"), value.get_ref()))?;
        parcel::read(entry, value.span(), report)
    });
    read.collect()
}
