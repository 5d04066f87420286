//! Which snapshots does a route have, and when is another one loaded or made?
//!
//! One place for each kind of request. A snapshot that was refused for a reason that may pass is tried again after a pause that grows.
//! For another reason it is tried again when a file has changed that the program had seen. Nothing is done for a kind of request for which no request comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::runtime::resume::cold_reason::{ColdSpan, RefusedSnapshot};
use crate::runtime::warm_start::request::SnapshotKey;

/// How long the first pause is after a refusal that may pass, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The longest pause after a file has changed, or after a snapshot was let go for others.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// How long after a snapshot was let go it is not even loaded: more may be needed than are kept.
const RELOADED_AFTER: Duration = Duration::from_secs(10);

/// How often it is looked whether the files have changed that a refused program had seen, at first.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How many kinds of requests without a snapshot are remembered besides those with one.
const MAX_COLD: usize = 256;

/// The snapshots of a route.
pub(in crate::runtime::warm_start) struct SnapshotPlaces<S> {
    places: HashMap<SnapshotKey, SnapshotPlace<S>>,
    /// The most snapshots that are kept, and the most that are waited for.
    most: usize,
    /// How often a snapshot was asked for, which says when each was asked for last.
    asked: u64,
}

/// Where a snapshot is or will be.
struct SnapshotPlace<S> {
    state: SnapshotState<S>,
    /// When it was last asked for, in numbers of questions.
    used: u64,
    /// How many refusals in a row it was tried again after.
    refusals: u32,
    /// How often in a row a file has changed soon.
    changes: u32,
}

enum SnapshotState<S> {
    /// A thread has been asked for it.
    Pending(SnapshotNeed),
    Ready(ReadySnapshot<S>),
    /// It is tried again at a time, if a request comes then. At another it was last looked at the files.
    Refused {
        refusal: Arc<RefusedSnapshot>,
        again: Option<Instant>,
        looked: Instant,
    },
    /// A file has changed, or others are used more.
    Paused {
        loaded_from: Option<Instant>,
        made_from: Instant,
    },
}

struct ReadySnapshot<S> {
    snapshot: Arc<S>,
    since: Instant,
    /// How long it took to make it.
    took: Duration,
}

/// What is done if the cache has not kept a snapshot.
#[derive(Clone, Copy)]
enum SnapshotNeed {
    /// It is made.
    Made,
    /// It is not made before this time, and without one not before a request asks for it.
    Kept { made_from: Option<Instant> },
}

/// What there is for a request.
pub(in crate::runtime::warm_start) enum FoundSnapshot<S> {
    Ready(Arc<S>),
    /// Nothing yet: it has to be loaded, or made if the cache has not kept it.
    Wanted,
    /// It was refused. If one of these files has changed, it is tried again.
    Look(Arc<RefusedSnapshot>),
    Nothing,
}

/// Why a kind of requests begins cold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusalView {
    /// The name of the reason.
    pub reason: &'static str,
    /// What it means here.
    pub text: String,
    /// Whether it may pass.
    pub span: ColdSpan,
    /// When it is tried again; `None` if a file has to change first.
    pub retry_in: Option<Duration>,
}

impl<S> SnapshotPlaces<S> {
    /// None yet, and at most this many at a time.
    pub fn new(most: usize) -> Self {
        Self { places: HashMap::new(), most, asked: 0 }
    }

    /// What there is for a request.
    pub fn find(&mut self, key: &SnapshotKey, now: impl FnOnce() -> Instant) -> FoundSnapshot<S> {
        self.asked += 1;
        let used = self.asked;
        let may_wait = match self.places.get(key).map(SnapshotPlace::is_cold) {
            Some(is_cold) => is_cold && self.may_wait(),
            None if self.may_wait() && self.make_room() => {
                let state = SnapshotState::Pending(SnapshotNeed::Made);
                self.places.insert(key.clone(), SnapshotPlace { state, used, refusals: 0, changes: 0 });
                return FoundSnapshot::Wanted;
            }
            None => return FoundSnapshot::Nothing,
        };
        let Some(place) = self.places.get_mut(key) else { return FoundSnapshot::Nothing };
        place.used = used;
        place.find(may_wait, now)
    }

    /// Whether a snapshot has to be loaded that no request has asked for.
    pub fn look_up(&mut self, key: &SnapshotKey) -> bool {
        if self.places.len() >= self.most || self.places.contains_key(key) {
            return false;
        }
        self.asked += 1;
        let state = SnapshotState::Pending(SnapshotNeed::Kept { made_from: None });
        self.places.insert(key.clone(), SnapshotPlace { state, used: self.asked, refusals: 0, changes: 0 });
        true
    }

    /// Notes that the cache has not kept it. Whether it has to be made now.
    pub fn not_kept(&mut self, key: &SnapshotKey) -> bool {
        let Some(place) = self.places.get_mut(key) else { return false };
        match place.state {
            SnapshotState::Pending(SnapshotNeed::Kept { made_from: Some(made_from) }) => {
                place.state = SnapshotState::Paused { loaded_from: None, made_from };
                false
            }
            SnapshotState::Pending(SnapshotNeed::Kept { made_from: None }) => {
                self.places.remove(key);
                false
            }
            _ => true,
        }
    }

    /// Notes that it is there, which may be one too many. `took` says how long it took to make it.
    pub fn ready(&mut self, key: &SnapshotKey, snapshot: S, took: Duration, now: Instant) {
        if let Some(place) = self.places.get_mut(key) {
            place.refusals = 0;
            place.state = SnapshotState::Ready(ReadySnapshot { snapshot: Arc::new(snapshot), since: now, took });
        }
        self.let_go(now);
    }

    /// Notes that there is none. Returns after which time it is tried again.
    pub fn refuse(&mut self, key: &SnapshotKey, refusal: RefusedSnapshot, now: Instant) -> Option<Duration> {
        let place = self.places.get_mut(key)?;
        let pause = match refusal.reason.span() {
            ColdSpan::Passing => {
                place.refusals += 1;
                Some(doubled(FIRST_PAUSE, place.refusals - 1).min(LONGEST_PAUSE))
            }
            ColdSpan::Lasting => None,
        };
        let again = pause.map(|pause| now + pause);
        place.state = SnapshotState::Refused { refusal: Arc::new(refusal), again, looked: now };
        pause
    }

    /// Notes that a file has changed that the program had read. Whether this is news.
    pub fn change(&mut self, key: &SnapshotKey, stale: &Arc<S>, now: Instant) -> bool {
        let Some(place) = self.places.get_mut(key) else { return false };
        let SnapshotState::Ready(ReadySnapshot { snapshot, since, took }) = &place.state else { return false };
        if !Arc::ptr_eq(snapshot, stale) {
            return false;
        }
        // A program whose files change all the time is not worth a compiler all the time.
        let was_useful = now.saturating_duration_since(*since) > took.saturating_mul(10);
        place.changes = if was_useful { 1 } else { place.changes.saturating_add(1) };
        let made_from = *since + doubled(*took, place.changes).min(LONGEST_REST);
        place.state = SnapshotState::Paused { loaded_from: None, made_from };
        true
    }

    /// Notes that a file has changed that a refused program had seen. Whether it has to be tried again.
    pub fn reconsider(&mut self, key: &SnapshotKey, refused: &Arc<RefusedSnapshot>) -> bool {
        let Some(place) = self.places.get_mut(key) else { return false };
        let is_refused =
            matches!(&place.state, SnapshotState::Refused { refusal, .. } if Arc::ptr_eq(refusal, refused));
        if is_refused {
            // Files that change all the time are looked at more and more rarely.
            place.refusals += 1;
            place.state = SnapshotState::Pending(SnapshotNeed::Made);
        }
        is_refused
    }

    /// Lets the next request try again what was refused for a reason that may pass.
    pub fn end_pauses(&mut self, now: Instant) {
        for place in self.places.values_mut() {
            if let SnapshotState::Refused { again: Some(again), .. } = &mut place.state {
                *again = now;
            }
        }
    }

    /// How many are ready, and how many are waited for.
    pub fn counts(&self) -> (usize, usize) {
        let ready = self.places.values().filter(|place| matches!(place.state, SnapshotState::Ready(_))).count();
        (ready, self.places.values().filter(|place| place.is_pending()).count())
    }

    /// Those that are ready.
    pub fn snapshots(&self) -> impl Iterator<Item = &S> {
        self.places.values().filter_map(|place| match &place.state {
            SnapshotState::Ready(ready) => Some(&*ready.snapshot),
            _ => None,
        })
    }

    /// Why there are not more, each reason once.
    pub fn refusals(&self, now: Instant) -> Vec<RefusalView> {
        let view = |place: &SnapshotPlace<S>| match &place.state {
            SnapshotState::Refused { refusal, again, .. } => Some(RefusalView {
                reason: refusal.reason.name(),
                text: refusal.reason.to_string(),
                span: refusal.reason.span(),
                retry_in: again.map(|again| again.saturating_duration_since(now)),
            }),
            _ => None,
        };
        let mut refusals: Vec<RefusalView> = self.places.values().filter_map(view).collect();
        refusals.sort();
        refusals.dedup_by(|next, first| (next.reason, &next.text) == (first.reason, &first.text));
        refusals
    }

    /// Whether one more snapshot may be waited for.
    fn may_wait(&self) -> bool {
        self.counts().1 < self.most
    }

    /// Forgets a kind of requests that has no snapshot, if there are too many. Whether there is room for another one.
    fn make_room(&mut self) -> bool {
        if self.places.len() < self.most + MAX_COLD {
            return true;
        }
        let cold = self.places.iter().filter(|(_, place)| place.is_cold());
        let oldest = cold.min_by_key(|(_, place)| place.used).map(|(key, _)| key.clone());
        oldest.is_some_and(|oldest| self.places.remove(&oldest).is_some())
    }

    /// Lets the snapshots go that were not used for the longest time, until there are not too many.
    fn let_go(&mut self, now: Instant) {
        while self.counts().0 > self.most {
            let ready = self.places.values_mut().filter(|place| matches!(place.state, SnapshotState::Ready(_)));
            let Some(oldest) = ready.min_by_key(|place| place.used) else { return };
            let SnapshotState::Ready(ReadySnapshot { took, .. }) = &oldest.state else { return };
            // Requests that need more snapshots than there may be would have each made anew all the time.
            let made_from = now + took.saturating_mul(10).min(LONGEST_REST);
            oldest.state = SnapshotState::Paused { loaded_from: Some(now + RELOADED_AFTER), made_from };
        }
    }
}

impl<S> SnapshotPlace<S> {
    fn is_pending(&self) -> bool {
        matches!(self.state, SnapshotState::Pending(_))
    }

    fn is_cold(&self) -> bool {
        matches!(self.state, SnapshotState::Refused { .. } | SnapshotState::Paused { .. })
    }

    /// What there is for a request, which may ask for one more snapshot if it `may_wait`.
    fn find(&mut self, may_wait: bool, now: impl FnOnce() -> Instant) -> FoundSnapshot<S> {
        let need = match &mut self.state {
            SnapshotState::Ready(ready) => return FoundSnapshot::Ready(ready.snapshot.clone()),
            SnapshotState::Pending(need @ SnapshotNeed::Kept { made_from: None }) => {
                *need = SnapshotNeed::Made;
                return FoundSnapshot::Nothing;
            }
            SnapshotState::Pending(_) => return FoundSnapshot::Nothing,
            SnapshotState::Refused { refusal, again, looked } => {
                let now = now();
                let interval = doubled(LOOK_INTERVAL, self.refusals).min(LONGEST_REST);
                let is_due = now.saturating_duration_since(*looked) >= interval;
                match again {
                    Some(again) if *again <= now => SnapshotNeed::Made,
                    None if is_due && !refusal.files.is_empty() => {
                        *looked = now;
                        return FoundSnapshot::Look(refusal.clone());
                    }
                    _ => return FoundSnapshot::Nothing,
                }
            }
            SnapshotState::Paused { loaded_from, made_from } => match now() {
                now if *made_from <= now => SnapshotNeed::Made,
                now if loaded_from.is_some_and(|from| from <= now) => {
                    SnapshotNeed::Kept { made_from: Some(*made_from) }
                }
                _ => return FoundSnapshot::Nothing,
            },
        };
        if !may_wait {
            return FoundSnapshot::Nothing;
        }
        self.state = SnapshotState::Pending(need);
        FoundSnapshot::Wanted
    }
}

/// A time that is doubled so often.
fn doubled(time: Duration, times: u32) -> Duration {
    time.saturating_mul(1 << times.min(16))
}

#[cfg(test)]
#[path = "snapshot_places_tests.rs"]
mod tests;
