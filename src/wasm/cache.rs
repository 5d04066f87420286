//! Where is compiled code kept between two starts?
//!
//! In the engine's own cache, which the operator's configuration sets up. It runs what it finds, so that it is only used in a
//! directory nobody else can write to; without it, everything works and starts take longer. Opened by `Runtime::new`, once.

use std::path::Path;

use wasmtime::{Cache, CacheConfig, Result};

use crate::cache;
use crate::config::CompilationCache;

/// Where the engine puts its files below the directory it is given.
const BELOW: &str = "modules";

/// Opens the cache that is asked for, if that can be done safely.
pub(super) fn open(asked: &CompilationCache) -> Option<Cache> {
    let directory = asked.directory.as_path();
    let shown = directory.display();
    match is_private(directory) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(error) if asked.is_asked_for => {
            tracing::warn!(directory = %shown, %error, "cannot keep compiled code: everything is compiled at each start");
            return None;
        }
        Err(error) => {
            tracing::info!(directory = %shown, %error, "cannot keep compiled code: everything is compiled at each start");
            return None;
        }
    }
    cache::sweep_compiled(directory);
    match configured(asked) {
        Ok(cache) => Some(cache),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(directory = %shown, error, "cannot keep compiled code: everything is compiled at each start");
            None
        }
    }
}

/// Makes the directory for the server's user alone, and looks whether it is. The one below guards all that is in it.
fn is_private(directory: &Path) -> std::io::Result<bool> {
    let below = directory.join(BELOW);
    cache::create(&below)?;
    for path in [directory, below.as_path()] {
        if let Some(exposure) = cache::exposure(path)? {
            let (reason, help) = (exposure.to_string(), exposure.help());
            tracing::warn!(reason, help, "compiled code is not kept where somebody else could change it");
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
