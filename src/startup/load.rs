//! How do module references become programs?
//!
//! Files are read and compiled side by side, on threads of their own; entries with the same content share one program. Where
//! compiled code is kept, it comes from there; the log says which, for each module.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Arrival, ModuleRef, Sha256};
use crate::observe::sha256_hex;
use crate::wasm::{self, Program, Runtime};

/// Why a module is not a program.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// Its bytes cannot be had.
    #[error("cannot read the module")]
    Read(#[source] Arc<io::Error>),
    /// It is larger than modules may be.
    #[error("the module is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Its file is not what was fetched and checked.
    #[error("its file is not what was fetched: somebody has changed it since")]
    Changed,
    /// It is not something to run here.
    #[error("cannot use the module")]
    Unusable(#[source] Arc<wasm::Error>),
    /// It stands elsewhere, and nobody has made it a file: `fetch::complete` comes before `startup::load`.
    #[error("the module has not been fetched")]
    NotFetched,
}

impl LoadError {
    /// What the operator can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unusable(error) if matches!(**error, wasm::Error::TooDemanding(_)) => {
                Some("raise `memory` or `table_elements` in the limits of the module")
            }
            Self::Unusable(error) if matches!(**error, wasm::Error::OldHttp) => {
                Some("build the program again with version 0.4 or later of the library")
            }
            Self::Unusable(error) if matches!(**error, wasm::Error::NotServed(_)) => Some(
                "a component has to export `wasi:cli/run` or `wasi:http/incoming-handler` of WASI 0.2, or `wasi:cli/run` \
                 or `wasi:http/handler` of WASI 0.3",
            ),
            _ => None,
        }
    }
}

type Loaded = Result<Program, LoadError>;

/// A program per reference, in order. Reads files and compiles: not for a thread that serves.
pub(super) fn programs(runtime: &Runtime, references: &[ModuleRef], size_limit: u64) -> Vec<Loaded> {
    let started = Instant::now();
    let loader = Loader {
        runtime,
        size_limit,
        by_path: Mutex::default(),
        by_content: Mutex::default(),
        turn: Mutex::default(),
        tally: Mutex::default(),
    };
    let next = AtomicUsize::new(0);
    let slots: Vec<OnceLock<Loaded>> = references.iter().map(|_| OnceLock::new()).collect();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(references.len()) {
            scope.spawn(|| {
                while let Some((reference, slot)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    references.get(index).zip(slots.get(index))
                } {
                    slot.get_or_init(|| loader.load(reference));
                }
            });
        }
    });
    loader.log_total(started.elapsed());
    slots.into_iter().map(|slot| slot.into_inner().unwrap_or(Err(LoadError::NotFetched))).collect()
}

/// What it took to load the modules of a start.
#[derive(Default)]
struct Tally {
    modules: usize,
    fetched: usize,
    compiled: usize,
}

/// Where the machine code of a module is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Compiled,
    Cached,
    /// Another module has the same content.
    Shared,
}

impl Code {
    fn word(self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::Cached => "cached",
            Self::Shared => "shared",
        }
    }
}

/// A file to load, and what is known about it.
struct Source<'a> {
    path: &'a Path,
    /// What it has to hold, if that is known.
    sha256: Option<&'a Sha256>,
    /// How it came here, if it stood elsewhere.
    arrival: Option<Arrival>,
}

impl<'a> Source<'a> {
    fn of(reference: &'a ModuleRef) -> Option<Self> {
        match reference {
            ModuleRef::File(path) => Some(Self { path, sha256: None, arrival: None }),
            ModuleRef::Fetched(fetched) => Some(Self {
                path: &fetched.path,
                sha256: Some(&fetched.sha256),
                arrival: (!matches!(fetched.reference, ModuleRef::File(_))).then_some(fetched.arrival),
            }),
            ModuleRef::Oci(_) | ModuleRef::Bindle { .. } => None,
        }
    }

    fn from(&self) -> &'static str {
        match self.arrival {
            None => "file",
            Some(Arrival { is_new: true, .. }) => "fetched",
            Some(Arrival { is_new: false, .. }) => "cache",
        }
    }
}

/// A place for a result that whoever comes first computes.
type Shared = Arc<OnceLock<Loaded>>;

struct Loader<'a> {
    runtime: &'a Runtime,
    size_limit: u64,
    by_path: Mutex<HashMap<String, Shared>>,
    by_content: Mutex<HashMap<String, Shared>>,
    /// Whose turn it is to compile where compiled code is kept.
    turn: Mutex<()>,
    tally: Mutex<Tally>,
}

/// The place under this name; the same for everybody who asks.
fn place(places: &Mutex<HashMap<String, Shared>>, name: String) -> Shared {
    places.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
}

impl Loader<'_> {
    fn load(&self, reference: &ModuleRef) -> Loaded {
        let Some(source) = Source::of(reference) else { return Err(LoadError::NotFetched) };
        let name = source.path.display().to_string();
        place(&self.by_path, name).get_or_init(|| self.read_and_compile(reference, &source)).clone()
    }

    fn read_and_compile(&self, reference: &ModuleRef, source: &Source<'_>) -> Loaded {
        let bytes = self.read(source.path)?;
        let digest = sha256_hex(&bytes);
        if source.sha256.is_some_and(|expected| expected.as_str() != digest) {
            return Err(LoadError::Changed);
        }
        let mut code = (Code::Shared, Duration::ZERO);
        let compile = || {
            let (program, found, took) = self.compile(&bytes)?;
            code = (found, took);
            Ok(program)
        };
        let loaded = place(&self.by_content, digest.clone()).get_or_init(compile).clone();
        if loaded.is_ok() {
            self.log(reference, source, &Facts { bytes: bytes.len(), digest, code });
        }
        loaded
    }

    /// The program that bytes are, where its code is from, and how long that took.
    ///
    /// The engine counts how often code came from its cache, not for which module: where there is a cache, one module is
    /// compiled at a time, on all cores. That also bounds the memory it takes.
    fn compile(&self, bytes: &[u8]) -> Result<(Program, Code, Duration), LoadError> {
        let compile = |started: Instant| {
            let program = self.runtime.compile(bytes).map_err(|error| LoadError::Unusable(Arc::new(error)))?;
            Ok((program, started.elapsed()))
        };
        let Some(_) = self.runtime.taken_from_cache() else {
            return compile(Instant::now()).map(|(program, took)| (program, Code::Compiled, took));
        };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (self.runtime.taken_from_cache(), self.runtime.put_into_cache());
        let (program, took) = compile(Instant::now())?;
        if self.runtime.taken_from_cache() > before.0 {
            return Ok((program, Code::Cached, took));
        }
        if self.runtime.put_into_cache() == before.1 {
            tracing::info!("compiled code is not kept: another server is just writing it, or there is no room for it");
        }
        Ok((program, Code::Compiled, took))
    }

    fn log(&self, reference: &ModuleRef, source: &Source<'_>, facts: &Facts) {
        let (module, from, digest) = (reference.to_string(), source.from(), format!("sha256:{}", facts.digest));
        let (code, took) = (facts.code.0.word(), facts.code.1);
        match source.arrival {
            Some(Arrival { took: arrived, .. }) => {
                tracing::info!(module, from, fetch = ?arrived, bytes = facts.bytes, digest, code, ?took, "loaded");
            }
            None => tracing::info!(module, from, bytes = facts.bytes, digest, code, ?took, "loaded"),
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.modules += 1;
        tally.fetched += usize::from(from == "fetched");
        tally.compiled += usize::from(facts.code.0 == Code::Compiled);
    }

    fn log_total(&self, took: Duration) {
        let Tally { modules, fetched, compiled } = *self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if modules > 0 {
            tracing::info!(modules, fetched, compiled, ?took, "all modules are loaded");
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, LoadError> {
        let mut bytes = Vec::new();
        // One byte more than allowed tells a module of exactly the limit from a longer one.
        let read =
            File::open(path).and_then(|file| file.take(self.size_limit.saturating_add(1)).read_to_end(&mut bytes));
        read.map_err(|error| LoadError::Read(Arc::new(error)))?;
        if bytes.len() as u64 > self.size_limit {
            return Err(LoadError::TooLarge { limit: self.size_limit });
        }
        Ok(bytes)
    }
}

/// What a line of the log says of a module.
struct Facts {
    bytes: usize,
    digest: String,
    code: (Code, Duration),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fetched;
    use crate::wasm::EngineConfig;

    fn runtime() -> Runtime {
        let config =
            EngineConfig { instances: 1, memory: 1 << 20, table_elements: 100, wasm_stack: 512 << 10, cache: None };
        Runtime::new(&config).expect("an engine")
    }

    /// Between checking a file and reading it again there is time for somebody who may write to the cache.
    #[test]
    fn a_fetched_file_that_was_changed_since_is_not_loaded() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("module");
        let bytes = b"(module (func (export \"_start\")))";
        std::fs::write(&path, bytes).expect("writable");
        for (sha256, is_loaded) in [(sha256_hex(bytes), true), ("0".repeat(64), false)] {
            let fetched = ModuleRef::Fetched(Box::new(Fetched {
                reference: ModuleRef::Oci("h/app:1".to_owned()),
                path: path.clone(),
                sha256: sha256.parse().expect("a digest"),
                size: bytes.len() as u64,
                manifest: None,
                arrival: Arrival::default(),
            }));
            let loaded = programs(&runtime(), &[fetched], 1 << 20);
            match &loaded[..] {
                [Ok(_)] => assert!(is_loaded),
                [Err(LoadError::Changed)] => assert!(!is_loaded),
                _ => panic!("something else went wrong"),
            }
        }
    }
}
