//! What is a script, and how does a run of it start?
//!
//! A [`Program`] is compiled code linked to the host, once per distinct module. A [`Script`] is a program with an entry
//! point, limits and grants: one per route. Starting one makes a fresh instance in a fresh store, every time.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{ExternType, InstancePre, Module, ModuleExport, Store, UpdateDeadline};

use crate::strings::StringBlock;

use super::CpuTimeUsedUp;
use super::lanes::Lanes;
use super::memory::MemoryBudget;
use super::meter::{Meter, Verdict};
use super::run::{Ending, Run};
use super::state::{Outbound, State, Volumes};
use super::stdio::{ErrorLog, InputStream, Pipes, Stderr};

/// What a reactor exports to be called once before anything else.
const INITIALIZE: &str = "_initialize";

/// The entry point of a command, which initialises itself.
const START: &str = "_start";

/// The function sub-routes are asked for by; WAGI calls it on an instance of which nothing was called before.
pub const ROUTES: &str = "_routes";

/// Compiled code linked to the host. Cheap to clone.
#[derive(Clone)]
pub struct Program {
    pub(super) linked: InstancePre<State>,
    pub(super) lanes: Arc<Lanes>,
}

/// What a guest may use and what it is given, the same for each of its runs.
#[derive(Clone)]
pub struct Grants {
    /// The directories it sees.
    pub volumes: Volumes,
    /// Whom it may call; nobody without.
    pub outbound: Option<Outbound>,
    /// Where its stderr goes; dropped without.
    pub log: Option<Arc<dyn ErrorLog>>,
    /// CPU time.
    pub cpu_time: Duration,
    /// Bytes in all its memories together.
    pub memory: usize,
    /// Elements in all its tables together.
    pub table_elements: usize,
    /// Bytes it may print, head included; unlimited without.
    pub output: Option<u64>,
    /// Bytes of stderr that are kept per run.
    pub stderr: usize,
}

/// Why a function cannot be an entry point.
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
}

impl Program {
    fn module(&self) -> &Module {
        self.linked.module()
    }

    /// Whether it exports a function of this name.
    pub fn exports(&self, name: &str) -> bool {
        matches!(self.module().get_export(name), Some(ExternType::Func(_)))
    }

    /// This program with an entry point and grants. The entry point must be a function without parameters and results.
    pub fn script(&self, entry: &str, grants: Grants) -> Result<Script, EntryError> {
        let function = self.entry(entry)?;
        let initialize = match entry {
            START | INITIALIZE | ROUTES => None,
            _ => self.entry(INITIALIZE).ok(),
        };
        Ok(Script { program: self.clone(), calls: [initialize, Some(function)], grants })
    }

    /// This program as a script that is made and dropped without a call: whatever can go wrong before the entry point is
    /// reached goes wrong here.
    pub fn instantiation(&self, grants: Grants) -> Script {
        Script { program: self.clone(), calls: [None, None], grants }
    }

    fn entry(&self, name: &str) -> Result<ModuleExport, EntryError> {
        let module = self.module();
        let Some(ExternType::Func(found)) = module.get_export(name) else {
            return Err(EntryError::Missing { name: name.to_owned(), candidates: self.candidates() });
        };
        if found.params().len() + found.results().len() > 0 {
            return Err(EntryError::WrongType { name: name.to_owned(), found: found.to_string() });
        }
        let missing = || EntryError::Missing { name: name.to_owned(), candidates: Vec::new() };
        module.get_export_index(name).ok_or_else(missing)
    }

    fn candidates(&self) -> Vec<String> {
        let callable = |ty: &ExternType| matches!(ty, ExternType::Func(f) if f.params().len() + f.results().len() == 0);
        self.module().exports().filter(|export| callable(&export.ty())).map(|export| export.name().to_owned()).collect()
    }
}

/// A program with an entry point, limits and grants. Cheap to clone.
#[derive(Clone)]
pub struct Script {
    program: Program,
    calls: [Option<ModuleExport>; 2],
    grants: Grants,
}

/// The inputs of one call.
#[derive(Default)]
pub struct Invocation {
    /// argv.
    pub arguments: StringBlock,
    /// The environment, as `NAME=VALUE`.
    pub environment: StringBlock,
    /// The request body; none is the same as an empty one.
    pub stdin: Option<InputStream>,
    /// The number the log knows the request by.
    pub request: u64,
}

impl Script {
    /// Starts a fresh instance. It computes only while the run is polled. `permit` is dropped together with the instance.
    pub fn start<P: Send + 'static>(&self, invocation: Invocation, permit: P) -> Run {
        let grants = &self.grants;
        let stderr = Stderr::new(grants.log.clone(), invocation.request, grants.stderr);
        let pipes = Pipes::new(invocation.stdin, grants.output, stderr, Meter::new(grants.cpu_time));
        let pipes = Arc::new(pipes);
        let state = State::new(
            invocation.arguments,
            invocation.environment,
            pipes.clone(),
            MemoryBudget::new(grants.memory, grants.table_elements),
            grants.volumes.clone(),
            grants.outbound.clone(),
            grants.memory,
        );
        let (linked, calls, transfer) = (self.program.linked.clone(), self.calls, grants.memory);
        let guest = Box::pin(async move {
            let _permit = permit;
            let store = store(&linked, state, transfer);
            call(store, &linked, calls).await
        });
        Run::new(guest, pipes, self.program.lanes.clone())
    }
}

fn store(linked: &InstancePre<State>, state: State, transfer: usize) -> Store<State> {
    let mut store = Store::new(linked.module().engine(), state);
    store.limiter(|state| &mut state.budget);
    // Whatever a host call copies has to fit into the guest as well.
    store.set_hostcall_fuel(transfer);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|context| match context.data().pipes.meter.verdict() {
        Verdict::Continue => Ok(UpdateDeadline::Continue(1)),
        Verdict::Yield => Ok(UpdateDeadline::Yield(1)),
        Verdict::Stop => Err(CpuTimeUsedUp.into()),
    });
    store
}

async fn call(mut store: Store<State>, linked: &InstancePre<State>, calls: [Option<ModuleExport>; 2]) -> Ending {
    let instance = match linked.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => return not_instantiated(error),
    };
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

/// A start function may trap or exit like any other; everything else is the host's reason for not making an instance.
fn not_instantiated(error: wasmtime::Error) -> Ending {
    match Ending::from(error) {
        Ending::Trapped(reason) => Ending::NotStarted(reason),
        ending => ending,
    }
}
