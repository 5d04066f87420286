//! How does a guest begin at its checkpoint instead of at its start?
//!
//! Beside serving, a program is run up to its checkpoint, without a request, and a module is made that begins there: a snapshot. It is
//! tried against the program itself before it is used. Requests are served cold until then, and whenever a request or a file does not
//! fit. [`WarmStarts`] has the snapshots of one route.
//!
//! | file | question |
//! | --- | --- |
//! | `request` | which requests does a rehearsal answer? |
//! | `comparison` | are two programs at their checkpoint the same? |
//! | `rehearse` | how does a rehearsal run? |
//! | `copies` | on which files does a rehearsal work? |
//! | `program` | of which program are snapshots made? |
//! | `reaching` | what is a program at its checkpoint, and is it the same for all requests of a snapshot? |
//! | `making` | how is a snapshot made? |
//! | `kept` | which snapshots does the cache keep? |
//! | `snapshot` | what does a request need to begin there? |
//! | `proving` | can a program begin warm, and are its answers the same then? |
//! | `worker` | on which threads are snapshots loaded and made? |

mod comparison;
mod copies;
mod kept;
mod making;
pub(in crate::runtime) mod program;
pub(in crate::runtime) mod proving;
mod reaching;
mod rehearse;
pub(in crate::runtime) mod request;
pub(in crate::runtime) mod snapshot;
pub(in crate::runtime) mod worker;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::runtime::ModuleOwner;
use crate::runtime::code::cache::CodeOrigin;
use crate::runtime::engine::task::panic_message;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::warm_start::making::REQUESTS;
use crate::runtime::warm_start::program::Program;
use crate::runtime::warm_start::request::{QueryClass, RehearsalRequests, SnapshotKey};
use crate::runtime::warm_start::snapshot::{Fitted, WarmSnapshot};
use crate::runtime::warm_start::worker::SnapshotWorker;

/// How a route begins warm.
#[derive(Clone)]
pub struct WarmStartSetup {
    /// The route, for the log.
    pub route: String,
    /// The digest of the module.
    pub digest: String,
    /// Whether snapshots may hold random numbers, which all requests share.
    pub shared_random: bool,
    /// The most snapshots that are kept.
    pub snapshots: usize,
    /// Whose module it is.
    pub owner: ModuleOwner,
    /// Reads the module, if it is still the one that was loaded.
    pub module: Arc<dyn Fn() -> Option<Vec<u8>> + Send + Sync>,
    /// The requests of rehearsals.
    pub requests: RehearsalRequests,
}

/// The snapshots of a route.
pub(in crate::runtime) struct WarmStarts {
    setup: WarmStartSetup,
    program: Program,
    /// The scripts for which there is to be a snapshot before a request asks for it.
    first: Vec<Option<String>>,
    worker: Arc<SnapshotWorker>,
    places: Mutex<HashMap<SnapshotKey, SnapshotPlace>>,
    clock: AtomicU64,
    counts: StartCounters,
}

/// Where a snapshot is or will be.
struct SnapshotPlace {
    state: SnapshotState,
    /// When it was last asked for, in numbers of questions.
    used: u64,
}

enum SnapshotState {
    /// It is used if the cache has kept it. It is not made unless a request asks for it.
    LookedUp,
    /// It is loaded, or made if the cache has not kept it.
    Making,
    Ready(Arc<WarmSnapshot>),
    Refused(ColdReason),
    /// A file was changed, or others are used more. Another snapshot is made from this time on.
    Paused {
        again: Instant,
    },
}

#[derive(Default)]
struct StartCounters {
    warm: AtomicU64,
    cold: AtomicU64,
}

/// How often requests were served, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmStartCounts {
    /// How many requests began at a checkpoint.
    pub warm: u64,
    /// How many did not.
    pub cold: u64,
}

/// What is seen of the warm starts of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmStartView {
    /// How many snapshots are ready.
    pub ready: usize,
    /// How many are being made.
    pub making: usize,
    /// Why there are not more: the name of each reason, and its text.
    pub refusals: Vec<(&'static str, String)>,
    /// How often requests were served, and how.
    pub counts: WarmStartCounts,
}

/// How many classes of requests without a snapshot are remembered besides those with one.
const MAX_REFUSED: usize = 256;

impl WarmStarts {
    /// Warm starts without a snapshot. The `first` scripts are those for which there is to be one before a request asks for it.
    pub fn new(
        setup: WarmStartSetup,
        program: Program,
        first: Vec<Option<String>>,
        worker: Arc<SnapshotWorker>,
    ) -> Arc<Self> {
        let (places, clock, counts) = (Mutex::default(), AtomicU64::new(0), StartCounters::default());
        Arc::new(Self { setup, program, first, worker, places, clock, counts })
    }

    /// Begins to make the snapshots that most requests need, before there is one. Others for the same scripts are loaded if the cache
    /// has kept them.
    pub fn begin(self: &Arc<Self>) {
        for key in self.keys(QueryClass::None) {
            self.find(&key);
        }
        for key in [QueryClass::Fields, QueryClass::Words].into_iter().flat_map(|query| self.keys(query)) {
            self.find_kept(key);
        }
    }

    /// What requests for the first scripts with such a query belong to.
    fn keys(&self, query: QueryClass) -> Vec<SnapshotKey> {
        let of = |script: &Option<String>| {
            let key = SnapshotKey { script: script.clone(), query, is_translated: false };
            (self.setup.requests)(&key, 0, &[]).map(|request| SnapshotKey::of(&request.environment))
        };
        self.first.iter().filter_map(of).collect()
    }

    /// Loads a snapshot if the cache has kept it.
    fn find_kept(self: &Arc<Self>, key: SnapshotKey) {
        let mut places = self.places();
        if places.len() < self.setup.snapshots && !places.contains_key(&key) {
            let used = self.clock.fetch_add(1, Relaxed);
            places.insert(key.clone(), SnapshotPlace { state: SnapshotState::LookedUp, used });
            self.load(key);
        }
    }

    fn load(self: &Arc<Self>, key: SnapshotKey) {
        let this = Arc::downgrade(self);
        self.worker.load(move || load(&this, &key));
    }

    /// The snapshot for a request, if one is ready and fits.
    pub fn choose(self: &Arc<Self>, invocation: &Invocation) -> Option<(Arc<WarmSnapshot>, Fitted)> {
        let key = SnapshotKey::of(&invocation.environment);
        let found = self.find(&key).and_then(|snapshot| {
            let fitted = snapshot.fit(invocation)?;
            Some((snapshot, fitted))
        });
        self.count(found.is_some());
        found
    }

    fn count(&self, is_warm: bool) {
        let counter = if is_warm { &self.counts.warm } else { &self.counts.cold };
        counter.fetch_add(1, Relaxed);
    }

    /// Notes that a request found a changed file, and is served cold.
    pub fn on_changed(&self, snapshot: &Arc<WarmSnapshot>) {
        self.counts.warm.fetch_sub(1, Relaxed);
        self.count(false);
        let mut places = self.places();
        if let Some(place) = places.get_mut(&snapshot.key)
            && matches!(&place.state, SnapshotState::Ready(ready) if Arc::ptr_eq(ready, snapshot))
        {
            tracing::info!(route = self.setup.route, "warm start: a file has changed that the program had read");
            // A program whose files change all the time is not worth a compiler all the time.
            place.state = SnapshotState::Paused { again: snapshot.made + pause(snapshot.took, 2) };
        }
    }

    fn find(self: &Arc<Self>, key: &SnapshotKey) -> Option<Arc<WarmSnapshot>> {
        let now = self.clock.fetch_add(1, Relaxed);
        let mut places = self.places();
        if let Some(place) = places.get_mut(key) {
            place.used = now;
            match &place.state {
                SnapshotState::Ready(snapshot) => return Some(snapshot.clone()),
                SnapshotState::Paused { again } if *again <= Instant::now() => place.state = SnapshotState::Making,
                SnapshotState::LookedUp => {
                    place.state = SnapshotState::Making;
                    return None;
                }
                _ => return None,
            }
        } else if places.len() >= self.setup.snapshots + MAX_REFUSED {
            return None;
        } else {
            places.insert(key.clone(), SnapshotPlace { state: SnapshotState::Making, used: now });
        }
        drop(places);
        self.load(key.clone());
        None
    }

    fn finish(&self, key: &SnapshotKey, made: Result<(WarmSnapshot, CodeOrigin), ColdReason>, took: Duration) {
        let state = match made {
            Ok((snapshot, origin)) => {
                let code = if origin == CodeOrigin::Cached { "cached" } else { "compiled" };
                let frames = snapshot.frames;
                let (route, files, bytes) = (&self.setup.route, snapshot.files.len(), snapshot.bytes);
                tracing::info!(route, %key, code, ?took, frames, files, bytes, "warm start: ready");
                SnapshotState::Ready(Arc::new(snapshot))
            }
            Err(refusal) => {
                let (route, name) = (&self.setup.route, refusal.name());
                tracing::warn!(route, %key, reason = name, "warm start: served cold: {refusal}");
                SnapshotState::Refused(refusal)
            }
        };
        let mut places = self.places();
        if let Some(place) = places.get_mut(key) {
            place.state = state;
        }
        make_room(&mut places, self.setup.snapshots);
    }

    /// How many requests began at a checkpoint, and how many did not.
    pub fn counts(&self) -> WarmStartCounts {
        let StartCounters { warm, cold } = &self.counts;
        WarmStartCounts { warm: warm.load(Relaxed), cold: cold.load(Relaxed) }
    }

    /// What is seen of it.
    pub fn view(&self) -> WarmStartView {
        let mut view = WarmStartView { counts: self.counts(), ..WarmStartView::default() };
        for place in self.places().values() {
            match &place.state {
                SnapshotState::Ready(_) => view.ready += 1,
                SnapshotState::LookedUp | SnapshotState::Making => view.making += 1,
                SnapshotState::Refused(refusal) => {
                    let refusal = (refusal.name(), refusal.to_string());
                    if !view.refusals.contains(&refusal) {
                        view.refusals.push(refusal);
                    }
                }
                SnapshotState::Paused { .. } => {}
            }
        }
        view.refusals.sort();
        view
    }

    fn places(&self) -> MutexGuard<'_, HashMap<SnapshotKey, SnapshotPlace>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets the snapshots go that were not used for the longest time, until there are no more than `most`.
fn make_room(places: &mut HashMap<SnapshotKey, SnapshotPlace>, most: usize) {
    loop {
        let ready = places.values_mut().filter_map(|place| match &place.state {
            SnapshotState::Ready(snapshot) => Some((place.used, snapshot.took, place)),
            _ => None,
        });
        let mut ready: Vec<_> = ready.collect();
        if ready.len() <= most {
            return;
        }
        ready.sort_by_key(|(used, ..)| *used);
        let Some((_, took, oldest)) = ready.into_iter().next() else { return };
        // Requests that need more snapshots than there may be would have each made anew all the time.
        oldest.state = SnapshotState::Paused { again: Instant::now() + pause(took, 10) };
    }
}

/// How long no other snapshot is made in place of one that took this time: a multiple of it, and not for ever.
fn pause(took: Duration, times: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(600);
    took.saturating_mul(times).min(LONGEST)
}

/// Loads a snapshot, on a thread of the worker. If the route is gone meanwhile, none is needed.
fn load(warm: &Weak<WarmStarts>, key: &SnapshotKey) {
    let Some(warm) = warm.upgrade() else { return };
    let started = Instant::now();
    if let Some(snapshot) = warm.program.kept(&warm.setup, key) {
        return warm.finish(key, Ok((snapshot, CodeOrigin::Cached)), started.elapsed());
    }
    let mut places = warm.places();
    if matches!(places.get(key), Some(SnapshotPlace { state: SnapshotState::LookedUp, .. })) {
        places.remove(key);
        return;
    }
    drop(places);
    let (this, key) = (Arc::downgrade(&warm), key.clone());
    warm.worker.make(move || make(&this, &key));
}

/// Makes a snapshot, on a thread of the worker.
fn make(warm: &Weak<WarmStarts>, key: &SnapshotKey) {
    let Some(warm) = warm.upgrade() else { return };
    // The module may be a third party's, and a mistake in it or for it is no reason to make no other snapshot.
    let made = catch_unwind(AssertUnwindSafe(|| warm.program.snapshot(&warm.setup, key, REQUESTS)));
    let made = made.unwrap_or_else(|panic| Err(ColdReason::Failed(panic_message(&*panic))));
    let took = made.as_ref().map_or(Duration::ZERO, |snapshot| snapshot.took);
    // What the cache has is mapped from its file, and takes no memory of the process.
    let made = made.map(|snapshot| warm.program.kept(&warm.setup, key).unwrap_or(snapshot));
    warm.finish(key, made.map(|snapshot| (snapshot, CodeOrigin::Compiled)), took);
}
