//! How is a name resolved once for many calls?
//!
//! Calls that need the same name at the same time share one lookup, because the resolver of the system takes a thread for each
//! lookup. A call that comes after the answer looks the name up again, so that no call gets an old answer.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OnceCell, Semaphore};

use crate::net::connect::transport::Transport;

/// Names that one connector resolves at once. Each takes a thread for as long as the name servers are silent.
const MAX_LOOKUPS: usize = 8;

/// What all calls that wait for a name get.
type SharedLookup = OnceCell<Result<Vec<SocketAddr>, Arc<io::Error>>>;

/// The names that one connector is resolving.
pub(super) struct Lookups {
    transport: Arc<dyn Transport>,
    permits: Arc<Semaphore>,
    under_way: Mutex<HashMap<(String, u16), Weak<SharedLookup>>>,
}

impl Lookups {
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, permits: Arc::new(Semaphore::new(MAX_LOOKUPS)), under_way: Mutex::default() }
    }

    /// The addresses of a name. If the call that resolves it gives up, the next one that waits goes on.
    pub async fn addresses(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Arc<io::Error>> {
        let lookup = self.shared(name, port);
        let found = lookup.get_or_init(async || {
            let found = self.resolve(name, port).await.map_err(Arc::new);
            self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&(name.to_owned(), port));
            found
        });
        found.await.clone()
    }

    /// The lookup of a name that is under way, or a new one.
    fn shared(&self, name: &str, port: u16) -> Arc<SharedLookup> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), port);
        if let Some(lookup) = under_way.get(&key).and_then(Weak::upgrade) {
            return lookup;
        }
        // Lookups that no call waits for go, so that there are no more than calls.
        under_way.retain(|_, lookup| lookup.strong_count() > 0);
        let lookup = Arc::new(SharedLookup::new());
        under_way.insert(key, Arc::downgrade(&lookup));
        lookup
    }

    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let permit = self.permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        self.transport.lookup(name.to_owned(), port, permit).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpStream;
    use tokio::sync::OwnedSemaphorePermit;
    use tokio::task::{JoinSet, yield_now};

    use crate::net::connect::resolve::*;
    use crate::net::connect::transport::Pending;

    /// Resolves names when the gate opens, and counts the lookups.
    struct Slow {
        gate: Arc<Semaphore>,
        lookups: AtomicUsize,
    }

    impl Transport for Slow {
        fn lookup(&self, _: String, port: u16, _: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>> {
            let number = self.lookups.fetch_add(1, Ordering::Relaxed);
            let gate = self.gate.clone();
            Box::pin(async move {
                gate.acquire().await.map_err(io::Error::other)?.forget();
                Ok(vec![SocketAddr::from(([93, 184, 216, number as u8], port))])
            })
        }

        fn connect(&self, _: SocketAddr) -> Pending<TcpStream> {
            Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
        }
    }

    fn slow() -> (Arc<Slow>, Arc<Lookups>) {
        let slow = Arc::new(Slow { gate: Arc::new(Semaphore::new(0)), lookups: AtomicUsize::new(0) });
        (slow.clone(), Arc::new(Lookups::new(slow)))
    }

    async fn begin(lookups: &Arc<Lookups>, count: usize) -> JoinSet<Vec<SocketAddr>> {
        let (mut calls, started) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..count {
            let (lookups, started) = (lookups.clone(), started.clone());
            calls.spawn(async move {
                started.fetch_add(1, Ordering::Relaxed);
                lookups.addresses("a.example", 80).await.expect("an answer")
            });
        }
        // There is one thread: a task that has started has gone as far as it gets.
        while started.load(Ordering::Relaxed) < count {
            yield_now().await;
        }
        calls
    }

    #[tokio::test]
    async fn calls_at_once_share_a_lookup_and_a_later_one_does_not() {
        let (slow, lookups) = slow();
        let calls = begin(&lookups, 1000).await;
        slow.gate.add_permits(1);
        let answers = calls.join_all().await;
        assert_eq!((answers.len(), slow.lookups.load(Ordering::Relaxed)), (1000, 1));
        assert!(answers.iter().all(|answer| answer[0].to_string() == "93.184.216.0:80"));
        slow.gate.add_permits(1);
        assert_eq!(lookups.addresses("a.example", 80).await.expect("an answer")[0].to_string(), "93.184.216.1:80");
        assert!(lookups.under_way.lock().expect("no panic").is_empty());
    }

    #[tokio::test]
    async fn others_go_on_when_the_first_gives_up() {
        let (slow, lookups) = slow();
        let mut first = begin(&lookups, 1).await;
        let others = begin(&lookups, 5).await;
        first.shutdown().await;
        slow.gate.add_permits(1);
        assert_eq!((others.join_all().await.len(), slow.lookups.load(Ordering::Relaxed)), (5, 2));
    }
}
