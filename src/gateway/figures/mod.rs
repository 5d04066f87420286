//! What has a gateway counted, and what is there to see of it now?
//!
//! `observe::metrics` counts and writes. Here is what only the gateway knows: its routes, its permits, its servers.

mod requests;
pub(super) mod routes;
pub(super) mod warm_starts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::observe::{Gauges, ListenerGauges, MetricsFormat, ModuleLabels, ReloadResult, RouteFigures};
use crate::server::{ServerHandle, WeakServerHandle};

use crate::gateway::admission::concurrency::{EntryConcurrency, TotalConcurrency};
use crate::gateway::guest_route::GuestRoute;
use crate::gateway::snapshot::Snapshot;
use crate::gateway::{Gateway, Generation};

/// The servers in front of a gateway, as long as they are there.
#[derive(Default)]
pub(super) struct ServerList(Mutex<Vec<WeakServerHandle>>);

impl ServerList {
    fn add(&self, server: &ServerHandle) {
        let mut servers = self.lock();
        servers.retain(|server| server.upgrade().is_some());
        servers.push(server.downgrade());
    }

    fn all(&self) -> Vec<ServerHandle> {
        self.lock().iter().filter_map(WeakServerHandle::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<WeakServerHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// The metrics as text, in the format of Prometheus (`text/plain; version=0.0.4`).
    pub fn render_metrics(&self) -> String {
        self.render_metrics_as(MetricsFormat::Text)
    }

    /// The metrics in a format. [`MetricsFormat::accepted`] tells which one a client wants.
    pub fn render_metrics_as(&self, format: MetricsFormat) -> String {
        let generation = self.in_force.load();
        generation.shared.metrics.render(&generation.gauges(), format)
    }

    /// What was counted of each route. Quantiles are those of the last minute if it is called every few seconds.
    pub fn route_figures(&self) -> Vec<RouteFigures> {
        self.in_force.load().shared.metrics.figures()
    }

    /// Lets the metrics have the connections and certificates of a server, as long as it is there.
    pub fn count_server(&self, server: &ServerHandle) {
        self.in_force.load().shared.servers.add(server);
    }

    /// Begins to make the first snapshots of guests that may begin warm.
    pub(crate) fn begin_warm_starts(&self) {
        self.in_force.load().snapshot.guest_routes().for_each(|route| route.guest.begin_warm_starts());
    }

    /// Counts a reload that has ended.
    pub(crate) fn add_reload(&self, result: ReloadResult) {
        self.in_force.load().shared.metrics.add_reload(result);
    }
}

impl Generation {
    fn gauges(&self) -> Gauges {
        let Self { number, snapshot, shared, earlier_starts } = self;
        let servers = shared.servers.all();
        Gauges {
            generation: *number,
            concurrency: concurrency(snapshot, &shared.concurrency),
            dropped_lines: shared.metrics.dropped_lines(&shared.access_log),
            malformed_forwarded: shared.malformed_forwarded.load(Ordering::Relaxed),
            warm_starts: earlier_starts.with(snapshot),
            modules: snapshot.guest_routes().map(labels).collect::<BTreeSet<_>>(),
            listeners: listeners(&servers),
            certificates: certificates(&servers),
        }
    }
}

/// The guests that run and how many may: of each module, and of all with an empty name.
fn concurrency(snapshot: &Snapshot, total: &TotalConcurrency) -> BTreeMap<String, (usize, usize)> {
    let mut entries: Vec<(&str, &EntryConcurrency)> = Vec::new();
    for route in snapshot.guest_routes() {
        // All routes of an entry share their permits, and follow each other.
        if !entries.last().is_some_and(|(_, entry)| entry.is(&route.concurrency)) {
            entries.push((&route.name.module, &route.concurrency));
        }
    }
    let mut found = BTreeMap::from([(String::new(), total.usage())]);
    for (module, entry) in entries {
        let (of_module, (running, limit)) = (found.entry(module.to_owned()).or_default(), entry.usage());
        *of_module = (of_module.0.saturating_add(running), of_module.1.saturating_add(limit));
    }
    found
}

/// How often guests of earlier snapshots began warm and cold, of the routes that there still are. So the counters go on after a reload.
#[derive(Default)]
pub(super) struct EarlierStarts(BTreeMap<String, (u64, u64)>);

impl EarlierStarts {
    /// The same for the snapshot behind `old`: with what was counted by guests that the new one does not have.
    pub fn behind(&self, old: &Snapshot, new: &Snapshot) -> Self {
        let stay: Vec<&GuestRoute> = warm_routes(new).collect();
        let is_gone = |route: &&GuestRoute| !stay.iter().any(|other| route.guest.shares_warm_starts(&other.guest));
        let mut earlier = self.0.clone();
        warm_routes(old).filter(is_gone).for_each(|route| add_starts(&mut earlier, route));
        earlier.retain(|name, _| stay.iter().any(|route| route.name.route == *name));
        Self(earlier)
    }

    /// With those of the routes of a snapshot.
    fn with(&self, snapshot: &Snapshot) -> BTreeMap<String, (u64, u64)> {
        let mut found = self.0.clone();
        warm_routes(snapshot).for_each(|route| add_starts(&mut found, route));
        found
    }
}

/// The routes whose guests may begin warm.
fn warm_routes(snapshot: &Snapshot) -> impl Iterator<Item = &GuestRoute> {
    snapshot.guest_routes().filter(|route| route.guest.warm_start_counts().is_some())
}

fn add_starts(to: &mut BTreeMap<String, (u64, u64)>, route: &GuestRoute) {
    let counts = route.guest.warm_start_counts().unwrap_or_default();
    let (warm, cold) = to.entry(route.name.route.clone()).or_default();
    (*warm, *cold) = (warm.saturating_add(counts.warm), cold.saturating_add(counts.cold));
}

fn labels(route: &GuestRoute) -> ModuleLabels {
    let facts = &route.module;
    ModuleLabels { module: route.name.module.clone(), digest: facts.digest.to_string(), kind: facts.kind }
}

fn listeners(servers: &[ServerHandle]) -> BTreeMap<String, ListenerGauges> {
    let figures = servers.iter().flat_map(ServerHandle::listeners);
    figures
        .map(|listener| (listener.url, ListenerGauges { open: listener.open, counts: listener.connections }))
        .collect()
}

/// When certificates end, by their subject. Of those with the same subject the first that ends counts.
fn certificates(servers: &[ServerHandle]) -> BTreeMap<String, SystemTime> {
    let mut ends = BTreeMap::new();
    for certificate in servers.iter().flat_map(ServerHandle::certificates) {
        let end = ends.entry(certificate.subject).or_insert(certificate.not_after);
        *end = certificate.not_after.min(*end);
    }
    ends
}
