//! What does the table `[debug]` say?

use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{ValueError, count, duration, size, string, table};
use crate::config::{CoredumpConfig, DebugConfig, ProfileConfig, SourceLocation};

const KEYS: [&str; 4] = ["coredump_directory", "coredump_files", "coredump_size", "profile"];
const PROFILE_KEYS: [&str; 2] = ["slower_than", "kept"];

/// Enough to compare a few traps. Each may be as large as the memory of a guest.
const DEFAULT_FILES: u64 = 10;
const MAX_FILES: u64 = 10_000;

/// The memory of most guests fits.
const DEFAULT_SIZE: u64 = 64 << 20;
/// All that a memory with addresses of 32 bits can have.
const MAX_SIZE: u64 = 4 << 30;

/// A profile has up to some MiB, and all of them are held in memory.
const DEFAULT_KEPT: u64 = 10;
const MAX_KEPT: u64 = 100;

/// Guests are sampled at most every 5 ms, so less would find nothing more.
const MIN_SLOWER_THAN: Duration = Duration::from_millis(5);

fn coredump_directory(value: &DeValue<'_>) -> Result<PathBuf, ValueError> {
    match string("coredump_directory", value)? {
        "" => Err(ValueError::new("`coredump_directory` is empty").help("write `.` for the working directory")),
        path => Ok(path.into()),
    }
}

/// Reads `[debug]`.
pub(super) fn read(debug: &DeTable<'_>, report: &mut Report) -> DebugConfig {
    report.unknown_keys(debug, &KEYS, "in `[debug]`");
    let directory = report.optional(debug, "coredump_directory", coredump_directory);
    let files = report.optional(debug, "coredump_files", |value| count("coredump_files", value, 1..=MAX_FILES));
    let size = report.optional(debug, "coredump_size", |value| size("coredump_size", value, 65_536..=MAX_SIZE));
    for key in ["coredump_files", "coredump_size"] {
        if let (Some(value), None) = (debug.get(key), debug.get("coredump_directory")) {
            let error = ValueError::new(format!("`{key}` has no effect without `coredump_directory`"));
            report.warning(value.span(), error.help("write `coredump_directory = \"coredumps\"`"));
        }
    }
    let span = debug.get("coredump_directory").map_or(0..0, |value| value.span());
    let coredumps = directory.map(|directory| CoredumpConfig {
        directory,
        location: SourceLocation::new(report.file(), span),
        files: files.unwrap_or(DEFAULT_FILES),
        size: size.unwrap_or(DEFAULT_SIZE),
    });
    DebugConfig { coredumps, profile: profile(debug, report) }
}

fn profile(debug: &DeTable<'_>, report: &mut Report) -> Option<ProfileConfig> {
    let value = debug.get("profile")?;
    let parsed =
        table("profile", value.get_ref()).map_err(|error| error.help("write `profile = { slower_than = \"200ms\" }`"));
    let profile = report.accept(value.span(), parsed)?;
    report.unknown_keys(profile, &PROFILE_KEYS, "in `profile`");
    if !profile.contains_key("slower_than") {
        let error = ValueError::new("`profile` has no `slower_than`");
        report.error(value.span(), error.help("write `profile = { slower_than = \"200ms\" }`"));
    }
    let slower_than = report.optional(profile, "slower_than", slower_than);
    let kept = report.optional(profile, "kept", |value| count("kept", value, 1..=MAX_KEPT)).unwrap_or(DEFAULT_KEPT);
    Some(ProfileConfig { slower_than: slower_than?, kept: usize::try_from(kept).unwrap_or(usize::MAX) })
}

fn slower_than(value: &DeValue<'_>) -> Result<Duration, ValueError> {
    let time = duration("slower_than", value)?;
    if time < MIN_SLOWER_THAN {
        return Err(ValueError::new("`slower_than` must be at least 5ms, since guests are sampled every 5 ms"));
    }
    Ok(time)
}
