//! What does a configuration leave to the next one?
//!
//! After a reload an entry that stays has its permits, so that its old and its new guests together keep to its limit, and its
//! connections to upstreams. A module that stays is not asked for its sub-routes again.

use std::collections::HashMap;

use crate::config::{AllowedHosts, EntryConfig, ModuleRef};
use crate::gateway::EntryConcurrency;
use crate::outbound::{CallLimits, Client, Network};

use crate::startup::discover::SubRouteCache;

/// What the next configuration gets.
#[derive(Default)]
pub(super) struct Handover {
    pub sub_routes: SubRouteCache,
    /// By what makes two entries the same. A file may have the same entry several times.
    entries: HashMap<EntryKey, Vec<EntryState>>,
}

/// What makes entries of two configurations the same.
#[derive(PartialEq, Eq, Hash)]
struct EntryKey {
    route: String,
    module: ModuleRef,
}

/// What all guests of an entry share, also with those of the same entry in other configurations.
#[derive(Clone)]
pub(super) struct EntryState {
    pub concurrency: EntryConcurrency,
    /// The limit that `concurrency` gets when the configuration is put in force.
    limit: usize,
    pub client: Option<EntryClient>,
}

/// The client of an entry, and what it depends on.
#[derive(Clone)]
pub(super) struct EntryClient {
    pub client: Client,
    allowed: AllowedHosts,
    network: Network,
}

impl EntryState {
    /// The state of an entry. What is the same as `before` stays.
    pub fn new(entry: &EntryConfig, network: Option<&Network>, before: Option<&Self>) -> Self {
        let limit = entry.limits.concurrency;
        let concurrency = before.map_or_else(|| EntryConcurrency::new(limit), |before| before.concurrency.clone());
        let network = network.filter(|_| entry.allowed_hosts != AllowedHosts::None);
        let known = before.and_then(|before| before.client.as_ref());
        let client = network.map(|network| match known {
            Some(known) if known.allowed == entry.allowed_hosts && known.network == *network => known.clone(),
            _ => EntryClient {
                client: network.client(entry.allowed_hosts.clone(), CallLimits::default()),
                allowed: entry.allowed_hosts.clone(),
                network: network.clone(),
            },
        });
        Self { concurrency, limit, client }
    }
}

impl Handover {
    /// The state for the next copy of `entry`: that of the copy with the same number, as `next` counts them.
    pub fn state(&self, entry: &EntryConfig, next: &Self) -> Option<&EntryState> {
        let key = EntryKey::of(entry);
        let number = next.entries.get(&key).map_or(0, Vec::len);
        self.entries.get(&key)?.get(number)
    }

    /// Adds the state of an entry.
    pub fn add(&mut self, entry: &EntryConfig, state: EntryState) {
        self.entries.entry(EntryKey::of(entry)).or_default().push(state);
    }

    /// Sets the limits of the entries, which may be others than before.
    pub fn set_limits(&self) {
        for state in self.entries.values().flatten() {
            state.concurrency.set_limit(state.limit);
        }
    }
}

impl EntryKey {
    fn of(entry: &EntryConfig) -> Self {
        Self { route: entry.route.to_string(), module: entry.module.clone() }
    }
}
