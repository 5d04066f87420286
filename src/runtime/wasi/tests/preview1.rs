//! Does every call return what wasmtime-wasi returns?
//!
//! Seeded programs of a few calls with arguments that are likely to matter run twice: against the functions served to guests,
//! and against wasmtime-wasi alone. Each call must give the same result, leave the same memory behind, and all of them the
//! same output.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{Engine, Instance, Linker, Memory, Module, Result, Store, Trap, Val};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use crate::config::Limits;
use crate::strings::StringBlock;

use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::stderr::StderrSink;
use crate::runtime::wasi::state::ModuleState;

const ARGUMENTS: [&str; 3] = ["/program", "", "a=b c"];
const ENVIRONMENT: [&str; 3] = ["NAME=value", "EMPTY=", "EQUALS=a=b"];
const INPUT: &[u8] = b"what the client sent, long enough to be read in several pieces";

/// How many programs are run; each seed is one. A hundred thousand were, once.
const PROGRAMS: u64 = 5000;

/// The calls and the types of their parameters; `l` is 64 bits wide.
const CALLS: [(&str, &str); 21] = [
    ("args_sizes_get", "ii"),
    ("args_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "ili"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("fd_read", "iiii"),
    ("fd_write", "iiii"),
    ("fd_close", "i"),
    ("fd_renumber", "ii"),
    ("fd_fdstat_get", "ii"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_seek", "ilii"),
    ("fd_tell", "ii"),
    ("fd_filestat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("path_open", "iiiiillii"),
    ("poll_oneoff", "iiii"),
];

/// A module that passes every call on.
fn module() -> String {
    let (mut imports, mut exports) = (String::new(), String::new());
    for (name, types) in CALLS {
        let types: Vec<&str> = types.chars().map(|c| if c == 'l' { "i64" } else { "i32" }).collect();
        let gets: String = (0..types.len()).map(|index| format!("(local.get {index})")).collect();
        let types = types.join(" ");
        imports +=
            &format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {types}) (result i32)))\n");
        exports += &format!("(func (export \"{name}\") (param {types}) (result i32) (call ${name} {gets}))\n");
    }
    format!(
        "(module {imports} (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $proc_exit (param i32)))
         (memory (export \"memory\") 1) {exports}
         (func (export \"proc_exit\") (param i32) (result i32) (call $proc_exit (local.get 0)) (i32.const 0)))"
    )
}

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        let index = usize::try_from(self.roll() >> 11).unwrap_or(0) % of.len();
        of[index]
    }

    /// A descriptor, an address, a length or a flag: whatever it is taken for.
    fn number(&mut self) -> i32 {
        const NUMBERS: [i32; 24] = [
            0,
            1,
            2,
            3,
            4,
            5,
            7,
            8,
            16,
            24,
            64,
            100,
            512,
            1024,
            4096,
            8192,
            16384,
            32768,
            65528,
            65535,
            65536,
            -1,
            i32::MAX,
            i32::MIN,
        ];
        self.one_of(&NUMBERS)
    }

    /// One call of a program.
    fn call(&mut self) -> (&'static str, Vec<Val>) {
        if self.roll().is_multiple_of(40) {
            return ("proc_exit", vec![Val::I32(self.one_of(&[0, 1, 42, 125]))]);
        }
        let (name, types) = self.one_of(&CALLS);
        if name == "poll_oneoff" {
            // The list is the one `memory` lays out, so that no call sleeps for long.
            let count = self.one_of(&[0, 1, 2, 3]);
            return (name, [2048, 4096, count, self.one_of(&[1000, 1001, -1])].map(Val::I32).into());
        }
        let mut values: Vec<Val> = types
            .chars()
            .map(|kind| if kind == 'l' { Val::I64(self.number().into()) } else { Val::I32(self.number()) })
            .collect();
        if name.starts_with("fd_") && !self.roll().is_multiple_of(4) {
            values[0] = Val::I32(self.one_of(&[0, 1, 2]));
        }
        if matches!(name, "fd_read" | "fd_write") {
            // Several buffers are served at once here and one by one there: what differs on purpose is not compared.
            values[2] = Val::I32(self.one_of(&[0, 1]));
            values[1] = Val::I32(self.one_of(&[0, 8, 16, 24, 32, 40, 65528, 65535, -8]));
        }
        if matches!(name, "args_get" | "environ_get") {
            // Where pointers and strings overlap, the order in which they are written does not matter.
            values[0] = Val::I32(self.one_of(&[0, 100, 512, 65533, -1]));
            values[1] = Val::I32(self.one_of(&[4096, 8192, 65500, 65536, -1]));
        }
        if name == "path_open" {
            // Rights that never were end a guest there and are ignored here.
            let rights = self.one_of(&[0, 2, 64]);
            values[5..7].fill(Val::I64(rights));
        }
        (name, values)
    }

    /// A memory with lists of buffers at the start, subscriptions at 2048 and text above.
    fn memory(&mut self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..65536u32).map(|index| b'a' + (index % 23) as u8).collect();
        for buffer in 0..8 {
            let (start, length): (i32, i32) =
                (self.one_of(&[0, 64, 9000, 65500, 65536, -1]), self.one_of(&[0, 1, 10, 36, 300, -1]));
            bytes[buffer * 8..buffer * 8 + 4].copy_from_slice(&start.to_le_bytes());
            bytes[buffer * 8 + 4..buffer * 8 + 8].copy_from_slice(&length.to_le_bytes());
        }
        for index in 0..3 {
            let at = 2048 + index * 48;
            bytes[at..at + 48].fill(0);
            bytes[at..at + 8].copy_from_slice(&self.roll().to_le_bytes());
            bytes[at + 8] = self.one_of(&[0, 0, 0, 0, 1, 2, 3]);
            bytes[at + 16] = self.one_of(&[0, 1, 1, 2, 9]);
            // In the past, or at once.
            bytes[at + 40] = self.one_of(&[0, 1]);
        }
        bytes
    }
}

/// What one call did.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Returned(i32),
    Exited(i32),
    Trapped(Option<Trap>),
}

const INTERRUPTED: Outcome = Outcome::Returned(27);
const NAME_TOO_LONG: Outcome = Outcome::Returned(37);

const NO_MEMORY: Outcome = Outcome::Returned(48);

/// A read of no bytes returns INTR there, for ever, and nothing here. A buffer of gigabytes is refused there for its size, here
/// because it ends outside the memory. Paths longer than on any system are refused here.
fn differs_on_purpose(name: &str, found: &Outcome, expected: &Outcome) -> bool {
    match name {
        "fd_read" if *expected == INTERRUPTED => matches!(found, Outcome::Returned(0) | Outcome::Trapped(None)),
        "fd_read" | "fd_write" if *expected == NO_MEMORY => *found == Outcome::Trapped(None),
        "path_open" => *found == NAME_TOO_LONG,
        _ => false,
    }
}

struct Guest<T: 'static> {
    store: Store<T>,
    instance: Instance,
    memory: Memory,
}

impl<T: Send + 'static> Guest<T> {
    async fn new(engine: &Engine, linker: &Linker<T>, module: &Module, state: T, bytes: &[u8]) -> Result<Self> {
        let mut store = Store::new(engine, state);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = linker.instantiate_async(&mut store, module).await?;
        let memory = instance.get_memory(&mut store, "memory").expect("exported");
        memory.write(&mut store, 0, bytes)?;
        Ok(Self { store, instance, memory })
    }

    async fn call(&mut self, name: &str, arguments: &[Val]) -> Outcome {
        let function = self.instance.get_func(&mut self.store, name).expect("exported");
        let mut results = [Val::I32(0)];
        let called = function.call_async(&mut self.store, arguments, &mut results).await;
        match called {
            Ok(()) => Outcome::Returned(results[0].unwrap_i32()),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Outcome::Exited(exit.0),
                None => Outcome::Trapped(error.downcast_ref::<Trap>().copied()),
            },
        }
    }

    /// The memory, without what no two runs share: the time and random bytes.
    fn bytes(&mut self, name: &str, arguments: &[Val]) -> Vec<u8> {
        let differs = match name {
            "clock_time_get" | "clock_res_get" => {
                arguments.last().map(|time| (time.unwrap_i32().cast_unsigned() as usize, 8))
            }
            "random_get" => {
                let [start, length] = [0, 1].map(|index: usize| arguments[index].unwrap_i32().cast_unsigned() as usize);
                Some((start, length))
            }
            _ => None,
        };
        let bytes = self.memory.data_mut(&mut self.store);
        if let Some((start, length)) = differs
            && let Some(range) = bytes.get_mut(start..start.saturating_add(length))
        {
            range.fill(0);
        }
        bytes.to_vec()
    }
}

/// What a guest wrote to stderr.
#[derive(Default)]
struct Kept(std::sync::Mutex<Vec<u8>>);

impl StderrSink for Kept {
    fn write(&self, _: u64, text: &[u8]) {
        self.0.lock().expect("no panic").extend_from_slice(text);
    }
}

fn ours(errors: &Arc<Kept>) -> ModuleState {
    let input = futures_util::stream::iter([Ok(bytes::Bytes::from_static(INPUT))]);
    let limits = Limits {
        memory: 1 << 20,
        table_elements: 100,
        stderr: 1 << 20,
        cpu_time: Duration::from_secs(3600),
        ..Limits::default()
    };
    let grants = Grants { log: Some(errors.clone()), limits, ..Grants::default() };
    let stdio = Arc::new(grants.stdio(Some(Box::pin(input)), 0));
    let (arguments, environment) = (StringBlock::from_iter(ARGUMENTS), StringBlock::from_iter(ENVIRONMENT));
    let invocation = Invocation { arguments, environment, ..Invocation::default() };
    ModuleState::new(&grants, stdio, invocation)
}

fn theirs(output: &MemoryOutputPipe, errors: &MemoryOutputPipe) -> WasiP1Ctx {
    let mut builder = WasiCtxBuilder::new();
    builder.stdin(MemoryInputPipe::new(INPUT)).stdout(output.clone()).stderr(errors.clone()).args(&ARGUMENTS);
    for variable in ENVIRONMENT {
        let (name, value) = variable.split_once('=').expect("a variable");
        builder.env(name, value);
    }
    builder.max_random_size(1 << 20);
    builder.build_p1()
}

struct Both {
    engine: Engine,
    module: Module,
    ours: Linker<ModuleState>,
    theirs: Linker<WasiP1Ctx>,
}

impl Both {
    fn new() -> Result<Self> {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true).concurrency_support(false);
        let engine = Engine::new(&config)?;
        let (mut ours, mut theirs) = (Linker::new(&engine), Linker::new(&engine));
        crate::runtime::wasi::preview1::add_to_linker(&mut ours)?;
        p1::add_to_linker_async(&mut theirs, |context| context)?;
        Ok(Self { module: Module::new(&engine, module())?, engine, ours, theirs })
    }

    /// Runs the program of a seed on both sides, call by call.
    async fn compare(&self, seed: u64) -> Result<()> {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let bytes = dice.memory();
        let (errors, output, their_errors) =
            (Arc::new(Kept::default()), MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(1 << 20));
        let mut us = Guest::new(&self.engine, &self.ours, &self.module, ours(&errors), &bytes).await?;
        let context = theirs(&output, &their_errors);
        let mut them = Guest::new(&self.engine, &self.theirs, &self.module, context, &bytes).await?;
        let mut done = String::new();
        for _ in 0..dice.roll() % 6 + 1 {
            let (name, arguments) = dice.call();
            done += &format!("\n  {name} {arguments:?}");
            let (found, expected) = (us.call(name, &arguments).await, them.call(name, &arguments).await);
            if differs_on_purpose(name, &found, &expected) {
                return Ok(());
            }
            assert_eq!(found, expected, "seed {seed}:{done}");
            // The memory of a guest that has ended does not matter.
            if !matches!(found, Outcome::Returned(_)) {
                break;
            }
            assert!(
                us.bytes(name, &arguments) == them.bytes(name, &arguments),
                "seed {seed}: other memory after{done}"
            );
        }
        let printed = us.store.data().stdio.stdout().take_remaining();
        assert_eq!(printed, output.contents(), "seed {seed}: other output after{done}");
        drop(us);
        assert_eq!(
            *errors.0.lock().expect("no panic"),
            their_errors.contents(),
            "seed {seed}: other errors after{done}"
        );
        Ok(())
    }
}

#[tokio::test]
async fn every_call_returns_what_wasmtime_wasi_returns() -> Result<()> {
    let (both, started) = (Both::new()?, Instant::now());
    for seed in 1..=PROGRAMS {
        both.compare(seed).await?;
        assert!(started.elapsed() < Duration::from_secs(300), "seed {seed} is reached after five minutes only");
    }
    Ok(())
}
