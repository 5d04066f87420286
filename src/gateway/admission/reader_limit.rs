//! Which guest has to go when a request needs its permit?
//!
//! None, as long as those that wait for their clients have no more than their share. Else the one whose client is the furthest
//! behind, of the client address that has the most of them: the only slow reader of its address is not chosen while another
//! address has several.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::gateway::admission::client_address::ClientAddress;

/// How long the search pauses after it has found no guest to end, however many requests wait.
const QUIET: Duration = Duration::from_millis(5);

/// A limit on the guests that wait for their clients while requests need permits.
pub(in crate::gateway::admission) struct ReaderLimit {
    share: AtomicUsize,
    quiet_until: Mutex<Option<Instant>>,
}

/// A client that is behind, so that its guest may have to go.
pub(in crate::gateway::admission) struct Noticed {
    pub client: Option<ClientAddress>,
    pub lag: Duration,
    pub index: usize,
}

impl ReaderLimit {
    /// A limit of `share` such guests.
    pub fn new(share: usize) -> Self {
        Self { share: AtomicUsize::new(share), quiet_until: Mutex::default() }
    }

    /// Changes the number.
    pub fn set_share(&self, share: usize) {
        self.share.store(share, Relaxed);
    }

    /// Whether it was looked a moment ago, and no guest had to go.
    pub fn is_quiet(&self, now: Instant) -> bool {
        self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }

    /// The index of the guest that has to go. If there is none, it is quiet for a while.
    pub fn choose(&self, noticed: &[Noticed], now: Instant) -> Option<usize> {
        let chosen = furthest_behind(noticed, self.share.load(Relaxed));
        if chosen.is_none() {
            *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + QUIET);
        }
        chosen
    }
}

/// The index of the client that is the furthest behind, of the address that has the most of them, if they are more than
/// `share`.
fn furthest_behind(noticed: &[Noticed], share: usize) -> Option<usize> {
    if noticed.len() <= share {
        return None;
    }
    let mut held: HashMap<Option<ClientAddress>, usize> = HashMap::new();
    for reader in noticed {
        *held.entry(reader.client).or_default() += 1;
    }
    let last = noticed.iter().max_by_key(|reader| (held.get(&reader.client).copied(), reader.lag))?;
    Some(last.index)
}

#[cfg(test)]
mod tests {
    use crate::gateway::admission::client_address::tests::numbered as client;
    use crate::gateway::admission::reader_limit::*;

    #[test]
    fn the_client_that_is_furthest_behind_goes_of_the_address_that_has_the_most() {
        let noticed = |clients: &[(u8, u64)]| -> Vec<Noticed> {
            let noticed = clients.iter().enumerate();
            let noticed = noticed.map(|(index, (last, lag))| Noticed {
                client: client(*last),
                lag: Duration::from_secs(*lag),
                index,
            });
            noticed.collect()
        };
        for (clients, share, expected) in [
            (&[][..], 0, None),
            (&[(1, 9)], 1, None),
            (&[(1, 9)], 0, Some(0)),
            (&[(1, 1), (1, 3), (1, 2)], 2, Some(1)),
            (&[(1, 1), (1, 2), (2, 100)], 2, Some(1)),
            (&[(2, 100), (1, 1), (1, 2), (3, 5), (1, 1)], 4, Some(2)),
            (&[(2, 100), (1, 1), (1, 2), (3, 5), (1, 1)], 5, None),
        ] {
            assert_eq!(furthest_behind(&noticed(clients), share), expected, "{clients:?} {share}");
        }
    }

    #[test]
    fn it_is_not_looked_all_the_time() {
        let (limit, now) = (ReaderLimit::new(1), Instant::now());
        assert!(!limit.is_quiet(now));
        assert_eq!(limit.choose(&[], now), None);
        assert!(limit.is_quiet(now) && !limit.is_quiet(now + QUIET));
    }
}
