//! Where is compiled code kept between two starts?
//!
//! In files of wagi's own format, or, if the operator has a `cache.toml`, in the cache of wasmtime. Without either,
//! everything works and starts take longer.

use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::{Cache, Engine};

use crate::cache::Exposure;
use crate::config::CodeCacheConfig;

use crate::runtime::code::compiler_process::CompilerProcess;
use crate::runtime::code::file_cache::{CacheError, DescribedModule, FileCache};
use crate::runtime::code::machine_code::{MachineCode, NewCode};
use crate::runtime::code::wasmtime_cache::WasmtimeCache;
use crate::runtime::error::Error;

/// Where the code of an executable came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOrigin {
    /// It was compiled now.
    Compiled,
    /// An earlier start compiled it.
    Cached,
    /// The operator had it compiled ahead of time.
    Precompiled,
}

/// A cache of compiled code, for all engines.
pub(in crate::runtime) struct CodeCache {
    place: CodePlace,
    is_closed: AtomicBool,
}

/// Where code is kept.
enum CodePlace {
    /// No code is kept.
    Disabled,
    /// The cache of wasmtime, for which the operator has a `cache.toml`.
    Wasmtime(WasmtimeCache),
    /// Files of wagi's own format.
    Files(FileCache),
}

impl CodeCache {
    /// Opens the cache that the configuration names. One that cannot be used is logged, and no code is kept.
    pub fn open(config: Option<&CodeCacheConfig>) -> Self {
        Self { place: CodePlace::open(config), is_closed: AtomicBool::new(false) }
    }

    /// Keeps no code from now on, and uses none but that of [`wasmtime_cache`](Self::wasmtime_cache).
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// The cache that engines have to be made with.
    pub fn wasmtime_cache(&self) -> Option<&Cache> {
        if let CodePlace::Wasmtime(engine) = &self.place { Some(engine.cache()) } else { None }
    }

    /// Returns the code for `engine` of a module or component with the SHA-256 `digest`, if it is in a file of wagi's own format.
    pub fn kept<C: MachineCode>(&self, engine: &Engine, digest: &str) -> Option<C> {
        match &self.place {
            CodePlace::Files(directory) if !self.is_closed.load(Ordering::Relaxed) => directory.get(digest, engine),
            _ => None,
        }
    }

    /// The directory of files of wagi's own format, if code is kept.
    fn directory(&self) -> Option<&FileCache> {
        match &self.place {
            _ if self.is_closed.load(Ordering::Relaxed) => None,
            CodePlace::Disabled => None,
            CodePlace::Files(directory) | CodePlace::Wasmtime(WasmtimeCache { directory, .. }) => Some(directory),
        }
    }

    /// Returns the described code that is kept for `engine` under `key`.
    pub fn described(&self, engine: &Engine, key: &str) -> Option<DescribedModule> {
        self.directory()?.described(key, engine)
    }

    /// Keeps code with a description under `key`, if code is kept.
    pub fn keep_described<C: MachineCode>(&self, engine: &Engine, key: &str, code: &NewCode<C>, description: &[u8]) {
        let Some(directory) = self.directory() else { return };
        let kept = code.reader().and_then(|code| directory.insert_described(key, engine, code, description));
        if let Err(error) = kept {
            tracing::warn!(%error, key, "cannot keep a snapshot: the next start makes it again");
        }
    }

    /// Removes the described code that is kept for `engine` under `key`.
    pub fn forget_described(&self, engine: &Engine, key: &str) {
        self.directory().iter().for_each(|directory| directory.remove(key, engine));
    }

    /// Returns the code for `engine` of a module or component, binary or text, with the SHA-256 `digest`: from the cache,
    /// or else compiled, by `compiler` if there is one.
    pub fn get_or_compile<C: MachineCode>(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &str,
        compiler: Option<&CompilerProcess>,
    ) -> Result<(C, CodeOrigin), Error> {
        let compile = || NewCode::compile(engine, bytes, compiler);
        match &self.place {
            _ if self.is_closed.load(Ordering::Relaxed) => Ok((compile()?.code, CodeOrigin::Compiled)),
            CodePlace::Disabled => Ok((compile()?.code, CodeOrigin::Compiled)),
            CodePlace::Wasmtime(cache) if compiler.is_none() => {
                let compilation = cache.begin();
                let code = compile()?.code;
                Ok((code, if compilation.was_hit() { CodeOrigin::Cached } else { CodeOrigin::Compiled }))
            }
            // The cache of wasmtime keeps only what wasmtime compiles in this process.
            CodePlace::Files(directory) | CodePlace::Wasmtime(WasmtimeCache { directory, .. }) => {
                if let Some(code) = directory.get(digest, engine) {
                    return Ok((code, CodeOrigin::Cached));
                }
                let new = compile()?;
                if let Err(error) = new.reader().and_then(|code| directory.insert(digest, engine, code)) {
                    tracing::warn!(%error, digest, "cannot keep compiled code: the next start compiles again");
                }
                Ok((new.code, CodeOrigin::Compiled))
            }
        }
    }
}

impl CodePlace {
    fn open(config: Option<&CodeCacheConfig>) -> Self {
        match config {
            None => Self::Disabled,
            Some(config) if config.is_explicit => match WasmtimeCache::open(config) {
                Ok(cache) => Self::Wasmtime(cache),
                Err(CacheError::Exposed(exposure)) => exposed(&exposure),
                Err(CacheError::Open(error)) => {
                    let directory = config.directory.display();
                    tracing::warn!(%directory, %error, "cannot keep compiled code: everything is compiled at each start");
                    Self::Disabled
                }
            },
            Some(config) => match FileCache::open(&config.directory) {
                Ok(cache) => Self::Files(cache),
                Err(CacheError::Exposed(exposure)) => exposed(&exposure),
                // No warning: the operator did not ask for this directory.
                Err(CacheError::Open(error)) => {
                    let directory = config.directory.display();
                    tracing::info!(%directory, %error, "cannot keep compiled code: everything is compiled at each start");
                    Self::Disabled
                }
            },
        }
    }
}

/// Compiled code is run as it is found, so none is kept where others can write.
fn exposed(exposure: &Exposure) -> CodePlace {
    let (reason, help) = (exposure.to_string(), exposure.help());
    tracing::warn!(reason, help, "compiled code is not cached where other users could change it");
    CodePlace::Disabled
}
