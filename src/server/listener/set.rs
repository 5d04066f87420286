//! Which listeners does the server have? A reload changes them while it serves.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::ListenAddress;
use crate::server::listener::Listener;
use crate::server::listener::error::ListenError;
use crate::server::shutdown::{ConnectionControl, ShutdownStage};

/// The listeners that connections are accepted from, in the order of the configuration.
pub(in crate::server) type Listeners = Arc<[Arc<Listener>]>;

/// The listeners of a server.
pub(in crate::server) struct ListenerSet {
    current: watch::Sender<Listeners>,
    announced: Mutex<Announced>,
}

/// What all connections know.
struct Announced {
    stage: ShutdownStage,
    /// The connections of listeners that a reload has removed.
    retired: Vec<Arc<ConnectionControl>>,
}

impl ListenerSet {
    pub(in crate::server) fn new(listeners: Listeners) -> Self {
        let announced = Mutex::new(Announced { stage: ShutdownStage::Open, retired: Vec::new() });
        Self { current: watch::Sender::new(listeners), announced }
    }

    /// The listeners, and how one learns that they have changed.
    pub(in crate::server) fn subscribe(&self) -> watch::Receiver<Listeners> {
        self.current.subscribe()
    }

    pub(in crate::server) fn current(&self) -> Listeners {
        Arc::clone(&self.current.borrow())
    }

    /// The TCP addresses, in order.
    pub(in crate::server) fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.current().iter().filter_map(|listener| listener.tcp_address()).collect()
    }

    /// Replaces the listeners. Those that are gone are closed, and their connections drained. Returns whether that was done: a
    /// server that stops keeps what it has.
    pub(in crate::server) fn replace(&self, listeners: Listeners) -> bool {
        let mut announced = self.announced();
        if announced.stage > ShutdownStage::Open {
            return false;
        }
        let before = self.current.send_replace(Arc::clone(&listeners));
        let stays = |gone: &Arc<Listener>| listeners.iter().any(|kept| Arc::ptr_eq(&kept.control, &gone.control));
        // Only those that have connections are needed.
        announced.retired.retain(|control| Arc::strong_count(control) > 1);
        for gone in before.iter().filter(|listener| !stays(listener)) {
            gone.control.set_stage(ShutdownStage::Draining);
            announced.retired.push(Arc::clone(&gone.control));
        }
        true
    }

    /// Closes all listeners.
    pub(in crate::server) fn close(&self) {
        let mut announced = self.announced();
        let before = self.current.send_replace(Arc::default());
        announced.retired.extend(before.iter().map(|listener| Arc::clone(&listener.control)));
    }

    /// Tells all connections how far the server is on its way to the end.
    pub(in crate::server) fn announce(&self, stage: ShutdownStage) {
        let mut announced = self.announced();
        announced.stage = stage;
        self.for_each_control(&announced, |control| control.set_stage(stage));
    }

    /// Asks idle connections to close, since the server is full.
    pub(in crate::server) fn reclaim_idle(&self) {
        self.for_each_control(&self.announced(), ConnectionControl::reclaim_idle);
    }

    fn for_each_control(&self, announced: &Announced, call: impl Fn(&ConnectionControl)) {
        announced.retired.iter().for_each(|control| call(control));
        self.current().iter().for_each(|listener| call(&listener.control));
    }

    fn announced(&self) -> MutexGuard<'_, Announced> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the listeners for `addresses`. Those of `current` that stay are kept.
pub(in crate::server) fn open(
    addresses: &[ListenAddress],
    current: &[Arc<Listener>],
) -> Result<Listeners, ListenError> {
    let default = [ListenAddress::Tcp(ListenAddress::DEFAULT)];
    let addresses = if addresses.is_empty() { &default } else { addresses };
    addresses
        .iter()
        .map(|address| match current.iter().find_map(|listener| listener.with_address(address)) {
            Some(kept) => Ok(kept),
            None => Listener::open(address, addresses).map(Arc::new),
        })
        .collect()
}
