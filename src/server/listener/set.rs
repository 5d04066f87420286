//! Which listeners does the server have? A reload changes them while it serves.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::ListenAddress;
use crate::server::listener::error::ListenError;
use crate::server::listener::inherited::InheritedSockets;
use crate::server::listener::{Listener, ListenerKind, ListeningSocket};
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
        listeners.iter().for_each(|listener| listener.apply_settings());
        let before = self.current();
        let stays = |gone: &Arc<Listener>| listeners.iter().any(|kept| is_same(kept, gone));
        // Only those that have connections are needed.
        announced.retired.retain(|control| Arc::strong_count(control) > 1);
        for gone in before.iter().filter(|listener| !stays(listener)) {
            gone.hide();
            gone.control.set_stage(ShutdownStage::Draining);
            announced.retired.push(Arc::clone(&gone.control));
        }
        // Last: who accepts connections sees now which listeners go.
        drop(before);
        self.current.send_replace(listeners);
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

/// The first port with TLS, if the server has any.
pub(in crate::server) fn tls_port(listeners: &[Arc<Listener>]) -> Option<u16> {
    let mut secure = listeners.iter().filter(|listener| listener.kind() == ListenerKind::Port);
    secure.find_map(|listener| listener.tcp_address()).map(|address| address.port())
}

/// Opens the listeners for `addresses`. Those of `current` that stay are kept.
pub(in crate::server) fn open(
    addresses: &[ListenAddress],
    current: &[Arc<Listener>],
    inherited: &InheritedSockets,
) -> Result<Listeners, ListenError> {
    let default = match inherited.is_empty() {
        true => [ListenAddress::Tcp(ListenAddress::DEFAULT)],
        false => [ListenAddress::Inherited(None)],
    };
    let addresses = if addresses.is_empty() { &default } else { addresses };
    let mut listeners = Vec::new();
    for address in addresses {
        if let ListenAddress::Inherited(name) = address.socket() {
            listeners.extend(inherit(address, name.as_deref(), (current, inherited))?);
            continue;
        }
        // Each is kept once: several may have port 0.
        let mut free = current.iter().filter(|listener| !listeners.iter().any(|kept| is_same(kept, listener)));
        listeners.push(match free.find_map(|listener| listener.with_address(address)) {
            Some(kept) => kept,
            None => {
                let opened = Listener::open(address, addresses);
                let own = current.iter().chain(&listeners);
                Arc::new(opened.map_err(|error| held_by(own, error))?)
            }
        });
    }
    Ok(listeners.into())
}

/// The error, if one of the server's `own` listeners is the one that has the address.
fn held_by<'a>(mut own: impl Iterator<Item = &'a Arc<Listener>>, error: ListenError) -> ListenError {
    let ListenError::InUse { address } = error else { return error };
    match own.find(|listener| listener.holds(&address)) {
        Some(holder) => ListenError::HeldByServer { address, holder: holder.address.clone() },
        None => ListenError::InUse { address },
    }
}

/// Whether both are the same socket.
fn is_same(one: &Arc<Listener>, other: &Arc<Listener>) -> bool {
    Arc::ptr_eq(&one.socket, &other.socket)
}

/// The listeners of inherited sockets, of one name or all.
fn inherit(
    address: &ListenAddress,
    name: Option<&str>,
    (current, inherited): (&[Arc<Listener>], &InheritedSockets),
) -> Result<Vec<Arc<Listener>>, ListenError> {
    let listener = |socket: &Arc<ListeningSocket>| {
        let kept = current.iter().find(|listener| Arc::ptr_eq(&listener.socket, socket));
        kept.and_then(|kept| kept.with_address(address))
            .unwrap_or_else(|| Arc::new(Listener::new(address, Arc::clone(socket))))
    };
    let found: Vec<_> = inherited.named(name).map(listener).collect();
    if found.is_empty() {
        let name = name.map(str::to_owned);
        return Err(ListenError::NothingInherited { name, inherited: inherited.names() });
    }
    Ok(found)
}
