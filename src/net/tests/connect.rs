//! Which addresses are tried, and for how long.

use std::time::{Duration, Instant};

use http::Uri;
use tokio_rustls::rustls::RootCertStore;
use tower_service::Service as _;

use crate::net::connect::policy::NamedBy;
use crate::net::connect::{ConnectError, ConnectLimits, Connector};
use crate::net::tests::*;
use crate::net::tls;

const CONNECT: Duration = Duration::from_millis(400);

fn connector(transport: &Arc<FakeTransport>) -> Connector {
    let tls = Arc::new(tls::verified(RootCertStore::empty()).expect("TLS"));
    let limits = ConnectLimits { resolve: CONNECT, connect: CONNECT, connections: 10 };
    Connector::new(transport.clone(), tls, Arc::new(NamedBy::Operator), limits)
}

async fn connect(transport: &Arc<FakeTransport>) -> Result<(), ConnectError> {
    connector(transport).call(Uri::from_static("http://a.example/")).await.map(drop)
}

#[tokio::test]
async fn dead_addresses_leave_time_for_others() {
    let transport = FakeTransport::new(server(|_| answer(200, &[], "")).await);
    transport.name("a.example", &["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4", "192.0.2.1"]);
    for address in ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"] {
        transport.dead(address);
    }
    let begun = Instant::now();
    connect(&transport).await.expect("a connection");
    assert!(begun.elapsed() < CONNECT, "{:?}", begun.elapsed());
    assert_eq!(transport.dialled(), ["[2001:db8::1]:80", "192.0.2.1:80"]);
}

#[tokio::test]
async fn families_take_turns_and_the_first_few_addresses_share_the_time() {
    let transport = FakeTransport::new(server(|_| answer(200, &[], "")).await);
    let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"];
    transport.name("a.example", &addresses);
    for address in addresses {
        transport.dead(address);
    }
    let begun = Instant::now();
    let error = connect(&transport).await.expect_err("all are dead");
    assert!(
        matches!(&error, ConnectError::Connect { source, .. } if source.kind() == io::ErrorKind::TimedOut),
        "{error}"
    );
    assert!(begun.elapsed() >= CONNECT && begun.elapsed() < 2 * CONNECT, "{:?}", begun.elapsed());
    assert_eq!(transport.dialled(), ["192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.2:80", "[2001:db8::2]:80"]);
}
