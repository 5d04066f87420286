//! Which guest has to go because its client does not take what it prints?
//!
//! A guest that prints more than its client takes holds its permit for as long as it waits. So a client may only fall behind
//! so far: see `client_lag`. And the guests that wait for their clients have at most half of all permits, and half of those
//! of their entry, when others need them: a request that finds no permit then gets that of the guest whose client is the
//! furthest behind, among those of the client address that has the most of them. As long as there are permits, no guest has
//! to go before its client is too far behind.
//!
//! A [`ResponseReader`] holds the run of a guest while it waits for its client. To end the guest is to drop the run; the response
//! learns of it when the client asks for more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::observe::RequestSlot;
use crate::runtime::{Run, RunUsage};

use crate::gateway::admission::client_address::ClientAddress;
use crate::gateway::admission::client_lag::ClientLag;
use crate::gateway::admission::reader_limit::{Noticed, ReaderLimit};

/// How often clients that are too far behind are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The responses whose guests still run.
pub(in crate::gateway) struct Readers {
    limit: ReaderLimit,
    list: Mutex<List>,
}

/// The same of one entry: its share of the permits.
pub(in crate::gateway) struct EntryReaders {
    limit: ReaderLimit,
}

#[derive(Default)]
struct List {
    readers: HashMap<u64, Arc<SharedReader>>,
    next: u64,
    is_swept: bool,
}

/// Whose permit a request needs.
pub(in crate::gateway) enum PermitScope<'a> {
    All,
    Entry(&'a Arc<EntryReaders>),
}

/// Which client takes the response of a guest of which entry.
pub(in crate::gateway) struct ReaderSpec<'a> {
    pub client: Option<ClientAddress>,
    pub entry: &'a Arc<EntryReaders>,
    /// How far the client may be behind.
    pub max_lag: Duration,
    /// Where an operator can end the request.
    pub slot: Option<Arc<RequestSlot>>,
}

/// The client of a response whose guest still runs.
pub(in crate::gateway) struct ResponseReader {
    shared: Arc<SharedReader>,
    number: u64,
    readers: Arc<Readers>,
}

/// What a reader and the list share.
struct SharedReader {
    client: Option<ClientAddress>,
    entry: Arc<EntryReaders>,
    max_lag: Duration,
    slot: Option<Arc<RequestSlot>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The run, while it waits for its client.
    waiting: Option<Run>,
    lag: ClientLag,
    /// What a run has used that had to go.
    gone: Option<RunUsage>,
}

/// What has become of a run that waited for its client.
pub(in crate::gateway) enum Waited {
    /// It goes on; `None` if it did not wait.
    Run(Option<Run>),
    /// It had to go.
    Gone(RunUsage),
}

impl EntryReaders {
    pub fn new(share: usize) -> Arc<Self> {
        Arc::new(Self { limit: ReaderLimit::new(share) })
    }

    pub fn set_share(&self, share: usize) {
        self.limit.set_share(share);
    }
}

impl Readers {
    /// Responses of which `share` may keep their guests waiting.
    pub fn new(share: usize) -> Arc<Self> {
        Arc::new(Self { limit: ReaderLimit::new(share), list: Mutex::default() })
    }

    /// Ends the guest whose client is the furthest behind, if more guests wait for their clients than may.
    pub fn make_room(&self, scope: &PermitScope<'_>) {
        let now = Instant::now();
        let limit = match scope {
            PermitScope::All => &self.limit,
            PermitScope::Entry(entry) => &entry.limit,
        };
        if limit.is_quiet(now) {
            return;
        }
        let readers: Vec<_> =
            self.list().readers.values().filter(|reader| scope.contains(&reader.entry)).cloned().collect();
        let noticed = readers
            .iter()
            .enumerate()
            .filter_map(|(index, reader)| Some(Noticed { client: reader.client, lag: reader.noticed(now)?, index }));
        let chosen = limit.choose(&noticed.collect::<Vec<_>>(), now);
        chosen.and_then(|index| readers.get(index)).into_iter().for_each(|reader| reader.end());
    }

    /// Ends the guests whose clients are too far behind. Returns `false` if there are no more responses to look at.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut list = self.list();
        let late: Vec<_> = list.readers.values().filter(|reader| reader.is_late(now)).cloned().collect();
        list.is_swept = !list.readers.is_empty();
        let goes_on = list.is_swept;
        drop(list);
        late.iter().for_each(|reader| reader.end());
        goes_on
    }

    /// Ends the guests of requests that an operator has ended.
    pub fn end_cancelled(&self) {
        let cancelled: Vec<_> = self.list().readers.values().filter(|reader| reader.is_cancelled()).cloned().collect();
        cancelled.iter().for_each(|reader| reader.end());
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PermitScope<'_> {
    fn contains(&self, entry: &Arc<EntryReaders>) -> bool {
        match self {
            Self::All => true,
            Self::Entry(only) => Arc::ptr_eq(only, entry),
        }
    }
}

impl SharedReader {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the client is behind, if its guest waits for it and others may notice.
    fn noticed(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        // A guest that has ended has no permit.
        state.waiting.as_ref().filter(|run| !run.has_ended())?;
        state.lag.is_noticed(now).then(|| state.lag.at(now))
    }

    fn is_late(&self, now: Instant) -> bool {
        let state = self.state();
        let is_late = self.is_cancelled() || state.lag.at(now) > self.max_lag;
        is_late && state.waiting.as_ref().is_some_and(|run| !run.has_ended())
    }

    fn is_cancelled(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.is_cancelled())
    }

    /// Ends the guest, unless it does not wait any more.
    fn end(&self) {
        let mut state = self.state();
        let Some(run) = state.waiting.take() else { return };
        state.gone = Some(run.usage());
        drop(state);
        drop(run);
    }
}

impl ResponseReader {
    /// The client of this run, which waits for it already: its head has not been taken yet.
    pub fn new(readers: &Arc<Readers>, reader: &ReaderSpec<'_>, run: Run) -> Self {
        let shared = Arc::new(SharedReader {
            client: reader.client,
            entry: reader.entry.clone(),
            max_lag: reader.max_lag,
            slot: reader.slot.clone(),
            state: Mutex::default(),
        });
        let mut list = readers.list();
        let number = list.next;
        list.next += 1;
        list.readers.insert(number, shared.clone());
        let is_first = !std::mem::replace(&mut list.is_swept, true);
        drop(list);
        if is_first {
            let sweeper = Sweeper(Arc::downgrade(readers));
            tokio::spawn(sweeper.run());
        }
        let reader = Self { shared, number, readers: readers.clone() };
        reader.wait(run, 0);
        reader
    }

    /// The run waits until the client has taken these bytes, and asks for more.
    pub fn wait(&self, run: Run, bytes: usize) {
        let mut state = self.shared.state();
        state.lag.take(bytes);
        state.lag.begin_wait(Instant::now());
        state.waiting = Some(run);
    }

    /// Whether the run that waits is one of a component that responds to the request itself.
    pub fn is_http_component(&self) -> bool {
        self.shared.state().waiting.as_ref().is_some_and(Run::is_http_component)
    }

    /// The client asks for more.
    pub fn resume(&self) -> Waited {
        let mut state = self.shared.state();
        match (state.waiting.take(), state.gone) {
            (Some(run), _) => {
                state.lag.end_wait(Instant::now());
                Waited::Run(Some(run))
            }
            (None, Some(usage)) => Waited::Gone(usage),
            (None, None) => Waited::Run(None),
        }
    }
}

impl Drop for ResponseReader {
    fn drop(&mut self) {
        self.readers.list().readers.remove(&self.number);
    }
}

/// Looks for clients that are too far behind, until there are none.
struct Sweeper(Weak<Readers>);

impl Sweeper {
    async fn run(mut self) {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            if !self.0.upgrade().is_some_and(|readers| readers.sweep()) {
                // The list knows that it is not swept any more.
                self.0 = Weak::new();
                return;
            }
        }
    }
}

impl Drop for Sweeper {
    /// Its runtime ends. The next response begins another.
    fn drop(&mut self) {
        if let Some(readers) = self.0.upgrade() {
            readers.list().is_swept = false;
        }
    }
}
