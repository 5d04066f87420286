//! Where does a guest compute that computes for long?
//!
//! When it has used a certain CPU time, it is sampled from then on: at each new epoch, every 5 ms, the functions that it is in are
//! noted. The profile is written in the format of the Firefox Profiler when the guest ends, however it ends. A guest that
//! ends sooner is not looked at.
//!
//! A guest may nest its calls as deep as its stack allows, so the time that the samples of a guest take is limited, and with it their
//! size.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wasmtime::component::Component;
use wasmtime::{AsContext, GuestProfiler, Module, Store};

use crate::runtime::engine::ticker::TICK;
use crate::runtime::instance::cpu_time::CpuTimer;

/// How many guests are sampled at once.
const MAX_AT_ONCE: usize = 4;

/// How many samples a guest gets: 20 s of computation. A sample of usual calls takes some microseconds.
const MAX_SAMPLES: u32 = 4_000;
const MAX_TIME: Duration = Duration::from_millis(40);

/// The longest profile, in bytes.
const MAX_SIZE: usize = 4 << 20;

/// How many guests are sampled just now.
static AT_ONCE: AtomicUsize = AtomicUsize::new(0);

/// Which guests of a route are sampled, and where their profiles go.
#[derive(Clone)]
pub struct Profiling {
    /// The CPU time from which on a guest is sampled.
    pub slower_than: Duration,
    /// The module, as the profile names it.
    pub module: String,
    /// Where profiles go.
    pub sink: Arc<dyn ProfileSink>,
}

/// A place for profiles.
pub trait ProfileSink: Send + Sync {
    /// Keeps the profile of a guest. Must not block.
    fn keep(&self, profile: GuestProfile);
}

/// The profile of a guest.
#[derive(Clone, Debug)]
pub struct GuestProfile {
    /// The number of its request.
    pub request: u64,
    /// The CPU time of the guest, at the last sample.
    pub cpu_time: Duration,
    /// How often it was looked at.
    pub samples: u32,
    /// The profile, as the Firefox Profiler reads it.
    pub json: Vec<u8>,
}

/// What a profile is about.
pub(in crate::runtime) enum ProfiledCode {
    Module(Module),
    Component(Component),
}

/// Looks at one guest.
pub(in crate::runtime) struct GuestSampler {
    profiling: Profiling,
    request: u64,
    code: ProfiledCode,
    state: SamplerState,
}

enum SamplerState {
    /// The guest has not computed for so long.
    Waits,
    Samples(Box<ActiveProfile>),
    /// Nothing more is noted.
    Off,
}

struct ActiveProfile {
    profiler: GuestProfiler,
    turn: SamplerTurn,
    cpu_time: Duration,
    samples: u32,
    /// How long the samples took.
    took: Duration,
}

/// One of the guests that are sampled at once.
struct SamplerTurn;

impl SamplerTurn {
    fn take() -> Option<Self> {
        let free = |taken: usize| (taken < MAX_AT_ONCE).then_some(taken + 1);
        AT_ONCE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok().map(|_| Self)
    }
}

impl Drop for SamplerTurn {
    fn drop(&mut self) {
        AT_ONCE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl GuestSampler {
    /// A sampler for the guest of a request.
    pub fn new(profiling: &Profiling, request: u64, code: ProfiledCode) -> Self {
        Self { profiling: profiling.clone(), request, code, state: SamplerState::Waits }
    }

    /// The same sampler, for a guest that runs this module instead.
    pub fn of_module(mut self, module: &Module) -> Self {
        self.code = ProfiledCode::Module(module.clone());
        self
    }

    /// Looks at the guest, which has met a new epoch.
    fn on_epoch(&mut self, store: impl AsContext, timer: &CpuTimer) {
        let cpu_time = timer.used_now();
        if matches!(self.state, SamplerState::Waits) && cpu_time >= self.profiling.slower_than {
            self.state = self.start(&store).map_or(SamplerState::Off, |active| SamplerState::Samples(Box::new(active)));
        }
        let SamplerState::Samples(active) = &mut self.state else { return };
        if active.samples < MAX_SAMPLES && active.took < MAX_TIME {
            active.sample(store, cpu_time);
        }
    }

    fn start(&self, store: impl AsContext) -> Option<ActiveProfile> {
        let turn = SamplerTurn::take()?;
        let (store, module) = (store.as_context(), &self.profiling.module);
        let made = match &self.code {
            ProfiledCode::Module(code) => {
                GuestProfiler::new(store.engine(), module, TICK, [(module.clone(), code.clone())])
            }
            ProfiledCode::Component(code) => {
                GuestProfiler::new_component(store.engine(), module, TICK, code.clone(), [])
            }
        };
        let warn = |error: &wasmtime::Error| tracing::warn!(%error, "a guest cannot be sampled");
        let profiler = made.inspect_err(warn).ok()?;
        Some(ActiveProfile { profiler, turn, cpu_time: Duration::ZERO, samples: 0, took: Duration::ZERO })
    }
}

/// Ends the guest of a store at its limit on CPU time, and lets its sampler look at it, if it has one. `timer` finds its timer.
pub(in crate::runtime) fn watch_epochs<T: 'static>(
    store: &mut Store<T>,
    sampler: Option<GuestSampler>,
    timer: fn(&T) -> &CpuTimer,
) {
    store.set_epoch_deadline(1);
    match sampler {
        None => store.epoch_deadline_callback(move |context| timer(context.data()).update_deadline()),
        Some(mut sampler) => store.epoch_deadline_callback(move |context| {
            let timer = timer(context.data());
            sampler.on_epoch(&context, timer);
            timer.update_deadline()
        }),
    }
}

impl ActiveProfile {
    fn sample(&mut self, store: impl AsContext, cpu_time: Duration) {
        let begun = Instant::now();
        let since = if self.samples == 0 { Duration::ZERO } else { cpu_time.saturating_sub(self.cpu_time) };
        self.profiler.sample(store, since);
        self.cpu_time = cpu_time;
        self.samples += 1;
        self.took += begun.elapsed();
    }

    /// Writes the profile, and gives it away. Takes some milliseconds.
    fn finish(self, request: u64, sink: &dyn ProfileSink) {
        let Self { profiler, turn, cpu_time, samples, .. } = self;
        let mut json = Bounded(Vec::new());
        match profiler.finish(&mut json) {
            Ok(()) => sink.keep(GuestProfile { request, cpu_time, samples, json: json.0 }),
            Err(error) => tracing::warn!(id = format!("{request:016x}"), %error, "a profile is not kept"),
        }
        drop(turn);
    }
}

impl Drop for GuestSampler {
    fn drop(&mut self) {
        let SamplerState::Samples(active) = std::mem::replace(&mut self.state, SamplerState::Off) else { return };
        let (request, sink) = (self.request, self.profiling.sink.clone());
        // The guest may have ended on a thread that serves.
        let writing = std::thread::Builder::new().name("wagi-profile".into()).spawn(move || {
            active.finish(request, &*sink);
        });
        if let Err(error) = writing {
            tracing::warn!(%error, "a profile is not kept");
        }
    }
}

/// Takes as many bytes as a profile may have.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_SIZE {
            return Err(io::Error::other("it is too long: the calls of the guest are nested too deep"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
