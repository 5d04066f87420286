//! How is a reload asked for, what comes of it, and how does it come into force?
//!
//! What wants one has a [`ReloadHandle`]: a signal, a change of files. `startup` reloads, one at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::config::Diagnostic;

use crate::gateway::snapshot::Snapshot;
use crate::gateway::{Gateway, Generation};

/// Reloads that can be asked for before one of them begins. More have the same effect.
const MAX_REQUESTS: usize = 64;

/// What came of a reload.
#[derive(Clone, Debug)]
pub enum ReloadOutcome {
    /// The new configuration is in force.
    Swapped(ReloadReport),
    /// Nothing has changed.
    Unchanged(ReloadReport),
    /// The new configuration has errors. The old one stays in force.
    Refused {
        /// The number of the generation that stays.
        generation: u64,
        /// What is wrong, warnings among it.
        problems: Vec<Diagnostic>,
    },
}

/// The configuration that is in force after a reload.
#[derive(Clone, Debug)]
pub struct ReloadReport {
    /// The number of its generation.
    pub generation: u64,
    /// How many routes lead to guests.
    pub routes: usize,
    /// How many modules with different content there are.
    pub modules: usize,
    /// How many of them were compiled for it.
    pub compiled: usize,
    /// How long the reload took.
    pub took: Duration,
    /// What may not be as the operator meant.
    pub warnings: Vec<Diagnostic>,
}

/// Asks for reloads. Clones ask the same server.
#[derive(Clone, Debug)]
pub struct ReloadHandle(mpsc::Sender<ReloadRequest>);

/// Takes what a [`ReloadHandle`] asks for.
#[derive(Debug)]
pub struct ReloadRequests(mpsc::Receiver<ReloadRequest>);

/// A reload that was asked for, and who waits for it.
#[derive(Debug)]
pub struct ReloadRequest(Option<oneshot::Sender<Arc<ReloadOutcome>>>);

impl Gateway {
    /// Puts a snapshot in force, for the requests that begin from now on. Returns the number of its generation. There must be
    /// no other call at the same time.
    pub(crate) fn replace(&self, snapshot: Snapshot) -> u64 {
        let number = self.generation() + 1;
        self.put(number, snapshot);
        number
    }

    /// The same for a snapshot of the same configuration, of which more can be served: it has the same number.
    pub(crate) fn extend(&self, snapshot: Snapshot) {
        self.put(self.generation(), snapshot);
    }

    fn put(&self, number: u64, snapshot: Snapshot) {
        let old = self.in_force.load();
        let shared = old.shared.clone();
        shared.metrics.enter(snapshot.route_names());
        let earlier_starts = old.earlier_starts.behind(&old.snapshot, &snapshot);
        self.in_force.store(Arc::new(Generation { number, snapshot, shared, earlier_starts }));
    }

    /// The number of the generation in force: 1 after the start, and one more after each reload that changed something.
    pub fn generation(&self) -> u64 {
        self.in_force.load().number
    }
}

/// A handle, and what takes its requests.
pub fn reload_channel() -> (ReloadHandle, ReloadRequests) {
    let (sender, receiver) = mpsc::channel(MAX_REQUESTS);
    (ReloadHandle(sender), ReloadRequests(receiver))
}

impl ReloadHandle {
    /// Reloads, and returns what came of it. If a reload is under way, another one follows, since files may have changed
    /// meanwhile. `None` if the server is ending.
    pub async fn reload(&self) -> Option<Arc<ReloadOutcome>> {
        let (sender, receiver) = oneshot::channel();
        self.0.send(ReloadRequest(Some(sender))).await.ok()?;
        receiver.await.ok()
    }

    /// Lets the server reload soon.
    pub fn trigger(&self) {
        // When there is no room, reloads are waiting that will read the same files.
        let _ = self.0.try_send(ReloadRequest(None));
    }
}

impl ReloadRequests {
    /// Waits for a reload to be asked for; `None` when nothing can ask any more.
    pub async fn next(&mut self) -> Option<ReloadRequest> {
        self.0.recv().await
    }

    /// What was asked for until now.
    pub fn waiting(&mut self) -> Vec<ReloadRequest> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

impl ReloadRequest {
    /// Tells what came of the reload.
    pub fn answer(self, outcome: &Arc<ReloadOutcome>) {
        if let Self(Some(sender)) = self {
            // The one that has asked may have left.
            let _ = sender.send(outcome.clone());
        }
    }
}
