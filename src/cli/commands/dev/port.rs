//! Where does `wagi dev` listen if a port is busy? At the next one that is free. Called by the parent.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use wagi::config::ListenAddress;

use crate::cli::terminal::print_lines;

/// How many ports are tried.
const MAX_ATTEMPTS: u16 = 100;

/// The addresses, with a free port in place of each busy one.
pub(super) fn free(addresses: &[ListenAddress]) -> Vec<ListenAddress> {
    let default = [ListenAddress::Tcp(ListenAddress::DEFAULT)];
    let addresses = if addresses.is_empty() { &default } else { addresses };
    let mut found = Vec::with_capacity(addresses.len());
    for address in addresses {
        found.push(next(address, &found).unwrap_or_else(|| address.clone()));
    }
    found
}

/// The next address, if this one is busy or one of those that are taken.
fn next(address: &ListenAddress, taken: &[ListenAddress]) -> Option<ListenAddress> {
    let busy = address.tcp()?;
    let is_taken = |address: SocketAddr| taken.iter().any(|taken| taken.tcp() == Some(address));
    let is_bound = |address| TcpListener::bind(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
    let is_busy = |address: SocketAddr| is_taken(address) || is_bound(address);
    if busy.port() == 0 || !is_busy(busy) {
        return None;
    }
    let others = (1..MAX_ATTEMPTS).filter_map(|step| Some(SocketAddr::new(busy.ip(), busy.port().checked_add(step)?)));
    let free = others.into_iter().find(|other| !is_busy(*other))?;
    print_lines(&format!("port {} is busy: serving on {}", busy.port(), free.port()));
    Some(address.with_port(free.port()))
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::dev::port::*;

    #[test]
    fn a_busy_port_is_replaced_by_one_above_it() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let listener = TcpListener::bind(SocketAddr::new(taken.ip(), 0)).expect("a port");
        let busy = listener.local_addr().expect("an address");
        match free(&[ListenAddress::Tcp(busy)]).as_slice() {
            [ListenAddress::Tcp(found)] => assert!(found.port() > busy.port(), "{found}"),
            other => panic!("{other:?}"),
        }
        let plain = free(&[ListenAddress::PlainTcp(busy)]);
        assert!(
            matches!(plain.as_slice(), [ListenAddress::PlainTcp(found)] if found.port() > busy.port()),
            "{plain:?}"
        );
        let twice = free(&[ListenAddress::Tcp(busy), ListenAddress::Tcp(SocketAddr::new(busy.ip(), busy.port()))]);
        assert!(twice[0].tcp() < twice[1].tcp(), "{twice:?}");
        let any = ListenAddress::Tcp(SocketAddr::new(busy.ip(), 0));
        assert_eq!(free(std::slice::from_ref(&any)), [any]);
    }
}
