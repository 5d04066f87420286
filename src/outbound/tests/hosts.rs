//! Which hosts may be called, however their URLs are written and whatever their names resolve to.

use crate::outbound::tests::*;

async fn transport() -> Arc<FakeTransport> {
    let transport = FakeTransport::new(server(|_| answer(200, &[], "")).await);
    for (name, addresses) in [
        ("good.example", &["93.184.216.34"][..]),
        ("good.example.", &["93.184.216.34"]),
        ("xn--bcher-kva.example", &["93.184.216.35"]),
        ("localhost", &["127.0.0.1", "::1"]),
        ("api.localhost", &["127.0.0.1"]),
        ("intra.example", &["10.0.0.5"]),
        ("loop.example", &["127.0.0.1"]),
        ("loop6.example", &["::1"]),
        ("mapped.example", &["::ffff:127.0.0.1"]),
        ("nat64.example", &["64:ff9b::7f00:1"]),
        ("zero.example", &["0.0.0.0"]),
        ("meta.example", &["169.254.169.254"]),
        ("meta6.example", &["fd00:ec2::254"]),
        ("link.example", &["fe80::1"]),
        ("many.example", &["224.0.0.1"]),
        ("mixed.example", &["169.254.169.254", "127.0.0.1", "93.184.216.36"]),
        ("nothing.example", &[]),
    ] {
        transport.name(name, addresses);
    }
    transport
}

/// 0 for an answer, else the code.
async fn code(client: &Client, url: &str) -> u32 {
    get(client, url).await.err().map_or(0, |error| error.code())
}

#[tokio::test]
async fn hosts_are_compared_as_they_always_were() {
    let transport = transport().await;
    transport.name("api.brigade.sh", &["93.184.216.34"]);
    transport.name("example.com", &["93.184.216.34"]);
    transport.name("test.brigade.sh", &["93.184.216.34"]);
    let list = ["https://api.brigade.sh", "https://example.com", "http://192.168.0.1"];
    let some = client(&transport, &list);
    let all = client(&transport, &[list[0], list[1], list[2], "insecure:allow-all"]);
    let none = client(&transport, &[]);
    for (url, listed, open) in [
        ("http://api.brigade.sh/healthz", 0, 0),
        ("http://example.com/any/path", 0, 0),
        ("http://example.com:8080/any/path", 0, 0),
        ("http://192.168.0.1/login", 0, 0),
        ("http://192.168.0.1:8080/login", 0, 0),
        ("http://test.brigade.sh", 7, 0),
        ("not even a url", 10, 10),
        ("", 10, 10),
    ] {
        assert_eq!(code(&some, url).await, listed, "{url}");
        assert_eq!(code(&all, url).await, open, "{url}");
        assert_eq!(code(&none, url).await, if open == 0 { 7 } else { open }, "{url}");
    }
    assert_eq!(some.destination(b"http://example.com/\xff").expect_err("no text").code(), 6);
}

/// What is written, the code with a list, and the code with `insecure:allow-all`.
#[rustfmt::skip]
const SPELLINGS: [(&str, u32, u32); 108] = [
    // Names.
    ("http://good.example", 0, 0),
    ("http://GOOD.Example/", 0, 0),
    ("HTTP://good.example/", 0, 0),
    (" http://good.example/ ", 0, 0),
    ("http:good.example", 0, 0),
    ("http:\\\\good.example\\", 0, 0),
    ("http:////good.example/", 0, 0),
    ("http://go\tod.exa\nmple/", 0, 0),
    ("http://g%6fod.example/", 0, 0),
    ("http://\u{ff47}ood.example/", 0, 0),
    ("http://good\u{3002}example/", 0, 0),
    ("http://b\u{fc}cher.example/", 0, 0),
    ("http://B\u{dc}CHER.example/", 0, 0),
    ("http://xn--bcher-kva.example/", 0, 0),
    ("http://bu\u{308}cher.example/", 0, 0),
    ("http://good.example:80/", 0, 0),
    ("http://good.example:8080/", 0, 0),
    ("http://good.example:0/", 0, 0),
    ("http://good.example:65535/", 0, 0),
    ("http://good.example:/", 0, 0),
    ("http://good.example:65536/", 10, 10),
    ("http://good.example:x/", 10, 10),
    ("http://good.example./", 0, 0),
    ("http://good.example../", 7, 11),
    ("http://sub.good.example/", 7, 11),
    ("http://good.example.evil.example/", 7, 11),
    ("http://notgood.example/", 7, 11),
    ("http://example/", 7, 11),
    ("http://evil.example/good.example", 7, 11),
    ("http://evil.example?good.example", 7, 11),
    ("http://evil.example#good.example", 7, 11),
    ("http://evil.example\\good.example", 7, 11),
    ("http://evil.example\\@good.example/", 7, 11),
    ("http://good.example\\@evil.example/", 0, 0),
    ("http://good.example/@evil.example", 0, 0),
    ("http://good.example?@evil.example", 0, 0),
    ("http://good.example#@evil.example", 0, 0),
    ("http://good.example%2eevil.example/", 7, 11),
    ("http://good.example%00.evil.example/", 10, 10),
    ("http://good.example%2f@evil.example/", 10, 10),
    ("http://good.ex\u{0430}mple/", 7, 11),
    ("http://good.example\u{ad}/", 0, 0),
    ("http://xn--/", 10, 10),
    ("http://xn--good-\u{fc}.example/", 10, 10),
    // Users.
    ("http://user@good.example/", 10, 10),
    ("http://user:word@good.example/", 10, 10),
    ("http://:word@good.example/", 10, 10),
    ("http://good.example@evil.example/", 10, 10),
    ("http://good.example:80@evil.example/", 10, 10),
    ("http://evil.example@good.example/", 10, 10),
    ("http://@good.example/", 0, 0),
    // Not URLs with a host.
    ("good.example", 10, 10),
    ("//good.example/", 10, 10),
    ("http://", 10, 10),
    ("http:///", 10, 10),
    ("http://?", 10, 10),
    ("http://:80/", 10, 10),
    ("mailto:me@good.example", 10, 10),
    ("data:text/plain,x", 10, 10),
    ("file:///etc/passwd", 10, 10),
    ("http://good example/", 10, 10),
    ("http://[good.example]/", 10, 10),
    ("javascript:alert(1)", 10, 10),
    ("ftp://good.example/", 11, 11),
    ("gopher://good.example/", 11, 11),
    ("file://good.example/etc/passwd", 11, 11),
    // This machine, that is not listed, and the one that is listed.
    ("http://127.0.0.1/", 7, 0),
    ("http://127.1/", 7, 0),
    ("http://2130706433/", 7, 0),
    ("http://017700000001/", 7, 0),
    ("http://0177.0.0.1/", 7, 0),
    ("http://0x7f000001/", 7, 0),
    ("http://0x7f.1/", 7, 0),
    ("http://127.0.0.1./", 7, 0),
    ("http://127.0.0.1.:80/", 7, 0),
    ("http://\u{ff11}27.0.0.1/", 7, 0),
    ("http://%31%32%37.0.0.1/", 7, 0),
    ("http://0/", 7, 0),
    ("http://0.0.0.0/", 7, 0),
    ("http://[::1]/", 7, 0),
    ("http://[0:0:0:0:0:0:0:1]/", 7, 0),
    ("http://[::]/", 7, 0),
    ("http://[::ffff:127.0.0.1]/", 7, 0),
    ("http://[::ffff:7f00:1]/", 7, 0),
    ("http://[64:ff9b::7f00:1]/", 7, 0),
    ("http://[2002:7f00:1::]/", 7, 0),
    ("http://256.0.0.1/", 10, 10),
    ("http://127.0.0.0.1/", 10, 10),
    ("http://4294967296/", 10, 10),
    ("http://0x100000000/", 10, 10),
    ("http://[::1%25lo]/", 10, 10),
    ("http://[::1/", 10, 10),
    ("http://::1/", 10, 10),
    ("http://127.0.0.2/", 0, 0),
    ("http://0x7f.0.0.2/", 0, 0),
    ("http://2130706434/", 0, 0),
    ("http://10.0.0.1/", 0, 0),
    ("http://012.0.0.1/", 0, 0),
    ("http://10.0.0.2/", 7, 0),
    ("http://[fd00::1]/", 7, 0),
    // Metadata of clouds.
    ("http://169.254.169.254/", 7, 7),
    ("http://169.254.43518/", 7, 7),
    ("http://0xa9fea9fe/", 7, 7),
    ("http://2852039166/", 7, 7),
    ("http://[::ffff:169.254.169.254]/", 7, 7),
    ("http://[64:ff9b::a9fe:a9fe]/", 7, 7),
    ("http://[fe80::1]/", 7, 7),
    ("http://[fd00:ec2::254]/", 7, 7),
];

#[tokio::test]
async fn hosts_are_what_they_mean_not_what_they_look_like() {
    let transport = transport().await;
    let some = client(&transport, &["good.example", "b\u{fc}cher.example", "http://127.0.0.2", "http://10.0.0.1"]);
    let all = client(&transport, &["insecure:allow-all"]);
    for (url, listed, open) in SPELLINGS {
        assert_eq!(code(&some, url).await, listed, "{url:?} with a list");
        let reached = ["93.184.216.34:", "93.184.216.35:", "127.0.0.2:", "10.0.0.1:"];
        for address in transport.dialled() {
            assert!(reached.iter().any(|allowed| address.starts_with(allowed)), "{url:?} reaches {address}");
        }
        assert_eq!(code(&all, url).await, open, "{url:?} with everything allowed");
        transport.dialled();
    }
}

#[tokio::test]
async fn listed_names_are_called_where_that_is_harmless() {
    for (name, also, listed, open) in [
        ("good.example", "other.example", 0, 0),
        ("intra.example", "other.example", 0, 0),
        ("localhost", "other.example", 0, 0),
        ("api.localhost", "other.example", 0, 0),
        ("loop.example", "other.example", 7, 0),
        ("loop.example", "localhost", 0, 0),
        ("loop.example", "http://127.0.0.1:9999", 0, 0),
        ("loop.example", "http://127.0.0.2", 7, 0),
        ("loop6.example", "other.example", 7, 0),
        ("loop6.example", "http://[::1]", 0, 0),
        ("mapped.example", "other.example", 7, 0),
        ("mapped.example", "http://127.0.0.1", 0, 0),
        ("nat64.example", "http://127.0.0.1", 7, 0),
        ("zero.example", "other.example", 7, 0),
        ("meta.example", "localhost", 7, 7),
        ("meta.example", "http://169.254.169.254", 0, 7),
        ("meta6.example", "other.example", 7, 7),
        ("link.example", "other.example", 7, 7),
        ("link.example", "http://[fe80::1]", 0, 7),
        ("many.example", "other.example", 7, 0),
        ("nothing.example", "other.example", 11, 11),
    ] {
        let transport = transport().await;
        let url = format!("http://{name}/");
        assert_eq!(code(&client(&transport, &[name, also]), &url).await, listed, "{name} and {also}");
        assert_eq!(transport.dialled().is_empty(), listed != 0, "{name} and {also}");
        assert_eq!(code(&client(&transport, &["insecure:allow-all"]), &url).await, open, "{name}");
    }
}

#[tokio::test]
async fn only_those_addresses_of_a_name_are_connected_to_that_may_be() {
    let transport = transport().await;
    assert_eq!(code(&client(&transport, &["mixed.example"]), "http://mixed.example/").await, 0);
    assert_eq!(transport.dialled(), ["93.184.216.36:80"]);
    assert_eq!(code(&client(&transport, &["insecure:allow-all"]), "http://mixed.example/").await, 0);
    assert_eq!(transport.dialled(), ["127.0.0.1:80"]);
}

/// Each call has its own connection, so that each asks for the name again.
#[tokio::test]
async fn a_name_that_moves_to_this_machine_is_refused_from_then_on() {
    let transport = FakeTransport::new(server(|_| answer(200, &[("connection", "close")], "")).await);
    for _ in 0..100 {
        for address in ["93.184.216.34", "127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"] {
            transport.name("moving.example", &[address]);
        }
    }
    let client = client(&transport, &["moving.example"]);
    let mut codes = Vec::new();
    for _ in 0..500 {
        codes.push(code(&client, "http://moving.example/").await);
    }
    assert_eq!(codes, [0, 7, 7, 7, 7].repeat(100));
    assert_eq!(transport.dialled(), ["93.184.216.34:80"; 100]);
}
