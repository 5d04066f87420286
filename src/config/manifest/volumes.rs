//! The key `volumes` of a `[[module]]`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::reader::file::{directory_help, must_be_directory};
use crate::config::reader::report::Report;
use crate::config::reader::values::{Value, ValueError, boolean, string, table};
use crate::config::{Key, Origin, Volume};

/// Returns the volumes of one `[[module]]`. Adds their locations to `origin`.
pub(super) fn read(entry: &DeTable<'_>, origin: &mut Origin, report: &mut Report) -> Vec<Volume> {
    let mut volumes = Vec::new();
    let values = report.optional(entry, "volumes", |value| table("volumes", value));
    for (guest_path, value) in values.into_iter().flatten() {
        let guest: &str = guest_path.get_ref();
        if guest.is_empty() || guest.contains('\0') {
            report.error(guest_path.span(), ValueError::new("a volume needs a path in the guest, such as `/`"));
        }
        let same = volumes.iter().find(|volume: &&Volume| is_same_place(&volume.guest_path, guest));
        if let Some(Volume { guest_path: earlier, .. }) = same {
            let error = ValueError::new(format!("the volume `{guest}` is in the place of `{earlier}`"));
            report.warning(guest_path.span(), error.help("programs find only one of the two: remove the other"));
        }
        if let Some(VolumeDirectory { path, span, read_only }) = directory(guest, value, report) {
            origin.add(Key::Volume(volumes.len()), span);
            volumes.push(Volume { guest_path: guest.to_owned(), host_path: path, read_only });
        }
    }
    volumes
}

/// Whether two paths in the guest are one place.
pub(super) fn is_same_place(one: &str, other: &str) -> bool {
    parts(one).eq(parts(other))
}

/// The parts of a path in the guest: `/a`, `/a/` and `//a/.` are one place.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !["", "."].contains(part))
}

fn missing_path(name: &str) -> ValueError {
    ValueError::new(format!("`path` is missing in `{name}`")).help("write `{ path = \"DIR\", read_only = true }`")
}

/// The value of a volume.
struct VolumeDirectory {
    path: PathBuf,
    span: Range<usize>,
    read_only: bool,
}

fn directory(guest: &str, value: &Value<'_>, report: &mut Report) -> Option<VolumeDirectory> {
    let name = format!("volumes.{guest}");
    let (path, read_only) = match value.get_ref() {
        DeValue::Table(table) => {
            report.unknown_keys(table, &["path", "read_only"], &format!("in `{name}`"));
            let read_only = report.optional(table, "read_only", |value| boolean("read_only", value)).unwrap_or(false);
            let Some(path) = table.get("path") else {
                report.error(value.span(), missing_path(&name));
                return None;
            };
            (path, read_only)
        }
        DeValue::String(_) => (value, false),
        _ => {
            let error = ValueError::new(format!("`{name}` must be a path or `{{ path = \"...\", read_only = true }}`"));
            report.error(value.span(), error.help(format!("write `\"{guest}\" = \"DIR\"`")));
            return None;
        }
    };
    let text = report.accept(path.span(), string(&name, path.get_ref()))?;
    let exists = must_be_directory(Path::new(text));
    report.accept(path.span(), exists.map_err(|error| ValueError::new(error).help(directory_help(Path::new(text)))))?;
    Some(VolumeDirectory { path: text.into(), span: path.span(), read_only })
}
