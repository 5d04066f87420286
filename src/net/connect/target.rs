//! Which server does a connection lead to?

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use rustls_pki_types::ServerName;
use url::{Host, Url};

use crate::net::connect::error::ConnectError;

/// The server that a connection is to lead to.
pub(super) struct Target {
    pub url: Url,
    pub port: u16,
}

impl Target {
    /// Reads the URI back into a URL, so that the policy sees what it saw before the call.
    pub fn new(uri: &Uri) -> Result<Self, ConnectError> {
        let url = Url::parse(&uri.to_string()).ok().filter(Url::has_host).ok_or(ConnectError::NoHost)?;
        let port = url.port_or_known_default().ok_or(ConnectError::NoHost)?;
        Ok(Self { url, port })
    }

    pub fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }

    pub fn server_name(&self) -> Result<ServerName<'static>, ConnectError> {
        match self.url.host() {
            Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).map_err(|_| ConnectError::NoHost),
            Some(Host::Ipv4(address)) => Ok(ServerName::from(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => Ok(ServerName::from(IpAddr::V6(address))),
            None => Err(ConnectError::NoHost),
        }
    }

    pub fn unresolved(&self, source: Arc<io::Error>) -> ConnectError {
        ConnectError::Resolve { host: self.host(), source }
    }

    pub fn unconnected(&self, source: io::Error) -> ConnectError {
        ConnectError::Connect { host: self.host(), source: Arc::new(source) }
    }
}
