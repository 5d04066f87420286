//! How is the engine's own cache set up?
//!
//! The one that a `cache.toml` describes, where the operator has one. It runs what it finds, so that it is only used in a
//! directory nobody else can write to; without it, everything works and starts take longer. Opened by `code`, once; without
//! such a file code is kept as `cache` does it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::{Cache, CacheConfig, Result};

use crate::cache;
use crate::config::CompilationCache;

use crate::runtime::code::{CodeOrigin, warn_of};

/// Where the engine puts its files below the directory it is given.
const BELOW: &str = "modules";

/// The engine's own cache, and whose turn it is to compile.
///
/// It counts how often code came from it, not for which module: one module is compiled at a time, on all cores.
pub(in crate::runtime) struct EngineCache {
    pub cache: Cache,
    turn: Mutex<()>,
}

impl EngineCache {
    /// Opens the cache that is asked for, if that can be done safely.
    pub fn open(asked: &CompilationCache) -> Option<Self> {
        let directory = asked.directory.as_path();
        let cannot = |error: &dyn std::fmt::Display| {
            let shown = directory.display();
            tracing::warn!(directory = %shown, %error, "cannot keep compiled code: everything is compiled at each start");
        };
        if !is_private(directory).inspect_err(|error| cannot(error)).ok()? {
            return None;
        }
        cache::sweep_compiled(directory);
        let cache = configured(asked).inspect_err(|error| cannot(&format!("{error:#}"))).ok()?;
        Some(Self { cache, turn: Mutex::default() })
    }

    /// Takes turns at compiling, so that it can be said where the code came from.
    pub fn watch(&self) -> Watch<'_> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Watch { cache: &self.cache, before: (self.cache.cache_hits(), self.cache.cache_misses()), _turn }
    }
}

/// One turn at compiling.
pub(in crate::runtime) struct Watch<'c> {
    cache: &'c Cache,
    before: (usize, usize),
    _turn: MutexGuard<'c, ()>,
}

impl Watch<'_> {
    /// Where the code came from that was compiled in this turn.
    pub fn origin(&self) -> CodeOrigin {
        if self.cache.cache_hits() > self.before.0 {
            return CodeOrigin::Cached;
        }
        if self.cache.cache_misses() == self.before.1 {
            tracing::info!("compiled code is not kept: another server is just writing it, or there is no room for it");
        }
        CodeOrigin::Compiled
    }
}

/// Makes the directory for the server's user alone, and looks whether it is. The one below guards all that is in it.
fn is_private(directory: &Path) -> std::io::Result<bool> {
    let below = directory.join(BELOW);
    cache::create(&below)?;
    for path in [directory, below.as_path()] {
        if let Some(exposure) = cache::exposure(path)? {
            warn_of(&exposure);
            return Ok(false);
        }
    }
    Ok(true)
}

fn configured(asked: &CompilationCache) -> Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(&asked.directory);
    macro_rules! take_over {
        ($($value:ident => $setter:ident),* $(,)?) => {$(
            if let Some(value) = asked.$value {
                config.$setter(value);
            }
        )*};
    }
    take_over! {
        worker_event_queue_size => with_worker_event_queue_size,
        baseline_compression_level => with_baseline_compression_level,
        optimized_compression_level => with_optimized_compression_level,
        optimized_compression_usage_counter_threshold => with_optimized_compression_usage_counter_threshold,
        cleanup_interval => with_cleanup_interval,
        optimizing_compression_task_timeout => with_optimizing_compression_task_timeout,
        allowed_clock_drift_for_files_from_future => with_allowed_clock_drift_for_files_from_future,
        file_count_soft_limit => with_file_count_soft_limit,
        files_total_size_soft_limit => with_files_total_size_soft_limit,
        file_count_limit_percent_if_deleting => with_file_count_limit_percent_if_deleting,
        files_total_size_limit_percent_if_deleting => with_files_total_size_limit_percent_if_deleting,
    }
    Cache::new(config)
}
