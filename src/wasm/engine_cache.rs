//! How is the engine's own cache set up?
//!
//! The one that a `cache.toml` describes, where the operator has one. `engine` asks for it once; without such a file code is
//! kept as `cache` does it.

use wasmtime::{Cache, CacheConfig, Result};

use crate::config::CompilationCache;

/// Opens the cache.
pub(super) fn open(asked: &CompilationCache) -> Result<Cache> {
    let mut config = CacheConfig::new();
    if let Some(directory) = &asked.directory {
        config.with_directory(directory);
    }
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
