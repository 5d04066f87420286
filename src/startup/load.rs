//! How do module references become programs?
//!
//! Files are read and compiled side by side, on threads of their own; entries with the same content that want the same done
//! to it share one program. Where compiled code is kept, it comes from there; the log says which, for each module.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io::Read;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{EntryConfig, ModuleRef, Preparation};
use crate::fetch::{Arrival, ModuleFile};
use crate::format::sha256_hex;
use crate::parallel;
use crate::runtime::{CodeOrigin, Program, Runtime, TrustedCode, is_precompiled};

use crate::startup::refusal::LoadError;

type Loaded = Result<Program, LoadError>;

/// Where a module is, and what has to happen to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    /// As the configuration names it.
    module: ModuleRef,
    file: ModuleFile,
    preparation: Preparation,
}

impl From<(&EntryConfig, &ModuleFile)> for Wanted {
    fn from((script, file): (&EntryConfig, &ModuleFile)) -> Self {
        Self { module: script.module.clone(), file: file.clone(), preparation: script.preparation }
    }
}

impl Wanted {
    fn check(&self, digest: &str) -> Result<(), LoadError> {
        match self.file.sha256().is_none_or(|expected| expected.as_str() == digest) {
            true => Ok(()),
            false => Err(LoadError::Changed),
        }
    }

    /// Where the file is from, for the log.
    fn origin(&self) -> &'static str {
        match self.file.arrival() {
            None => "file",
            Some(Arrival { is_new: true, .. }) => "fetched",
            Some(Arrival { is_new: false, .. }) => "cache",
        }
    }
}

/// A program for each that is wanted, in order. Reads files and compiles: not for a thread that serves.
pub(super) fn programs(runtime: &Runtime, wanted: &[Wanted], size_limit: u64) -> Vec<Loaded> {
    let started = Instant::now();
    let loader = Loader {
        runtime,
        size_limit,
        by_reference: Mutex::default(),
        by_content: Mutex::default(),
        tally: Mutex::default(),
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let programs = parallel::map(wanted, threads, |wanted| loader.load(wanted));
    loader.log_total(started.elapsed());
    programs
}

/// What it took to load the modules of a start.
#[derive(Default)]
struct Tally {
    modules: usize,
    fetched: usize,
    compiled: usize,
}

/// A program, and what the log says of it.
struct Made {
    program: Program,
    /// Where its code is from; `None` if another module has the same content.
    code: Option<CodeOrigin>,
    took: Duration,
}

/// The content of a file.
struct Content {
    length: usize,
    digest: String,
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), digest: sha256_hex(bytes) }
    }
}

/// A place for a result that whoever comes first computes.
type Shared = Arc<OnceLock<Loaded>>;

struct Loader<'a> {
    runtime: &'a Runtime,
    size_limit: u64,
    by_reference: Mutex<HashMap<Wanted, Shared>>,
    by_content: Mutex<HashMap<(String, Preparation), Shared>>,
    tally: Mutex<Tally>,
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
        let file = File::open(wanted.file.path()).map_err(|error| LoadError::Read(Arc::new(error)))?;
        let (content, made) = match wanted.preparation {
            Preparation::Precompiled => self.trust(wanted, file)?,
            Preparation::Compile | Preparation::Preinitialize => self.make(wanted, file)?,
        };
        self.log(wanted, &content, &made);
        Ok(made.program)
    }

    fn make(&self, wanted: &Wanted, file: File) -> Result<(Content, Made), LoadError> {
        let bytes = self.read(file)?;
        let content = Content::of(&bytes);
        wanted.check(&content.digest)?;
        if is_precompiled(&bytes) {
            return Err(LoadError::Precompiled);
        }
        let made = if wanted.preparation == Preparation::Preinitialize {
            let initialize = || self.preinitialize(&wanted.module, &bytes, &content.digest);
            self.once((&content.digest, Preparation::Preinitialize), initialize)
        } else {
            self.compile(&bytes, &content.digest)
        };
        Ok((content, made?))
    }

    /// What `make` makes of the content with this digest, unless somebody has made it already.
    fn once(
        &self,
        (digest, preparation): (&str, Preparation),
        make: impl FnOnce() -> Result<(Program, Option<CodeOrigin>), LoadError>,
    ) -> Result<Made, LoadError> {
        let (begun, mut code, mut took) = (Instant::now(), None, Duration::ZERO);
        let made = place(&self.by_content, (digest.to_owned(), preparation))
            .get_or_init(|| {
                let (program, from) = make()?;
                (code, took) = (from, begun.elapsed());
                Ok(program)
            })
            .clone();
        made.map(|program| Made { program, code, took })
    }

    fn compile(&self, bytes: &[u8], digest: &str) -> Result<Made, LoadError> {
        self.once((digest, Preparation::Compile), || {
            let compiled = self.runtime.compile(bytes, digest);
            let (program, code) = compiled.map_err(|error| LoadError::Unusable(Arc::new(error)))?;
            Ok((program, Some(code)))
        })
    }

    /// A snapshot may be the module of another entry.
    fn preinitialize(
        &self,
        module: &ModuleRef,
        bytes: &[u8],
        digest: &str,
    ) -> Result<(Program, Option<CodeOrigin>), LoadError> {
        let begun = Instant::now();
        let made = self.runtime.preinitialize(bytes, digest);
        let made = made.map_err(|error| LoadError::Preinitialize(Arc::new(error)))?;
        let (module, took) = (module.to_string(), begun.elapsed());
        let printed = Some(made.printed).filter(|printed| !printed.is_empty());
        tracing::info!(module, bytes = made.module.len(), ?took, printed, "preinitialized");
        let compiled = self.compile(&made.module, &sha256_hex(&made.module))?;
        Ok((compiled.program, compiled.code))
    }

    fn trust(&self, wanted: &Wanted, file: File) -> Result<(Content, Made), LoadError> {
        let code = TrustedCode::read(file, self.size_limit).map_err(|error| LoadError::Untrusted(Arc::new(error)))?;
        self.not_too_large(code.bytes())?;
        let content = Content::of(code.bytes());
        wanted.check(&content.digest)?;
        if !is_precompiled(code.bytes()) {
            return Err(LoadError::NotPrecompiled);
        }
        let made = self.once((&content.digest, Preparation::Precompiled), || {
            let program = self.runtime.load(&code).map_err(|error| LoadError::Unusable(Arc::new(error)))?;
            Ok((program, Some(CodeOrigin::Precompiled)))
        })?;
        Ok((content, made))
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

    fn log(&self, wanted: &Wanted, content: &Content, made: &Made) {
        let (module, from) = (wanted.module.to_string(), wanted.origin());
        let digest = format!("sha256:{}", content.digest);
        let (bytes, code, took) = (content.length, word(made.code), made.took);
        match wanted.file.arrival() {
            Some(Arrival { took: arrived, .. }) => {
                tracing::info!(module, from, fetch = ?arrived, bytes, digest, code, ?took, "loaded");
            }
            None => tracing::info!(module, from, bytes, digest, code, ?took, "loaded"),
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.modules += 1;
        tally.fetched += usize::from(from == "fetched");
        tally.compiled += usize::from(made.code == Some(CodeOrigin::Compiled));
    }

    fn log_total(&self, took: Duration) {
        let Tally { modules, fetched, compiled } = *self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if modules > 0 {
            tracing::info!(modules, fetched, compiled, ?took, "all modules are loaded");
        }
    }
}

/// As the log says it.
fn word(code: Option<CodeOrigin>) -> &'static str {
    match code {
        Some(CodeOrigin::Compiled) => "compiled",
        Some(CodeOrigin::Cached) => "cached",
        Some(CodeOrigin::Precompiled) => "precompiled",
        None => "shared",
    }
}

#[cfg(test)]
mod tests {
    use crate::fetch::FetchedModule;
    use crate::runtime::EngineConfig;
    use crate::startup::load::*;

    fn runtime() -> Runtime {
        Runtime::new(&EngineConfig::for_one(1 << 20, 100)).expect("an engine")
    }

    /// Between checking a file and reading it again there is time for somebody who may write to the cache.
    #[test]
    fn a_fetched_file_that_was_changed_since_is_not_loaded() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("module");
        let bytes = b"(module (func (export \"_start\")))";
        std::fs::write(&path, bytes).expect("writable");
        for (sha256, is_loaded) in [(sha256_hex(bytes), true), ("0".repeat(64), false)] {
            let file = ModuleFile::Fetched(FetchedModule {
                path: path.clone(),
                sha256: sha256.parse().expect("a digest"),
                size: bytes.len() as u64,
                manifest: None,
                arrival: Arrival::default(),
            });
            let module = ModuleRef::Oci("h/app:1".to_owned());
            let wanted = Wanted { module, file, preparation: Preparation::Compile };
            let loaded = programs(&runtime(), &[wanted], 1 << 20);
            match &loaded[..] {
                [Ok(_)] => assert!(is_loaded),
                [Err(LoadError::Changed)] => assert!(!is_loaded),
                _ => panic!("something else went wrong"),
            }
        }
    }
}
