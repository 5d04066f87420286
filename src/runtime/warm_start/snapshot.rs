//! What does a request need to begin at a checkpoint?

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{InstancePre, ModuleExport, Store};

use crate::strings::StringBlock;

use crate::runtime::instance::debug::trap::RunningCode;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::stdio::Stdio;
use crate::runtime::module_engine;
use crate::runtime::resume::files::SeenFiles;
use crate::runtime::resume::held_files::HeldFiles;
use crate::runtime::resume::variables::{LaidOut, VariableArea, VariablePlaces};
use crate::runtime::warm_start::reopening::{HeldOn, StaleSnapshot, reopen};
use crate::runtime::warm_start::request::{SnapshotKey, SnapshotScope};
use crate::runtime::wasi::state::ModuleState;

/// A program at its checkpoint, as a module that begins there.
pub(in crate::runtime) struct WarmSnapshot {
    pub key: SnapshotKey,
    pub start: ResumedModule,
    pub arguments: StringBlock,
    pub places: VariablePlaces,
    /// What the monotonic clock has shown.
    pub monotonic: Duration,
    pub files: Arc<SeenFiles>,
    pub held: HeldFiles,
    /// Which requests it is proven for.
    pub scope: SnapshotScope,
    pub took: Duration,
    pub frames: usize,
    /// The size of the module.
    pub bytes: usize,
}

/// The variables of a request, as they will lie in memory.
pub(in crate::runtime) struct Fitted(LaidOut);

/// A module that begins at a checkpoint, linked to the host.
#[derive(Clone)]
pub(in crate::runtime) struct ResumedModule {
    pub linked: InstancePre<ModuleState>,
    pub memory: Option<ModuleExport>,
    pub entry_point: ModuleExport,
    pub areas: Arc<[VariableArea]>,
}

impl WarmSnapshot {
    /// Gives a run what the program has at its checkpoint: its clock, and its open files. After an error, it has what a program has at
    /// its start. The files that the program has seen before have to be the same.
    pub async fn prepare(&self, state: &mut ModuleState) -> Result<(), StaleSnapshot> {
        let stdio = state.stdio.clone();
        if !self.is_current(&stdio).await {
            return Err(StaleSnapshot::FilesChanged);
        }
        state.set_monotonic_clock(self.monotonic);
        let reopened = reopen(state, &self.held, HeldOn::Originals).await;
        reopened.inspect_err(|_| state.reset())
    }

    /// Whether the files are the same. The system is asked about them where a guest may use files.
    async fn is_current(&self, stdio: &Stdio) -> bool {
        if self.files.is_empty() {
            return true;
        }
        if !stdio.cpu_timer.may_block() {
            poll_fn(|cx| stdio.cpu_timer.poll_may_block(cx)).await;
        }
        self.files.are_unchanged()
    }

    /// Lays out the variables of a request; `None` for a request that does not fit.
    pub fn fit(&self, invocation: &Invocation) -> Option<Fitted> {
        if invocation.arguments != self.arguments || !self.scope.has(&invocation.environment) {
            return None;
        }
        self.places.lay_out(&invocation.environment).ok().map(Fitted)
    }
}

impl Fitted {
    /// The variables of a request of a rehearsal.
    pub fn new(laid_out: LaidOut) -> Self {
        Self(laid_out)
    }
}

impl ResumedModule {
    /// Makes an instance, writes the variables to their places, and lets the program go on.
    pub async fn run(&self, store: &mut Store<ModuleState>, variables: &Fitted) -> Ending {
        let instance = match self.linked.instantiate_async(&mut *store).await {
            Ok(instance) => instance,
            Err(error) => return Ending::of_instantiation(error),
        };
        let memory = self.memory.and_then(|memory| instance.get_module_export(&mut *store, &memory)?.into_memory());
        let Some(memory) = memory else { return Ending::NotStarted("its memory is not exported".into()) };
        for area in self.areas.iter() {
            if variables.0.write(memory.data_mut(&mut *store), *area).is_none() {
                return Ending::NotStarted("its variables are not in its memory".into());
            }
        }
        store.data_mut().set_memory(Some(memory));
        module_engine::call(store, &instance, [self.entry_point], RunningCode::Snapshot).await
    }
}
