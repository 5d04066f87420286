//! What does the host keep for a module while it runs?
//!
//! One [`ModuleState`] per store, made at the start of a run and dropped with it. What most guests never use, above all the context
//! of wasmtime-wasi, is made on first use.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::component::Resource;
use wasmtime::{Caller, Extern, Memory, Result};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Clockid, Errno, Subclockflags, SubscriptionClock};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder, WasiView};
use wiggle::GuestMemory;

use crate::outbound::OpenResponses;
use crate::strings::StringBlock;

use crate::runtime::instance::grants::{Grants, Outbound, Volumes};
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::instance::memory::RunMemory;
use crate::runtime::instance::stdio::Stdio;
use crate::runtime::wasi::files::names::Listings;
use crate::runtime::wasi::rehearsal::Rehearsal;
use crate::runtime::wasi::scratch::ScratchVolumes;
use crate::runtime::wasi::streams::{GuestStderr, GuestStdin, GuestStdout};

/// The maximum number of descriptors and streams that a guest may hold open, volumes apart: each open file is one of the
/// server's.
const MAX_DESCRIPTORS: usize = 64;

/// The most subscriptions of a call of `poll_oneoff`: as many as a guest may have descriptors, as on other systems (EINVAL in `poll`).
pub(in crate::runtime::wasi) const SUBSCRIPTIONS_PER_CALL: u32 = 64;

/// What wasmtime-wasi keeps during a call beside the descriptors: for each subscription the stream or the time, and what is waited for.
/// Other calls need one stream.
const ROOM_PER_CALL: usize = SUBSCRIPTIONS_PER_CALL as usize * 2;

/// The name under which WASI expects a guest to export its memory.
pub(in crate::runtime) const MEMORY: &str = "memory";

/// The maximum number of random bytes of one call: it cannot be interrupted.
pub(in crate::runtime) const RANDOM_PER_CALL: u64 = 1 << 20;

/// The state of one run.
pub(in crate::runtime) struct ModuleState {
    pub arguments: StringBlock,
    pub environment: StringBlock,
    pub stdio: Arc<Stdio>,
    pub memory_limits: RunMemory,
    pub started: Instant,
    /// Whether descriptors 0, 1 and 2 are still the original standard streams.
    original: [bool; 3],
    /// The descriptor of standard output, which the guest may renumber; `None` once it is closed.
    stdout: Option<i32>,
    memory: Option<Memory>,
    volumes: Volumes,
    /// The client for requests to upstreams, of a guest that may call any.
    pub outbound: Option<Outbound>,
    open_responses: Option<OpenResponses>,
    /// The most bytes one host call may copy.
    pub hostcall_fuel: usize,
    /// The scratch directories, of a guest that has any.
    pub(in crate::runtime::wasi) scratch: Option<Box<ScratchVolumes>>,
    wasi: Option<Box<WasiP1Ctx>>,
    /// The directories that the guest lists.
    pub(in crate::runtime::wasi) listings: Option<Box<Listings>>,
    /// What replaces clocks and random numbers, of a run that is no request.
    pub(in crate::runtime) rehearsal: Option<Box<Rehearsal>>,
}

impl ModuleState {
    /// The state of a new run.
    pub fn new(grants: &Grants, stdio: Arc<Stdio>, invocation: Invocation) -> Self {
        Self {
            arguments: invocation.arguments,
            environment: invocation.environment,
            memory_limits: RunMemory::new(grants.memory_budget(), stdio.clone()),
            stdio,
            started: Instant::now(),
            original: [true; 3],
            stdout: Some(1),
            memory: None,
            volumes: grants.volumes.clone(),
            outbound: grants.outbound.clone(),
            open_responses: None,
            hostcall_fuel: grants.limits.memory,
            scratch: ScratchVolumes::new(grants.volumes.scratch()),
            wasi: None,
            listings: None,
            rehearsal: None,
        }
    }

    /// Lets the monotonic clock of a run that has not begun show this time already.
    pub fn set_monotonic_clock(&mut self, shown: Duration) {
        // A clock that cannot be set back so far goes on from where it is.
        self.started = self.started.checked_sub(shown).unwrap_or(self.started);
    }

    /// Lets a run that has not begun have what it has at the start of a program: no files, and a clock that begins now.
    pub fn reset(&mut self) {
        self.wasi = None;
        self.listings = None;
        self.scratch = ScratchVolumes::new(self.volumes.scratch());
        self.started = Instant::now();
    }

    /// Whether this is a standard stream that the guest has neither closed nor replaced.
    pub fn is_standard_stream(&self, descriptor: i32) -> bool {
        usize::try_from(descriptor).ok().and_then(|index| self.original.get(index)).copied().unwrap_or(false)
    }

    /// Leaves this descriptor to wasmtime-wasi from now on.
    pub fn delegate(&mut self, descriptor: i32) {
        if let Some(original) = usize::try_from(descriptor).ok().and_then(|index| self.original.get_mut(index)) {
            *original = false;
        }
    }

    /// Notes that this descriptor is closed. With standard output, the guest's response is complete.
    pub fn on_closed(&mut self, descriptor: i32) {
        if let Some(scratch) = &mut self.scratch {
            scratch.on_closed(descriptor);
        }
        if let (Some(listings), Some(wasi)) = (&mut self.listings, &mut self.wasi) {
            let table = wasi.ctx().table;
            listings.retain(|slot| table.get(&Resource::<Descriptor>::new_borrow(slot)).is_ok());
        }
        if self.stdout.take_if(|stdout| *stdout == descriptor).is_some() {
            self.stdio.finish_output();
        }
    }

    /// Notes that a descriptor has taken the place of another one, which is closed.
    pub fn on_renumbered(&mut self, from: i32, to: i32) {
        if from != to {
            self.on_closed(to);
            if let Some(scratch) = &mut self.scratch {
                scratch.on_renumbered(from, to);
            }
            self.stdout.iter_mut().filter(|stdout| **stdout == from).for_each(|stdout| *stdout = to);
        }
    }

    /// Whether the guest has no descriptors but the standard streams: no volumes, and nothing was opened.
    pub fn has_no_files(&self) -> bool {
        self.volumes.count() == 0 && self.wasi.is_none()
    }

    /// Whether the guest may have one more descriptor. Not during a call that keeps other things in the table.
    pub fn may_open(&mut self) -> bool {
        let limit = MAX_DESCRIPTORS + self.volumes.count();
        self.wasi().ctx().table.iter_mut().count() < limit
    }

    /// The number of places in which the descriptors of the guest may be.
    pub fn descriptor_slots(&self) -> u32 {
        u32::try_from(MAX_DESCRIPTORS + self.volumes.count() + ROOM_PER_CALL).unwrap_or(u32::MAX)
    }

    /// Whether it may have files.
    pub fn has_volumes(&self) -> bool {
        self.volumes.count() > 0
    }

    /// Sets the memory that host calls read and write.
    pub fn set_memory(&mut self, memory: Option<Memory>) {
        self.memory = memory;
    }

    /// The responses of upstreams that this guest holds open; `None` for a guest that may call no upstream.
    pub fn open_responses(&mut self) -> Option<&mut OpenResponses> {
        let outbound = self.outbound.as_ref()?;
        Some(self.open_responses.get_or_insert_with(|| outbound.client.open_responses(outbound.max_open)))
    }

    /// The context of wasmtime-wasi, made on first use and ready for one call.
    pub fn wasi(&mut self) -> &mut WasiP1Ctx {
        let Self { wasi, arguments, environment, stdio, started, volumes, hostcall_fuel, .. } = self;
        let wasi = wasi.get_or_insert_with(|| {
            let mut builder = WasiCtxBuilder::new();
            builder
                .stdin(GuestStdin(stdio.clone()))
                .stdout(GuestStdout(stdio.clone()))
                .stderr(GuestStderr(stdio.clone()))
                .max_random_size(RANDOM_PER_CALL)
                .monotonic_clock(SinceStart(*started))
                .wall_clock(SinceEpoch);
            for argument in arguments.iter() {
                builder.arg(argument);
            }
            for (name, value) in environment.iter().filter_map(|variable| variable.split_once('=')) {
                builder.env(name, value);
            }
            let mut wasi = builder.build_p1();
            let view = wasi.ctx();
            *view.ctx.filesystem() = volumes.opened();
            view.table.set_max_capacity(MAX_DESCRIPTORS + volumes.count() + ROOM_PER_CALL);
            Box::new(wasi)
        });
        // Its calls use up this fuel, and only the functions that it links itself renew it.
        wasi.set_hostcall_fuel(*hostcall_fuel);
        wasi
    }
}

/// The wall clock. One that is set to before 1970, which WASI cannot express, shows 1970.
pub(in crate::runtime) struct SinceEpoch;

impl HostWallClock for SinceEpoch {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        since_epoch(SystemTime::now())
    }
}

/// The time since 1970, or none for a time before.
pub(in crate::runtime::wasi) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn nanoseconds(duration: Duration) -> std::result::Result<u64, Errno> {
    u64::try_from(duration.as_nanos()).map_err(|_| Errno::Overflow)
}

/// The time of a clock in nanoseconds.
pub(in crate::runtime::wasi) fn clock_time(clock: Clockid, state: &ModuleState) -> std::result::Result<u64, Errno> {
    match clock {
        Clockid::Realtime => nanoseconds(since_epoch(SystemTime::now())),
        Clockid::Monotonic => nanoseconds(state.started.elapsed()),
        Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => Err(Errno::Badf),
    }
}

/// The time until a timer fires. `None` for a clock that no timer can use.
pub(in crate::runtime::wasi) fn time_left(timer: &SubscriptionClock, state: &ModuleState) -> Option<Duration> {
    let now = clock_time(timer.id, state).ok()?;
    let is_absolute = timer.flags.contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
    Some(Duration::from_nanos(if is_absolute { timer.timeout.saturating_sub(now) } else { timer.timeout }))
}

/// A monotonic clock that starts with the guest, and does not show how long the server has been up.
pub(in crate::runtime) struct SinceStart(pub Instant);

impl HostMonotonicClock for SinceStart {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The guest's memory and the host's state at once. The exported memory is looked up once per run.
pub(in crate::runtime) fn split<'a>(
    caller: &'a mut Caller<'_, ModuleState>,
) -> Result<(GuestMemory<'a>, &'a mut ModuleState)> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => {
            let Some(Extern::Memory(memory)) = caller.get_export(MEMORY) else {
                wasmtime::bail!("the module exports no memory named `memory`, which WASI needs");
            };
            caller.data_mut().memory = Some(memory);
            memory
        }
    };
    let (bytes, state) = memory.data_and_store_mut(caller);
    Ok((GuestMemory::Unshared(bytes), state))
}

#[cfg(test)]
mod tests {
    use crate::runtime::wasi::state::*;

    #[test]
    fn a_wall_clock_before_1970_shows_1970() {
        let second = Duration::from_secs(1);
        assert_eq!(since_epoch(UNIX_EPOCH - second), Duration::ZERO);
        assert_eq!(since_epoch(UNIX_EPOCH + second), second);
        assert!(SinceEpoch.now() > second);
    }
}
