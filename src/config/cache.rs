//! Where are compiled modules kept between two starts?
//!
//! The file has the form of wasmtime's own cache configuration, as `--cache` has always taken it, with the `enabled` key
//! that wasmtime has since dropped. `Config::load` calls this; `startup` turns the result into wasmtime's cache.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::manifest::syntax;
use super::values::{Fault, Report, Value, boolean, count, string, table};
use super::{Diagnostic, SourceFile, file};

/// Looked for in the working directory if `--cache` names no other.
const DEFAULT_FILE: &str = "cache.toml";

/// No such file is larger than this many bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// zstd has these levels.
const LEVELS: RangeInclusive<u64> = 0..=21;

const KEYS: [&str; 13] = [
    "enabled",
    "directory",
    "worker-event-queue-size",
    "baseline-compression-level",
    "optimized-compression-level",
    "optimized-compression-usage-counter-threshold",
    "cleanup-interval",
    "optimizing-compression-task-timeout",
    "allowed-clock-drift-for-files-from-future",
    "file-count-soft-limit",
    "files-total-size-soft-limit",
    "file-count-limit-percent-if-deleting",
    "files-total-size-limit-percent-if-deleting",
];

/// A cache of compiled modules. `None` leaves a value to wasmtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompilationCache {
    /// An absolute path, which need not exist yet; by default a directory below the user's cache directory.
    pub directory: Option<PathBuf>,
    /// How many events may wait for the thread that looks after the cache.
    pub worker_event_queue_size: Option<u64>,
    /// zstd level for new files, 0 to 21.
    pub baseline_compression_level: Option<i32>,
    /// zstd level for files that are used often, 0 to 21, not below the other.
    pub optimized_compression_level: Option<i32>,
    /// After how many uses a file is compressed again.
    pub optimized_compression_usage_counter_threshold: Option<u64>,
    /// Time between two cleanups.
    pub cleanup_interval: Option<Duration>,
    /// How long compressing a file again may take before another process tries.
    pub optimizing_compression_task_timeout: Option<Duration>,
    /// By how much files may seem to come from the future.
    pub allowed_clock_drift_for_files_from_future: Option<Duration>,
    /// From how many files on some are deleted.
    pub file_count_soft_limit: Option<u64>,
    /// From how many bytes on some files are deleted.
    pub files_total_size_soft_limit: Option<u64>,
    /// How much of the file count is left then, in percent.
    pub file_count_limit_percent_if_deleting: Option<u8>,
    /// How much of the bytes is left then, in percent.
    pub files_total_size_limit_percent_if_deleting: Option<u8>,
}

/// Whether the operator has a file that says where compiled code is kept, be it nowhere.
pub(super) fn is_configured(named: Option<&Path>) -> bool {
    named.is_some() || Path::new(DEFAULT_FILE).exists()
}

/// The cache that the file `named` by the operator, or else `cache.toml`, asks for.
pub(super) fn read(named: Option<&Path>, strict: bool, problems: &mut Vec<Diagnostic>) -> Option<CompilationCache> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    if !path.exists() {
        if named.is_some() {
            let message = format!("cache configuration `{}` does not exist: nothing is cached", path.display());
            problems.push(Diagnostic::warning(message).help(file::relative_paths()));
        }
        return None;
    }
    match file::read(path, "cache configuration", LARGEST_FILE, SourceFile::new) {
        Ok(file) => {
            let mut report = Report::new(Arc::clone(&file), strict);
            let cache = parse(&file, &mut report);
            problems.extend(report.finish());
            cache
        }
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

fn parse(file: &Arc<SourceFile>, report: &mut Report) -> Option<CompilationCache> {
    let root = syntax(file, report)?;
    let root = root.get_ref();
    report.unknown_keys(root, &["cache"], "at the top level");
    if !root.contains_key("cache") {
        let fault = Fault::new("there is no `[cache]` in this file");
        report.error(0..0, fault.help("write a line `[cache]` above the settings"));
    }
    let settings = report.optional(root, "cache", |value| table("cache", value))?;
    report.unknown_keys(settings, &KEYS, "in `[cache]`");
    let cache = CompilationCache::of(settings, report);
    let is_enabled = report.optional(settings, "enabled", |value| boolean("enabled", value)).unwrap_or(true);
    is_enabled.then_some(cache)
}

impl CompilationCache {
    fn of(table: &DeTable<'_>, report: &mut Report) -> Self {
        let mut settings = Settings { table, report };
        let cache = Self {
            directory: settings.take("directory", directory),
            worker_event_queue_size: settings.take("worker-event-queue-size", amount),
            baseline_compression_level: settings.take("baseline-compression-level", level),
            optimized_compression_level: settings.take("optimized-compression-level", level),
            optimized_compression_usage_counter_threshold: settings
                .take("optimized-compression-usage-counter-threshold", amount),
            cleanup_interval: settings.take("cleanup-interval", period),
            optimizing_compression_task_timeout: settings.take("optimizing-compression-task-timeout", period),
            allowed_clock_drift_for_files_from_future: settings
                .take("allowed-clock-drift-for-files-from-future", period),
            file_count_soft_limit: settings.take("file-count-soft-limit", amount),
            files_total_size_soft_limit: settings.take("files-total-size-soft-limit", amount),
            file_count_limit_percent_if_deleting: settings.take("file-count-limit-percent-if-deleting", percent),
            files_total_size_limit_percent_if_deleting: settings
                .take("files-total-size-limit-percent-if-deleting", percent),
        };
        if let (Some(low), Some(high)) = (cache.baseline_compression_level, cache.optimized_compression_level)
            && high < low
        {
            let message = "`optimized-compression-level` must not be below `baseline-compression-level`";
            let span = table.get("optimized-compression-level").map(Value::span).unwrap_or_default();
            report.error(span, Fault::new(message));
        }
        cache
    }
}

struct Settings<'a, 'i> {
    table: &'a DeTable<'i>,
    report: &'a mut Report,
}

impl Settings<'_, '_> {
    fn take<T>(&mut self, key: &str, parse: impl FnOnce(&str, &DeValue<'_>) -> Result<T, Fault>) -> Option<T> {
        self.report.optional(self.table, key, |value| parse(key, value))
    }
}

fn directory(name: &str, value: &DeValue<'_>) -> Result<PathBuf, Fault> {
    let text = string(name, value)?;
    if text.starts_with('<') {
        let fault = Fault::new("`directory` still holds the placeholder of the example");
        return Err(fault.help("write the absolute path of a directory, or remove the line"));
    }
    if !Path::new(text).is_absolute() {
        let fault = Fault::new(format!("`directory` must be an absolute path, which `{text}` is not"));
        return Err(fault.help("write it from the root, or remove the line for a directory in the user's cache"));
    }
    Ok(text.into())
}

fn level(name: &str, value: &DeValue<'_>) -> Result<i32, Fault> {
    count(name, value, LEVELS).map(|level| i32::try_from(level).unwrap_or_default())
}

/// A number with or without one of wasmtime's unit prefixes.
fn amount(name: &str, value: &DeValue<'_>) -> Result<u64, Fault> {
    let DeValue::String(text) = value else { return count(name, value, 0..=u64::MAX) };
    let (number, prefix) = split(text);
    let factor = match prefix {
        "" => Some(1),
        "K" => Some(1_000),
        "M" => Some(1_000_000),
        "G" => Some(1_000_000_000),
        "T" => Some(1_000_000_000_000),
        "P" => Some(1_000_000_000_000_000),
        "Ki" => Some(1 << 10),
        "Mi" => Some(1 << 20),
        "Gi" => Some(1 << 30),
        "Ti" => Some(1 << 40),
        "Pi" => Some(1 << 50),
        _ => None,
    };
    let amount = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    amount.ok_or_else(|| Fault::new(format!("`{name}` must be a number such as `\"500\"`, `\"64K\"` or `\"10Gi\"`")))
}

fn period(name: &str, value: &DeValue<'_>) -> Result<Duration, Fault> {
    let (number, unit) = split(string(name, value)?);
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let period = number.parse::<u64>().ok().zip(seconds).and_then(|(number, seconds)| number.checked_mul(seconds));
    let fault = || Fault::new(format!("`{name}` must be a duration such as `\"30s\"`, `\"5m\"`, `\"1h\"` or `\"1d\"`"));
    period.map(Duration::from_secs).ok_or_else(fault)
}

fn percent(name: &str, value: &DeValue<'_>) -> Result<u8, Fault> {
    let (number, unit) = split(string(name, value)?);
    let percent = number.parse::<u8>().ok().filter(|percent| *percent <= 100 && unit == "%");
    percent.ok_or_else(|| Fault::new(format!("`{name}` must be between `\"0%\"` and `\"100%\"`")))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Option<CompilationCache>, Vec<Diagnostic>) {
        let file = SourceFile::new("cache.toml", text);
        let mut report = Report::new(Arc::clone(&file), false);
        let cache = parse(&file, &mut report);
        (cache, report.finish())
    }

    #[test]
    fn every_setting_of_the_historical_file_is_understood() {
        let text = "[cache]\nenabled = true\ndirectory = \"/var/cache/wagi\"\nworker-event-queue-size = \"16\"\n\
            baseline-compression-level = 3\noptimized-compression-level = 20\n\
            optimized-compression-usage-counter-threshold = \"2K\"\ncleanup-interval = \"1d\"\n\
            optimizing-compression-task-timeout = \"30m\"\nallowed-clock-drift-for-files-from-future = \"23h\"\n\
            file-count-soft-limit = \"65536\"\nfiles-total-size-soft-limit = \"10Gi\"\n\
            file-count-limit-percent-if-deleting = \"70%\"\nfiles-total-size-limit-percent-if-deleting = \"7 %\"\n";
        let expected = CompilationCache {
            directory: Some("/var/cache/wagi".into()),
            worker_event_queue_size: Some(16),
            baseline_compression_level: Some(3),
            optimized_compression_level: Some(20),
            optimized_compression_usage_counter_threshold: Some(2_000),
            cleanup_interval: Some(Duration::from_secs(86_400)),
            optimizing_compression_task_timeout: Some(Duration::from_secs(1_800)),
            allowed_clock_drift_for_files_from_future: Some(Duration::from_secs(82_800)),
            file_count_soft_limit: Some(65_536),
            files_total_size_soft_limit: Some(10 << 30),
            file_count_limit_percent_if_deleting: Some(70),
            files_total_size_limit_percent_if_deleting: Some(7),
        };
        assert_eq!(parsed(text), (Some(expected), vec![]));
    }

    #[test]
    fn a_cache_can_be_switched_off_and_left_to_its_defaults() {
        assert_eq!(parsed("[cache]\nenabled = false\ndirectory = '/x'"), (None, vec![]));
        assert_eq!(parsed("[cache]\nenabled = true"), (Some(CompilationCache::default()), vec![]));
        assert_eq!(parsed("[cache]"), (Some(CompilationCache::default()), vec![]));
    }

    #[test]
    fn bad_settings_are_reported_at_their_line() {
        for (setting, message) in [
            ("directory = '<absolute path>'", "placeholder"),
            ("directory = 'cache'", "absolute path, which `cache` is not"),
            ("directory = 3", "must be a string"),
            ("enabled = 'yes'", "must be `true` or `false`"),
            ("baseline-compression-level = 22", "between 0 and 21"),
            ("optimized-compression-level = 1\nbaseline-compression-level = 2", "must not be below"),
            ("cleanup-interval = '1 day'", "duration"),
            ("cleanup-interval = '99999999999999999999d'", "duration"),
            ("cleanup-interval = 60", "must be a string"),
            ("files-total-size-soft-limit = '10GiB'", "number such as"),
            ("files-total-size-soft-limit = '99999999Pi'", "number such as"),
            ("file-count-limit-percent-if-deleting = '101%'", "between `\"0%\"`"),
            ("file-count-limit-percent-if-deleting = '70'", "between `\"0%\"`"),
            ("cleanup_interval = '1d'", "unknown key `cleanup_interval`"),
        ] {
            let (_, problems) = parsed(&format!("[cache]\n{setting}"));
            let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
            assert_eq!(shown.len(), 1, "{setting}: {shown:?}");
            assert!(shown[0].contains(message) && shown[0].contains("cache.toml:2:"), "{setting}: {}", shown[0]);
        }
        assert_eq!(parsed("").1.len(), 1);
        assert_eq!(parsed("cache = 3").1.len(), 1);
    }

    #[test]
    fn a_missing_file_is_worth_a_word_only_if_it_was_named() {
        let mut problems = Vec::new();
        assert_eq!(read(Some(Path::new("no/such/cache.toml")), false, &mut problems), None);
        assert_eq!(problems.iter().map(Diagnostic::is_error).collect::<Vec<_>>(), [false]);
    }
}
