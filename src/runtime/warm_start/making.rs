//! How is a snapshot made?
//!
//! 1. The program runs to its checkpoint, in an engine for debugging: see `reaching`.
//! 2. A module is made that begins there, and compiled.
//! 3. Requests that no client has sent are answered by both, with the same times and random numbers. The answers have to be the same.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wasmtime::Module;

use crate::runtime::instance::ending::Ending;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::transform::resume_module;
use crate::runtime::resume::variables::VariablePlaces;
use crate::runtime::warm_start::WarmStartSetup;
use crate::runtime::warm_start::copies::VolumeCopies;
use crate::runtime::warm_start::program::{Program, failed};
use crate::runtime::warm_start::reaching::{ProgramRehearsals, Reached, ScriptCheckpoint};
use crate::runtime::warm_start::rehearse::Beginning;
use crate::runtime::warm_start::request::{RehearsalRequest, SnapshotKey};
use crate::runtime::warm_start::snapshot::{Fitted, ResumedModule, WarmSnapshot};
use crate::runtime::wasi::rehearsal::RehearsalStage;
use crate::runtime::wasi::state::MEMORY;

/// How many requests are answered warm and cold before a snapshot is used.
pub(in crate::runtime::warm_start) const REQUESTS: usize = 5;

/// How long before a file is certain not to change once more within the same moment, and how often that is waited for.
const MOMENT: Duration = Duration::from_millis(1200);
const ATTEMPTS: usize = 3;

impl Program {
    /// Makes a snapshot, and tries it with this many requests. It blocks for as long as the compiler needs: not for a thread that serves.
    pub fn snapshot(
        &self,
        setup: &WarmStartSetup,
        key: &SnapshotKey,
        requests: usize,
    ) -> Result<WarmSnapshot, ColdReason> {
        let started = Instant::now();
        let rehearsals = ProgramRehearsals::new(self, setup, key)?;
        let mut refusal = None;
        for checkpoint in rehearsals.checkpoints()? {
            match rehearsals.snapshot(checkpoint, requests, started) {
                Ok(snapshot) => return Ok(snapshot),
                Err(reason) => {
                    tracing::debug!(route = setup.route, %key, ?checkpoint, %reason, "warm start: no snapshot of a checkpoint");
                    refusal.get_or_insert(reason);
                }
            }
        }
        Err(refusal.unwrap_or(ColdReason::NoRequest))
    }
}

impl ProgramRehearsals<'_> {
    fn snapshot(
        &self,
        checkpoint: ScriptCheckpoint,
        requests: usize,
        started: Instant,
    ) -> Result<WarmSnapshot, ColdReason> {
        let mut attempt = 1;
        loop {
            let begun = SystemTime::now();
            let reached = self.reach(checkpoint);
            if matches!(reached, Err(ColdReason::FilesChanged)) && attempt < ATTEMPTS {
                attempt += 1;
                std::thread::sleep(MOMENT);
                continue;
            }
            let (first, request) = reached?;
            let is_certain = first.files.are_certain(begun);
            if is_certain || attempt == ATTEMPTS {
                let snapshot = self.snapshot_of(first, request, (checkpoint, requests, started))?;
                if is_certain {
                    self.program.keep(self.setup, &snapshot);
                }
                return Ok(snapshot);
            }
            attempt += 1;
            std::thread::sleep(MOMENT);
        }
    }

    fn snapshot_of(
        &self,
        first: Reached,
        request: RehearsalRequest,
        (checkpoint, requests, started): (ScriptCheckpoint, usize, Instant),
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
            areas: first.areas.kept().into(),
        };
        let places = VariablePlaces::new(&request.environment);
        let rehearsed = engine.link_rehearsed(&module, self.program.unknown_imports).map_err(|error| failed(&error))?;
        let rehearsed = ResumedModule { linked: rehearsed, ..start.clone() };
        let copies = VolumeCopies::of(&self.program.grants).map_err(ColdReason::volumes)?;
        let proof = Proof { initial: &request, places: &places, resumed: &rehearsed, checkpoint };
        for number in 0..requests {
            let on = [copies.again().map_err(ColdReason::volumes)?, copies.again().map_err(ColdReason::volumes)?];
            self.prove(number, &proof, &on)?;
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
        proof: &Proof<'_>,
        [of_cold, of_warm]: &[VolumeCopies; 2],
    ) -> Result<(), ColdReason> {
        let grants = |copies: &VolumeCopies| copies.grants(&self.program.grants).map_err(ColdReason::volumes);
        let request = self.request(number)?;
        // A request that does not fit is served cold.
        let Ok(laid_out) = proof.places.lay_out(&request.environment) else { return Ok(()) };
        if request.arguments != proof.initial.arguments {
            return Ok(());
        }
        let linked = self.engine.link_rehearsed(&self.module, self.program.unknown_imports);
        let linked = linked.map_err(|error| failed(&error))?;
        let functions = self.program.functions.clone();
        let beginning = Beginning::Start { linked, functions, stage: RehearsalStage::Passing };
        let passing = self.rehearsal(self.numbers(), &request, proof.checkpoint);
        let cold = self.run(&grants(of_cold)?, beginning, request.clone(), passing)?;
        let mut behind = self.rehearsal(self.numbers(), &request, proof.checkpoint);
        behind.stage = RehearsalStage::Behind;
        let beginning = Beginning::Checkpoint { module: proof.resumed.clone(), variables: Fitted::new(laid_out) };
        let warm = self.run(&grants(of_warm)?, beginning, request, behind)?;
        let is_same = cold.rehearsal.reached.is_some()
            && cold.output == warm.output
            && is_same_ending(&cold.ending, &warm.ending)
            && of_cold.are_same(of_warm).map_err(ColdReason::volumes)?;
        if is_same { Ok(()) } else { Err(ColdReason::OtherAnswer(number)) }
    }
}

/// What answers of a snapshot are compared with.
struct Proof<'a> {
    /// The request that the program was initialized with.
    initial: &'a RehearsalRequest,
    places: &'a VariablePlaces,
    resumed: &'a ResumedModule,
    checkpoint: ScriptCheckpoint,
}

fn is_same_ending(one: &Ending, other: &Ending) -> bool {
    match (one, other) {
        (Ending::Exited(one), Ending::Exited(other)) => one == other,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}
