//! How do module references become programs?
//!
//! Files are read and compiled side by side, on threads of their own; entries with the same content share one program.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use crate::config::ModuleRef;
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
            _ => None,
        }
    }
}

type Loaded = Result<Program, LoadError>;

/// A program per reference, in order. Reads files and compiles: not for a thread that serves.
pub(super) fn programs(runtime: &Runtime, references: &[ModuleRef], size_limit: u64) -> Vec<Loaded> {
    let loader = Loader { runtime, size_limit, by_reference: Mutex::default(), by_content: Mutex::default() };
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
    slots.into_iter().map(|slot| slot.into_inner().unwrap_or(Err(LoadError::NotFetched))).collect()
}

/// A place for a result that whoever comes first computes.
type Shared = Arc<OnceLock<Loaded>>;

struct Loader<'a> {
    runtime: &'a Runtime,
    size_limit: u64,
    by_reference: Mutex<HashMap<String, Shared>>,
    by_content: Mutex<HashMap<String, Shared>>,
}

/// The place under this name; the same for everybody who asks.
fn place(places: &Mutex<HashMap<String, Shared>>, name: String) -> Shared {
    places.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
}

impl Loader<'_> {
    fn load(&self, reference: &ModuleRef) -> Loaded {
        place(&self.by_reference, reference.to_string()).get_or_init(|| self.read_and_compile(reference)).clone()
    }

    fn read_and_compile(&self, reference: &ModuleRef) -> Loaded {
        let ModuleRef::File(path) = reference else { return Err(LoadError::NotFetched) };
        let bytes = self.read(path)?;
        let digest = sha256_hex(&bytes);
        let compile = || {
            let started = Instant::now();
            let (program, code) =
                self.runtime.compile(&bytes, &digest).map_err(|error| LoadError::Unusable(Arc::new(error)))?;
            let (module, took) = (reference.to_string(), started.elapsed());
            tracing::info!(module, bytes = bytes.len(), digest = &digest[..12], ?code, ?took, "loaded");
            Ok(program)
        };
        place(&self.by_content, digest.clone()).get_or_init(compile).clone()
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
