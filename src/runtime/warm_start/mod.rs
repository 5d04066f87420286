//! How does a guest begin at its checkpoint instead of at its start?
//!
//! Beside serving, a program is run up to its checkpoint, without a request, and a module is made that begins there: a snapshot. It is
//! tried against the program itself before it is used. Requests are served cold until then, and whenever a request or a file does not
//! fit. [`WarmStarts`] has the snapshots of one route.
//!
//! | file | question |
//! | --- | --- |
//! | `request` | which requests does a rehearsal answer? |
//! | `program` | of which program are snapshots made? |
//! | `snapshot_places` | which snapshots does a route have, and when is another one loaded or made? |
//! | `making` | how is a snapshot made? |
//! | `layout` | where in memory do variables and arguments lie? |
//! | `kept` | which snapshots does the cache keep? |
//! | `snapshot` | what does a request need to begin there? |
//! | `reopening` | how does it get the files that were open there? |
//! | `proving` | can a program begin warm, and are its answers the same then? |
//! | `worker` | on which threads are snapshots loaded and made? |

mod kept;
mod layout;
mod making;
pub(in crate::runtime) mod program;
pub(in crate::runtime) mod proving;
mod reopening;
pub(in crate::runtime) mod request;
pub(in crate::runtime) mod snapshot;
pub(in crate::runtime) mod snapshot_places;
pub(in crate::runtime) mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::runtime::ModuleOwner;
use crate::runtime::code::cache::CodeOrigin;
use crate::runtime::engine::task::panic_message;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::resume::cold_reason::{ColdReason, RefusedSnapshot};
use crate::runtime::warm_start::making::REQUESTS;
use crate::runtime::warm_start::program::Program;
use crate::runtime::warm_start::reopening::StaleSnapshot;
use crate::runtime::warm_start::request::{QueryClass, RehearsalRequests, SnapshotKey, SnapshotScope};
use crate::runtime::warm_start::snapshot::{Fitted, WarmSnapshot};
use crate::runtime::warm_start::snapshot_places::{FoundSnapshot, RefusalView, SnapshotPlaces};
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
    places: Mutex<SnapshotPlaces<WarmSnapshot>>,
    counts: StartCounters,
}

#[derive(Default)]
struct StartCounters {
    warm: AtomicU64,
    cold: AtomicU64,
    unfit: AtomicU64,
}

/// How often requests were served, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WarmStartCounts {
    /// How many requests began at a checkpoint.
    pub warm: u64,
    /// How many did not.
    pub cold: u64,
    /// How many of these did not fit a snapshot that was ready for them.
    pub unfit: u64,
}

/// What is seen of the warm starts of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmStartView {
    /// How many snapshots are ready.
    pub ready: usize,
    /// How many are being made.
    pub making: usize,
    /// Why there are not more.
    pub refusals: Vec<RefusalView>,
    /// How many of those that are ready are for some of their requests only.
    pub for_some: usize,
    /// How often requests were served, and how.
    pub counts: WarmStartCounts,
}

impl WarmStarts {
    /// Warm starts without a snapshot. The `first` scripts are those for which there is to be one before a request asks for it.
    pub fn new(
        setup: WarmStartSetup,
        program: Program,
        first: Vec<Option<String>>,
        worker: Arc<SnapshotWorker>,
    ) -> Arc<Self> {
        let (places, counts) = (Mutex::new(SnapshotPlaces::new(setup.snapshots)), StartCounters::default());
        Arc::new(Self { setup, program, first, worker, places, counts })
    }

    /// Begins to make the snapshots that most requests need, before there is one. Others for the same scripts are loaded if the cache
    /// has kept them. What was refused for a reason that may pass is tried again.
    pub fn begin(self: &Arc<Self>) {
        self.places().end_pauses(Instant::now());
        for key in self.keys(QueryClass::None) {
            self.find(&key);
        }
        for key in [QueryClass::Fields, QueryClass::Words].into_iter().flat_map(|query| self.keys(query)) {
            if self.places().look_up(&key) {
                self.load(key);
            }
        }
    }

    /// What requests for the first scripts with such a query belong to.
    fn keys(&self, query: QueryClass) -> Vec<SnapshotKey> {
        let of = |script: &Option<String>| {
            let key = SnapshotKey { script: script.clone(), query, is_translated: false, arguments: None };
            (self.setup.requests)(&key, 0, &[]).map(|request| SnapshotKey::of(&request.environment))
        };
        self.first.iter().filter_map(of).collect()
    }

    /// The snapshot for a request, if one is ready and fits.
    pub fn choose(self: &Arc<Self>, invocation: &Invocation) -> Option<(Arc<WarmSnapshot>, Fitted)> {
        let found = self.find_for(invocation).and_then(|snapshot| {
            let fitted = snapshot.fit(invocation);
            if fitted.is_none() {
                self.counts.unfit.fetch_add(1, Relaxed);
            }
            Some((snapshot, fitted?))
        });
        if found.is_none() {
            self.counts.cold.fetch_add(1, Relaxed);
        }
        found
    }

    fn find_for(self: &Arc<Self>, invocation: &Invocation) -> Option<Arc<WarmSnapshot>> {
        /// There is a snapshot for each number up to this.
        const MAX_ARGUMENTS: usize = 16;
        let key = SnapshotKey::of(&invocation.environment);
        let (snapshot, arguments) = (self.find(&key)?, &invocation.arguments);
        if arguments.len() <= MAX_ARGUMENTS && snapshot.start.arguments.have_another_count(arguments) {
            return self.find(&key.with_arguments(arguments.len()));
        }
        Some(snapshot)
    }

    /// Notes that a request begins at its checkpoint.
    pub fn on_begun(&self) {
        self.counts.warm.fetch_add(1, Relaxed);
    }

    /// Notes that a request could not begin at its checkpoint, and is served cold.
    pub fn on_stale(&self, snapshot: &Arc<WarmSnapshot>, stale: StaleSnapshot) {
        self.counts.cold.fetch_add(1, Relaxed);
        let route = &self.setup.route;
        match stale {
            StaleSnapshot::FilesChanged => {
                if self.places().change(&snapshot.key, snapshot, Instant::now()) {
                    tracing::info!(route, "warm start: a file has changed that the program had read");
                }
            }
            StaleSnapshot::NotOpened => {
                tracing::debug!(route, "warm start: a file that was open at the checkpoint could not be opened");
            }
        }
    }

    fn find(self: &Arc<Self>, key: &SnapshotKey) -> Option<Arc<WarmSnapshot>> {
        let found = self.places().find(key, Instant::now);
        match found {
            FoundSnapshot::Ready(snapshot) => return Some(snapshot),
            FoundSnapshot::Wanted => self.load(key.clone()),
            FoundSnapshot::Look(refusal) => self.look(key.clone(), refusal),
            FoundSnapshot::Nothing => {}
        }
        None
    }

    /// Loads a snapshot on a thread of the worker, or makes it if the cache has not kept it.
    fn load(self: &Arc<Self>, key: SnapshotKey) {
        let sent = self.worker.load(self.job(key.clone(), load));
        self.refuse_unless(&key, sent);
    }

    /// Makes a snapshot on a thread of the worker.
    fn make(self: &Arc<Self>, key: SnapshotKey) {
        let sent = self.worker.make(self.job(key.clone(), make));
        self.refuse_unless(&key, sent);
    }

    /// Tries a snapshot again if a file has changed that the program had seen before it was refused.
    fn look(self: &Arc<Self>, key: SnapshotKey, refusal: Arc<RefusedSnapshot>) {
        let look = move |warm: &Arc<Self>, key: &SnapshotKey| {
            if refusal.files.are_unchanged_in_time() == Some(false) && warm.places().reconsider(key, &refusal) {
                tracing::info!(route = warm.setup.route, %key, "warm start: a file has changed: trying again");
                warm.make(key.clone());
            }
        };
        // Without a thread it is looked at once more with the next request.
        let _ = self.worker.load(self.job(key, look));
    }

    /// Something to do for a snapshot. If the route is gone meanwhile, none is needed.
    fn job<T>(self: &Arc<Self>, key: SnapshotKey, task: T) -> impl FnOnce() + Send + 'static + use<T>
    where
        T: FnOnce(&Arc<Self>, &SnapshotKey) + Send + 'static,
    {
        let warm = Arc::downgrade(self);
        move || {
            let Some(warm) = Weak::upgrade(&warm) else { return };
            // The module may be a third party's, and a mistake in it or for it is no reason to make no other snapshot.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task(&warm, &key))) {
                warm.refuse(&key, ColdReason::Failed(panic_message(&*panic)).into());
            }
        }
    }

    fn ready(&self, key: &SnapshotKey, snapshot: WarmSnapshot, (origin, took): (CodeOrigin, Duration)) {
        let code = if origin == CodeOrigin::Cached { "cached" } else { "compiled" };
        let WarmSnapshot { frames, bytes, scope, took: to_make, .. } = snapshot;
        let (route, requests) = (&self.setup.route, scope.name());
        let (files, open) = (snapshot.files.len(), snapshot.held.files());
        self.places().ready(key, snapshot, to_make, Instant::now());
        tracing::info!(route, %key, code, ?took, frames, files, bytes, open, requests, "warm start: ready");
    }

    fn refuse(&self, key: &SnapshotKey, refusal: RefusedSnapshot) {
        let (route, reason, text) = (&self.setup.route, refusal.reason.name(), refusal.reason.to_string());
        let pause = self.places().refuse(key, refusal, Instant::now());
        match pause {
            Some(retry_in) => tracing::warn!(route, %key, reason, ?retry_in, "warm start: served cold: {text}"),
            None => tracing::warn!(route, %key, reason, "warm start: served cold: {text}"),
        }
    }

    fn refuse_unless(&self, key: &SnapshotKey, sent: Result<(), ColdReason>) {
        if let Err(reason) = sent {
            self.refuse(key, reason.into());
        }
    }

    /// How many requests began at a checkpoint, and how many did not.
    pub fn counts(&self) -> WarmStartCounts {
        let StartCounters { warm, cold, unfit } = &self.counts;
        WarmStartCounts { warm: warm.load(Relaxed), cold: cold.load(Relaxed), unfit: unfit.load(Relaxed) }
    }

    /// What is seen of it.
    pub fn view(&self) -> WarmStartView {
        let places = self.places();
        let (ready, making) = places.counts();
        let for_some = places.snapshots().filter(|snapshot| snapshot.scope != SnapshotScope::All).count();
        let refusals = places.refusals(Instant::now());
        WarmStartView { ready, making, for_some, refusals, counts: self.counts() }
    }

    fn places(&self) -> MutexGuard<'_, SnapshotPlaces<WarmSnapshot>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(warm: &Arc<WarmStarts>, key: &SnapshotKey) {
    let started = Instant::now();
    match warm.program.kept(&warm.setup, key) {
        Some(snapshot) => warm.ready(key, snapshot, (CodeOrigin::Cached, started.elapsed())),
        None if warm.places().not_kept(key) => warm.make(key.clone()),
        None => {}
    }
}

fn make(warm: &Arc<WarmStarts>, key: &SnapshotKey) {
    match warm.program.snapshot(&warm.setup, key, REQUESTS) {
        Ok(snapshot) => {
            let took = snapshot.took;
            // What the cache has is mapped from its file, and takes no memory of the process.
            let snapshot = warm.program.kept(&warm.setup, key).unwrap_or(snapshot);
            warm.ready(key, snapshot, (CodeOrigin::Compiled, took));
        }
        Err(refusal) => warm.refuse(key, refusal),
    }
}
