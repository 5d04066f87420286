//! How connections are admitted: one at a time, never more than allowed, and never stopping because of one that fails.
//! Run by `Server::serve`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::server::connection::ConnectionBuilder;
use crate::server::counters::{Counters, PanicCounter};
use crate::server::shutdown::{Shutdown, Stage};
use crate::server::{Peer, RequestBody};

/// Pauses after a failed accept: the system lacks something that only time brings back.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// Failures in a row are logged once in this time.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How often idle connections are asked for room while the server is full.
const CROWDED_INTERVAL: Duration = Duration::from_secs(1);
/// How long connections may take to end after they were cut.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The places for connections.
pub(super) struct ConnectionLimiter {
    seats: Arc<Semaphore>,
    count: u32,
    addresses: Arc<Addresses>,
}

/// A place, free again when dropped.
struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    _address: CountedAddress,
    _note: PanicCounter,
}

impl ConnectionLimiter {
    pub(super) fn new(connections: usize, per_address: usize) -> Self {
        let count = u32::try_from(connections.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let addresses = Arc::new(Addresses { most: per_address, counts: Mutex::default() });
        Self { seats: Arc::new(Semaphore::new(count as usize)), count, addresses }
    }

    /// Waits for a free place.
    async fn seat(&self, shutdown: &Shutdown) -> OwnedSemaphorePermit {
        loop {
            if let Ok(permit) = Arc::clone(&self.seats).try_acquire_owned() {
                return permit;
            }
            shutdown.announce_crowded();
            let waiting = Arc::clone(&self.seats).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(CROWDED_INTERVAL, waiting).await {
                return permit.expect("the semaphore is never closed");
            }
        }
    }

    /// Waits until every place is free.
    async fn empty(&self) {
        let _ = self.seats.acquire_many(self.count).await;
    }
}

/// Admits connections until `shutdown`, then sees the last of them out.
pub(super) async fn run<S, B>(
    listener: TcpListener,
    doors: ConnectionLimiter,
    terms: Arc<ConnectionBuilder>,
    service: S,
    (shutdown, grace): (impl Future<Output = ()>, Duration),
) where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    tokio::select! {
        biased;
        () = shutdown => {}
        () = admit(&listener, &doors, &terms, service) => {}
    }
    drop(listener);
    drain(&doors, &terms.shutdown, grace).await;
}

async fn admit<S, B>(listener: &TcpListener, doors: &ConnectionLimiter, terms: &Arc<ConnectionBuilder>, service: S)
where
    S: tower_service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut troubles = AcceptBackoff::default();
    loop {
        let permit = doors.seat(&terms.shutdown).await;
        let (tcp, address) = accept(listener, &mut troubles, &terms.counters).await;
        let peer = Peer { address: SocketAddr::new(address.ip().to_canonical(), address.port()) };
        let Some(address) = Addresses::admit(&doors.addresses, peer.address.ip()) else {
            Counters::count(&terms.counters.refused);
            tracing::debug!(peer = %peer.address, "too many connections from one address");
            continue;
        };
        let seat =
            ConnectionPermit { _permit: permit, _address: address, _note: PanicCounter(Arc::clone(&terms.counters)) };
        let (terms, service) = (Arc::clone(terms), service.clone());
        tokio::spawn(async move {
            let _seat = seat;
            terms.serve(tcp, peer, service).await;
        });
    }
}

async fn drain(doors: &ConnectionLimiter, shutdown: &Shutdown, grace: Duration) {
    shutdown.announce(Stage::Draining);
    if tokio::time::timeout(grace, doors.empty()).await.is_err() {
        let open = doors.count as usize - doors.seats.available_permits();
        tracing::warn!(connections = open, ?grace, "requests cut off by the shutdown");
        shutdown.announce(Stage::Aborting);
        // Only a service that blocks its thread holds a connection now, and it cannot be waited for.
        let _ = tokio::time::timeout(LAST_WAIT, doors.empty()).await;
    }
}

/// The next connection; failures are waited out.
async fn accept(listener: &TcpListener, troubles: &mut AcceptBackoff, counters: &Counters) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((tcp, address)) => {
                Counters::count(&counters.accepted);
                troubles.pause = FIRST_PAUSE;
                // Fails only on a connection that is gone, which its first read will tell.
                let _ = tcp.set_nodelay(true);
                return (tcp, address);
            }
            Err(error) => {
                let failures = Counters::count(&counters.accept_errors);
                troubles.wait_out(&error, failures).await;
            }
        }
    }
}

struct AcceptBackoff {
    pause: Duration,
    logged: Option<Instant>,
}

impl Default for AcceptBackoff {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE, logged: None }
    }
}

impl AcceptBackoff {
    async fn wait_out(&mut self, error: &io::Error, failures: u64) {
        // The client gave up before its turn; nothing is wrong here.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return;
        }
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            tracing::error!(%error, failures, "cannot accept connections");
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// How many connections each client address has.
struct Addresses {
    most: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection in the count of its address, until dropped.
struct CountedAddress {
    addresses: Arc<Addresses>,
    key: IpAddr,
}

impl Addresses {
    /// `None` if the address has as many connections as it may.
    fn admit(this: &Arc<Self>, address: IpAddr) -> Option<CountedAddress> {
        // Behind a proxy on the same machine every client has this address.
        let most = if address.is_loopback() { usize::MAX } else { this.most };
        let key = one_client(address);
        let mut counts = this.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(CountedAddress { addresses: Arc::clone(this), key })
    }
}

impl Drop for CountedAddress {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// An IPv6 client usually owns a whole /64 and could use a new address for every connection.
fn one_client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use crate::server::accept::*;

    fn addresses(most: usize) -> Arc<Addresses> {
        Arc::new(Addresses { most, counts: Mutex::default() })
    }

    #[test]
    fn one_address_has_so_many_connections() {
        let (addresses, client) = (addresses(2), IpAddr::from([192, 0, 2, 1]));
        let first = Addresses::admit(&addresses, client);
        let second = Addresses::admit(&addresses, client);
        assert!(first.is_some() && second.is_some());
        assert!(Addresses::admit(&addresses, client).is_none());
        assert!(Addresses::admit(&addresses, IpAddr::from([192, 0, 2, 2])).is_some());
        drop(first);
        assert!(Addresses::admit(&addresses, client).is_some());
    }

    #[test]
    fn a_proxy_on_the_same_machine_has_as_many_as_it_likes() {
        let addresses = addresses(1);
        let local = IpAddr::from([127, 0, 0, 1]);
        let _first = Addresses::admit(&addresses, local);
        assert!(Addresses::admit(&addresses, local).is_some());
    }
}
