//! Peers, and the clients that they speak for.

use std::net::SocketAddr;

use http::Request;

use crate::gateway::admission::client_address::ClientAddress;
use crate::gateway::forwarded::*;

const PROXY: &str = "10.0.0.1:5000";

fn trust(list: &[&str]) -> ProxyTrust {
    let mut config = ServerConfig::default();
    for text in list {
        config.trusted_proxies.add(text).expect(text);
    }
    ProxyTrust::new(&config)
}

fn peer(text: &str) -> Peer {
    match text {
        "unix" => Peer::new(RemoteAddress::Unix),
        text => Peer::new(text.parse::<SocketAddr>().expect(text)),
    }
}

/// The head of a request of `peer` after its proxy was heard, the host that the proxy tells, and how many fields made no sense.
fn applied(trust: &ProxyTrust, peer: Option<Peer>, fields: &[(&str, &str)]) -> (Parts, Option<String>, u64) {
    let mut request = Request::builder().header("host", "proxy.test:3000");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (mut head, ()) = request.body(()).expect("a request").into_parts();
    if let Some(peer) = peer {
        head.extensions.insert(peer);
    }
    let malformed = AtomicU64::new(0);
    let host = trust.apply(&mut head, &malformed);
    (head, host, malformed.into_inner())
}

fn remote(head: &Parts) -> String {
    head.extensions.get::<Peer>().expect("a peer").remote.to_string()
}

#[test]
fn only_a_trusted_peer_speaks_for_others() {
    let fields = [("x-forwarded-for", "192.0.2.7:81")];
    for (list, from, expected) in [
        (&["10.0.0.0/8"][..], PROXY, "192.0.2.7:81"),
        (&["10.0.0.1"], PROXY, "192.0.2.7:81"),
        (&["10.0.0.2"], PROXY, PROXY),
        (&["unix"], PROXY, PROXY),
        (&[], PROXY, PROXY),
        (&["unix"], "unix", "192.0.2.7:81"),
        (&["10.0.0.0/8"], "unix", "unix:"),
        (&["10.0.0.0/8"], "[::ffff:10.0.0.1]:5000", "192.0.2.7:81"),
    ] {
        let (head, host, malformed) = applied(&trust(list), Some(peer(from)), &fields);
        assert_eq!((remote(&head).as_str(), host, malformed), (expected, None, 0), "{list:?} {from}");
    }
}

#[test]
fn a_request_without_a_peer_has_no_proxy() {
    let (head, host, _) = applied(&trust(&["0.0.0.0/0"]), None, &[("x-forwarded-host", "a.test")]);
    assert!(head.extensions.get::<Peer>().is_none() && host.is_none());
}

#[test]
fn the_host_has_the_port_that_is_told() {
    for (fields, expected) in [
        (&[][..], None),
        (&[("x-forwarded-host", "a.test")], Some("a.test")),
        (&[("x-forwarded-host", "a.test:81")], Some("a.test:81")),
        (&[("x-forwarded-host", "a.test:81"), ("x-forwarded-port", "82")], Some("a.test:82")),
        (&[("x-forwarded-host", "[::1]"), ("x-forwarded-port", "82")], Some("[::1]:82")),
        (&[("x-forwarded-port", "82")], Some("proxy.test:82")),
        (&[("x-forwarded-port", "0")], None),
    ] {
        let (_, host, _) = applied(&trust(&["10.0.0.1"]), Some(peer(PROXY)), fields);
        assert_eq!(host.as_deref(), expected, "{fields:?}");
    }
}

#[test]
fn shares_are_those_of_the_client_and_not_of_the_proxy() {
    let trust = trust(&["10.0.0.1"]);
    let share = |client: &str| {
        let (head, ..) = applied(&trust, Some(peer(PROXY)), &[("x-forwarded-for", client)]);
        ClientAddress::from_head(&head).expect("a client")
    };
    assert_eq!(share("192.0.2.7:1"), share("192.0.2.7:2"));
    assert_ne!(share("192.0.2.7"), share("192.0.2.8"));
    assert_eq!(share("2001:db8::1"), share("2001:db8::2"));
}

#[test]
fn what_makes_no_sense_is_counted_field_by_field() {
    let fields = [("x-forwarded-for", "x"), ("x-forwarded-proto", "x"), ("x-forwarded-port", "x"), ("forwarded", "x")];
    let (head, _, malformed) = applied(&trust(&["10.0.0.1"]), Some(peer(PROXY)), &fields);
    assert_eq!((remote(&head).as_str(), malformed), (PROXY, 3));
}
