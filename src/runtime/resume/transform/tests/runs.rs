//! What does a program do, in one piece and in two?

use wasmtime::{Caller, Config, Engine, ExternType, Linker, Module, Store};

use crate::runtime::resume::capture;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::stopped::Stopped;
use crate::runtime::resume::transform::resume_module;

/// How much a program may compute: a mistake can make it endless.
const FUEL: u64 = 50_000_000;

/// An engine for debugging, and one like that of a server.
pub(super) struct Engines {
    debugging: Engine,
    serving: Engine,
}

/// How a program went on.
#[derive(Debug)]
pub(super) enum Resumed {
    /// It made no call in which it could be stopped, or does not end.
    NoCall,
    Same,
    Different,
    Refused(ColdReason),
}

/// What the host sees of a run.
#[derive(Default)]
struct Host {
    /// Whether the entry point was called. While an instance is made, the engine cannot read its frames.
    is_entered: bool,
    /// Whether it has used up what it may compute.
    is_spent: bool,
    stops: u64,
    stop_at: Option<u64>,
    notes: Vec<i64>,
    stopped: Option<Result<Stopped, ColdReason>>,
}

/// How a run ended.
#[derive(Debug, PartialEq)]
struct Outcome {
    notes: Vec<i64>,
    memory: Vec<u8>,
    has_trapped: bool,
}

impl Engines {
    pub fn new() -> Self {
        let mut config = Config::new();
        config.cranelift_nan_canonicalization(true).gc_support(true).wasm_exceptions(true).wasm_multi_memory(true);
        config.consume_fuel(true);
        let serving = Engine::new(&config).expect("an engine");
        let debugging = Engine::new(config.guest_debug(true)).expect("an engine for debugging");
        Self { debugging, serving }
    }

    /// Stops the program in one of its calls, which follows from `seed`, and compares what it does then with a run in one piece.
    pub fn resume(&self, program: &[u8], seed: u64) -> Resumed {
        let whole = Module::new(&self.serving, program).expect("a valid module");
        let (outcome, host) = run(&self.serving, &whole, Host::default());
        if host.stops == 0 || host.is_spent {
            return Resumed::NoCall;
        }
        let stop_at = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) % host.stops;
        let debugged = Module::new(&self.debugging, program).expect("a valid module");
        let (_, host) = run(&self.debugging, &debugged, Host { stop_at: Some(stop_at), ..Host::default() });
        let stopped = match host.stopped.expect("it stops") {
            Ok(stopped) => stopped,
            Err(refusal) => return Resumed::Refused(refusal),
        };
        let resumed = match resume_module(program, "_start", &stopped) {
            Ok(resumed) => resumed,
            Err(refusal) => return Resumed::Refused(refusal),
        };
        let Ok(module) = Module::new(&self.serving, &resumed) else { return Resumed::Different };
        let before = Host { stops: stop_at, notes: host.notes, ..Host::default() };
        let (rest, _) = run(&self.serving, &module, before);
        if rest == outcome { Resumed::Same } else { Resumed::Different }
    }
}

fn run(engine: &Engine, module: &Module, host: Host) -> (Outcome, Host) {
    let imported = module.imports().filter(|import| matches!(import.ty(), ExternType::Func(_))).count();
    let imported = u32::try_from(imported).expect("a few");
    let mut linker = Linker::new(engine);
    let stop = move |mut caller: Caller<'_, Host>, value: i32| -> wasmtime::Result<i32> {
        if caller.data().stop_at == Some(caller.data().stops) {
            let is_entered = caller.data().is_entered;
            let stopped =
                if is_entered { capture::stopped(&mut caller, imported) } else { Err(ColdReason::EntryPoint) };
            caller.data_mut().stopped = Some(stopped);
            wasmtime::bail!("it has stopped");
        }
        let host = caller.data_mut();
        host.stops += 1;
        Ok(value ^ i32::try_from(host.stops % 1000).expect("small"))
    };
    linker.func_wrap("host", "stop", stop).expect("a new import");
    let note = |mut caller: Caller<'_, Host>, value: i64| caller.data_mut().notes.push(value);
    linker.func_wrap("host", "note", note).expect("a new import");
    let mut store = Store::new(engine, host);
    store.set_fuel(FUEL).expect("the engine counts");
    let mut has_trapped = true;
    let mut memory = Vec::new();
    if let Ok(instance) = linker.instantiate(&mut store, module) {
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").expect("an entry point");
        store.data_mut().is_entered = true;
        has_trapped = start.call(&mut store, ()).is_err();
        memory = instance.get_memory(&mut store, "memory").expect("a memory").data(&store).to_vec();
    }
    let is_spent = store.get_fuel().is_ok_and(|fuel| fuel == 0);
    let host = Host { is_spent, ..store.into_data() };
    (Outcome { notes: host.notes.clone(), memory, has_trapped }, host)
}
