//! The configuration of the code cache.
//!
//! Code is kept in the user's cache directory, unless a file names another directory. The file has the format of
//! wasmtime's cache configuration, with the key `enabled`, which wasmtime has removed. `Config::load` reads it,
//! `runtime` configures wasmtime's cache with the result.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::config::reader::file::{self, relative_paths_help};
use crate::config::reader::report::{Report, parse_toml};
use crate::config::reader::values::{Value, ValueError, boolean, count, string, table};
use crate::config::{Diagnostic, SourceFile};

/// The file in the working directory that is read without `--cache`.
pub(super) const DEFAULT_FILE: &str = "cache.toml";

/// The largest cache configuration in bytes.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// The levels of zstd.
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

/// Where and how compiled code is kept. `None` means the default of wasmtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeCacheConfig {
    /// The absolute path of the directory, which need not exist.
    pub directory: PathBuf,
    /// Whether the operator configured it. A default cache that cannot be opened is not an error.
    pub is_explicit: bool,
    /// The number of events that may wait for the thread that maintains the cache.
    pub worker_event_queue_size: Option<u64>,
    /// The zstd level for new files, 0 to 21.
    pub baseline_compression_level: Option<i32>,
    /// The zstd level for files that are used often, 0 to 21, not below the baseline.
    pub optimized_compression_level: Option<i32>,
    /// The number of uses after which a file is compressed again.
    pub optimized_compression_usage_counter_threshold: Option<u64>,
    /// The time between two cleanups.
    pub cleanup_interval: Option<Duration>,
    /// The time after which another process may compress a file again.
    pub optimizing_compression_task_timeout: Option<Duration>,
    /// How far the time of a file may be in the future.
    pub allowed_clock_drift_for_files_from_future: Option<Duration>,
    /// The number of files above which files are deleted.
    pub file_count_soft_limit: Option<u64>,
    /// The number of bytes above which files are deleted.
    pub files_total_size_soft_limit: Option<u64>,
    /// The percentage of the file count that is left after that.
    pub file_count_limit_percent_if_deleting: Option<u8>,
    /// The percentage of the bytes that is left after that.
    pub files_total_size_limit_percent_if_deleting: Option<u8>,
}

/// Returns the default directory for compiled code, in the user's cache directory of wagi.
pub fn default_code_cache(user_cache: &Path) -> PathBuf {
    user_cache.join("compiled")
}

/// The content of a cache configuration.
#[derive(Debug, PartialEq, Eq)]
enum CacheFile {
    /// `enabled = false`.
    Disabled,
    /// The settings. Without a directory, the default directory is used.
    Enabled { directory: Option<PathBuf>, settings: Box<CodeCacheConfig> },
}

/// Returns the cache that the `file` of the operator configures, or else `cache.toml`. Without both, returns a cache in
/// the directory `default`, if there is one.
pub fn code_cache_config(
    file: Option<&Path>,
    default: Option<&Path>,
    strict: bool,
    problems: &mut Vec<Diagnostic>,
) -> Option<CodeCacheConfig> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    if !path.exists() {
        if file.is_some() {
            let message = format!("cache configuration `{}` does not exist: the defaults are used", path.display());
            problems.push(Diagnostic::warning(message).help(relative_paths_help()));
        }
        return default.map(|default| CodeCacheConfig { directory: default.to_owned(), ..CodeCacheConfig::default() });
    }
    match read_file(path, strict, problems)? {
        CacheFile::Disabled => None,
        CacheFile::Enabled { directory, settings } => {
            let directory = directory.or_else(|| default.map(Path::to_owned));
            if directory.is_none() {
                let message = format!("`{}` names no directory, and the user has none for caches", path.display());
                problems.push(Diagnostic::warning(message).help("add `directory` with an absolute path"));
            }
            directory.map(|directory| CodeCacheConfig { directory, ..*settings })
        }
    }
}

fn read_file(path: &Path, strict: bool, problems: &mut Vec<Diagnostic>) -> Option<CacheFile> {
    match file::read(path, "cache configuration", MAX_FILE_SIZE, SourceFile::new) {
        Ok(file) => {
            let mut report = Report::new(Arc::clone(&file), strict);
            let content = parse(&file, &mut report);
            problems.extend(report.finish());
            content
        }
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

fn parse(file: &Arc<SourceFile>, report: &mut Report) -> Option<CacheFile> {
    let root = parse_toml(file, report)?;
    let root = root.get_ref();
    report.unknown_keys(root, &["cache"], "at the top level");
    if !root.contains_key("cache") {
        let error = ValueError::new("there is no `[cache]` in this file");
        report.error(0..0, error.help("write a line `[cache]` above the settings"));
    }
    let table = report.optional(root, "cache", |value| table("cache", value))?;
    report.unknown_keys(table, &KEYS, "in `[cache]`");
    let directory = report.optional(table, "directory", |value| directory("directory", value));
    let settings = Box::new(CodeCacheConfig::from_table(table, report));
    let is_enabled = report.optional(table, "enabled", |value| boolean("enabled", value)).unwrap_or(true);
    Some(if is_enabled { CacheFile::Enabled { directory, settings } } else { CacheFile::Disabled })
}

impl CodeCacheConfig {
    /// Reads all settings but the directory.
    fn from_table(table: &DeTable<'_>, report: &mut Report) -> Self {
        let mut settings = Settings { table, report };
        let cache = Self {
            directory: PathBuf::new(),
            is_explicit: true,
            worker_event_queue_size: settings.get("worker-event-queue-size", amount),
            baseline_compression_level: settings.get("baseline-compression-level", level),
            optimized_compression_level: settings.get("optimized-compression-level", level),
            optimized_compression_usage_counter_threshold: settings
                .get("optimized-compression-usage-counter-threshold", amount),
            cleanup_interval: settings.get("cleanup-interval", period),
            optimizing_compression_task_timeout: settings.get("optimizing-compression-task-timeout", period),
            allowed_clock_drift_for_files_from_future: settings
                .get("allowed-clock-drift-for-files-from-future", period),
            file_count_soft_limit: settings.get("file-count-soft-limit", amount),
            files_total_size_soft_limit: settings.get("files-total-size-soft-limit", amount),
            file_count_limit_percent_if_deleting: settings.get("file-count-limit-percent-if-deleting", percent),
            files_total_size_limit_percent_if_deleting: settings
                .get("files-total-size-limit-percent-if-deleting", percent),
        };
        if let (Some(low), Some(high)) = (cache.baseline_compression_level, cache.optimized_compression_level)
            && high < low
        {
            let message = "`optimized-compression-level` must not be below `baseline-compression-level`";
            let span = table.get("optimized-compression-level").map(Value::span).unwrap_or_default();
            report.error(span, ValueError::new(message));
        }
        cache
    }
}

struct Settings<'a, 'i> {
    table: &'a DeTable<'i>,
    report: &'a mut Report,
}

impl Settings<'_, '_> {
    fn get<T>(&mut self, key: &str, parse: impl FnOnce(&str, &DeValue<'_>) -> Result<T, ValueError>) -> Option<T> {
        self.report.optional(self.table, key, |value| parse(key, value))
    }
}

fn directory(name: &str, value: &DeValue<'_>) -> Result<PathBuf, ValueError> {
    let text = string(name, value)?;
    if text.starts_with('<') {
        let error = ValueError::new("`directory` still contains the placeholder of the example");
        return Err(error.help("write the absolute path of a directory, or remove the line"));
    }
    if !Path::new(text).is_absolute() {
        let error = ValueError::new(format!("`directory` must be an absolute path, which `{text}` is not"));
        return Err(error.help("write it from the root, or remove the line for a directory in the user's cache"));
    }
    Ok(text.into())
}

fn level(name: &str, value: &DeValue<'_>) -> Result<i32, ValueError> {
    count(name, value, LEVELS).map(|level| i32::try_from(level).unwrap_or_default())
}

/// Parses a number with an optional unit prefix, as wasmtime does.
fn amount(name: &str, value: &DeValue<'_>) -> Result<u64, ValueError> {
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
    amount
        .ok_or_else(|| ValueError::new(format!("`{name}` must be a number such as `\"500\"`, `\"64K\"` or `\"10Gi\"`")))
}

fn period(name: &str, value: &DeValue<'_>) -> Result<Duration, ValueError> {
    let (number, unit) = split(string(name, value)?);
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let period = number.parse::<u64>().ok().zip(seconds).and_then(|(number, seconds)| number.checked_mul(seconds));
    let error =
        || ValueError::new(format!("`{name}` must be a duration such as `\"30s\"`, `\"5m\"`, `\"1h\"` or `\"1d\"`"));
    period.map(Duration::from_secs).ok_or_else(error)
}

fn percent(name: &str, value: &DeValue<'_>) -> Result<u8, ValueError> {
    let (number, unit) = split(string(name, value)?);
    let percent = number.parse::<u8>().ok().filter(|percent| *percent <= 100 && unit == "%");
    percent.ok_or_else(|| ValueError::new(format!("`{name}` must be between `\"0%\"` and `\"100%\"`")))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use crate::config::code_cache::*;

    fn parsed(text: &str) -> (Option<CacheFile>, Vec<Diagnostic>) {
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
        let expected = CodeCacheConfig {
            directory: PathBuf::new(),
            is_explicit: true,
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
        assert_eq!(
            parsed(text),
            (
                Some(CacheFile::Enabled { directory: Some("/var/cache/wagi".into()), settings: Box::new(expected) }),
                vec![]
            )
        );
    }

    #[test]
    fn a_cache_can_be_switched_off_and_left_to_its_defaults() {
        let defaults = CodeCacheConfig { is_explicit: true, ..CodeCacheConfig::default() };
        assert_eq!(parsed("[cache]\nenabled = false\ndirectory = '/x'"), (Some(CacheFile::Disabled), vec![]));
        for text in ["[cache]\nenabled = true", "[cache]"] {
            assert_eq!(
                parsed(text),
                (Some(CacheFile::Enabled { directory: None, settings: Box::new(defaults.clone()) }), vec![])
            );
        }
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
    fn a_missing_file_is_reported_only_if_the_operator_named_it() {
        let (mut problems, usual) = (Vec::new(), Path::new("/home/me/.cache/wagi/compiled"));
        let missing = Some(Path::new("no/such/cache.toml"));
        assert_eq!(code_cache_config(missing, None, false, &mut problems), None);
        assert_eq!(problems.iter().map(Diagnostic::is_error).collect::<Vec<_>>(), [false]);
        let cache = code_cache_config(None, Some(usual), false, &mut problems).expect("the default");
        assert_eq!((cache.directory.as_path(), cache.is_explicit, problems.len()), (usual, false, 1));
    }

    #[test]
    fn a_file_may_leave_the_directory_to_its_default_and_switch_everything_off() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (file, usual) = (directory.path().join("c.toml"), Path::new("/usual"));
        for (text, with_usual, without) in [
            ("[cache]", Some("/usual"), None),
            ("[cache]\ndirectory='/own'", Some("/own"), Some("/own")),
            ("[cache]\nenabled=false", None, None),
        ] {
            std::fs::write(&file, text).expect("writable");
            for (usual, expected) in [(Some(usual), with_usual), (None, without)] {
                let mut problems = Vec::new();
                let cache = code_cache_config(Some(&file), usual, false, &mut problems);
                assert_eq!(cache.map(|cache| cache.directory), expected.map(PathBuf::from), "{text}");
                assert_eq!(problems.len(), usize::from(text == "[cache]" && usual.is_none()), "{text}");
            }
        }
    }
}
