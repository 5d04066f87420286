//! What does a start do, beside compiling, that takes long?
//!
//! It validates the modules that are not compiled yet. One that is not valid ends the start soon, and the routes of the others can be
//! served while the rest is compiled. Then it loads what no thread has begun: a module that is compiled for minutes must not keep
//! one waiting that is there at once.

use std::collections::HashMap;
use std::fs;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::config::Preparation;
use crate::format::sha256_hex;
use crate::regular_file;
use crate::runtime::{ROUTES, is_precompiled, validate};

use crate::startup::load::so_far::{LoadState, LoadedSoFar, RouteList};
use crate::startup::load::{LoadResult, Loader, ModuleSpec};

/// After how long of loading a start serves what is ready. Most starts are over by then, and a client that has to come again would
/// have waited for less.
const PATIENCE: Duration = Duration::from_secs(3);

/// The modules with their positions, those with the smallest files first: they are ready soon, and more routes with them.
pub(super) fn smallest_first(specs: &[ModuleSpec]) -> Vec<(usize, &ModuleSpec)> {
    let mut order: Vec<_> = specs.iter().enumerate().collect();
    // A file that cannot be read is an error, the sooner the better.
    order.sort_by_cached_key(|(_, spec)| fs::metadata(spec.file.path()).map_or(0, |file| file.len()));
    order
}

/// Waits, and validates and loads what is not loaded by then. Returns when `ended` has no sender.
pub(super) fn run(loader: &Loader<'_>, specs: &[ModuleSpec], so_far: &LoadedSoFar, ended: &Receiver<()>) {
    if ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let own = OwnThreads::new(loader);
    let mut validated: HashMap<&ModuleSpec, Option<RouteList>> = HashMap::new();
    for (index, spec) in smallest_first(specs) {
        if so_far.has_ended(index) {
            continue;
        }
        let state = match *validated.entry(spec).or_insert_with(|| loader.validate(spec)) {
            Some(routes) => LoadState::Compiling(routes),
            // Only the compiler says in full what is wrong.
            None => LoadState::Ended(own.load(spec)),
        };
        so_far.set(index, state);
    }
    for (index, spec) in smallest_first(specs) {
        if so_far.begin(index) {
            so_far.set(index, LoadState::Ended(own.load(spec)));
        }
    }
}

/// Threads that have no part in what the others compile: their threads may all be taken by functions that take long.
struct OwnThreads<'l> {
    loader: &'l Loader<'l>,
    threads: Option<ThreadPool>,
}

impl<'l> OwnThreads<'l> {
    fn new(loader: &'l Loader<'l>) -> Self {
        let threads = ThreadPoolBuilder::new().thread_name(|_| "wagi-compiler".into()).build();
        let threads = threads.inspect_err(|error| tracing::warn!(%error, "compiling on the threads of other modules"));
        Self { loader, threads: threads.ok() }
    }

    fn load(&self, spec: &ModuleSpec) -> LoadResult {
        match &self.threads {
            Some(threads) => threads.install(|| self.loader.load(spec)),
            None => self.loader.load(spec),
        }
    }
}

impl Loader<'_> {
    /// Whether a module has routes of its own; `None` if it is not valid, or needs no compiler.
    fn validate(&self, spec: &ModuleSpec) -> Option<RouteList> {
        if spec.preparation == Preparation::Precompiled {
            return None;
        }
        let bytes = self.read(regular_file::open(spec.file.path()).ok()?).ok()?;
        spec.check(&sha256_hex(&bytes)).ok()?;
        if is_precompiled(&bytes) {
            return None;
        }
        let declares = validate(&bytes)?.exports.iter().any(|export| export.name == ROUTES);
        Some(if declares { RouteList::Declared } else { RouteList::None })
    }
}
