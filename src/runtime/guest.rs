//! What is a guest, and how does a run of it start?
//!
//! An [`Executable`] is compiled code linked to the host, once per distinct module. A [`Guest`] is an executable with an entry
//! point and grants: one per route. Each run gets a fresh instance in a fresh store.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use wasmtime::{ExternType, FuncType, Instance, InstancePre, Linker, Module, ModuleExport, Store};

use crate::strings::StringBlock;

use crate::runtime::component::{ComponentRequest, LinkedComponent};
use crate::runtime::cure::{of_missing_entry_point, of_wrong_entry_point};
use crate::runtime::engine::executors::Executors;
use crate::runtime::error::in_words;
use crate::runtime::instance::debug::profiler::{GuestSampler, ProfiledCode};
use crate::runtime::instance::debug::trap::RunningCode;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::run::{GuestFuture, Run};
use crate::runtime::instance::stdio::Stdio;
use crate::runtime::module_engine;
use crate::runtime::module_engine::LinkedModule;
use crate::runtime::run_watcher::{RunInputs, RunWatcher};
use crate::runtime::traced_calls;
use crate::runtime::warm_start::proving::{WarmStartChance, WarmStartProof};
use crate::runtime::warm_start::{WarmStartCounts, WarmStartView, WarmStarts};
use crate::runtime::wasi::state::{MEMORY, ModuleState};

/// The function that a reactor exports to be called once, before any other.
const INITIALIZE: &str = "_initialize";

/// The entry point of a command, which initializes itself.
const START: &str = "_start";

/// The function that prints sub-routes. WAGI 0.8 calls it on an instance of which nothing was called before.
pub const ROUTES: &str = "_routes";

/// Compiled code linked to the host. Cheap to clone.
#[derive(Clone)]
pub struct Executable(Arc<Linked>);

/// An executable that is not kept alive.
#[derive(Clone)]
pub struct WeakExecutable(Weak<Linked>);

struct Linked {
    code: LinkedCode,
    /// The imports that end a guest when it calls them, as they are shown.
    trapping: Vec<String>,
    executors: Arc<Executors>,
}

/// The code of a module or a component, and what it was linked to.
pub(in crate::runtime) struct Code {
    linked: LinkedCode,
    trapping: Vec<String>,
}

enum LinkedCode {
    Module(InstancePre<ModuleState>, Arc<Linker<ModuleState>>),
    Component(LinkedComponent),
}

impl Code {
    /// The code of a module.
    pub fn module(module: LinkedModule) -> Self {
        Self { linked: LinkedCode::Module(module.linked, module.linker), trapping: module.trapping }
    }

    /// The code of a component, and the imports that end a guest when it calls them.
    pub fn component((component, trapping): (LinkedComponent, Vec<String>)) -> Self {
        Self { linked: LinkedCode::Component(component), trapping }
    }
}

/// Why an entry point cannot be called.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryPointError {
    /// No function of that name is exported.
    #[error("the module exports no function `{name}`")]
    Missing {
        /// The name of the entry point.
        name: String,
        /// The functions that could be entry points.
        candidates: Vec<String>,
    },
    /// It takes parameters or returns results.
    #[error("the exported function `{name}` {found}, and an entry point takes and returns nothing")]
    WrongType {
        /// The name of the entry point.
        name: String,
        /// What the function takes and returns, in words.
        found: String,
        /// The functions that could be entry points.
        candidates: Vec<String>,
    },
    /// It is a component, which has no entry point but the one that WASI defines.
    #[error("`{name}` cannot be an entry point: the module is a component, which is entered through what WASI defines")]
    Component {
        /// The name of the entry point.
        name: String,
    },
}

impl EntryPointError {
    /// What the operator can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Missing { name, candidates } => Some(of_missing_entry_point(name, candidates)),
            Self::Component { .. } => Some("remove `entrypoint`".to_owned()),
            Self::WrongType { candidates, .. } => Some(of_wrong_entry_point(candidates)),
        }
    }
}

impl WeakExecutable {
    /// The executable, if something else has kept it alive.
    pub fn upgrade(&self) -> Option<Executable> {
        self.0.upgrade().map(Executable)
    }

    /// Whether nothing has kept the executable alive.
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl PartialEq for Executable {
    /// Whether they are one executable.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Executable {}

impl Hash for Executable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Executable {
    pub(in crate::runtime) fn new(code: Code, executors: Arc<Executors>) -> Self {
        Self(Arc::new(Linked { code: code.linked, trapping: code.trapping, executors }))
    }

    /// The same executable, without keeping it alive.
    pub fn downgrade(&self) -> WeakExecutable {
        WeakExecutable(Arc::downgrade(&self.0))
    }

    /// What it is, as the metrics have it.
    pub fn kind(&self) -> &'static str {
        match &self.0.code {
            LinkedCode::Module(..) => "module",
            LinkedCode::Component(_) => "component",
        }
    }

    /// The imports that nothing provides, as they are shown. A call of one ends the guest.
    pub fn trapping_imports(&self) -> &[String] {
        &self.0.trapping
    }

    /// Whether it is a component.
    pub fn is_component(&self) -> bool {
        matches!(&self.0.code, LinkedCode::Component(_))
    }

    /// Whether it is a component that serves HTTP requests. All others follow CGI.
    pub fn is_http_component(&self) -> bool {
        matches!(&self.0.code, LinkedCode::Component(linked) if linked.is_http_component())
    }

    /// Whether it is a module that exports a function of this name.
    pub fn exports(&self, name: &str) -> bool {
        matches!(&self.0.code, LinkedCode::Module(linked, _) if function(linked.module(), name).is_some())
    }

    /// This executable with an entry point and grants. The entry point must be a function without parameters and results.
    pub fn guest(&self, name: &str, grants: Grants) -> Result<Guest, EntryPointError> {
        let functions = match &self.0.code {
            LinkedCode::Module(linked, _) => {
                let function = entry_point(linked.module(), name)?;
                let initialize = match name {
                    START | INITIALIZE | ROUTES => None,
                    _ => entry_point(linked.module(), INITIALIZE).ok(),
                };
                [initialize, Some(function)]
            }
            LinkedCode::Component(_) if name == START => [None, None],
            LinkedCode::Component(_) => return Err(EntryPointError::Component { name: name.to_owned() }),
        };
        let exports = ModuleExports { memory: self.memory(), functions };
        Ok(Guest { executable: self.clone(), exports, is_called: true, grants, warm: None })
    }

    /// This executable as a guest that is instantiated and dropped without a call, to find what fails before the entry point is
    /// reached.
    pub fn instantiate_only(&self, grants: Grants) -> Guest {
        let exports = ModuleExports { memory: self.memory(), ..ModuleExports::default() };
        Guest { executable: self.clone(), exports, is_called: false, grants, warm: None }
    }

    fn memory(&self) -> Option<ModuleExport> {
        match &self.0.code {
            LinkedCode::Module(linked, _) => linked.module().get_export_index(MEMORY),
            LinkedCode::Component(_) => None,
        }
    }
}

fn function(module: &Module, name: &str) -> Option<FuncType> {
    module.get_export(name).and_then(|export| export.func().cloned())
}

fn entry_point(module: &Module, name: &str) -> Result<ModuleExport, EntryPointError> {
    let missing = || EntryPointError::Missing { name: name.to_owned(), candidates: candidates(module) };
    let found = function(module, name).ok_or_else(missing)?;
    if found.params().len() + found.results().len() > 0 {
        let (name, found) = (name.to_owned(), in_words(found.params(), found.results()));
        return Err(EntryPointError::WrongType { name, found, candidates: candidates(module) });
    }
    module.get_export_index(name).ok_or_else(missing)
}

fn candidates(module: &Module) -> Vec<String> {
    let is_entry_point =
        |ty: &ExternType| matches!(ty, ExternType::Func(f) if f.params().len() + f.results().len() == 0);
    module.exports().filter(|export| is_entry_point(&export.ty())).map(|export| export.name().to_owned()).collect()
}

/// An executable with an entry point and grants. Cheap to clone.
#[derive(Clone)]
pub struct Guest {
    executable: Executable,
    exports: ModuleExports,
    /// False for a guest that is only instantiated. For a module, `exports` has no functions then.
    is_called: bool,
    grants: Grants,
    /// The snapshots at which its runs may begin.
    warm: Option<Arc<WarmStarts>>,
}

/// The exports of a module that a run uses, by index, so that none has to be looked up by name. Empty for a component.
#[derive(Clone, Copy, Default)]
struct ModuleExports {
    /// The memory that it shares with the host.
    memory: Option<ModuleExport>,
    /// The functions to call, in order.
    functions: [Option<ModuleExport>; 2],
}

impl Guest {
    /// Starts a fresh instance. It computes only while the run is polled. `permit` is dropped together with the instance.
    /// For a component that serves HTTP requests, use [`handle`](Self::handle): this only makes an instance of it.
    pub fn start<P: Send + 'static>(&self, mut invocation: Invocation, permit: P) -> Run {
        if let Some(watcher) = &self.grants.watcher {
            watcher.begins(&inputs(&invocation));
        }
        let request = invocation.request;
        let mut stdio = self.grants.stdio(invocation.stdin.take(), request);
        stdio.tracer = invocation.tracer.take();
        let stdio = Arc::new(stdio);
        let guest: GuestFuture = match &self.executable.0.code {
            LinkedCode::Module(linked, _) if self.warm.is_some() && self.grants.watcher.is_none() => {
                self.start_warm(linked, &stdio, invocation, permit)
            }
            LinkedCode::Module(linked, linker) => {
                // Made here, so that the future holds the store's pointer and not its state.
                let state = ModuleState::new(&self.grants, stdio.clone(), invocation);
                let store = module_engine::store(linked.module().engine(), state, self.sampler(linked, request));
                let (linked, exports) = (linked.clone(), self.exports);
                match self.grants.watcher.clone().filter(|watcher| watcher.sees_calls()) {
                    None => Box::pin(async move {
                        let _permit = permit;
                        exports.run(store, &linked).await
                    }),
                    Some(watcher) => {
                        let linker = linker.clone();
                        Box::pin(async move {
                            let _permit = permit;
                            exports.run_traced(store, &linked, &linker, &watcher).await
                        })
                    }
                }
            }
            LinkedCode::Component(linked) => {
                let guest = linked.start(&self.grants, &stdio, &invocation, self.is_called);
                Box::pin(async move {
                    let _permit = permit;
                    guest.await
                })
            }
        };
        let run =
            Run::new(guest, stdio, self.executable.0.executors.clone()).with_volumes(self.grants.volumes.threads());
        match &self.executable.0.code {
            LinkedCode::Module(..) => run,
            LinkedCode::Component(_) => run.with_files_at_once(),
        }
    }

    /// Starts a fresh instance at its checkpoint, if there is a snapshot that fits, and else at its start.
    fn start_warm<P: Send + 'static>(
        &self,
        linked: &InstancePre<ModuleState>,
        stdio: &Arc<Stdio>,
        invocation: Invocation,
        permit: P,
    ) -> GuestFuture {
        let chosen = self.warm.as_ref().and_then(|warm| Some((warm.clone(), warm.choose(&invocation)?)));
        let sampler = self.sampler(linked, invocation.request);
        let mut state = ModuleState::new(&self.grants, stdio.clone(), invocation);
        let (linked, exports) = (linked.clone(), self.exports);
        Box::pin(async move {
            let _permit = permit;
            if let Some((warm, (snapshot, variables))) = chosen {
                match snapshot.prepare(&mut state, &variables).await {
                    Ok(()) => {
                        warm.on_begun();
                        let module = snapshot.start.linked.module();
                        let sampler = sampler.map(|sampler| sampler.of_module(module));
                        let mut store = module_engine::store(module.engine(), state, sampler);
                        return snapshot.start.run(&mut store, &variables).await;
                    }
                    Err(stale) => warm.on_stale(&snapshot, stale),
                }
            }
            let store = module_engine::store(linked.module().engine(), state, sampler);
            exports.run(store, &linked).await
        })
    }

    /// Looks at a guest that runs this module, if the operator wants that.
    fn sampler(&self, linked: &InstancePre<ModuleState>, request: u64) -> Option<GuestSampler> {
        self.grants.sampler(request, || ProfiledCode::Module(linked.module().clone()))
    }

    /// The same guest, whose runs begin at a checkpoint as soon as there is a snapshot.
    pub(in crate::runtime) fn with_warm_starts(self, warm: Arc<WarmStarts>) -> Self {
        Self { warm: Some(warm), ..self }
    }

    /// The names of the functions to call, the entry point last.
    pub(in crate::runtime) fn functions(&self, entry_point: &str) -> Vec<String> {
        let [initialize, _] = self.exports.functions;
        initialize.map(|_| INITIALIZE.to_owned()).into_iter().chain([entry_point.to_owned()]).collect()
    }

    /// What it may use.
    pub(in crate::runtime) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Begins to make the first snapshots, if it may begin warm.
    pub fn begin_warm_starts(&self) {
        self.warm.iter().for_each(WarmStarts::begin);
    }

    /// Whether it can begin warm, as far as its module shows. Reads the module.
    pub fn warm_start_chance(&self) -> WarmStartChance {
        self.warm.as_ref().map_or(WarmStartChance::NotWanted, |warm| warm.chance())
    }

    /// Answers this many requests cold and warm, of each kind that snapshots are made for first. It blocks for as long as that takes.
    pub fn prove_warm_starts(&self, requests: usize) -> Vec<WarmStartProof> {
        self.warm.as_ref().map(|warm| warm.prove(requests)).unwrap_or_default()
    }

    /// How often it began warm, if it may.
    pub fn warm_start_counts(&self) -> Option<WarmStartCounts> {
        self.warm.as_ref().map(|warm| warm.counts())
    }

    /// Whether another guest has the same warm starts, with the same counts.
    pub fn shares_warm_starts(&self, other: &Self) -> bool {
        matches!((&self.warm, &other.warm), (Some(own), Some(other)) if Arc::ptr_eq(own, other))
    }

    /// What is seen of its warm starts, if it has any.
    pub fn warm_starts(&self) -> Option<WarmStartView> {
        self.warm.as_ref().map(|warm| warm.view())
    }

    /// Starts a fresh instance that handles an HTTP request. It computes only while the run is polled. `permit` is dropped
    /// together with the instance. `None` for a guest that does not serve HTTP requests.
    pub fn handle<P: Send + 'static>(&self, request: ComponentRequest, permit: P) -> Option<Run> {
        let LinkedCode::Component(linked) = &self.executable.0.code else { return None };
        if let Some(watcher) = &self.grants.watcher {
            watcher.begins(&self.request_inputs(&request));
        }
        let executors = self.executable.0.executors.clone();
        linked.handle(&self.grants, request, executors, permit)
    }

    /// What a component of `wasi:http` gets.
    fn request_inputs(&self, request: &ComponentRequest) -> RunInputs {
        let head = &request.head;
        let variables = self.grants.environment.iter().map(|(name, value)| format!("{name}={value}"));
        let fields = head.headers.iter();
        let fields = fields.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        let request = std::iter::once(format!("{} {}", head.method, head.uri)).chain(fields);
        RunInputs { arguments: Vec::new(), environment: variables.collect(), request: request.collect() }
    }

    /// Whether it is a component that serves HTTP requests. All others follow CGI.
    pub fn is_http_component(&self) -> bool {
        self.executable.is_http_component()
    }
}

/// What a guest that follows CGI gets.
fn inputs(invocation: &Invocation) -> RunInputs {
    let owned = |strings: &StringBlock| strings.iter().map(str::to_owned).collect();
    let (arguments, environment) = (owned(&invocation.arguments), owned(&invocation.environment));
    RunInputs { arguments, environment, request: Vec::new() }
}

impl ModuleExports {
    /// Makes an instance and calls the functions.
    async fn run(self, mut store: Store<ModuleState>, linked: &InstancePre<ModuleState>) -> Ending {
        match linked.instantiate_async(&mut store).await {
            Ok(instance) => self.call(store, instance).await,
            Err(error) => Ending::of_instantiation(error),
        }
    }

    /// The same, with each call to the host seen by `watcher`.
    async fn run_traced(
        self,
        mut store: Store<ModuleState>,
        linked: &InstancePre<ModuleState>,
        linker: &Linker<ModuleState>,
        watcher: &Arc<dyn RunWatcher>,
    ) -> Ending {
        match traced_calls::instantiate(&mut store, linked, linker, watcher).await {
            Ok(instance) => self.call(store, instance).await,
            Err(error) => Ending::of_instantiation(error),
        }
    }

    async fn call(self, mut store: Store<ModuleState>, instance: Instance) -> Ending {
        let memory = self.memory.and_then(|memory| instance.get_module_export(&mut store, &memory)?.into_memory());
        store.data_mut().set_memory(memory);
        module_engine::call(&mut store, &instance, self.functions.into_iter().flatten(), RunningCode::Program).await
    }
}
