//! How is a snapshot made?
//!
//! 1. The program runs to its checkpoint twice, in an engine for debugging: with other variables and at another time. What it has in
//!    memory has to be the same. A program that names its checkpoint itself says that its variables are in order there, and both runs
//!    have the same.
//! 2. A module is made that begins there, and compiled.
//! 3. Requests that no client has sent are answered by both, with the same times and random numbers. The answers have to be the same.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::{ExternType, Module};

use crate::config::UnknownImports;
use crate::format::sha256_hex;
use crate::wasm_bytes::to_binary;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::engine::gc_support::GcSupport;
use crate::runtime::engines::Engines;
use crate::runtime::error::Error;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::module_engine::ModuleEngine;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::files::SeenFiles;
use crate::runtime::resume::stopped::Stopped;
use crate::runtime::resume::transform::resume_module;
use crate::runtime::resume::variables::{LaidOut, UnusedPointers, VariableArea, VariablePlaces};
use crate::runtime::warm_start::WarmStartSetup;
use crate::runtime::warm_start::comparison::{AtCheckpoint, compare};
use crate::runtime::warm_start::copies::VolumeCopies;
use crate::runtime::warm_start::rehearse::{Beginning, Rehearsed, Rehearsing};
use crate::runtime::warm_start::request::{RehearsalRequest, SnapshotKey, header_names};
use crate::runtime::warm_start::snapshot::{Fitted, ResumedModule, WarmSnapshot};
use crate::runtime::wasi::rehearsal::numbers::Numbers;
use crate::runtime::wasi::rehearsal::paths::GuestPaths;
use crate::runtime::wasi::rehearsal::{Checkpoint, Rehearsal, RehearsalStage};
use crate::runtime::wasi::state::MEMORY;

/// How many requests are answered warm and cold before a snapshot is used.
const REQUESTS: usize = 5;

/// How long before a file is certain not to change once more within the same moment, and how often that is waited for.
const MOMENT: Duration = Duration::from_millis(1200);
const ATTEMPTS: usize = 3;

/// A program, and what its guests may use.
pub(in crate::runtime) struct Program {
    pub engines: Arc<Engines>,
    pub code_cache: Arc<CodeCache>,
    pub grants: Grants,
    pub unknown_imports: UnknownImports,
    /// The functions to call, the entry point last.
    pub functions: Vec<String>,
}

/// The program at its checkpoint.
struct Reached {
    stopped: Stopped,
    checkpoint: Checkpoint,
    numbers: Numbers,
    areas: Vec<VariableArea>,
    files: SeenFiles,
}

/// What is the same for all rehearsals of one snapshot.
struct ProgramRehearsals<'a> {
    program: &'a Program,
    setup: &'a WarmStartSetup,
    key: &'a SnapshotKey,
    engine: Arc<ModuleEngine>,
    module: Module,
    binary: Vec<u8>,
    /// The names of header fields that the program may look for.
    headers: Vec<String>,
    now: u64,
    seed: [u8; 32],
}

impl Program {
    /// Makes a snapshot. It blocks for as long as the compiler needs: not for a thread that serves.
    pub fn snapshot(&self, setup: &WarmStartSetup, key: &SnapshotKey) -> Result<WarmSnapshot, ColdReason> {
        let started = Instant::now();
        let rehearsals = self.rehearsals(setup, key)?;
        let mut attempt = 1;
        loop {
            let begun = SystemTime::now();
            let (first, request) = rehearsals.reach()?;
            if first.files.are_certain(begun) || attempt == ATTEMPTS {
                return rehearsals.snapshot(first, request, started);
            }
            attempt += 1;
            std::thread::sleep(MOMENT);
        }
    }

    fn rehearsals<'a>(
        &'a self,
        setup: &'a WarmStartSetup,
        key: &'a SnapshotKey,
    ) -> Result<ProgramRehearsals<'a>, ColdReason> {
        let bytes = (setup.module)().ok_or(ColdReason::ModuleChanged)?;
        if GcSupport::needed_by(&bytes).map_err(|error| failed(&error))? == GcSupport::On {
            return Err(ColdReason::Collector);
        }
        let binary = to_binary(&bytes).map_err(|_| ColdReason::Module)?.into_owned();
        let engine = self.engines.for_rehearsals(&self.code_cache).map_err(|error| failed(&error))?;
        let compiled = self.code_cache.get_or_compile::<Module>(&engine.engine, &binary, &sha256_hex(&bytes), None);
        let (module, _) = compiled.map_err(|error| failed(&error))?;
        let headers = header_names(&binary);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| ColdReason::Failed(error.to_string()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or_default();
        Ok(ProgramRehearsals { program: self, setup, key, engine, module, binary, headers, now, seed })
    }
}

fn failed(error: &Error) -> ColdReason {
    ColdReason::Failed(error.to_string())
}

impl ProgramRehearsals<'_> {
    fn request(&self, number: usize) -> Result<RehearsalRequest, ColdReason> {
        let headers: &[String] = if number == 0 { &[] } else { &self.headers };
        let request = (self.setup.requests)(self.key, number, headers);
        request.filter(|request| SnapshotKey::of(&request.environment) == *self.key).ok_or(ColdReason::NoRequest)
    }

    /// A rehearsal that begins at this time.
    fn rehearsal(&self, before: Numbers, variables: Option<LaidOut>, script: Option<String>) -> Rehearsal {
        let imports = self.module.imports().filter(|import| matches!(import.ty(), ExternType::Func(_)));
        Rehearsal {
            stage: RehearsalStage::Instantiating,
            before,
            after: Numbers::new(self.now + 3_600_000_000_000, 600_000_000_000, self.seed.map(|byte| !byte)),
            variables,
            areas: Vec::new(),
            script,
            paths: GuestPaths::new(self.program.grants.volumes.paths()),
            files: SeenFiles::default(),
            imported_functions: u32::try_from(imports.count()).unwrap_or(u32::MAX),
            reached: None,
            captured: None,
        }
    }

    fn numbers(&self) -> Numbers {
        Numbers::new(self.now, 0, self.seed)
    }

    fn run(
        &self,
        grants: &Grants,
        beginning: Beginning,
        request: RehearsalRequest,
        rehearsal: Rehearsal,
    ) -> Result<Rehearsed, ColdReason> {
        let rehearsing = Rehearsing { grants, executors: &self.program.engines.executors };
        rehearsing.run(beginning, request, rehearsal)
    }

    /// Runs the program to its checkpoint twice, and compares what it is there.
    fn reach(&self) -> Result<(Reached, RehearsalRequest), ColdReason> {
        let request = self.request(0)?;
        let places = VariablePlaces::new(&request.environment);
        let first = self.reach_once(&places, &request, self.numbers())?;
        if first.numbers.drawn > 0 && !self.setup.shared_random {
            return Err(ColdReason::Random);
        }
        let other = match first.checkpoint {
            Checkpoint::Named => request.clone(),
            Checkpoint::Script | Checkpoint::StandardInput => self.request(1)?,
        };
        // A time at which every unit of it is another one.
        let later = Numbers::new(self.now + 98_765_043_210_987, 7_654_321_987, self.seed);
        let second = self.reach_once(&places, &other, later)?;
        let variables: Vec<Range<usize>> = first.areas.iter().flat_map(|area| places.ranges(*area)).collect();
        let at = |reached: &Reached| (reached.checkpoint, reached.areas.clone());
        if at(&first) != at(&second) || first.files != second.files {
            return Err(ColdReason::Differs("what it did before".to_owned()));
        }
        let one = AtCheckpoint { stopped: &first.stopped, times: &first.numbers.times };
        let two = AtCheckpoint { stopped: &second.stopped, times: &second.numbers.times };
        compare(&one, &two, &variables)?;
        Ok((first, request))
    }

    fn reach_once(
        &self,
        places: &VariablePlaces,
        request: &RehearsalRequest,
        numbers: Numbers,
    ) -> Result<Reached, ColdReason> {
        let laid_out = places.lay_out(&request.environment).map_err(|_| ColdReason::NoRequest)?;
        let script = request.environment.variable("SCRIPT_FILENAME").map(str::to_owned);
        let rehearsal = self.rehearsal(numbers, Some(laid_out.clone()), script);
        let linked = self.engine.link_captured(&self.module).map_err(|error| failed(&error))?;
        let functions = self.program.functions.clone();
        let beginning = Beginning::Start { linked, functions, stage: RehearsalStage::Captured };
        let Rehearsed { rehearsal, ending, .. } =
            self.run(&self.program.grants, beginning, request.clone(), rehearsal)?;
        let Rehearsal { before, areas, files, reached, captured, .. } = *rehearsal;
        let (Some(captured), reached) = (captured, reached) else {
            return Err(ColdReason::NoCheckpoint(format!("{ending:?}")));
        };
        let stopped = captured?;
        let checkpoint = reached.ok_or(ColdReason::Stack("there is no checkpoint"))?;
        // Memory that the program has used for something else since must not be written to.
        let is_kept = |area: &VariableArea| {
            let (pointers, strings) = laid_out.bytes(*area, UnusedPointers::Nameless);
            let [list, buffer] = places.ranges(*area);
            stopped.memory.get(list) == Some(&pointers) && stopped.memory.get(buffer) == Some(strings)
        };
        if !areas.iter().all(is_kept) {
            return Err(ColdReason::Variables);
        }
        Ok(Reached { stopped, checkpoint, numbers: before, areas, files })
    }

    fn snapshot(
        &self,
        first: Reached,
        request: RehearsalRequest,
        started: Instant,
    ) -> Result<WarmSnapshot, ColdReason> {
        let entry_point = self.program.functions.last().map_or("_start", String::as_str);
        let resumed = resume_module(&self.binary, entry_point, &first.stopped)?;
        let engine = self.program.engines.for_resumed(&self.program.code_cache).map_err(|error| failed(&error))?;
        let module = Module::new(&engine.engine, &resumed).map_err(|error| ColdReason::Failed(format!("{error:#}")))?;
        let linked = engine.link(&module, self.program.unknown_imports).map_err(|error| failed(&error))?.linked;
        let start = ResumedModule {
            linked,
            memory: module.get_export_index(MEMORY),
            entry_point: module.get_export_index(entry_point).ok_or(ColdReason::EntryPoint)?,
            areas: first.areas.clone().into(),
        };
        let places = VariablePlaces::new(&request.environment);
        let rehearsed = engine.link_rehearsed(&module, self.program.unknown_imports).map_err(|error| failed(&error))?;
        let rehearsed = ResumedModule { linked: rehearsed, ..start.clone() };
        let copies = VolumeCopies::of(&self.program.grants).map_err(ColdReason::volumes)?;
        for number in 0..REQUESTS {
            let on = [copies.again().map_err(ColdReason::volumes)?, copies.again().map_err(ColdReason::volumes)?];
            self.prove(number, &request, &places, &rehearsed, &on)?;
        }
        Ok(WarmSnapshot {
            key: self.key.clone(),
            start,
            arguments: request.arguments,
            places,
            monotonic: Duration::from_nanos(first.numbers.monotonic),
            files: Arc::new(first.files),
            made: Instant::now(),
            took: started.elapsed(),
            frames: first.stopped.frames.len(),
            bytes: resumed.len(),
        })
    }

    /// Answers a request cold and warm, and compares the answers.
    fn prove(
        &self,
        number: usize,
        initial: &RehearsalRequest,
        places: &VariablePlaces,
        resumed: &ResumedModule,
        [of_cold, of_warm]: &[VolumeCopies; 2],
    ) -> Result<(), ColdReason> {
        let grants = |copies: &VolumeCopies| copies.grants(&self.program.grants).map_err(ColdReason::volumes);
        let request = self.request(number)?;
        // A request that does not fit is served cold.
        let Ok(laid_out) = places.lay_out(&request.environment) else { return Ok(()) };
        if request.arguments != initial.arguments {
            return Ok(());
        }
        let script = request.environment.variable("SCRIPT_FILENAME").map(str::to_owned);
        let linked = self.engine.link_rehearsed(&self.module, self.program.unknown_imports);
        let linked = linked.map_err(|error| failed(&error))?;
        let functions = self.program.functions.clone();
        let beginning = Beginning::Start { linked, functions, stage: RehearsalStage::Passing };
        let cold = self.run(
            &grants(of_cold)?,
            beginning,
            request.clone(),
            self.rehearsal(self.numbers(), None, script.clone()),
        )?;
        let mut behind = self.rehearsal(self.numbers(), None, script);
        behind.stage = RehearsalStage::Behind;
        let beginning = Beginning::Checkpoint { module: resumed.clone(), variables: Fitted::new(laid_out) };
        let warm = self.run(&grants(of_warm)?, beginning, request, behind)?;
        let is_same = cold.rehearsal.reached.is_some()
            && cold.output == warm.output
            && is_same_ending(&cold.ending, &warm.ending)
            && of_cold.are_same(of_warm).map_err(ColdReason::volumes)?;
        if is_same { Ok(()) } else { Err(ColdReason::OtherAnswer(number)) }
    }
}

fn is_same_ending(one: &Ending, other: &Ending) -> bool {
    match (one, other) {
        (Ending::Exited(one), Ending::Exited(other)) => one == other,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}
