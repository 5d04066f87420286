//! What is a script, and how does a run of it start?
//!
//! A [`Program`] is compiled code linked to the host, once per distinct module. A [`Guest`] is a program with an entry
//! point, limits and grants: one per route. Starting one makes a fresh instance in a fresh store, every time.

use std::sync::Arc;

use wasmtime::{ExternType, FuncType, InstancePre, Module, ModuleExport, Store};

use crate::strings::StringBlock;

use crate::runtime::component::Linked;
use crate::runtime::engine::executors::Executors;
use crate::runtime::instance::cpu_time::CpuTimer;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::memory::MemoryBudget;
use crate::runtime::instance::run::{GuestFuture, Run};
use crate::runtime::instance::stdio::{Pipes, Stderr};
use crate::runtime::wasi::state::{MEMORY, State};

/// What a reactor exports to be called once before anything else.
const INITIALIZE: &str = "_initialize";

/// The entry point of a command, which initialises itself.
const START: &str = "_start";

/// The function sub-routes are asked for by; WAGI calls it on an instance of which nothing was called before.
pub const ROUTES: &str = "_routes";

/// Compiled code linked to the host. Cheap to clone.
#[derive(Clone)]
pub struct Program {
    pub(in crate::runtime) code: Code,
    pub(in crate::runtime) executors: Arc<Executors>,
}

/// Code of either kind.
#[derive(Clone)]
pub(in crate::runtime) enum Code {
    Module(InstancePre<State>),
    Component(Linked),
}

/// Why a script cannot be entered as asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    /// There is none of that name.
    #[error("the module exports no function `{name}`")]
    Missing {
        /// The name asked for.
        name: String,
        /// The functions that could be entry points.
        candidates: Vec<String>,
    },
    /// It takes parameters or returns results.
    #[error("the exported function `{name}` has the type {found}, and an entry point takes and returns nothing")]
    WrongType {
        /// The name asked for.
        name: String,
        /// Its type.
        found: String,
    },
    /// Components are entered where WASI says.
    #[error("`{name}` cannot be an entry point: the module is a component, which is entered through what WASI defines")]
    Component {
        /// The name asked for.
        name: String,
    },
}

impl Program {
    /// Whether it is a component that is asked over HTTP. All others have the contract of CGI.
    pub fn speaks_http(&self) -> bool {
        matches!(&self.code, Code::Component(linked) if linked.speaks_http())
    }

    /// Whether it is a module that exports a function of this name.
    pub fn exports(&self, name: &str) -> bool {
        matches!(&self.code, Code::Module(linked) if function(linked.module(), name).is_some())
    }

    /// This program with an entry point and grants. The entry point must be a function without parameters and results.
    pub fn guest(&self, entry: &str, grants: Grants) -> Result<Guest, EntryError> {
        let calls = match &self.code {
            Code::Module(linked) => {
                let function = crate::runtime::guest::entry(linked.module(), entry)?;
                let initialize = match entry {
                    START | INITIALIZE | ROUTES => None,
                    _ => crate::runtime::guest::entry(linked.module(), INITIALIZE).ok(),
                };
                [initialize, Some(function)]
            }
            Code::Component(_) if entry == START => [None, None],
            Code::Component(_) => return Err(EntryError::Component { name: entry.to_owned() }),
        };
        Ok(Guest { program: self.clone(), memory: self.memory(), calls, entered: true, grants })
    }

    /// This program as a script that is made and dropped without a call: whatever can go wrong before the entry point is
    /// reached goes wrong here.
    pub fn instantiation(&self, grants: Grants) -> Guest {
        Guest { program: self.clone(), memory: self.memory(), calls: [None, None], entered: false, grants }
    }

    fn memory(&self) -> Option<ModuleExport> {
        match &self.code {
            Code::Module(linked) => linked.module().get_export_index(MEMORY),
            Code::Component(_) => None,
        }
    }
}

fn function(module: &Module, name: &str) -> Option<FuncType> {
    module.get_export(name).and_then(|export| export.func().cloned())
}

fn entry(module: &Module, name: &str) -> Result<ModuleExport, EntryError> {
    let missing = || EntryError::Missing { name: name.to_owned(), candidates: candidates(module) };
    let found = function(module, name).ok_or_else(missing)?;
    if found.params().len() + found.results().len() > 0 {
        return Err(EntryError::WrongType { name: name.to_owned(), found: found.to_string() });
    }
    module.get_export_index(name).ok_or_else(missing)
}

fn candidates(module: &Module) -> Vec<String> {
    let callable = |ty: &ExternType| matches!(ty, ExternType::Func(f) if f.params().len() + f.results().len() == 0);
    module.exports().filter(|export| callable(&export.ty())).map(|export| export.name().to_owned()).collect()
}

/// A program with an entry point, limits and grants. Cheap to clone.
#[derive(Clone)]
pub struct Guest {
    program: Program,
    /// The memory that a module shares with its host.
    memory: Option<ModuleExport>,
    /// What is called of a module.
    calls: [Option<ModuleExport>; 2],
    /// Whether it is entered at all; of a module that shows in `calls`.
    entered: bool,
    grants: Grants,
}

impl Guest {
    /// Starts a fresh instance. It computes only while the run is polled. `permit` is dropped together with the instance.
    /// One that is asked over HTTP is only made.
    pub fn start<P: Send + 'static>(&self, invocation: Invocation, permit: P) -> Run {
        let grants = &self.grants;
        let stderr = Stderr::new(grants.log.clone(), invocation.request, grants.stderr);
        let pipes = Arc::new(Pipes::new(invocation.stdin, grants.output, stderr, CpuTimer::new(grants.cpu_time)));
        let strings = (invocation.arguments, invocation.environment);
        let guest = match &self.program.code {
            Code::Module(linked) => self.start_module(linked, &pipes, strings, permit),
            Code::Component(linked) => {
                let guest = linked.start(grants, &pipes, strings, self.entered);
                Box::pin(async move {
                    let _permit = permit;
                    guest.await
                })
            }
        };
        Run::new(guest, pipes, self.program.executors.clone())
    }

    fn start_module<P: Send + 'static>(
        &self,
        linked: &InstancePre<State>,
        pipes: &Arc<Pipes>,
        (arguments, environment): (StringBlock, StringBlock),
        permit: P,
    ) -> GuestFuture {
        let grants = &self.grants;
        let state = State::new(
            arguments,
            environment,
            pipes.clone(),
            MemoryBudget::new(grants.memory, grants.table_elements),
            grants.volumes.clone(),
            grants.outbound.clone(),
            grants.memory,
        );
        let (linked, entered, transfer) = (linked.clone(), (self.memory, self.calls), grants.memory);
        Box::pin(async move {
            let _permit = permit;
            let store = store(&linked, state, transfer);
            call(store, &linked, entered).await
        })
    }

    /// The component it is, if it is one.
    pub(in crate::runtime) fn component(&self) -> Option<&Linked> {
        if let Code::Component(linked) = &self.program.code { Some(linked) } else { None }
    }

    /// What it is given.
    pub(in crate::runtime) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Where it runs.
    pub(in crate::runtime) fn executors(&self) -> Arc<Executors> {
        self.program.executors.clone()
    }

    /// Whether it is asked over HTTP. All others have the contract of CGI.
    pub fn speaks_http(&self) -> bool {
        self.program.speaks_http()
    }
}

fn store(linked: &InstancePre<State>, state: State, transfer: usize) -> Store<State> {
    let mut store = Store::new(linked.module().engine(), state);
    store.limiter(|state| &mut state.budget);
    // Whatever a host call copies has to fit into the guest as well.
    store.set_hostcall_fuel(transfer);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| context.data().pipes.cpu_timer.update_deadline());
    store
}

async fn call(
    mut store: Store<State>,
    linked: &InstancePre<State>,
    (memory, calls): (Option<ModuleExport>, [Option<ModuleExport>; 2]),
) -> Ending {
    let instance = match linked.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => return Ending::of_start(error),
    };
    // Its place among the exports is known, so that no host call has to look for its name.
    let memory = memory.and_then(|memory| instance.get_module_export(&mut store, &memory)?.into_memory());
    store.data_mut().remember(memory);
    for export in calls.iter().flatten() {
        let function = instance.get_module_export(&mut store, export).and_then(wasmtime::Extern::into_func);
        let Some(function) = function else { return Ending::NotStarted("its entry point is not a function".into()) };
        let called = match function.typed::<(), ()>(&store) {
            Ok(entry) => entry.call_async(&mut store, ()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = called {
            return error.into();
        }
    }
    Ending::Succeeded
}
