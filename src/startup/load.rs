//! How do module references become programs?
//!
//! Files are read and compiled side by side, on threads of their own; entries with the same content share one program.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use crate::config::{Key, ModuleRef, Preparation, ScriptConfig};
use crate::observe::sha256_hex;
use crate::wasm::{self, CodeOrigin, PreinitializeError, Program, Runtime, TrustError, TrustedCode, is_precompiled};

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
    /// It is ahead-of-time code, and nobody has said that it can be trusted.
    #[error("the file holds ahead-of-time code, not a module")]
    Precompiled,
    /// It is said to be ahead-of-time code.
    #[error("`precompiled = true`, but the file holds no ahead-of-time code")]
    NotPrecompiled,
    /// It is ahead-of-time code that could be anybody's.
    #[error("the code cannot be trusted")]
    Untrusted(#[source] Arc<TrustError>),
    /// It is ahead-of-time code that a guest could write to.
    #[error("the code cannot be trusted: guests may write to it in the volume `{}`", volume.display())]
    Exposed {
        /// The directory of the volume.
        volume: PathBuf,
    },
    /// It cannot be initialised.
    #[error("cannot preinitialize the module")]
    Preinitialize(#[source] Arc<PreinitializeError>),
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
            Self::Unusable(error) if matches!(**error, wasm::Error::OtherEngine(_)) => {
                Some("run `wagi compile` of this version again, on this kind of machine")
            }
            Self::Precompiled => Some(
                "write `precompiled = true` if you made it with `wagi compile`; code that somebody else has forged leaves the \
                 sandbox and can do all that the server can",
            ),
            Self::NotPrecompiled => Some("leave `precompiled` out to serve a module"),
            Self::Untrusted(error) if matches!(**error, TrustError::Shared { .. }) => Some(
                "let it belong to the user of the server or to root, and take the right to write from all others: `chmod go-w`",
            ),
            Self::Exposed { .. } => {
                Some("keep it where guests cannot write, or give them the volume with `read_only = true`")
            }
            Self::Preinitialize(error) if matches!(**error, PreinitializeError::Missing) => {
                Some("export the function that computes what does not change, or leave `preinitialize` out")
            }
            _ => None,
        }
    }

    /// The key that says what cannot be.
    pub fn key(&self) -> Key {
        match self {
            Self::NotPrecompiled | Self::Untrusted(_) | Self::Exposed { .. } => Key::Precompiled,
            Self::Preinitialize(_) => Key::Preinitialize,
            _ => Key::Module,
        }
    }
}

type Loaded = Result<Program, LoadError>;

/// Where a module is, and what has to happen to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    module: ModuleRef,
    preparation: Preparation,
}

impl From<&ScriptConfig> for Wanted {
    fn from(script: &ScriptConfig) -> Self {
        Self { module: script.module.clone(), preparation: script.preparation }
    }
}

/// A program for each that is wanted, in order. Reads files and compiles: not for a thread that serves.
pub(super) fn programs(runtime: &Runtime, wanted: &[Wanted], size_limit: u64) -> Vec<Loaded> {
    let loader = Loader { runtime, size_limit, by_reference: Mutex::default(), by_content: Mutex::default() };
    let next = AtomicUsize::new(0);
    let slots: Vec<OnceLock<Loaded>> = wanted.iter().map(|_| OnceLock::new()).collect();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(wanted.len()) {
            scope.spawn(|| {
                while let Some((wanted, slot)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    wanted.get(index).zip(slots.get(index))
                } {
                    slot.get_or_init(|| loader.load(wanted));
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
    by_reference: Mutex<HashMap<Wanted, Shared>>,
    by_content: Mutex<HashMap<(String, Preparation), Shared>>,
}

/// The place under this name; the same for everybody who asks.
fn place<K: Eq + Hash>(places: &Mutex<HashMap<K, Shared>>, name: K) -> Shared {
    places.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
}

impl Loader<'_> {
    fn load(&self, wanted: &Wanted) -> Loaded {
        place(&self.by_reference, wanted.clone()).get_or_init(|| self.read_and_make(wanted)).clone()
    }

    fn read_and_make(&self, wanted: &Wanted) -> Loaded {
        let ModuleRef::File(path) = &wanted.module else { return Err(LoadError::NotFetched) };
        let file = File::open(path).map_err(|error| LoadError::Read(Arc::new(error)))?;
        match wanted.preparation {
            Preparation::Precompiled => self.trust(wanted, file),
            Preparation::Compile | Preparation::Preinitialize => {
                let bytes = self.read(file)?;
                if is_precompiled(&bytes) {
                    return Err(LoadError::Precompiled);
                }
                let digest = sha256_hex(&bytes);
                if wanted.preparation == Preparation::Compile {
                    return self.compile_once(wanted, &bytes, &digest);
                }
                let make = || self.preinitialize(wanted, &bytes, &digest);
                place(&self.by_content, (digest.clone(), wanted.preparation)).get_or_init(make).clone()
            }
        }
    }

    /// A snapshot may be the module of another entry.
    fn compile_once(&self, wanted: &Wanted, bytes: &[u8], digest: &str) -> Loaded {
        let compile = || self.compile(wanted, bytes, digest);
        place(&self.by_content, (digest.to_owned(), Preparation::Compile)).get_or_init(compile).clone()
    }

    fn compile(&self, wanted: &Wanted, bytes: &[u8], digest: &str) -> Loaded {
        let begun = Instant::now();
        let (program, code) =
            self.runtime.compile(bytes, digest).map_err(|error| LoadError::Unusable(Arc::new(error)))?;
        report(wanted, (bytes, digest), code, begun);
        Ok(program)
    }

    fn preinitialize(&self, wanted: &Wanted, bytes: &[u8], digest: &str) -> Loaded {
        let begun = Instant::now();
        let made = self.runtime.preinitialize(bytes, digest);
        let made = made.map_err(|error| LoadError::Preinitialize(Arc::new(error)))?;
        let (module, took) = (wanted.module.to_string(), begun.elapsed());
        let printed = Some(made.printed).filter(|printed| !printed.is_empty());
        tracing::info!(module, bytes = made.module.len(), ?took, printed, "preinitialized");
        self.compile_once(wanted, &made.module, &sha256_hex(&made.module))
    }

    fn trust(&self, wanted: &Wanted, file: File) -> Loaded {
        let begun = Instant::now();
        let code = TrustedCode::read(file, self.size_limit).map_err(|error| LoadError::Untrusted(Arc::new(error)))?;
        self.not_too_large(code.bytes())?;
        if !is_precompiled(code.bytes()) {
            return Err(LoadError::NotPrecompiled);
        }
        let digest = sha256_hex(code.bytes());
        let load = || {
            let program = self.runtime.load(&code).map_err(|error| LoadError::Unusable(Arc::new(error)))?;
            report(wanted, (code.bytes(), &digest), CodeOrigin::Given, begun);
            Ok(program)
        };
        place(&self.by_content, (digest.clone(), wanted.preparation)).get_or_init(load).clone()
    }

    fn read(&self, file: File) -> Result<Vec<u8>, LoadError> {
        let mut bytes = Vec::new();
        // One byte more than allowed tells a module of exactly the limit from a longer one.
        let read = file.take(self.size_limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| LoadError::Read(Arc::new(error)))?;
        self.not_too_large(&bytes)?;
        Ok(bytes)
    }

    fn not_too_large(&self, bytes: &[u8]) -> Result<(), LoadError> {
        match bytes.len() as u64 > self.size_limit {
            true => Err(LoadError::TooLarge { limit: self.size_limit }),
            false => Ok(()),
        }
    }
}

fn report(wanted: &Wanted, (bytes, digest): (&[u8], &str), code: CodeOrigin, begun: Instant) {
    let (module, took) = (wanted.module.to_string(), begun.elapsed());
    let digest = digest.get(..12);
    tracing::info!(module, bytes = bytes.len(), digest, ?took, "{code}");
}
