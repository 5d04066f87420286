//! How is the cache of wasmtime set up?
//!
//! As the operator's `cache.toml` describes it. The engine runs what it finds in the cache, so the cache is used only in a
//! directory that no other user can write to.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::{Cache, CacheConfig, Result};

use crate::cache;
use crate::config::CodeCacheConfig;

use crate::runtime::code::file_cache::{CacheError, FileCache};

/// The subdirectory in which the engine puts its files.
const SUBDIRECTORY: &str = "modules";

/// The cache of wasmtime.
///
/// It counts its hits, but not for which module: one module is compiled at a time, on all cores.
pub(in crate::runtime) struct WasmtimeCache {
    cache: Cache,
    compiling: Mutex<()>,
    /// For code that was compiled in another process.
    pub directory: FileCache,
}

impl WasmtimeCache {
    /// Opens the cache in the directory of `config`.
    pub fn open(config: &CodeCacheConfig) -> Result<Self, CacheError> {
        create_private(&config.directory)?;
        let directory = FileCache::open(&config.directory.canonicalize()?)?;
        let cache = Cache::new(cache_config(config)).map_err(|error| io::Error::other(format!("{error:#}")))?;
        Ok(Self { cache, compiling: Mutex::default(), directory })
    }

    /// The cache, for the engines that are made.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Waits until no other module is being compiled. The next is compiled while the result exists.
    pub fn begin(&self) -> Compilation<'_> {
        let _guard = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        Compilation { hits: self.cache.cache_hits(), misses: self.cache.cache_misses(), cache: &self.cache, _guard }
    }
}

/// The compilation of one module, and the counters of the cache at its start.
pub(in crate::runtime) struct Compilation<'c> {
    cache: &'c Cache,
    hits: usize,
    misses: usize,
    _guard: MutexGuard<'c, ()>,
}

impl Compilation<'_> {
    /// Whether the code came from the cache.
    pub fn was_hit(&self) -> bool {
        let is_hit = self.cache.cache_hits() > self.hits;
        if !is_hit && self.cache.cache_misses() == self.misses {
            tracing::info!("compiled code is not kept: another server is just writing it, or there is no room for it");
        }
        is_hit
    }
}

/// Creates the directory for the server's user alone, and checks it. Its subdirectory guards all that is in it.
fn create_private(directory: &Path) -> Result<(), CacheError> {
    let subdirectory = directory.join(SUBDIRECTORY);
    cache::create(&subdirectory)?;
    for path in [directory, subdirectory.as_path()] {
        if let Some(exposure) = cache::exposure(path)? {
            return Err(CacheError::Exposed(exposure));
        }
    }
    Ok(())
}

fn cache_config(file: &CodeCacheConfig) -> CacheConfig {
    let mut config = CacheConfig::new();
    config.with_directory(&file.directory);
    macro_rules! set {
        ($($value:ident => $setter:ident),* $(,)?) => {$(
            if let Some(value) = file.$value {
                config.$setter(value);
            }
        )*};
    }
    set! {
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
    config
}
