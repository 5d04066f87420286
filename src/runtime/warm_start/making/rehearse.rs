//! How does a rehearsal run?
//!
//! Like a request, with the limits of its entry, but for the CPU time: it may take as long as an initializer. It calls no upstream, and
//! what it prints on standard error is not logged. It may wait as long as a client waits for a head.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use futures_util::stream;
use wasmtime::{Extern, InstancePre};

use crate::runtime::engine::executors::Executors;
use crate::runtime::instance::debug::trap::RunningCode;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::run::{Activity, GuestFuture, Run, RunView};
use crate::runtime::instance::stdio::InputStream;
use crate::runtime::module_engine;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::held_files::HeldFiles;
use crate::runtime::warm_start::reopening::{HeldOn, reopen};
use crate::runtime::warm_start::request::RehearsalRequest;
use crate::runtime::warm_start::snapshot::{Fitted, ResumedModule};
use crate::runtime::wasi::rehearsal::{Rehearsal, RehearsalStage};
use crate::runtime::wasi::state::{MEMORY, ModuleState};

/// How long a rehearsal may compute, and how much it may print.
const CPU_TIME: Duration = Duration::from_secs(60);
const MAX_OUTPUT: u64 = 16 << 20;

/// A rehearsal that has ended.
pub(in crate::runtime::warm_start) struct Rehearsed {
    pub rehearsal: Box<Rehearsal>,
    pub output: Vec<u8>,
    pub ending: Ending,
}

/// How a rehearsal begins.
pub(in crate::runtime::warm_start) enum Beginning {
    /// At the start of the program. Its functions are called in this order.
    Start { linked: InstancePre<ModuleState>, functions: Vec<String>, stage: RehearsalStage },
    /// At its checkpoint, with the files that it had open there. Those of the volumes with the indices `copied` are copies.
    Checkpoint { module: ResumedModule, variables: Fitted, held: HeldFiles, copied: Vec<usize> },
}

/// What rehearsals run with.
pub(in crate::runtime::warm_start) struct Rehearsing<'a> {
    pub grants: &'a Grants,
    pub executors: &'a Arc<Executors>,
}

impl Rehearsing<'_> {
    /// Runs a rehearsal to its end.
    pub fn run(
        &self,
        beginning: Beginning,
        request: RehearsalRequest,
        rehearsal: Rehearsal,
    ) -> Result<Rehearsed, ColdReason> {
        let mut grants = Grants { outbound: None, log: None, ..self.grants.clone() };
        grants.limits.cpu_time = CPU_TIME;
        grants.limits.response_body = Some(MAX_OUTPUT);
        let RehearsalRequest { arguments, environment, body } = request;
        let invocation = Invocation { arguments, environment, ..Invocation::default() };
        let stdio = Arc::new(grants.stdio(Some(input(body)), 0));
        let mut state = ModuleState::new(&grants, stdio.clone(), invocation);
        state.rehearsal = Some(Box::new(rehearsal));
        let kept = Arc::new(Mutex::new(None));
        let guest: GuestFuture = Box::pin(perform(beginning, state, kept.clone()));
        let run = Run::new(guest, stdio, self.executors.clone()).with_volumes(grants.volumes.threads());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| ColdReason::Failed(error.to_string()))?;
        let (view, patience) = (run.view(), grants.limits.time_to_head);
        let ended = runtime.block_on(async move {
            let (ends, waits) = (pin!(run.with_files_at_once().collect()), pin!(has_waited(&view, patience)));
            match select(ends, waits).await {
                Either::Left((ended, _)) => Ok(ended),
                Either::Right(_) => Err(ColdReason::Waits(patience)),
            }
        });
        let (output, ending) = ended?;
        let rehearsal = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        match rehearsal {
            Some(rehearsal) => Ok(Rehearsed { rehearsal, output, ending }),
            None => Err(ColdReason::Failed(format!("{ending:?}"))),
        }
    }
}

/// Ready when a guest has waited for this time: for a timer, since it calls no upstream.
async fn has_waited(view: &RunView, most: Duration) {
    const INTERVAL: Duration = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    while waited < most {
        tokio::time::sleep(INTERVAL).await;
        if view.activity() != Activity::Computes {
            waited += INTERVAL;
        }
    }
}

fn input(body: Bytes) -> InputStream {
    Box::pin(stream::iter((!body.is_empty()).then_some(Ok(body))))
}

async fn perform(beginning: Beginning, mut state: ModuleState, kept: Arc<Mutex<Option<Box<Rehearsal>>>>) -> Ending {
    let engine = match &beginning {
        Beginning::Start { linked, .. } | Beginning::Checkpoint { module: ResumedModule { linked, .. }, .. } => {
            linked.module().engine().clone()
        }
    };
    if let Beginning::Checkpoint { held, copied, .. } = &beginning {
        let reopened = reopen(&mut state, held, HeldOn::Copies(copied)).await;
        if let (Err(stale), Some(rehearsal)) = (reopened, &mut state.rehearsal) {
            rehearsal.refuse(stale.into());
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = state.rehearsal.take();
            return Ending::NotStarted("its files are others".into());
        }
    }
    let mut store = module_engine::store(&engine, state, None);
    let ending = match beginning {
        Beginning::Start { linked, functions, stage } => start(&mut store, &linked, &functions, stage).await,
        Beginning::Checkpoint { module, variables, .. } => module.run(&mut store, &variables).await,
    };
    *kept.lock().unwrap_or_else(PoisonError::into_inner) = store.data_mut().rehearsal.take();
    ending
}

async fn start(
    store: &mut wasmtime::Store<ModuleState>,
    linked: &InstancePre<ModuleState>,
    functions: &[String],
    stage: RehearsalStage,
) -> Ending {
    let instance = match linked.instantiate_async(&mut *store).await {
        Ok(instance) => instance,
        Err(error) => return Ending::of_instantiation(error),
    };
    let memory = instance.get_export(&mut *store, MEMORY).and_then(Extern::into_memory);
    store.data_mut().set_memory(memory);
    if let Some(rehearsal) = &mut store.data_mut().rehearsal {
        rehearsal.stage = stage;
    }
    let exports: Option<Vec<_>> = functions.iter().map(|name| linked.module().get_export_index(name)).collect();
    match exports {
        Some(exports) => module_engine::call(store, &instance, exports, RunningCode::Program).await,
        None => Ending::NotStarted("it does not export its entry point".into()),
    }
}
