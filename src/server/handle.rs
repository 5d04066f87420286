//! How is a server changed while it serves? In two steps: what can fail is prepared, and then takes effect at once.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use crate::config::ServerConfig;
use crate::server::accept::Acceptor;
use crate::server::connection::ConnectionBuilder;
use crate::server::counters::ListenerFigures;
use crate::server::listener::set::{self, Listeners};
use crate::server::tls::PreparedTls;
use crate::server::{Counters, Error, ServedCertificate};

/// A server that serves, for those who change it. Clones are of the same server.
#[derive(Clone)]
pub struct ServerHandle(pub(in crate::server) Arc<Acceptor>);

/// The same, without keeping the server.
#[derive(Clone)]
pub struct WeakServerHandle(Weak<Acceptor>);

impl WeakServerHandle {
    /// The server, if it has not ended.
    pub fn upgrade(&self) -> Option<ServerHandle> {
        self.0.upgrade().map(ServerHandle)
    }
}

/// A new configuration of a server, with everything that it needs. Without a commit it is as if it never was.
#[must_use = "nothing changes before the commit"]
pub struct Prepared {
    acceptor: Arc<Acceptor>,
    connections: Arc<ConnectionBuilder>,
    listeners: Listeners,
    tls: PreparedTls,
}

impl ServerHandle {
    /// Reads the TLS files, and opens the listeners that are new. Must be called within the tokio runtime.
    ///
    /// The number of connections stays what it was at the start.
    pub fn prepare(&self, config: &ServerConfig) -> Result<Prepared, Error> {
        let tls = self.0.parts().tls.prepare(config.tls.as_ref())?;
        let listeners = set::open(&config.listen, &self.0.listeners.current(), &self.0.inherited)?;
        let connections = Arc::new(ConnectionBuilder::new(config, &listeners, self.0.parts().clone()));
        Ok(Prepared { acceptor: Arc::clone(&self.0), connections, listeners, tls })
    }

    /// The certificates that it shows to clients, the default first.
    pub fn certificates(&self) -> Vec<ServedCertificate> {
        self.0.certificates()
    }

    /// The same server, without keeping it.
    pub fn downgrade(&self) -> WeakServerHandle {
        WeakServerHandle(Arc::downgrade(&self.0))
    }

    /// Its listeners, and what they have counted.
    pub fn listeners(&self) -> Vec<ListenerFigures> {
        let has_tls = self.0.parts().tls.current().is_some();
        let listeners = self.0.listeners.current();
        listeners.iter().map(|listener| listener.counters.figures(listener.url(has_tls))).collect()
    }

    /// The listeners in the order of the configuration, for example `http://127.0.0.1:3000` and `unix:/run/wagi.sock`.
    pub fn urls(&self) -> Vec<String> {
        self.0.urls()
    }

    /// The server's counters.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0.parts().counters)
    }

    /// The TCP addresses that the server listens on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.listeners.tcp_addresses()
    }
}

impl Prepared {
    /// The TCP addresses that the server will listen on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.tcp_address()).collect()
    }

    /// Lets the configuration take effect: for new connections, and by the end of listeners that are gone. Their
    /// connections finish their requests. Connections of listeners that stay are not touched.
    ///
    /// A server that is stopping stays as it is.
    pub fn commit(self) {
        if self.acceptor.replace(self.connections, self.listeners) {
            self.acceptor.parts().tls.replace(self.tls);
        }
    }
}
