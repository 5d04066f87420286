//! `wagi cache`: what is in the caches, and what of it can go?

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;

use wagi::cache::{Caches, Entry, default_module_cache, list, prune};
use wagi::config::{compilation_cache, default_code_cache};

use crate::cli::commands::serve::print_problems;
use crate::cli::commands::{say, size};

/// What to do with the caches.
pub enum Cache {
    List(Whereabouts),
    Prune(Whereabouts, Duration),
}

/// What the operator says about where they are.
pub struct Whereabouts {
    pub module_cache: Option<PathBuf>,
    pub cache: Option<PathBuf>,
    pub user_cache: Option<PathBuf>,
}

impl Whereabouts {
    fn caches(self) -> Caches {
        let usual = self.user_cache.as_deref();
        let mut problems = Vec::new();
        let compiled = usual.map(default_code_cache);
        let compiled = compilation_cache(self.cache.as_deref(), compiled.as_deref(), false, &mut problems);
        print_problems(&problems);
        Caches {
            modules: self.module_cache.or_else(|| usual.map(default_module_cache)),
            compiled: compiled.map(|cache| cache.directory),
        }
    }
}

impl Cache {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(whereabouts) => print_all(&whereabouts.caches()),
            Self::Prune(whereabouts, unused_for) => print_pruned(&whereabouts.caches(), unused_for),
        }
    }
}

fn print_all(caches: &Caches) -> anyhow::Result<ExitCode> {
    let entries = list(caches).context("cannot look into the caches")?;
    let mut stdout = io::stdout().lock();
    let mut print = |line: std::fmt::Arguments<'_>| writeln!(stdout, "{line}").context("cannot print the list");
    if !entries.is_empty() {
        print(format_args!("{:<9} {:>10} {:>6} {:>6}  NAME", "WHAT", "SIZE", "AGE", "UNUSED"))?;
    }
    for entry in &entries {
        let Entry { kind, name, bytes, written, used, .. } = entry;
        print(format_args!(
            "{kind:<9} {:>10} {:>6} {:>6}  {}",
            size(*bytes),
            ago(*written),
            ago(*used),
            printable(name)
        ))?;
    }
    for (what, root) in [("modules", &caches.modules), ("compiled code", &caches.compiled)] {
        let Some(root) = root else {
            print(format_args!("no cache for {what}: neither XDG_CACHE_HOME nor HOME is set"))?;
            continue;
        };
        let (mut number, mut bytes) = (0, 0_u64);
        for entry in entries.iter().filter(|entry| entry.path.starts_with(root)) {
            (number, bytes) = (number + 1, bytes.saturating_add(entry.bytes));
        }
        print(format_args!("{what}: {number} entries, {} in {}", size(bytes), root.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_pruned(caches: &Caches, unused_for: Duration) -> anyhow::Result<ExitCode> {
    let pruned = prune(caches, unused_for)?;
    let mut stdout = io::stdout().lock();
    let mut print = |line: std::fmt::Arguments<'_>| writeln!(stdout, "{line}").context("cannot print what is removed");
    for Entry { kind, name, bytes, .. } in &pruned.removed {
        print(format_args!("removed {kind} {} ({})", printable(name), size(*bytes)))?;
    }
    for Entry { kind, name, .. } in &pruned.in_use {
        print(format_args!("kept {kind} {}: a server uses it", printable(name)))?;
    }
    let freed = pruned.removed.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.bytes));
    print(format_args!("{} entries removed, {} freed", pruned.removed.len(), size(freed)))?;
    for (entry, error) in &pruned.failed {
        say(format_args!("error: cannot remove `{}`\n  caused by: {error}", entry.path.display()));
    }
    Ok(if pruned.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How long ago something was, in the largest unit that has a number.
fn ago(time: SystemTime) -> String {
    let seconds = time.elapsed().map_or(0, |age| age.as_secs());
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A name from elsewhere without what drives a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::cache::*;

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        for (seconds, shown) in [(0, "0s"), (59, "59s"), (60, "1m"), (7_200, "2h"), (200_000, "2d")] {
            assert_eq!(ago(SystemTime::now() - Duration::from_secs(seconds)), shown);
        }
        assert_eq!(ago(SystemTime::now() + Duration::from_secs(1_000)), "0s");
    }
}
