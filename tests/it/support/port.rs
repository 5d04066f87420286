//! Ports for servers that cannot say which one they have, and for addresses where nobody listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// The first of these ports, and how many there are. All are below those that a system gives away if none is asked for: 32768
/// on Linux, 49152 elsewhere. So no other program gets one by chance.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// How far the first ports of two processes that run tests are apart.
const STEP: u32 = 97;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// An address of this host with a port that is free, and that no other test gets.
pub fn free_of(host: IpAddr) -> SocketAddr {
    let begin = process::id() % (u32::from(COUNT) / STEP) * STEP;
    let begin = u16::try_from(begin).expect("less than there are");
    for _ in 0..COUNT {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::new(host, FIRST + (begin + number) % COUNT);
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {host} is free");
}

/// The same on loopback.
pub fn free() -> SocketAddr {
    free_of(Ipv4Addr::LOCALHOST.into())
}
