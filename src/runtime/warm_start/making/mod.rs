//! How is a snapshot made?
//!
//! 1. The program runs to its checkpoint, in an engine for debugging: see `reaching`.
//! 2. A module is made that begins there, and compiled.
//! 3. Requests that no client has sent are answered by both, with the same times and random numbers. The answers have to be the same.
//!    Every other one seems to come much later than the snapshot.
//!
//! | file | question |
//! | --- | --- |
//! | `reaching` | how does a program come to its checkpoint, and is it the same there for all requests of a snapshot? |
//! | `reached` | what is known of it then? |
//! | `comparison` | are two programs at their checkpoint the same? |
//! | `rehearse` | how does a rehearsal run? |
//! | `copies` | on which files does a rehearsal work? |

mod comparison;
mod copies;
mod reached;
mod reaching;
mod rehearse;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wasmtime::Module;

use crate::runtime::code::compiler_target::CompilerTarget;
use crate::runtime::code::machine_code::NewCode;
use crate::runtime::instance::ending::Ending;
use crate::runtime::module_engine::ModuleEngine;
use crate::runtime::resume::areas::LaidOut;
use crate::runtime::resume::cold_reason::{ColdReason, RefusedSnapshot};
use crate::runtime::resume::held_files::HeldFiles;
use crate::runtime::resume::stopped::Stopped;
use crate::runtime::resume::transform::resume_module;
use crate::runtime::warm_start::WarmStartSetup;
use crate::runtime::warm_start::layout::RequestLayout;
use crate::runtime::warm_start::making::copies::VolumeCopies;
use crate::runtime::warm_start::making::reached::{Reached, ReachedTimes};
use crate::runtime::warm_start::making::reaching::{ProgramRehearsals, ScriptCheckpoint, is_of_host};
use crate::runtime::warm_start::making::rehearse::Beginning;
use crate::runtime::warm_start::program::{Program, failed};
use crate::runtime::warm_start::request::{RehearsalRequest, SnapshotKey, SnapshotScope};
use crate::runtime::warm_start::snapshot::{Fitted, ProvenRequests, ResumedModule, WarmSnapshot};
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
    ) -> Result<WarmSnapshot, RefusedSnapshot> {
        let started = Instant::now();
        let rehearsals = ProgramRehearsals::new(self, setup, key)?;
        rehearsals.best(requests, started).map_err(|reason| rehearsals.refusal(reason))
    }
}

impl ProgramRehearsals<'_> {
    /// A snapshot of the best checkpoint that there is one of.
    fn best(&self, requests: usize, started: Instant) -> Result<WarmSnapshot, ColdReason> {
        let mut refusal = None;
        for checkpoint in self.checkpoints()? {
            match self.snapshot(checkpoint, requests, started) {
                Ok(snapshot) => return Ok(snapshot),
                Err(reason) => {
                    let (route, key) = (&self.setup.route, self.key);
                    tracing::debug!(route, %key, ?checkpoint, %reason, "warm start: no snapshot of a checkpoint");
                    refusal.get_or_insert(reason);
                }
            }
        }
        Err(refusal.unwrap_or(ColdReason::NoRequest))
    }

    fn snapshot(
        &self,
        checkpoint: ScriptCheckpoint,
        requests: usize,
        started: Instant,
    ) -> Result<WarmSnapshot, ColdReason> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(MOMENT);
            }
            let begun = SystemTime::now();
            match self.reach(checkpoint) {
                Ok((first, layout)) if first.files.are_certain(begun) => {
                    // Volumes that cannot be copied are known before the compiler works in vain.
                    let copies = VolumeCopies::of(&self.program.grants).map_err(ColdReason::volumes)?;
                    let resumed = self.resumed(&first.stopped)?;
                    let trial = Trial { checkpoint, requests, copies: &copies };
                    let snapshot = self.snapshot_of(first, layout, &resumed, &trial, started)?;
                    self.program.keep(self.setup, &snapshot, &resumed.new);
                    return Ok(snapshot);
                }
                Ok(_) | Err(ColdReason::FilesChanged) => {}
                Err(reason) => return Err(reason),
            }
        }
        Err(ColdReason::FilesChanged)
    }

    fn snapshot_of(
        &self,
        first: Reached,
        layout: RequestLayout,
        ResumedCode { engine, new, bytes }: &ResumedCode,
        Trial { checkpoint, requests, copies }: &Trial<'_>,
        started: Instant,
    ) -> Result<WarmSnapshot, ColdReason> {
        let module = &new.code;
        let is_named = first.is_named();
        let Reached { stopped, areas, arguments, numbers, files, held, times, .. } = first;
        let frames = stopped.frames.len();
        drop(stopped);
        let linked = engine.link(module, self.program.unknown_imports).map_err(|error| failed(&error))?.linked;
        let start = ResumedModule {
            linked,
            memory: module.get_export_index(MEMORY),
            entry_point: module.get_export_index(self.entry_point()).ok_or(ColdReason::EntryPoint)?,
            areas: areas.kept().into(),
            arguments: Arc::new(arguments),
            times: times.places(),
        };
        let rehearsed = engine.link_rehearsed(module, self.program.unknown_imports).map_err(|error| failed(&error))?;
        let resumed = ResumedModule { linked: rehearsed, ..start.clone() };
        let checkpoint = *checkpoint;
        let proof = Proof { layout: &layout, resumed: &resumed, held: &held, copies, checkpoint, times: &times };
        let (scope, proven) = self.scope(&proof, is_named, *requests)?;
        Ok(WarmSnapshot {
            key: self.key.clone(),
            start,
            places: layout.variables,
            realtime: numbers.realtime,
            monotonic: Duration::from_nanos(numbers.monotonic),
            files: Arc::new(files),
            held,
            scope,
            took: started.elapsed(),
            frames,
            bytes: *bytes,
            proven,
        })
    }

    /// Compiles the module that begins where the program has stopped.
    fn resumed(&self, stopped: &Stopped) -> Result<ResumedCode, ColdReason> {
        let engine = self.program.engines.for_resumed(&self.program.code_cache).map_err(|error| failed(&error))?;
        let resumed = resume_module(&self.binary, self.entry_point(), stopped)?;
        let memory = self.program.engines.config.memory as u64;
        let compiler = self.program.compiler_for(CompilerTarget::Captured { memory });
        let new = NewCode::compile(&engine.engine, &resumed, compiler.as_ref()).map_err(|error| failed(&error))?;
        Ok(ResumedCode { engine, new, bytes: resumed.len() })
    }

    fn entry_point(&self) -> &str {
        self.program.functions.last().map_or("_start", String::as_str)
    }

    /// For which requests the answers are the same. A program that names its checkpoint may know by then that there is no body. One that
    /// has files open there has begun with its script, as PHP does, and may have looked at the method and the length before: a script
    /// that reads bodies of few requests would pass the proof.
    fn scope(
        &self,
        proof: &Proof<'_>,
        is_named: bool,
        requests: usize,
    ) -> Result<(SnapshotScope, ProvenRequests), ColdReason> {
        let has_begun = is_named && proof.held.files() > 0;
        let mut scope = if has_begun { SnapshotScope::Get } else { SnapshotScope::All };
        loop {
            let reason = match self.prove_all(proof, scope, requests) {
                Ok(proven) => return Ok((scope, proven)),
                Err(reason) => reason,
            };
            let ColdReason::OtherAnswer(number) = reason else { return Err(reason) };
            let request = self.request(number)?;
            match scope.narrower().filter(|narrower| is_named && !narrower.has(&request.environment)) {
                Some(narrower) => scope = narrower,
                None => return Err(reason),
            }
            let (route, requests) = (&self.setup.route, scope.name());
            tracing::debug!(route, key = %self.key, %reason, requests, "warm start: only for some requests");
        }
    }

    /// Answers this many requests cold and warm, of those that a snapshot may serve.
    fn prove_all(
        &self,
        proof: &Proof<'_>,
        scope: SnapshotScope,
        requests: usize,
    ) -> Result<ProvenRequests, ColdReason> {
        /// Of this many requests one has no body.
        const ONE_OF: usize = 30;
        let numbers = 0..requests.saturating_mul(if scope == SnapshotScope::All { 1 } else { ONE_OF });
        let of_scope = numbers.filter(|number| {
            scope == SnapshotScope::All || self.request(*number).is_ok_and(|request| scope.has(&request.environment))
        });
        let mut proven = ProvenRequests::default();
        for number in of_scope.take(requests) {
            let again = || proof.copies.again().map_err(ColdReason::volumes);
            match self.prove(number, proof, &[again()?, again()?])? {
                Proven::Same => proven.same += 1,
                Proven::Unfit => proven.unfit += 1,
            }
        }
        if proven.same == 0 { Err(ColdReason::Unfit) } else { Ok(proven) }
    }

    /// Answers a request cold and warm, if it fits, and compares the answers.
    fn prove(
        &self,
        number: usize,
        proof: &Proof<'_>,
        [of_cold, of_warm]: &[VolumeCopies; 2],
    ) -> Result<Proven, ColdReason> {
        let grants = |copies: &VolumeCopies| copies.grants(&self.program.grants).map_err(ColdReason::volumes);
        let request = self.request(number)?;
        // A request that does not fit is served cold.
        let Some(laid_out) = proof.fit(&request) else { return Ok(Proven::Unfit) };
        let linked = self.engine.link_rehearsed(&self.module, self.program.unknown_imports);
        let linked = linked.map_err(|error| failed(&error))?;
        let functions = self.program.functions.clone();
        let beginning = Beginning::Start { linked, functions, stage: RehearsalStage::Passing };
        let shift = proof.times.shift(number);
        let passing = self.rehearsal(self.numbers_after(shift), &request, proof.checkpoint);
        let cold = self.run(&grants(of_cold)?, beginning, request.clone(), passing)?;
        let mut behind = self.rehearsal(self.numbers(), &request, proof.checkpoint);
        behind.stage = RehearsalStage::Behind;
        let beginning = Beginning::Checkpoint {
            module: proof.resumed.clone(),
            variables: Fitted::new(laid_out, shift),
            held: proof.held.clone(),
            copied: self.program.grants.volumes.writable(),
        };
        let mut warm = self.run(&grants(of_warm)?, beginning, request, behind)?;
        if let Some(Err(reason)) = warm.rehearsal.captured.take() {
            return Err(reason);
        }
        if let Some(ending) = [&cold.ending, &warm.ending].into_iter().find(|ending| is_of_host(ending)) {
            return Err(ColdReason::Failed(format!("{ending:?}")));
        }
        let is_same = cold.rehearsal.reached.is_some()
            && cold.output == warm.output
            && is_same_ending(&cold.ending, &warm.ending)
            && of_cold.are_same(of_warm).map_err(ColdReason::volumes)?;
        if is_same { Ok(Proven::Same) } else { Err(ColdReason::OtherAnswer(number)) }
    }
}

/// A module that begins at a checkpoint, compiled.
struct ResumedCode {
    engine: Arc<ModuleEngine>,
    new: NewCode<Module>,
    /// The size of the module before.
    bytes: usize,
}

/// With what a snapshot is tried.
struct Trial<'a> {
    checkpoint: ScriptCheckpoint,
    requests: usize,
    copies: &'a VolumeCopies,
}

/// What answers of a snapshot are compared with.
struct Proof<'a> {
    layout: &'a RequestLayout,
    resumed: &'a ResumedModule,
    held: &'a HeldFiles,
    copies: &'a VolumeCopies,
    checkpoint: ScriptCheckpoint,
    times: &'a ReachedTimes,
}

/// What came of a request of the proof.
enum Proven {
    /// The answers are the same.
    Same,
    /// It begins cold.
    Unfit,
}

impl Proof<'_> {
    /// The variables of a request as they will lie in memory; `None` for a request that does not fit.
    fn fit(&self, request: &RehearsalRequest) -> Option<LaidOut> {
        let fits = self.resumed.arguments.fit(&request.arguments);
        fits.then(|| self.layout.variables.lay_out(&request.environment).ok()).flatten()
    }
}

fn is_same_ending(one: &Ending, other: &Ending) -> bool {
    match (one, other) {
        (Ending::Exited(one), Ending::Exited(other)) => one == other,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}
