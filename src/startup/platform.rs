//! What is the same for each configuration? The engines and their threads, the network, the logs, and the programs that are
//! compiled. The first configuration decides how large the pools of the engines are.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::config::{
    AdminAddress, AllowedHosts, Audience, Config, ConnectionLimits, Diagnostic, EntryConfig, Key, ScratchTotal,
    Severity,
};
use crate::fetch::{Progress, Silent};
use crate::net::connect::own_addresses::OwnAddresses;
use crate::net::tls;
use crate::observe::{LogDirectory, LogWriter, Metrics};
use crate::outbound::Network;
use crate::runtime::{
    CodeOptimization, CompilerProcess, EngineConfig, Guest, RequestCount, RunWatcher, Runtime, WarmStartSetup,
};
use crate::scratch::{ScratchError, ScratchSpace};

use crate::startup::error::Error;
use crate::startup::guest_writable;
use crate::startup::load;
use crate::startup::load::programs::Programs;
use crate::startup::load::so_far::LoadingModules;
use crate::startup::load::{LoadOptions, ModuleSpec, Priority, ServeWhen};
use crate::startup::warm_start;

/// The problems of the files with certificates that the operator names, whether a module of this configuration needs them or
/// not.
pub(super) fn check_authorities(config: &Config) -> Vec<Diagnostic> {
    let files = [("--outbound-ca", &config.outbound_ca), ("--registry-ca", &config.registries.ca_file)];
    let checked =
        files.into_iter().filter_map(|(option, file)| Some((option, tls::check_file(file.as_deref()?).err()?)));
    let problem = |(option, error): (&str, tls::ClientTlsError)| {
        let problem = Diagnostic::error(format!("cannot use the certificates of {option}")).caused_by(&error);
        problem.help("the file must be PEM text with `BEGIN CERTIFICATE` sections")
    };
    checked.map(problem).collect()
}

/// The place of scratch directories, as the configuration has it.
struct OpenSpace {
    above: PathBuf,
    total: u64,
    space: Arc<ScratchSpace>,
}

/// Engines, and what is compiled for them.
#[derive(Clone)]
struct CompiledPrograms {
    runtime: Arc<Runtime>,
    programs: Arc<Programs>,
}

/// The engines, the programs, the network for guests, and the logs.
pub(super) struct Platform {
    runtime: Arc<Runtime>,
    programs: Arc<Programs>,
    /// The same with optimized code, if the other code is not optimized, and if it was ever needed.
    optimized: OnceLock<CompiledPrograms>,
    /// Held by the thread that compiles optimized code.
    pub optimizing: Mutex<()>,
    /// Where this process listens.
    pub own_addresses: OwnAddresses,
    /// The network as the last configuration that needed one has it.
    network: Mutex<Option<Network>>,
    log_directory: Mutex<Option<LogDirectory>>,
    scratch: Mutex<Option<OpenSpace>>,
    pub log: LogWriter,
    /// What shows what the start compiles.
    progress: Arc<dyn Progress>,
    /// Who watches the guests; `None` in a server.
    pub watcher: Option<Arc<dyn RunWatcher>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The limit on connections, which the server has from its start.
    connections: usize,
    connections_per_address: usize,
    /// The address of the admin listener, which stays.
    admin: Option<AdminAddress>,
}

impl Platform {
    /// Starts the engine, with pools as large as `config` needs.
    pub async fn new(
        config: &Config,
        own_addresses: OwnAddresses,
        log: LogWriter,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Self, Error> {
        let engine = EngineConfig {
            instances: u32::try_from(config.limits.total_concurrency).unwrap_or(u32::MAX),
            memory: config.entries.iter().map(|entry| entry.limits.memory).max().unwrap_or(0),
            table_elements: config.entries.iter().map(|entry| entry.limits.table_elements).max().unwrap_or(0),
            wasm_stack: config.limits.wasm_stack,
            cache: guest_writable::code_cache_config(config, problems),
            optimization: match config.audience {
                Audience::Users => CodeOptimization::Full,
                Audience::Developer => CodeOptimization::None,
            },
            coredumps: config.debug.coredumps.is_some(),
        };
        let runtime = spawn_blocking(move || Runtime::new(&engine)).await.map_err(|_| Error::Compiling)??;
        let (network, log_directory, scratch) = (Mutex::default(), Mutex::default(), Mutex::default());
        let ConnectionLimits { connections, connections_per_address, .. } = config.server.limits;
        let admin = config.admin.as_ref().map(|admin| admin.listen.clone());
        let (runtime, programs) = (Arc::new(runtime), Arc::default());
        let metrics = Arc::new(Metrics::new(log.clone()));
        Ok(Self {
            runtime,
            programs,
            optimized: OnceLock::new(),
            optimizing: Mutex::default(),
            own_addresses,
            network,
            log_directory,
            scratch,
            log,
            progress: Arc::new(Silent),
            watcher: None,
            connections,
            connections_per_address,
            admin,
            metrics,
        })
    }

    /// The same, which shows what the start compiles.
    pub fn showing(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// The same, with a watcher of the guests.
    pub fn watched_by(self, watcher: Option<Arc<dyn RunWatcher>>) -> Self {
        Self { watcher, ..self }
    }

    /// Counts the requests of the server, beside which it makes snapshots.
    pub fn requests(&self) -> RequestCount {
        self.runtime.requests()
    }

    /// Begins to load modules side by side, those of third parties within the limits of `config`.
    pub fn load(
        &self,
        config: &Config,
        specs: Vec<ModuleSpec>,
        priority: Priority,
        serve: ServeWhen,
    ) -> LoadingModules {
        let limits = &config.limits;
        let compiler = config.compiler.clone();
        let compiler = compiler.map(|path| CompilerProcess::new(path, limits.compile_time, limits.compile_memory));
        let optimized = self.optimized.get().cloned();
        let unoptimized = CompiledPrograms { runtime: self.runtime.clone(), programs: self.programs.clone() };
        let (code, better) = match (priority, optimized) {
            (Priority::Optimization, Some(optimized)) => (optimized, None),
            (_, optimized) => (unoptimized, optimized),
        };
        code.runtime.set_compiler(compiler);
        let metrics = self.metrics.clone();
        let size_limit = limits.module_size;
        let progress = if priority == Priority::Start { self.progress.clone() } else { Arc::new(Silent) };
        LoadingModules::begin(specs.len(), move |so_far| {
            let (runtime, better) = (&*code.runtime, better.as_ref().map(|better| &*better.programs));
            let options = LoadOptions { runtime, size_limit, priority, serve, better, metrics: &metrics, progress };
            load::executables(&code.programs, &specs, options, so_far)
        })
    }

    /// Makes the engines for optimized code. Takes time: not for a thread that serves.
    pub fn make_optimized(&self) -> Result<(), Error> {
        if self.optimized.get().is_none() {
            let config = EngineConfig { optimization: CodeOptimization::Full, ..self.runtime.config().clone() };
            let (runtime, programs) = (Arc::new(Runtime::new(&config)?), Arc::default());
            // There is one thread that makes them.
            let _ = self.optimized.set(CompiledPrograms { runtime, programs });
        }
        Ok(())
    }

    /// The same guest, which begins warm as soon as there is a snapshot.
    pub fn warm_start(&self, guest: Guest, entry: &EntryConfig, setup: WarmStartSetup) -> Guest {
        let first = warm_start::first_scripts(entry);
        self.runtime.warm_start(guest, &entry.entrypoint, entry.unknown_imports, setup, first)
    }

    /// The place of scratch directories; `None` if no entry needs it.
    pub fn scratch(&self, config: &Config) -> Result<Option<Arc<ScratchSpace>>, ScratchError> {
        if !config.entries.iter().any(EntryConfig::needs_scratch_space) {
            return Ok(None);
        }
        let user = rustix::process::geteuid().as_raw();
        let default = || std::env::temp_dir().join(format!("wagi-scratch-{user}"));
        let above = config.server.scratch_directory.clone().unwrap_or_else(default);
        let ScratchTotal(total) = config.server.scratch_total;
        let mut open = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_ref().filter(|open| (&open.above, open.total) == (&above, total)) {
            return Ok(Some(open.space.clone()));
        }
        let space = ScratchSpace::open(&above, total)?;
        *open = Some(OpenSpace { above, total, space: space.clone() });
        Ok(Some(space))
    }

    /// What of a configuration does not fit to what the first one has made.
    pub fn check(&self, config: &Config) -> Vec<Diagnostic> {
        let warnings = self.check_admin(config).into_iter().chain(self.check_coredumps(config));
        warnings.chain(config.entries.iter().flat_map(|entry| self.check_entry(entry))).collect()
    }

    /// Puts back the limits that stay until the next start, with a warning for each.
    pub fn keep_limits(&self, config: &mut Config) -> Vec<Diagnostic> {
        let (pools, limits, of_server) = (self.runtime.config(), &mut config.limits, &mut config.server.limits);
        let fixed = [
            ("total_concurrency", pools.instances as usize, &mut limits.total_concurrency),
            ("wasm_stack", pools.wasm_stack, &mut limits.wasm_stack),
            ("connections", self.connections, &mut of_server.connections),
            ("connections_per_address", self.connections_per_address, &mut of_server.connections_per_address),
        ];
        let keep = |(key, now, new): (_, usize, &mut usize)| {
            let new = std::mem::replace(new, now);
            let message =
                format!("`{key}` stays {now} until the next start, not {new}: what it needs is reserved once");
            (now != new).then(|| Diagnostic::warning(message).help("restart the server"))
        };
        fixed.into_iter().filter_map(keep).collect()
    }

    /// The warning about another address for the admin listener.
    fn check_admin(&self, config: &Config) -> Option<Diagnostic> {
        let new = config.admin.as_ref().map(|admin| &admin.listen);
        let shown = |address: Option<&AdminAddress>| address.map_or_else(|| "off".to_owned(), ToString::to_string);
        let (now, next) = (shown(self.admin.as_ref()), shown(new));
        let message = format!("`listen` of `[admin]` stays {now} until the next start, not {next}");
        (self.admin.as_ref() != new).then(|| Diagnostic::warning(message).help("restart the server"))
    }

    /// The warning about core dumps that the engines cannot make.
    fn check_coredumps(&self, config: &Config) -> Option<Diagnostic> {
        let is_new = config.debug.coredumps.is_some() && !self.runtime.config().coredumps;
        let message = "`coredump_directory` has no effect until the next start, since the engines were made without";
        is_new.then(|| Diagnostic::warning(message).help("restart the server"))
    }

    fn check_entry(&self, entry: &EntryConfig) -> Vec<Diagnostic> {
        let (pools, limits) = (self.runtime.config(), &entry.limits);
        let sizes =
            [("memory", pools.memory, limits.memory), ("table_elements", pools.table_elements, limits.table_elements)];
        let error = |(key, pool, limit)| {
            let route = &entry.route;
            let message = format!("route `{route}`: `{key}` is {limit}, but the pools of this server have {pool}");
            let help = format!("restart the server, or set `{key}` to {pool} at most");
            Diagnostic::error(message).at(entry.origin.at(Key::Entry)).help(help)
        };
        sizes.into_iter().filter(|(_, pool, limit)| limit > pool).map(error).collect()
    }

    /// Returns whether a guest of `config` can write to the code cache in use, which is a warning. It is an error if the engines
    /// cannot do without the cache.
    pub fn check_code_cache(&self, config: &Config, problems: &mut Vec<Diagnostic>) -> bool {
        let in_use = self.runtime.config().cache.as_ref();
        let Some(problem) = in_use.and_then(|cache| guest_writable::exposed_code_cache(config, cache)) else {
            return false;
        };
        let is_fixed = self.runtime.is_made_with_code_cache();
        problems.push(if is_fixed { Diagnostic { severity: Severity::Error, ..problem } } else { problem });
        true
    }

    /// Keeps and uses no compiled code from now on.
    pub fn close_code_cache(&self) {
        self.runtime.close_code_cache();
        self.optimized.get().iter().for_each(|optimized| optimized.runtime.close_code_cache());
    }

    /// The log directory, which is made for the first configuration.
    pub fn log_directory(&self, config: &Config) -> Result<Option<LogDirectory>, Error> {
        let Some(path) = &config.log.dir else { return Ok(None) };
        let mut known = self.log_directory.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            let directory = LogDirectory::create(path).map_err(|error| Error::log_directory(path, error))?;
            self.metrics.count_missing_lines(directory.dropped());
            *known = Some(directory);
        }
        Ok(known.clone())
    }

    /// Waits until what guests have printed is written to the log files, but not for long.
    pub fn flush_logs(&self) {
        let known = self.log_directory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(directory) = known {
            directory.flush();
        }
    }

    /// Opens the log files again.
    pub fn reopen_logs(&self) {
        let known = self.log_directory.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(directory) = known {
            directory.reopen();
        }
    }

    /// The network for guests; `None` if `config` lets no guest call other servers: reading certificates takes time.
    pub fn network(&self, config: &Config) -> Result<Option<Network>, Error> {
        if config.entries.iter().all(|entry| entry.allowed_hosts == AllowedHosts::None) {
            return Ok(None);
        }
        // A file that cannot be used is reported already, and ends the start.
        let authorities = config.outbound_ca.as_deref().filter(|file| tls::check_file(file).is_ok());
        let mut known = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        let network = match &*known {
            Some(network) => network.reread(authorities)?,
            None => Network::new(Handle::current(), authorities, self.own_addresses.clone())?,
        };
        if network.roots() == 0 {
            tracing::warn!("the system has no certificates to trust: guests cannot call other servers over https");
        }
        *known = Some(network.clone());
        Ok(Some(network))
    }
}
