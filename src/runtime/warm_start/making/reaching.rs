//! What is a program at its checkpoint, and is it the same for all requests of a snapshot?
//!
//! It runs there twice, in an engine for debugging: with other variables and at another time. What it has in memory has to be the same.
//! A program that names its checkpoint itself says that its variables are in order there, and both runs have the same. Times that it keeps
//! in memory as it was told are no difference: each request gets its own there. Where random numbers may be shared, what a program has
//! computed from the time may be, too: a third run tells it from what depends on the variables. A program that has copied its arguments
//! is the same only for requests with the same ones: one more run tells that.
//!
//! Where a script may be named, the program runs once more before that, to see where its checkpoint is. One that names its checkpoint
//! behind the first look for its script means that place. Else it is the last look for its script before it opens it, or,
//! if there is no snapshot of that, the first one.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{ExternType, Module};

use crate::format::sha256_hex;
use crate::wasm_bytes::to_binary;

use crate::runtime::code::compiler_target::CompilerTarget;
use crate::runtime::engine::gc_support::GcSupport;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::module_engine::ModuleEngine;
use crate::runtime::resume::arguments::SnapshotArguments;
use crate::runtime::resume::cold_reason::{ColdReason, ColdSpan, RefusedSnapshot};
use crate::runtime::resume::files::SeenFiles;
use crate::runtime::resume::held_files::HeldFiles;
use crate::runtime::resume::times::TimeShift;
use crate::runtime::warm_start::WarmStartSetup;
use crate::runtime::warm_start::layout::RequestLayout;
use crate::runtime::warm_start::making::comparison::{Clocks, KeptTimes};
use crate::runtime::warm_start::making::reached::{LATER, Reached, ReachedOnce, ReachedTimes, compared};
use crate::runtime::warm_start::making::rehearse::{Beginning, Rehearsed, Rehearsing};
use crate::runtime::warm_start::program::{Program, failed};
use crate::runtime::warm_start::request::{RehearsalRequest, SnapshotKey, header_names};
use crate::runtime::wasi::rehearsal::numbers::Numbers;
use crate::runtime::wasi::rehearsal::paths::GuestPaths;
use crate::runtime::wasi::rehearsal::strings::AskedStrings;
use crate::runtime::wasi::rehearsal::{Checkpoint, Rehearsal, RehearsalStage, ScriptLooks};

/// What is the same for all rehearsals of one snapshot.
pub(in crate::runtime::warm_start) struct ProgramRehearsals<'a> {
    pub program: &'a Program,
    pub setup: &'a WarmStartSetup,
    pub key: &'a SnapshotKey,
    pub engine: Arc<ModuleEngine>,
    pub module: Module,
    pub binary: Vec<u8>,
    /// The names of header fields that the program may look for.
    pub headers: Vec<String>,
    pub now: u64,
    pub seed: [u8; 32],
    /// The files that the program has seen before its checkpoint, as they were when they were first seen.
    pub seen: RefCell<SeenFiles>,
}

/// Which checkpoint is meant: the number of looks for the script before it, or no look.
pub(in crate::runtime::warm_start) type ScriptCheckpoint = Option<u32>;

impl<'a> ProgramRehearsals<'a> {
    /// Compiles the program for rehearsals.
    pub fn new(program: &'a Program, setup: &'a WarmStartSetup, key: &'a SnapshotKey) -> Result<Self, ColdReason> {
        if program.is_third_party {
            return Err(ColdReason::ThirdParty);
        }
        if program.checkpoint_directory().is_none() {
            return Err(ColdReason::Failed("there is no directory for its checkpoint".to_owned()));
        }
        let bytes = (setup.module)().ok_or(ColdReason::ModuleChanged)?;
        if GcSupport::needed_by(&bytes).map_err(|error| failed(&error))? == GcSupport::On {
            return Err(ColdReason::Collector);
        }
        let binary = to_binary(&bytes).map_err(|_| ColdReason::Module)?.into_owned();
        let engine = program.engines.for_rehearsals(&program.code_cache).map_err(|error| failed(&error))?;
        let (digest, compiler) = (sha256_hex(&bytes), program.compiler_for(CompilerTarget::Rehearsals));
        let compiled = program.code_cache.get_or_compile::<Module>(&engine.engine, &binary, &digest, compiler.as_ref());
        let (module, _) = compiled.map_err(|error| failed(&error))?;
        let headers = header_names(&binary);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| ColdReason::Failed(error.to_string()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or_default();
        Ok(Self { program, setup, key, engine, module, binary, headers, now, seed, seen: RefCell::default() })
    }

    /// The request of this number.
    pub fn request(&self, number: usize) -> Result<RehearsalRequest, ColdReason> {
        let headers: &[String] = if number == 0 { &[] } else { &self.headers };
        let request = (self.setup.requests)(self.key, number, headers);
        request.filter(|request| self.key.has(request)).ok_or(ColdReason::NoRequest)
    }

    /// A rehearsal of a request that begins at this time.
    pub fn rehearsal(&self, before: Numbers, request: &RehearsalRequest, checkpoint: ScriptCheckpoint) -> Rehearsal {
        let imports = self.module.imports().filter(|import| matches!(import.ty(), ExternType::Func(_)));
        Rehearsal {
            stage: RehearsalStage::Instantiating,
            before,
            after: Numbers::new(self.now + 200_000_000_000_000, 600_000_000_000, self.seed.map(|byte| !byte)),
            variables: AskedStrings::default(),
            arguments: AskedStrings::default(),
            script: request.environment.variable("SCRIPT_FILENAME").map(str::to_owned),
            looks: ScriptLooks::default(),
            script_checkpoint: checkpoint,
            paths: GuestPaths::new(self.program.grants.volumes.paths(), &self.program.empty_volumes()),
            files: SeenFiles::default(),
            held: HeldFiles::default(),
            imported_functions: u32::try_from(imports.count()).unwrap_or(u32::MAX),
            reached: None,
            captured: None,
        }
    }

    pub fn numbers(&self) -> Numbers {
        self.numbers_after(TimeShift::default())
    }

    /// The numbers of a program that begins later.
    pub fn numbers_after(&self, shift: TimeShift) -> Numbers {
        Numbers::new(self.now.saturating_add(shift.realtime), shift.monotonic, self.seed)
    }

    pub fn run(
        &self,
        grants: &Grants,
        beginning: Beginning,
        request: RehearsalRequest,
        rehearsal: Rehearsal,
    ) -> Result<Rehearsed, ColdReason> {
        let rehearsing = Rehearsing { grants, executors: &self.program.engines.executors };
        let rehearsed = rehearsing.run(beginning, request, rehearsal)?;
        self.seen.borrow_mut().add_all(&rehearsed.rehearsal.files);
        Ok(rehearsed)
    }

    /// Why there is no snapshot. If a file has changed meanwhile, that may be all.
    pub fn refusal(&self, reason: ColdReason) -> RefusedSnapshot {
        let files = self.seen.take();
        match reason.span() {
            ColdSpan::Lasting if !files.are_unchanged() => RefusedSnapshot { reason: ColdReason::FilesChanged, files },
            _ => RefusedSnapshot { reason, files },
        }
    }

    /// The checkpoints that may be meant, the best first.
    pub fn checkpoints(&self) -> Result<Vec<ScriptCheckpoint>, ColdReason> {
        let layout = self.layout()?;
        if layout.first.environment.variable("SCRIPT_FILENAME").is_none() {
            return Ok(vec![None]);
        }
        let rehearsal = self.rehearse(&layout, &layout.first, (self.numbers(), None))?.rehearsal;
        let refused = rehearsal.captured.as_ref().and_then(|captured| captured.as_ref().err());
        tracing::debug!(looks = ?rehearsal.looks, reached = ?rehearsal.reached, ?refused, "warm start: looked for a checkpoint");
        let is_named = rehearsal.reached == Some(Checkpoint::Named);
        let last = rehearsal.looks.before_last();
        let of_program = (is_named || last.is_none()).then_some(None);
        let first = last.filter(|last| *last > 0).map(|_| Some(0));
        Ok(of_program.into_iter().chain(last.map(Some)).chain(first).collect())
    }

    /// Runs the program to its checkpoint twice, and compares what it is there.
    pub fn reach(&self, checkpoint: ScriptCheckpoint) -> Result<(Reached, RequestLayout), ColdReason> {
        let layout = self.layout()?;
        let first = self.reach_once(&layout, &layout.first, (self.numbers(), checkpoint))?;
        if first.numbers.drawn > 0 && !self.setup.shared_random {
            return Err(ColdReason::Random);
        }
        let second = self.request(1)?;
        let mut other = match first.checkpoint {
            Checkpoint::Named => layout.first.clone(),
            Checkpoint::Script | Checkpoint::StandardInput => second.clone(),
        };
        let own = &layout.first.arguments;
        other.arguments = first.other_arguments(own, &second.arguments);
        let mut times = self.reached_times(&first, &layout, &other, checkpoint);
        if matches!(times, Err(ColdReason::Differs(_))) && other.arguments != *own {
            other.arguments = own.clone();
            times = self.reached_times(&first, &layout, &other, checkpoint);
        }
        let arguments = match &first.arguments {
            // It is not known to be the same with other arguments.
            SnapshotArguments::Slots(..) if other.arguments == *own => SnapshotArguments::Same(own.clone()),
            arguments => arguments.clone(),
        };
        let reached = first.confirmed(arguments, times?);
        // Its files are watched by their paths.
        if self.program.has_its_volumes() { Ok((reached, layout)) } else { Err(ColdReason::VolumeReplaced) }
    }

    /// Runs the program with another request, at another time, and compares it with the first run.
    fn reached_times(
        &self,
        first: &ReachedOnce,
        layout: &RequestLayout,
        other: &RehearsalRequest,
        checkpoint: ScriptCheckpoint,
    ) -> Result<ReachedTimes, ColdReason> {
        let second = self.reach_once(layout, other, (self.numbers_after(LATER), checkpoint))?;
        match compared(first, &second, Clocks::Told) {
            // What it has of the time may be a seed of random numbers, which may be shared here.
            Ok(KeptTimes { is_in_a_local: true, .. }) if self.setup.shared_random => Ok(ReachedTimes::Computed),
            // It stays what it was, and may be a seed. An interpreter before its script draws nothing from it: the proof shows whether answers
            // depend on it.
            Ok(KeptTimes { is_in_a_local: true, .. }) if first.checkpoint != Checkpoint::Script => {
                Err(ColdReason::Differs("a local with a time".to_owned()))
            }
            Ok(KeptTimes { in_memory, .. }) => Ok(ReachedTimes::Told(in_memory.into())),
            Err(ColdReason::Differs(_)) if self.setup.shared_random => {
                let third = self.reach_once(layout, other, (self.numbers(), checkpoint))?;
                compared(first, &third, Clocks::Told)?;
                compared(&third, &second, Clocks::Computed)?;
                Ok(ReachedTimes::Computed)
            }
            Err(reason) => Err(reason),
        }
    }

    fn rehearse(
        &self,
        layout: &RequestLayout,
        request: &RehearsalRequest,
        (numbers, checkpoint): (Numbers, ScriptCheckpoint),
    ) -> Result<Rehearsed, ColdReason> {
        let variables = layout.variables.lay_out(&request.environment).map_err(|_| ColdReason::NoRequest)?;
        let arguments = layout.arguments.as_ref().and_then(|places| places.lay_out(&request.arguments));
        let rehearsal = Rehearsal {
            variables: AskedStrings::of(Some(variables)),
            arguments: AskedStrings::of(arguments),
            ..self.rehearsal(numbers, request, checkpoint)
        };
        let linked = self.engine.link_captured(&self.module).map_err(|error| failed(&error))?;
        let functions = self.program.functions.clone();
        let beginning = Beginning::Start { linked, functions, stage: RehearsalStage::Captured };
        self.run(&self.program.grants, beginning, request.clone(), rehearsal)
    }

    fn reach_once(
        &self,
        layout: &RequestLayout,
        request: &RehearsalRequest,
        at: (Numbers, ScriptCheckpoint),
    ) -> Result<ReachedOnce, ColdReason> {
        let Rehearsed { rehearsal, ending, .. } = self.rehearse(layout, request, at)?;
        let Rehearsal { before, variables, arguments: asked, files, held, reached, captured, .. } = *rehearsal;
        let stopped = captured.ok_or_else(|| without_checkpoint(&ending))??;
        let checkpoint = reached.ok_or(ColdReason::Stack("there is no checkpoint"))?;
        let (areas, laid_out) = (variables.areas, variables.laid_out.ok_or(ColdReason::NoRequest)?);
        // Memory that the program has used for something else since must not be written to.
        if !areas.are_kept(&stopped.memory, &laid_out) {
            return Err(ColdReason::Variables);
        }
        let (mut strings, left) = (areas.ranges(&laid_out), areas.left(&laid_out));
        let arguments = match (&layout.arguments, &asked.laid_out) {
            _ if !asked.is_asked => SnapshotArguments::Any,
            (Some(places), Some(laid_out)) if asked.areas.are_unchanged(&stopped.memory, laid_out) => {
                strings.extend(asked.areas.ranges(laid_out));
                SnapshotArguments::Slots(places.clone(), asked.areas.kept().into())
            }
            _ => SnapshotArguments::Same(request.arguments.clone()),
        };
        let (numbers, argument_areas) = (before, asked.areas);
        Ok(ReachedOnce { stopped, checkpoint, numbers, areas, arguments, argument_areas, strings, left, files, held })
    }

    fn layout(&self) -> Result<RequestLayout, ColdReason> {
        self.setup.layout(self.key).ok_or(ColdReason::NoRequest)
    }
}

/// Why a program has reached no checkpoint. The host may have kept it from that.
fn without_checkpoint(ending: &Ending) -> ColdReason {
    let text = format!("{ending:?}");
    if is_of_host(ending) { ColdReason::Failed(text) } else { ColdReason::NoCheckpoint(text) }
}

/// Whether it is the host that has ended a program.
pub(in crate::runtime::warm_start) fn is_of_host(ending: &Ending) -> bool {
    matches!(ending, Ending::NotStarted(_) | Ending::PoolExhausted | Ending::VolumesHang)
}
