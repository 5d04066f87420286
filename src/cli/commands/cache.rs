//! `wagi cache`: list the caches, and remove unused entries.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use wagi::cache::{CacheEntry, Caches, default_module_cache, list, prune};
use wagi::config::{code_cache_config, default_code_cache};
use wagi::counted;
use wagi::printable;

use crate::cli::commands::size;
use crate::cli::terminal::{print_message, print_problems, print_result};

/// A subcommand of `wagi cache`.
pub enum CacheCommand {
    List(CacheLocations),
    Prune(CacheLocations, Duration),
}

/// The locations of the caches, as far as the operator chose them.
pub struct CacheLocations {
    pub module_cache: Option<PathBuf>,
    pub cache: Option<PathBuf>,
    pub user_cache: Option<PathBuf>,
}

impl CacheLocations {
    fn caches(self) -> Caches {
        let user_cache = self.user_cache.as_deref();
        let mut problems = Vec::new();
        let compiled = user_cache.map(default_code_cache);
        let compiled = code_cache_config(self.cache.as_deref(), compiled.as_deref(), false, &mut problems);
        print_problems(&problems);
        Caches {
            modules: self.module_cache.or_else(|| user_cache.map(default_module_cache)),
            compiled: compiled.map(|cache| cache.directory),
        }
    }
}

impl CacheCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(locations) => print_all(&locations.caches()),
            Self::Prune(locations, unused_for) => print_pruned(&locations.caches(), unused_for),
        }
    }
}

fn print_all(caches: &Caches) -> anyhow::Result<ExitCode> {
    let entries = list(caches).context("cannot read the caches")?;
    let mut lines = Vec::new();
    if !entries.is_empty() {
        lines.push(format!("{:<9} {:>10} {:>6} {:>6}  NAME", "WHAT", "SIZE", "AGE", "UNUSED"));
    }
    for entry in &entries {
        let CacheEntry { kind, name, bytes, written, used, .. } = entry;
        let (size, age, unused) = (size(*bytes), age(*written), age(*used));
        lines.push(format!("{kind:<9} {size:>10} {age:>6} {unused:>6}  {}", printable::line(name)));
    }
    for (what, root) in [("modules", &caches.modules), ("compiled code", &caches.compiled)] {
        let Some(root) = root else {
            lines.push(format!("no cache for {what}: neither XDG_CACHE_HOME nor HOME is set"));
            continue;
        };
        let (mut number, mut bytes) = (0_u64, 0_u64);
        for entry in entries.iter().filter(|entry| entry.path.starts_with(root)) {
            (number, bytes) = (number + 1, bytes.saturating_add(entry.bytes));
        }
        let root = root.display().to_string();
        let number = counted(number, "entry", "entries");
        lines.push(format!("{what}: {number}, {} in {}", size(bytes), printable::line(&root)));
    }
    print_result(&(lines.join("\n") + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn print_pruned(caches: &Caches, unused_for: Duration) -> anyhow::Result<ExitCode> {
    let pruned = prune(caches, unused_for)?;
    let mut lines = Vec::new();
    for CacheEntry { kind, name, bytes, .. } in &pruned.removed {
        lines.push(format!("removed {kind} {} ({})", printable::line(name), size(*bytes)));
    }
    for CacheEntry { kind, name, .. } in &pruned.in_use {
        lines.push(format!("kept {kind} {}: a server uses it", printable::line(name)));
    }
    let freed = pruned.removed.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.bytes));
    let removed = counted(pruned.removed.len(), "entry", "entries");
    lines.push(format!("{removed} removed, {} freed", size(freed)));
    print_result(&(lines.join("\n") + "\n"))?;
    for (entry, error) in &pruned.failed {
        print_message(format_args!("error: cannot remove `{}`", entry.path.display()));
        print_message(format_args!("  caused by: {error}"));
    }
    Ok(if pruned.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the age of `time` in the largest unit that is not 0.
fn age(time: SystemTime) -> String {
    let seconds = time.elapsed().map_or(0, |age| age.as_secs());
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::cache::*;

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        for (seconds, shown) in [(0, "0s"), (59, "59s"), (60, "1m"), (7_200, "2h"), (200_000, "2d")] {
            assert_eq!(age(SystemTime::now() - Duration::from_secs(seconds)), shown);
        }
        assert_eq!(age(SystemTime::now() + Duration::from_secs(1_000)), "0s");
    }
}
