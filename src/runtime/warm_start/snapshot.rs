//! What does a request need to begin at a checkpoint?

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{InstancePre, ModuleExport, Store};

use crate::strings::StringBlock;

use crate::runtime::instance::debug::trap::RunningCode;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::stdio::Stdio;
use crate::runtime::module_engine;
use crate::runtime::resume::areas::{LaidOut, StringArea};
use crate::runtime::resume::arguments::SnapshotArguments;
use crate::runtime::resume::files::SeenFiles;
use crate::runtime::resume::held_files::HeldFiles;
use crate::runtime::resume::times::{TimePlace, TimeShift};
use crate::runtime::resume::variables::VariablePlaces;
use crate::runtime::warm_start::reopening::{HeldOn, StaleSnapshot, reopen};
use crate::runtime::warm_start::request::{SnapshotKey, SnapshotScope};
use crate::runtime::wasi::state::ModuleState;

/// A program at its checkpoint, as a module that begins there.
pub(in crate::runtime) struct WarmSnapshot {
    pub key: SnapshotKey,
    pub start: ResumedModule,
    pub places: VariablePlaces,
    /// What the clocks have shown: the time since 1970, in nanoseconds, and the monotonic clock.
    pub realtime: u64,
    pub monotonic: Duration,
    pub files: Arc<SeenFiles>,
    pub held: HeldFiles,
    /// Which requests it is proven for.
    pub scope: SnapshotScope,
    pub took: Duration,
    pub frames: usize,
    /// The size of the module.
    pub bytes: usize,
    pub proven: ProvenRequests,
}

/// How many requests a snapshot was tried with when it was made. None, if it was made by an earlier start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProvenRequests {
    /// How many were answered as they are cold.
    pub same: usize,
    /// How many begin cold, since they do not fit.
    pub unfit: usize,
}

/// The variables of a request, as they will lie in memory, and its time.
pub(in crate::runtime) struct Fitted {
    variables: LaidOut,
    shift: TimeShift,
}

/// A module that begins at a checkpoint, linked to the host.
#[derive(Clone)]
pub(in crate::runtime) struct ResumedModule {
    pub linked: InstancePre<ModuleState>,
    pub memory: Option<ModuleExport>,
    pub entry_point: ModuleExport,
    /// The places of variables.
    pub areas: Arc<[StringArea]>,
    pub arguments: Arc<SnapshotArguments>,
    /// The places of times.
    pub times: Arc<[TimePlace]>,
}

impl WarmSnapshot {
    /// Gives a run what the program has at its checkpoint: its clock, and its open files. After an error, it has what a program has at
    /// its start. The files that the program has seen before have to be the same.
    pub async fn prepare(&self, state: &mut ModuleState, request: &Fitted) -> Result<(), StaleSnapshot> {
        if !self.is_current(&state.stdio).await {
            return Err(StaleSnapshot::FilesChanged);
        }
        state.set_monotonic_clock(request.shift.monotonic(self.monotonic));
        let reopened = reopen(state, &self.held, HeldOn::Originals).await;
        reopened.inspect_err(|_| state.reset())
    }

    /// Whether the files are the same. The system is asked about them where a guest may use files.
    async fn is_current(&self, stdio: &Arc<Stdio>) -> bool {
        if self.files.is_empty() {
            return true;
        }
        stdio.until_it_may_block().await;
        self.files.are_unchanged()
    }

    /// Lays out the variables of a request; `None` for a request that does not fit.
    pub fn fit(&self, invocation: &Invocation) -> Option<Fitted> {
        if !self.start.arguments.fit(&invocation.arguments) || !self.scope.has(&invocation.environment) {
            return None;
        }
        let variables = self.places.lay_out(&invocation.environment).ok()?;
        Some(Fitted { variables, shift: TimeShift::now(self.realtime) })
    }
}

impl Fitted {
    /// The variables of a request of a rehearsal, and how much later than the snapshot it begins.
    pub fn new(variables: LaidOut, shift: TimeShift) -> Self {
        Self { variables, shift }
    }

    /// Writes variables, arguments and times to their places; `None` if the memory has no such places.
    fn write(&self, start: &ResumedModule, arguments: &StringBlock, memory: &mut [u8]) -> Option<()> {
        start.arguments.write(arguments, memory)?;
        start.areas.iter().try_for_each(|area| self.variables.write(memory, *area))?;
        start.times.iter().try_for_each(|place| place.write(memory, self.shift))
    }
}

impl ResumedModule {
    /// Makes an instance, writes what the request has to its places, and lets the program go on.
    pub async fn run(&self, store: &mut Store<ModuleState>, variables: &Fitted) -> Ending {
        let instance = match self.linked.instantiate_async(&mut *store).await {
            Ok(instance) => instance,
            Err(error) => return Ending::of_instantiation(error),
        };
        let memory = self.memory.and_then(|memory| instance.get_module_export(&mut *store, &memory)?.into_memory());
        let Some(memory) = memory else { return Ending::NotStarted("its memory is not exported".into()) };
        let (bytes, state) = memory.data_and_store_mut(&mut *store);
        if variables.write(self, &state.arguments, bytes).is_none() {
            return Ending::NotStarted("its variables are not in its memory".into());
        }
        store.data_mut().set_memory(Some(memory));
        module_engine::call(store, &instance, [self.entry_point], RunningCode::Snapshot).await
    }
}
