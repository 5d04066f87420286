//! How many connections may be open: of all clients together, and of one client?

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{ServerConfig, TrustedProxies, WhenFull};
use crate::format::counted;
use crate::server::Peer;
use crate::server::connection::state::ConnectionState;

/// How often a full server tries to make room.
const RECLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// How many descriptors are for modules, files of guests and calls to other servers, and not for connections: a quarter, within
/// these bounds.
const RESERVE: std::ops::RangeInclusive<u64> = 32..=4096;

/// The same for a server that closes its oldest connections to answer, as the admin listener does: a quarter of those that are
/// not for the connections of others, within these bounds. It must not need more than are left when the other servers are full.
const BESIDE_OTHERS: std::ops::RangeInclusive<u64> = 8..=1024;

/// `connections`, or less if the process may not open enough descriptors. Otherwise the server would accept connections for which
/// it has no descriptor, instead of letting them wait.
pub(super) fn fit_descriptors(config: &ServerConfig) -> usize {
    let connections = config.limits.connections;
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if config.when_full == WhenFull::CloseOldest {
        return descriptors.map_or(connections, |descriptors| connections.min(connections_beside_others(descriptors)));
    }
    let Some(max) = descriptors.map(connections_within).filter(|max| *max < connections) else { return connections };
    let allowed = counted(max, "connection", "connections");
    tracing::warn!(
        connections,
        descriptors,
        "the limit on open descriptors allows only {allowed} at once: raise it (`ulimit -n`), or lower `connections`"
    );
    max
}

/// How many descriptors of the process are not for the connections of clients.
pub fn spare_descriptors() -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    usize::try_from(descriptors.map_or(*RESERVE.end(), reserve)).unwrap_or(usize::MAX)
}

/// How many of this number of descriptors are for connections.
fn connections_within(descriptors: u64) -> usize {
    usize::try_from(descriptors.saturating_sub(reserve(descriptors))).unwrap_or(usize::MAX).max(1)
}

/// How many of them are for the connections of a server beside another one.
fn connections_beside_others(descriptors: u64) -> usize {
    let connections = (reserve(descriptors) / 4).clamp(*BESIDE_OTHERS.start(), *BESIDE_OTHERS.end());
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// How many of them are not for the connections of clients.
fn reserve(descriptors: u64) -> u64 {
    (descriptors / 4).clamp(*RESERVE.start(), *RESERVE.end())
}

/// A limit of open connections, and of those of one client.
pub(super) struct ConnectionLimiter {
    total: Arc<Semaphore>,
    max: u32,
    clients: Arc<ClientCounts>,
}

/// The right to hold one connection of one client, until dropped.
pub(super) struct ConnectionPermit {
    _total: OwnedSemaphorePermit,
    _client: Option<ClientPermit>,
}

impl ConnectionLimiter {
    pub(super) fn new(max: usize, max_per_client: usize) -> Self {
        let max = u32::try_from(max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let clients = Arc::new(ClientCounts { max: max_per_client, counts: Mutex::default() });
        Self { total: Arc::new(Semaphore::new(max as usize)), max, clients }
    }

    /// Waits until one more connection may be accepted. Meanwhile `reclaim` makes room, if it can.
    pub(super) async fn acquire(&self, reclaim: impl Fn()) -> OwnedSemaphorePermit {
        loop {
            if let Ok(permit) = Arc::clone(&self.total).try_acquire_owned() {
                return permit;
            }
            reclaim();
            let permit = Arc::clone(&self.total).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(RECLAIM_INTERVAL, permit).await {
                #[expect(clippy::expect_used, reason = "nothing closes the semaphore")]
                return permit.expect("the semaphore is never closed");
            }
        }
    }

    /// A permit for one more connection, if there is one now.
    pub(super) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.total).try_acquire_owned().ok()
    }

    /// Makes the permit one for a connection of this client. `None` if the client has as many connections as it may have.
    pub(super) fn admit(
        &self,
        total: OwnedSemaphorePermit,
        peer: Peer,
        trusted: &TrustedProxies,
    ) -> Option<ConnectionPermit> {
        let client = match counted_address(peer, trusted) {
            Some(network) => Some(ClientCounts::admit(&self.clients, network)?),
            None => None,
        };
        Some(ConnectionPermit { _total: total, _client: client })
    }

    /// The number of permits in use.
    pub(super) fn in_use(&self) -> usize {
        self.max as usize - self.total.available_permits()
    }

    /// Waits until all permits are dropped.
    pub(super) async fn all_released(&self) {
        let _ = self.total.acquire_many(self.max).await;
    }
}

/// The address by which the connections of a client are counted. Those of trusted proxies and of this machine are not: behind
/// a proxy every client has its address, or none at all over a Unix socket.
fn counted_address(peer: Peer, trusted: &TrustedProxies) -> Option<IpAddr> {
    if peer.remote.ip()?.is_loopback() || peer.is_trusted(trusted) { None } else { peer.client_key() }
}

/// The connections of a server in which the oldest ones make room for new ones.
#[derive(Debug)]
pub(super) struct ConnectionQueue {
    /// The oldest first.
    open: Mutex<VecDeque<Weak<ConnectionState>>>,
    /// How many connections without an open request stay for `RECLAIM_INTERVAL`: theirs may be on its way. At most this number is
    /// closed at once, but at least one.
    spared: usize,
}

impl ConnectionQueue {
    /// One for at most `max` connections.
    pub(super) fn new(max: usize) -> Self {
        Self { open: Mutex::default(), spared: max / 8 }
    }

    /// Adds a connection that was just accepted.
    pub(super) fn add(&self, connection: &Arc<ConnectionState>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| connection.strong_count() > 0);
        open.push_back(Arc::downgrade(connection));
    }

    /// Closes the oldest connections without an open request: some at once, so that clients in a crowd are accepted quickly.
    pub(super) fn close_oldest(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &Arc<ConnectionState>| state.open_requests() == 0 && !state.write_blocked();
        let waiting =
            open.iter().enumerate().filter_map(|(index, state)| Some((index, state.upgrade().filter(waits)?)));
        let waiting: Vec<_> = waiting.collect();
        let count = match waiting.len().saturating_sub(self.spared) {
            0 => waiting.iter().take(1).filter(|(_, oldest)| oldest.opened().elapsed() >= RECLAIM_INTERVAL).count(),
            spare => spare.min(self.spared.max(1)),
        };
        for (index, state) in waiting.into_iter().take(count).rev() {
            open.remove(index);
            state.shutdown_both();
        }
    }
}

/// How many connections each client has.
struct ClientCounts {
    max: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection in the count of its client, until dropped.
struct ClientPermit {
    clients: Arc<ClientCounts>,
    network: IpAddr,
}

impl ClientCounts {
    fn admit(this: &Arc<Self>, network: IpAddr) -> Option<ClientPermit> {
        let mut counts = this.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= this.max {
            return None;
        }
        *count += 1;
        Some(ClientPermit { clients: Arc::clone(this), network })
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut counts = self.clients.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use crate::server::RemoteAddress;
    use crate::server::limiter::*;

    fn clients(max: usize) -> Arc<ClientCounts> {
        Arc::new(ClientCounts { max, counts: Mutex::default() })
    }

    #[test]
    fn some_descriptors_are_kept_for_others() {
        for (descriptors, connections) in
            [(0, 1), (40, 8), (256, 192), (1024, 768), (20_000, 15_904), (1 << 20, 1_044_480)]
        {
            assert_eq!(connections_within(descriptors), connections, "{descriptors}");
        }
    }

    #[test]
    fn a_server_beside_another_one_has_a_part_of_what_is_left() {
        for (descriptors, connections) in [(0, 8), (40, 8), (256, 16), (1024, 64), (2048, 128), (1 << 20, 1024)] {
            assert_eq!(connections_beside_others(descriptors), connections, "{descriptors}");
        }
    }

    #[test]
    fn one_client_has_a_limit_of_connections() {
        let (clients, client) = (clients(2), IpAddr::from([192, 0, 2, 1]));
        let first = ClientCounts::admit(&clients, client);
        let second = ClientCounts::admit(&clients, client);
        assert!(first.is_some() && second.is_some());
        assert!(ClientCounts::admit(&clients, client).is_none());
        assert!(ClientCounts::admit(&clients, IpAddr::from([192, 0, 2, 2])).is_some());
        drop(first);
        assert!(ClientCounts::admit(&clients, client).is_some());
    }

    #[test]
    fn a_proxy_on_the_same_machine_has_no_limit() {
        let peer = |text: &str| Peer::new(text.parse::<SocketAddr>().expect(text));
        for local in
            [Peer::new(RemoteAddress::Unix), peer("127.0.0.1:1"), peer("[::1]:1"), peer("[::ffff:127.0.0.1]:1")]
        {
            assert_eq!(counted_address(local, &TrustedProxies::default()), None, "{local:?}");
        }
    }

    #[test]
    fn a_trusted_proxy_has_no_limit() {
        let peer = |last: u8| Peer::new(SocketAddr::from(([192, 0, 2, last], 1)));
        let mut trusted = TrustedProxies::default();
        trusted.add("192.0.2.7").expect("an address");
        assert_eq!(counted_address(peer(7), &trusted), None);
        assert_eq!(counted_address(peer(1), &trusted), Some(IpAddr::from([192, 0, 2, 1])));
    }
}
