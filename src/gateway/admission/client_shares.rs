//! How much of a resource that all clients share may one client hold?
//!
//! Only requests with bodies hold something. A client that holds nothing takes no memory here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
