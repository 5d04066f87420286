//! The key `volumes` of a `[[module]]`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::reader::file::{directory_help, must_be_directory};
use crate::config::reader::report::Report;
use crate::config::reader::values::{Value, ValueError, boolean, count, size, string, table};
use crate::config::{Key, Origin, ScratchConfig, Volume};

/// The files that a scratch directory may hold if the entry does not say.
const DEFAULT_FILES: u64 = 1024;

/// The most files of a scratch directory: to remove it takes some ten microseconds for each, on a thread that serves.
const MAX_FILES: u64 = 10_000;

/// The largest scratch directory: 1 TiB.
const MAX_SCRATCH: u64 = 1 << 40;

/// The names in a guest's file system.
#[derive(Default)]
pub(super) struct GuestDirectories {
    /// Directories of the host.
    pub volumes: Vec<Volume>,
    /// Directories that each request has for itself.
    pub scratch: Vec<ScratchConfig>,
}

impl GuestDirectories {
    /// The path of an earlier directory that is in the place of `guest`.
    pub fn in_place_of(&self, guest: &str) -> Option<&str> {
        let volumes = self.volumes.iter().map(|volume| volume.guest_path.as_str());
        let mut paths = volumes.chain(self.scratch.iter().map(|scratch| scratch.guest_path.as_str()));
        paths.find(|path| is_same_place(path, guest))
    }
}

/// Returns the directories of one `[[module]]`. Adds their locations to `origin`.
pub(super) fn read(entry: &DeTable<'_>, origin: &mut Origin, report: &mut Report) -> GuestDirectories {
    let mut found = GuestDirectories::default();
    let values = report.optional(entry, "volumes", |value| table("volumes", value));
    for (guest_path, value) in values.into_iter().flatten() {
        let guest: &str = guest_path.get_ref();
        if guest.is_empty() || guest.contains('\0') {
            report.error(guest_path.span(), ValueError::new("a volume needs a path in the guest, such as `/`"));
        }
        if let Some(earlier) = found.in_place_of(guest) {
            let error = ValueError::new(format!("the volume `{guest}` is in the place of `{earlier}`"));
            report.warning(guest_path.span(), error.help("programs find only one of the two: remove the other"));
        }
        if let Some(table) = value.get_ref().as_table().filter(|table| table.contains_key("scratch")) {
            origin.add(Key::Scratch(found.scratch.len()), value.span());
            found.scratch.extend(scratch(guest, table, report));
        } else if let Some(VolumeDirectory { path, span, read_only }) = directory(guest, value, report) {
            origin.add(Key::Volume(found.volumes.len()), span);
            found.volumes.push(Volume { guest_path: guest.to_owned(), host_path: path, read_only });
        }
    }
    found
}

/// The keys of a volume that is a table.
const KEYS: [&str; 4] = ["path", "read_only", "scratch", "files"];

fn scratch(guest: &str, table: &DeTable<'_>, report: &mut Report) -> Option<ScratchConfig> {
    report.unknown_keys(table, &KEYS, &format!("in `volumes.{guest}`"));
    for key in ["path", "read_only"] {
        if let Some(value) = table.get(key) {
            let error = ValueError::new(format!("`{key}` and `scratch` exclude each other"));
            report.error(
                value.span(),
                error.help("a scratch directory is empty at the start of each request, and writable"),
            );
        }
    }
    let bytes = report.optional(table, "scratch", |value| size("scratch", value, 1..=MAX_SCRATCH));
    let files = report.optional(table, "files", |value| count("files", value, 1..=MAX_FILES)).unwrap_or(DEFAULT_FILES);
    Some(ScratchConfig { guest_path: guest.to_owned(), bytes: bytes?, files })
}

/// Whether two paths in the guest are one place.
fn is_same_place(one: &str, other: &str) -> bool {
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

/// What to do if the directory of the host seems to stand first.
fn swapped_help(guest: &str, host: &str) -> Option<String> {
    let is_swapped = !guest.starts_with('/') && host.starts_with('/');
    is_swapped.then(|| format!("the path in the guest comes first: write `\"{host}\" = \"{guest}\"`"))
}

fn directory(guest: &str, value: &Value<'_>, report: &mut Report) -> Option<VolumeDirectory> {
    let name = format!("volumes.{guest}");
    let (path, read_only) = match value.get_ref() {
        DeValue::Table(table) => {
            report.unknown_keys(table, &KEYS, &format!("in `{name}`"));
            if let Some(files) = table.get("files") {
                report.error(files.span(), ValueError::new("`files` is for scratch directories").help("remove it"));
            }
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
    let help = || swapped_help(guest, text).unwrap_or_else(|| directory_help(Path::new(text)));
    report.accept(path.span(), exists.map_err(|error| ValueError::new(error).help(help())))?;
    Some(VolumeDirectory { path: text.into(), span: path.span(), read_only })
}
