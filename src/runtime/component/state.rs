//! What does the host keep for a component while it runs?
//!
//! One [`ComponentState`] per store, made at the start of a run and dropped with it. Components have wasmtime-wasi's own
//! functions, so its context is always there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::StdoutStream;
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::runtime::component::outgoing::Outgoing;
use crate::runtime::instance::debug::trap;
use crate::runtime::instance::debug::trap::RunningCode;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::memory::RunMemory;
use crate::runtime::instance::stdio::Stdio;
use crate::runtime::wasi::state::{RANDOM_PER_CALL, SinceEpoch, SinceStart};
use crate::runtime::wasi::streams::{GuestStderr, GuestStdin, GuestStdout};

/// The most resources a guest may hold, volumes apart: files, each one of the server's, but also streams, header fields
/// and what it waits for.
const MAX_RESOURCES: usize = 256;

/// What the host keeps for one guest.
pub(in crate::runtime) struct ComponentState {
    pub stdio: Arc<Stdio>,
    pub memory_limits: RunMemory,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    outgoing: Outgoing,
}

impl ComponentState {
    /// The state of a guest that is run like a module.
    pub fn of_command<'a>(
        grants: &Grants,
        stdio: &Arc<Stdio>,
        arguments: impl Iterator<Item = &'a str>,
        environment: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut builder = builder(stdio, GuestStdout(stdio.clone()));
        builder.stdin(GuestStdin(stdio.clone()));
        for argument in arguments {
            builder.arg(argument);
        }
        for (name, value) in environment {
            builder.env(name, value);
        }
        Self::new(grants, stdio, builder.build())
    }

    /// The state of a guest that handles an HTTP request. Both of its output streams go to the log.
    pub fn of_service(grants: &Grants, stdio: &Arc<Stdio>) -> Self {
        let mut builder = builder(stdio, GuestStderr(stdio.clone()));
        builder.envs(&grants.environment);
        Self::new(grants, stdio, builder.build())
    }

    /// The state of a component with this digest while its initializer runs: it learns nothing from outside. Both of its output
    /// streams are kept for the operator. Clocks start at 1970 and move by a millisecond at each look.
    pub fn of_initializer(grants: &Grants, stdio: &Arc<Stdio>, digest: &str) -> Self {
        let mut builder = builder(stdio, GuestStderr(stdio.clone()));
        let bytes = |round: u8| Sha256::new_with_prefix(digest).chain_update([round]).finalize();
        let random: Vec<u8> = (0..=u8::MAX).flat_map(bytes).collect();
        let clock = SharedClock::default();
        builder
            .monotonic_clock(clock.clone())
            .wall_clock(clock)
            .insecure_random_seed(random.first_chunk().map_or(0, |seed| u128::from_le_bytes(*seed)))
            .insecure_random(Deterministic::new(random.clone()))
            .secure_random(Deterministic::new(random));
        Self::new(grants, stdio, builder.build())
    }

    fn new(grants: &Grants, stdio: &Arc<Stdio>, mut wasi: WasiCtx) -> Self {
        *wasi.filesystem() = grants.volumes.opened();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES + grants.volumes.count());
        Self {
            stdio: stdio.clone(),
            memory_limits: RunMemory::new(grants.memory_budget(), stdio.clone()),
            wasi,
            http: WasiHttpCtx::new(),
            table,
            outgoing: Outgoing::new(grants.outbound.as_ref(), stdio),
        }
    }
}

/// How a component ended with an error.
pub(in crate::runtime::component) async fn ending(error: wasmtime::Error, store: &mut Store<ComponentState>) -> Ending {
    let stdio = store.data().stdio.clone();
    trap::ending(error, store, &stdio, RunningCode::Program).await
}

/// Whether there is room for one more resource in a table, which cannot be asked for its size.
pub(in crate::runtime::component) fn has_room(table: &mut ResourceTable) -> bool {
    table.push(()).is_ok_and(|room| table.delete(room).is_ok())
}

fn builder(stdio: &Arc<Stdio>, stdout: impl StdoutStream + 'static) -> WasiCtxBuilder {
    let mut builder = WasiCtxBuilder::new();
    builder
        .stdout(stdout)
        .stderr(GuestStderr(stdio.clone()))
        .max_random_size(RANDOM_PER_CALL)
        .monotonic_clock(SinceStart(Instant::now()))
        .wall_clock(SinceEpoch);
    builder
}

/// A clock that shows the same times in each run.
#[derive(Clone, Default)]
struct SharedClock(Arc<AtomicU64>);

/// A millisecond in nanoseconds.
const CLOCK_STEP: u64 = 1_000_000;

impl HostMonotonicClock for SharedClock {
    fn resolution(&self) -> u64 {
        CLOCK_STEP
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(CLOCK_STEP, Relaxed).saturating_add(CLOCK_STEP)
    }
}

impl HostWallClock for SharedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(CLOCK_STEP)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(HostMonotonicClock::now(self))
    }
}

impl WasiView for ComponentState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for ComponentState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outgoing }
    }
}
