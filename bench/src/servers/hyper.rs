//! How is the bare server started, which is the limit?

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Server;
use crate::process::{Process, free_address};
use crate::site::Site;

fn start(site: &Site) -> Result<(Server, SocketAddr)> {
    let (http1, http2) = (free_address()?, free_address()?);
    let process = Process::start(Command::new(&site.bench).arg("bare").arg(http1.to_string()).arg(http2.to_string()))?;
    Ok((Server::new(process, http1).says_hello("/")?, http2))
}

/// For HTTP/1.1.
pub fn http1(site: &Site) -> Result<Server> {
    Ok(start(site)?.0)
}

/// For HTTP/2.
pub fn http2(site: &Site) -> Result<Server> {
    let (server, address) = start(site)?;
    Ok(Server { address, ..server })
}
