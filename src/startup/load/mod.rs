//! How do module files become executables?
//!
//! Several files are read and compiled at the same time, on threads of their own. Entries with the same content and the same
//! preparation share one executable. Machine code comes from the code cache if it is there. The log says where the code of each
//! module is from. A start that takes long has a thread more, which looks at what is not compiled yet.

mod compile_progress;
mod compiler_threads;
pub(super) mod programs;
mod slow_start;
pub(super) mod so_far;
mod summary;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::Hash;
use std::io::Read;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{EntryConfig, ModuleRef, Preparation, UnknownImports};
use crate::fetch::{ModuleFile, Progress};
use crate::format::sha256_hex;
use crate::observe::Metrics;
use crate::parallel;
use crate::regular_file;
use crate::runtime::{
    CodeOrigin, Executable, ModuleOwner, ProgramSource, Runtime, TrustedCode, is_precompiled, lower_priority,
};

use crate::startup::error::LoadError;
use crate::startup::load::compile_progress::CompileProgress;
use crate::startup::load::compiler_threads::CompilerThreads;
use crate::startup::load::programs::{ContentKey, Programs};
use crate::startup::load::so_far::{LoadState, LoadedSoFar};
use crate::startup::load::summary::{CodeSource, LoadSummary, code_origin, file_origin};

/// A module that is ready to run.
#[derive(Clone)]
pub(super) struct LoadedModule {
    pub executable: Executable,
    /// The digest of its file, as `sha256:...`.
    pub digest: Arc<str>,
}

/// A module that is ready, or why there is none.
pub(super) type LoadResult = Result<LoadedModule, LoadError>;

/// An executable, or why there is none.
type ExecutableResult = Result<Executable, LoadError>;

/// Whose module is in a file.
pub(super) fn owner_of(file: &ModuleFile) -> ModuleOwner {
    match file {
        ModuleFile::Local { .. } => ModuleOwner::Operator,
        ModuleFile::Fetched(_) => ModuleOwner::ThirdParty,
    }
}

/// A module to load: its file, and its preparation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ModuleSpec {
    /// The module, as the configuration names it.
    pub module: ModuleRef,
    pub file: ModuleFile,
    preparation: Preparation,
    unknown_imports: UnknownImports,
}

impl ModuleSpec {
    /// The module of an entry, which is in `file`.
    pub fn new(entry: &EntryConfig, file: &ModuleFile) -> Self {
        let (preparation, unknown_imports) = (entry.preparation, entry.unknown_imports);
        Self { module: entry.module.clone(), file: file.clone(), preparation, unknown_imports }
    }

    fn content_key(&self, sha256: &str, preparation: Preparation) -> ContentKey {
        ContentKey { sha256: sha256.to_owned(), preparation, unknown_imports: self.unknown_imports }
    }

    fn owner(&self) -> ModuleOwner {
        owner_of(&self.file)
    }

    fn check(&self, digest: &str) -> Result<(), LoadError> {
        match self.file.sha256().is_none_or(|expected| expected.as_str() == digest) {
            true => Ok(()),
            false => Err(LoadError::Changed),
        }
    }
}

/// How modules are loaded.
#[derive(Clone)]
pub(super) struct LoadOptions<'a> {
    pub runtime: &'a Runtime,
    /// The limit on the bytes of a file.
    pub size_limit: u64,
    pub priority: Priority,
    pub serve: ServeWhen,
    /// Programs that are served in place of those that would be compiled.
    pub better: Option<&'a Programs>,
    /// What is counted.
    pub metrics: &'a Metrics,
    /// What shows what is compiled.
    pub progress: Arc<dyn Progress>,
}

/// What waits while modules are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// The start. The compiler gets all cores.
    Start,
    /// Requests do not wait: the compiler gets what they leave.
    Reload,
    /// A developer waits, and requests do not matter: the compiler gets all cores.
    Developer,
    /// No one waits: the same is served, by code that is not optimized.
    Optimization,
}

impl Priority {
    /// Whether everything else comes first.
    fn is_low(self) -> bool {
        matches!(self, Self::Reload | Self::Optimization)
    }
}

/// When modules are needed that are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServeWhen {
    /// When all are there.
    AllAreLoaded,
    /// All of them, and if that takes long, those that are there.
    SomeAreLoaded,
}

/// The results of loading modules.
pub(super) struct Loaded {
    /// In their order.
    pub results: Vec<LoadResult>,
    /// How many modules with different content there are, and how many of them were compiled.
    pub modules: usize,
    pub compiled: usize,
}

/// Loads modules. Those with the content of one of `programs` are not compiled. Reads files and compiles: not for a thread that
/// serves.
pub(super) fn executables(
    programs: &Programs,
    specs: &[ModuleSpec],
    options: LoadOptions<'_>,
    so_far: &LoadedSoFar,
) -> Loaded {
    let started = Instant::now();
    let priority = options.priority;
    let loader = Loader {
        programs,
        compiler: CompilerThreads::new(priority),
        by_spec: Mutex::default(),
        by_content: Mutex::default(),
        summary: LoadSummary::default(),
        progress: CompileProgress::new(options.progress.clone()),
        options,
    };
    let results = loader.load_all(specs, so_far);
    if priority == Priority::Start {
        loader.summary.log(started.elapsed());
    }
    programs.remove_unused();
    #[expect(clippy::mutable_key_type, reason = "an executable is hashed by its address, which does not change")]
    let distinct: HashSet<&Executable> = results.iter().flatten().map(|loaded| &loaded.executable).collect();
    let modules = distinct.len();
    Loaded { modules, compiled: loader.summary.compiled(), results }
}

/// An executable, and what the log says of its code.
struct Compiled {
    executable: Executable,
    origin: CodeSource,
    took: Duration,
}

/// A result that the first thread that needs it computes.
type Slot<T> = Arc<OnceLock<T>>;

struct Loader<'a> {
    programs: &'a Programs,
    options: LoadOptions<'a>,
    compiler: CompilerThreads,
    by_spec: Mutex<HashMap<ModuleSpec, Slot<LoadResult>>>,
    by_content: Mutex<HashMap<ContentKey, Slot<ExecutableResult>>>,
    summary: LoadSummary,
    progress: CompileProgress,
}

/// The slot of a key, which is the same for all threads.
fn slot<K: Eq + Hash, T>(slots: &Mutex<HashMap<K, Slot<T>>>, key: K) -> Slot<T> {
    slots.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
}

impl Loader<'_> {
    /// Loads modules, several at the same time, and notes what has become of each.
    fn load_all(&self, specs: &[ModuleSpec], so_far: &LoadedSoFar) -> Vec<LoadResult> {
        let LoadOptions { priority, serve, .. } = self.options;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let order = slow_start::smallest_first(specs);
        let mut results = thread::scope(|scope| {
            let ((loading, stop), (others_load, ended)) = (channel(), channel());
            scope.spawn(move || self.progress.log_until(&stop));
            if serve == ServeWhen::SomeAreLoaded {
                scope.spawn(move || slow_start::run(self, specs, so_far, &ended));
            }
            let results = parallel::map(&order, threads, |&(index, spec)| {
                if priority.is_low() {
                    lower_priority();
                }
                so_far.begin(index);
                let loaded = self.load(spec);
                so_far.set(index, LoadState::Ended(loaded.clone()));
                (index, loaded)
            });
            drop((loading, others_load));
            results
        });
        results.sort_unstable_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, loaded)| loaded).collect()
    }

    fn load(&self, spec: &ModuleSpec) -> LoadResult {
        slot(&self.by_spec, spec.clone()).get_or_init(|| self.load_file(spec)).clone()
    }

    fn load_file(&self, spec: &ModuleSpec) -> LoadResult {
        let file = regular_file::open(spec.file.path()).map_err(|error| LoadError::Read(Arc::new(error)))?;
        match spec.preparation {
            Preparation::Precompiled => self.load_code(spec, file),
            Preparation::Compile | Preparation::Preinitialize => self.load_module(spec, file),
        }
    }

    fn load_module(&self, spec: &ModuleSpec, file: File) -> LoadResult {
        let bytes = self.read(file)?;
        let sha256 = sha256_hex(&bytes);
        spec.check(&sha256)?;
        if is_precompiled(&bytes) {
            return Err(LoadError::Precompiled);
        }
        let compiled = match spec.preparation {
            Preparation::Preinitialize => {
                let key = spec.content_key(&sha256, Preparation::Preinitialize);
                self.once(key, || self.preinitialize(spec, &bytes, &sha256))?
            }
            _ => self.compile(spec, &bytes, &sha256)?,
        };
        Ok(self.loaded(spec, bytes.len(), &sha256, compiled))
    }

    fn load_code(&self, spec: &ModuleSpec, file: File) -> LoadResult {
        let code =
            TrustedCode::read(file, self.options.size_limit).map_err(|error| LoadError::Untrusted(Arc::new(error)))?;
        self.check_size(code.bytes())?;
        let sha256 = sha256_hex(code.bytes());
        spec.check(&sha256)?;
        if !is_precompiled(code.bytes()) {
            return Err(LoadError::NotPrecompiled);
        }
        let key = spec.content_key(&sha256, Preparation::Precompiled);
        let compiled = self.once(key, || {
            let executable = self.options.runtime.load(&code, spec.unknown_imports);
            let executable = executable.map_err(|error| LoadError::Unusable(Arc::new(error)))?;
            Ok((executable, CodeSource::Code(CodeOrigin::Precompiled)))
        })?;
        Ok(self.loaded(spec, code.bytes().len(), &sha256, compiled))
    }

    /// The executable of a key, which `compile` makes unless it is there already.
    fn once(
        &self,
        key: ContentKey,
        compile: impl FnOnce() -> Result<(Executable, CodeSource), LoadError>,
    ) -> Result<Compiled, LoadError> {
        let (started, mut origin, mut took) = (Instant::now(), CodeSource::Shared, Duration::ZERO);
        let executable = slot(&self.by_content, key.clone())
            .get_or_init(|| {
                let better = self.options.better.and_then(|programs| programs.find(&key));
                if let Some(executable) = better.or_else(|| self.programs.find(&key)) {
                    origin = CodeSource::Kept;
                    return Ok(executable);
                }
                let (executable, from) = compile()?;
                (origin, took) = (from, started.elapsed());
                self.programs.insert(key, &executable);
                Ok(executable)
            })
            .clone();
        executable.map(|executable| Compiled { executable, origin, took })
    }

    fn compile(&self, spec: &ModuleSpec, bytes: &[u8], sha256: &str) -> Result<Compiled, LoadError> {
        self.once(spec.content_key(sha256, Preparation::Compile), || {
            let started = Instant::now();
            let unknown_imports = spec.unknown_imports;
            let source = ProgramSource { bytes, digest: sha256, owner: spec.owner(), unknown_imports };
            let compile = || self.compiler.run(|| self.options.runtime.compile(&source));
            let compiled = self.progress.show(&spec.module, bytes.len() as u64, compile);
            let (executable, origin) = compiled.map_err(|error| LoadError::Unusable(Arc::new(error)))?;
            if origin == CodeOrigin::Compiled {
                self.options.metrics.add_compilation(started.elapsed());
            }
            Ok((executable, CodeSource::Code(origin)))
        })
    }

    /// Runs the initializer of a module, and compiles the preinitialized module unless another entry has the same one.
    fn preinitialize(
        &self,
        spec: &ModuleSpec,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<(Executable, CodeSource), LoadError> {
        let started = Instant::now();
        let preinitialize = || self.compiler.run(|| self.options.runtime.preinitialize(bytes, sha256, spec.owner()));
        let preinitialized = self.progress.show(&spec.module, bytes.len() as u64, preinitialize);
        let preinitialized = preinitialized.map_err(|error| LoadError::Preinitialize(Arc::new(error)))?;
        let (module, took) = (spec.module.to_string(), started.elapsed());
        let printed = Some(preinitialized.printed).filter(|printed| !printed.is_empty());
        tracing::info!(module, bytes = preinitialized.module.len(), ?took, printed, "preinitialized");
        let compiled = self.compile(spec, &preinitialized.module, &sha256_hex(&preinitialized.module))?;
        Ok((compiled.executable, compiled.origin))
    }

    fn read(&self, file: File) -> Result<Vec<u8>, LoadError> {
        let mut bytes = Vec::new();
        // One byte more than allowed tells a module of exactly the limit from a longer one.
        let read = file.take(self.options.size_limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| LoadError::Read(Arc::new(error)))?;
        self.check_size(&bytes)?;
        Ok(bytes)
    }

    fn check_size(&self, bytes: &[u8]) -> Result<(), LoadError> {
        match bytes.len() as u64 > self.options.size_limit {
            true => Err(LoadError::TooLarge { limit: self.options.size_limit }),
            false => Ok(()),
        }
    }

    /// Counts and logs a module that is ready.
    fn loaded(&self, spec: &ModuleSpec, bytes: usize, sha256: &str, compiled: Compiled) -> LoadedModule {
        self.summary.add(&spec.file, compiled.origin);
        if let Some(arrival) = spec.file.arrival().filter(|arrival| arrival.is_new) {
            self.options.metrics.add_fetch(arrival.took);
        }
        let digest = format!("sha256:{sha256}");
        self.log(spec, bytes, &digest, &compiled);
        LoadedModule { executable: compiled.executable, digest: digest.into() }
    }

    fn log(&self, spec: &ModuleSpec, bytes: usize, digest: &str, compiled: &Compiled) {
        if compiled.origin == CodeSource::Kept
            || self.options.priority == Priority::Optimization
            || self.options.priority != Priority::Start && compiled.origin == CodeSource::Shared
        {
            return;
        }
        let module = spec.module.to_string();
        let (from, code, took) = (file_origin(&spec.file), code_origin(compiled.origin), compiled.took);
        match spec.file.arrival() {
            Some(arrival) => {
                tracing::info!(module, from, fetch = ?arrival.took, bytes, digest, code, ?took, "loaded");
            }
            None => tracing::info!(module, from, bytes, digest, code, ?took, "loaded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fetch::{Arrival, FetchedModule, Silent};
    use crate::runtime::EngineConfig;
    use crate::startup::load::*;

    fn runtime() -> Runtime {
        Runtime::new(&EngineConfig::for_one(1 << 20, 100)).expect("an engine")
    }

    /// Between checking a file and reading it again, another process may write to the cache.
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
            let (preparation, unknown_imports) = (Preparation::Compile, UnknownImports::Refuse);
            let spec = ModuleSpec { module, file, preparation, unknown_imports };
            let (metrics, runtime) = (Metrics::default(), runtime());
            let options = LoadOptions {
                runtime: &runtime,
                size_limit: 1 << 20,
                priority: Priority::Start,
                serve: ServeWhen::AllAreLoaded,
                better: None,
                metrics: &metrics,
                progress: Arc::new(Silent),
            };
            let loaded = executables(&Programs::default(), &[spec], options, &LoadedSoFar::new(1));
            match &loaded.results[..] {
                [Ok(_)] => assert!(is_loaded),
                [Err(LoadError::Changed)] => assert!(!is_loaded),
                _ => panic!("something else went wrong"),
            }
        }
    }
}
