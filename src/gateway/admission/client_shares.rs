//! How much of a resource that all clients share may one client hold?
//!
//! A client that holds nothing takes no memory here.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gateway::admission::client_address::ClientAddress;

/// How much each client holds of one resource, and the most that one client may hold.
pub(in crate::gateway) struct ClientShares {
    max: usize,
    held: Mutex<HashMap<ClientAddress, usize>>,
}

/// What one request of a client holds, until dropped.
pub(in crate::gateway) struct Share {
    shares: Arc<ClientShares>,
    client: ClientAddress,
    held: usize,
}

/// Permits that all clients share, and of which one client may hold only some.
pub(in crate::gateway) struct SharedPermits {
    permits: Arc<Semaphore>,
    clients: Arc<ClientShares>,
}

/// One of these permits.
pub(in crate::gateway) struct SharedPermit {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// Something that exists only with a permit.
pub(in crate::gateway) struct Permitted<T> {
    item: T,
    _permit: SharedPermit,
}

impl<T> Permitted<T> {
    pub fn new(item: T, permit: SharedPermit) -> Self {
        Self { item, _permit: permit }
    }
}

impl<T> Deref for Permitted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Permitted<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}

impl SharedPermits {
    /// This many permits in all, and for one client.
    pub fn new(count: usize, for_one: usize) -> Self {
        let permits = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { permits, clients: ClientShares::new(for_one.max(1)) }
    }

    /// Returns a permit, if there is one now. A client that is not known has no share.
    pub fn try_acquire(&self, client: Option<ClientAddress>) -> Option<SharedPermit> {
        let share = match client {
            Some(client) => {
                let mut share = self.clients.share(client);
                Some(share.grow(1).then_some(share)?)
            }
            None => None,
        };
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        Some(SharedPermit { _permit: permit, _share: share })
    }
}

impl ClientShares {
    /// Shares of at most `max` per client.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, held: Mutex::default() })
    }

    /// The share of one request, which holds nothing yet.
    pub fn share(self: &Arc<Self>, client: ClientAddress) -> Share {
        Share { shares: self.clone(), client, held: 0 }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ClientAddress, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Grows the share by `count`. Returns `false`, and does not grow, if the client would hold more than it may.
    #[must_use]
    pub fn grow(&mut self, count: usize) -> bool {
        let mut held = self.shares.held();
        let client = held.get(&self.client).copied().unwrap_or(0);
        let Some(grown) = client.checked_add(count).filter(|&grown| grown <= self.shares.max) else { return false };
        if grown > 0 {
            held.insert(self.client, grown);
        }
        self.held += count;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        if let Some(client) = held.get_mut(&self.client) {
            *client = client.saturating_sub(self.held);
            if *client == 0 {
                held.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::gateway::admission::client_address::tests::numbered;
    use crate::gateway::admission::client_shares::*;

    fn client(last: u8) -> ClientAddress {
        numbered(last).expect("a peer")
    }

    #[test]
    fn a_client_holds_at_most_its_share_whatever_others_hold() {
        let shares = ClientShares::new(3);
        let (mut one, mut same, mut other) =
            (shares.share(client(1)), shares.share(client(1)), shares.share(client(2)));
        assert!(one.grow(2) && same.grow(1) && !same.grow(1) && !one.grow(1));
        assert!(other.grow(3));
        drop(one);
        assert!(same.grow(2) && !same.grow(1));
    }

    #[test]
    fn a_client_that_holds_nothing_is_forgotten() {
        let shares = ClientShares::new(3);
        let (mut one, none) = (shares.share(client(1)), shares.share(client(2)));
        assert!(one.grow(0) && one.grow(3));
        assert_eq!(shares.held().len(), 1);
        drop((one, none));
        assert_eq!(shares.held().len(), 0);
    }
}
