//! Which servers a list allows: one table of list, called URL and connected address.

use crate::outbound::tests::*;

/// What the names of the table mean. A name that is there twice has moved when it is asked for again.
const NAMES: [(&str, &[&str]); 29] = [
    ("good.example", &["93.184.216.34"]),
    ("good.example.", &["93.184.216.34"]),
    ("other.example", &["93.184.216.40"]),
    ("xn--bcher-kva.example", &["93.184.216.36"]),
    ("a.good.example", &["93.184.216.35"]),
    ("a.b.good.example", &["93.184.216.35"]),
    ("intra.good.example", &["10.0.0.5"]),
    ("loop.good.example", &["127.0.0.1"]),
    ("meta.good.example", &["169.254.169.254"]),
    ("localhost", &["127.0.0.1"]),
    ("api.localhost", &["127.0.0.1"]),
    ("intra.example", &["10.0.0.5"]),
    ("cgnat.example", &["100.64.0.1"]),
    ("unique.example", &["fd12::1"]),
    ("loop.example", &["127.0.0.1"]),
    ("loop6.example", &["::1"]),
    ("zero.example", &["0.0.0.0"]),
    ("broadcast.example", &["255.255.255.255"]),
    ("link.example", &["fe80::1"]),
    ("meta.example", &["169.254.169.254"]),
    ("meta6.example", &["fd00:ec2::254"]),
    ("alibaba.example", &["100.100.100.200"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("compatible.example", &["::127.0.0.1"]),
    ("6to4.example", &["2002:7f00:1::1"]),
    ("nat64.example", &["64:ff9b::7f00:1"]),
    ("teredo.example", &["2001::80ff:fffe"]),
    ("moving.example", &["93.184.216.50"]),
    ("moving.example", &["127.0.0.1"]),
];

/// How a call ends: with an answer, or with one of these codes of `wasi_experimental_http`.
const ANSWER: u32 = 0;
const REFUSED: u32 = 7;
const INVALID: u32 = 10;
/// Also where TLS was to be spoken, which the only server here does not.
const FAILED: u32 = 11;

/// The list, the URL, who is connected to, and how it ends. The server answers `/to?URL` with a redirect to that URL.
#[rustfmt::skip]
const TABLE: &[(&[&str], &str, &[&str], u32)] = &[
    // With an empty list no call is allowed; with `insecure:allow-all` every call but those to metadata services.
    (&[], "http://good.example/", &[], REFUSED),
    (&["insecure:allow-all"], "http://good.example/", &["93.184.216.34:80"], ANSWER),
    (&["insecure:allow-all"], "http://intra.example/", &["10.0.0.5:80"], ANSWER),
    (&["insecure:allow-all"], "http://127.0.0.1/", &["127.0.0.1:80"], ANSWER),
    (&["insecure:allow-all"], "http://169.254.169.254/", &[], REFUSED),
    (&["insecure:allow-all"], "http://meta.example/", &[], REFUSED),
    (&["insecure:allow-all"], "http://meta6.example/", &[], REFUSED),
    (&["insecure:allow-all"], "http://alibaba.example/", &[], REFUSED),

    // Of a URL only the host counts, as ever.
    (&["https://good.example"], "http://good.example/", &["93.184.216.34:80"], ANSWER),
    (&["https://good.example"], "http://good.example:8080/", &["93.184.216.34:8080"], ANSWER),
    (&["https://good.example:8443/x"], "http://good.example/", &["93.184.216.34:80"], ANSWER),
    (&["http://good.example"], "https://good.example/", &["93.184.216.34:443"], FAILED),
    (&["https://good.example"], "http://a.good.example/", &[], REFUSED),
    (&["https://a.good.example"], "http://good.example/", &[], REFUSED),
    (&["https://good.example"], "http://good.example.other.example/", &[], REFUSED),
    (&["https://good.example"], "ftp://good.example/", &[], FAILED),

    // A port restricts.
    (&["good.example"], "http://good.example:8080/", &["93.184.216.34:8080"], ANSWER),
    (&["good.example:8080"], "http://good.example:8080/", &["93.184.216.34:8080"], ANSWER),
    (&["good.example:8080"], "http://good.example/", &[], REFUSED),
    (&["good.example:8080"], "http://good.example:8081/", &[], REFUSED),
    (&["good.example:80"], "http://good.example/", &["93.184.216.34:80"], ANSWER),
    (&["good.example:80"], "https://good.example/", &[], REFUSED),
    (&["good.example:8080", "good.example:80"], "http://good.example/", &["93.184.216.34:80"], ANSWER),
    (&["127.0.0.1:8080"], "http://127.0.0.1:8080/", &["127.0.0.1:8080"], ANSWER),
    (&["127.0.0.1:8080"], "http://127.0.0.1:8081/", &[], REFUSED),
    (&["localhost:8080"], "http://localhost:8080/", &["127.0.0.1:8080"], ANSWER),
    (&["localhost:8080"], "http://localhost/", &[], REFUSED),

    // A `*.` is every name below, and a scheme restricts it.
    (&["*.good.example"], "http://a.good.example/", &["93.184.216.35:80"], ANSWER),
    (&["*.good.example"], "http://a.b.good.example/", &["93.184.216.35:80"], ANSWER),
    (&["*.good.example"], "http://good.example/", &[], REFUSED),
    (&["*.good.example"], "http://agood.example/", &[], REFUSED),
    (&["*.good.example:8080"], "http://a.good.example:8080/", &["93.184.216.35:8080"], ANSWER),
    (&["*.good.example:8080"], "http://a.good.example/", &[], REFUSED),
    (&["https://*.good.example"], "https://a.good.example/", &["93.184.216.35:443"], FAILED),
    (&["https://*.good.example"], "http://a.good.example/", &[], REFUSED),
    (&["https://*.good.example:443"], "https://a.good.example:8443/", &[], REFUSED),

    // The same name in other letters.
    (&["GOOD.Example"], "HTTP://good.EXAMPLE/", &["93.184.216.34:80"], ANSWER),
    (&["good.example."], "http://good.example/", &["93.184.216.34:80"], ANSWER),
    (&["good.example"], "http://good.example./", &["93.184.216.34:80"], ANSWER),
    (&["good.example"], "http://good.example../", &[], REFUSED),
    (&["b\u{fc}cher.example"], "http://B\u{dc}CHER.example/", &["93.184.216.36:80"], ANSWER),
    (&["b\u{fc}cher.example"], "http://xn--bcher-kva.example/", &["93.184.216.36:80"], ANSWER),
    (&["xn--bcher-kva.example"], "http://b\u{fc}cher.example/", &["93.184.216.36:80"], ANSWER),
    (&["good.example"], "http://g%6fod.example/", &["93.184.216.34:80"], ANSWER),
    (&["good.example"], "http://good\u{3002}example/", &["93.184.216.34:80"], ANSWER),
    (&["good.example"], "http://good.ex\u{430}mple/", &[], REFUSED),

    // A host that looks like another.
    (&["good.example"], "http://good.example@other.example/", &[], INVALID),
    (&["good.example"], "http://good.example:80@other.example/", &[], INVALID),
    (&["good.example"], "http://other.example@good.example/", &[], INVALID),
    (&["good.example"], "http://other.example\\@good.example/", &[], REFUSED),
    (&["good.example"], "http://other.example/@good.example", &[], REFUSED),
    (&["good.example"], "http://other.example#@good.example/", &[], REFUSED),
    (&["good.example"], "http://other.example?.good.example/", &[], REFUSED),
    (&["*.good.example"], "http://other.example#.good.example/", &[], REFUSED),
    (&["good.example"], "http://good.example%2f@other.example/", &[], INVALID),

    // Addresses in other forms are what they mean.
    (&["good.example"], "http://127.0.0.1/", &[], REFUSED),
    (&["127.0.0.1"], "http://127.0.0.1/", &["127.0.0.1:80"], ANSWER),
    (&["127.0.0.1"], "http://2130706433/", &["127.0.0.1:80"], ANSWER),
    (&["127.0.0.1"], "http://0x7f.1/", &["127.0.0.1:80"], ANSWER),
    (&["127.0.0.1"], "http://0177.0.0.1/", &["127.0.0.1:80"], ANSWER),
    (&["127.0.0.2"], "http://2130706433/", &[], REFUSED),
    (&["127.0.0.2"], "http://0x7f.1/", &[], REFUSED),
    (&["127.0.0.2"], "http://017700000001/", &[], REFUSED),
    (&["127.0.0.2"], "http://127.0.0.1./", &[], REFUSED),
    (&["127.0.0.2"], "http://0/", &[], REFUSED),
    (&["10.0.0.0/8"], "http://167772165/", &["10.0.0.5:80"], ANSWER),

    // What a listed name may lead to.
    (&["intra.example"], "http://intra.example/", &["10.0.0.5:80"], ANSWER),
    (&["cgnat.example"], "http://cgnat.example/", &["100.64.0.1:80"], ANSWER),
    (&["unique.example"], "http://unique.example/", &["[fd12::1]:80"], ANSWER),
    (&["localhost"], "http://localhost/", &["127.0.0.1:80"], ANSWER),
    (&["*.localhost"], "http://api.localhost/", &["127.0.0.1:80"], ANSWER),
    (&["loop.example"], "http://loop.example/", &[], REFUSED),
    (&["loop6.example"], "http://loop6.example/", &[], REFUSED),
    (&["zero.example"], "http://zero.example/", &[], REFUSED),
    (&["broadcast.example"], "http://broadcast.example/", &[], REFUSED),
    (&["link.example"], "http://link.example/", &[], REFUSED),
    (&["meta.example"], "http://meta.example/", &[], REFUSED),
    (&["meta6.example"], "http://meta6.example/", &[], REFUSED),
    (&["alibaba.example"], "http://alibaba.example/", &[], REFUSED),
    (&["mapped.example"], "http://mapped.example/", &[], REFUSED),
    (&["compatible.example"], "http://compatible.example/", &[], REFUSED),
    (&["6to4.example"], "http://6to4.example/", &[], REFUSED),
    (&["nat64.example"], "http://nat64.example/", &[], REFUSED),
    (&["teredo.example"], "http://teredo.example/", &[], REFUSED),

    // Names below a `*.` may belong to any third party: they lead to public addresses only.
    (&["*.good.example"], "http://intra.good.example/", &[], REFUSED),
    (&["*.good.example"], "http://loop.good.example/", &[], REFUSED),
    (&["*.good.example", "10.0.0.0/8"], "http://intra.good.example/", &["10.0.0.5:80"], ANSWER),
    (&["*.good.example", "intra.good.example"], "http://intra.good.example/", &["10.0.0.5:80"], ANSWER),
    (&["*.good.example", "127.0.0.0/8"], "http://loop.good.example/", &["127.0.0.1:80"], ANSWER),
    (&["*.good.example", "0.0.0.0/0"], "http://meta.good.example/", &[], REFUSED),

    // Listed addresses and ranges, and what they open for names.
    (&["10.0.0.0/8"], "http://10.0.0.5/", &["10.0.0.5:80"], ANSWER),
    (&["10.0.0.0/8"], "http://11.0.0.5/", &[], REFUSED),
    (&["10.0.0.0/8"], "http://intra.example/", &[], REFUSED),
    (&["10.0.0.0/8"], "http://[::ffff:10.0.0.5]/", &["[::ffff:10.0.0.5]:80"], ANSWER),
    (&["fd00::/8"], "http://[fd12::1]/", &["[fd12::1]:80"], ANSWER),
    (&["loop.example", "127.0.0.1"], "http://loop.example/", &["127.0.0.1:80"], ANSWER),
    (&["loop.example", "127.0.0.0/8"], "http://loop.example/", &["127.0.0.1:80"], ANSWER),
    (&["loop.example", "localhost"], "http://loop.example/", &["127.0.0.1:80"], ANSWER),
    (&["loop.example", "127.0.0.1:81"], "http://loop.example/", &[], REFUSED),
    (&["loop.example", "*.localhost"], "http://loop.example/", &[], REFUSED),
    (&["mapped.example", "127.0.0.1"], "http://mapped.example/", &["[::ffff:127.0.0.1]:80"], ANSWER),
    (&["nat64.example", "127.0.0.1"], "http://nat64.example/", &[], REFUSED),
    (&["broadcast.example", "255.255.255.255"], "http://broadcast.example/", &["255.255.255.255:80"], ANSWER),

    // Metadata services: listed by themselves or not at all.
    (&["169.254.169.254"], "http://169.254.169.254/", &["169.254.169.254:80"], ANSWER),
    (&["169.254.0.0/16"], "http://0xa9fea9fe/", &["169.254.169.254:80"], ANSWER),
    (&["0.0.0.0/0"], "http://169.254.169.254/", &[], REFUSED),
    (&["100.64.0.0/10"], "http://100.100.100.200/", &[], REFUSED),
    (&["100.100.100.200"], "http://100.100.100.200/", &["100.100.100.200:80"], ANSWER),
    (&["fd00::/8"], "http://[fd00:ec2::254]/", &[], REFUSED),
    (&["fd00:ec2::254/128"], "http://[fd00:ec2::254]/", &["[fd00:ec2::254]:80"], ANSWER),
    (&["169.254.169.254"], "http://[::ffff:169.254.169.254]/", &["[::ffff:169.254.169.254]:80"], ANSWER),
    (&["169.254.169.254"], "http://[64:ff9b::a9fe:a9fe]/", &[], REFUSED),
    (&["localhost"], "http://169.254.169.254/", &[], REFUSED),

    // Redirects lead nowhere else.
    (&["good.example", "other.example"], "http://good.example/to?http://other.example/",
        &["93.184.216.34:80", "93.184.216.40:80"], ANSWER),
    (&["good.example"], "http://good.example/to?http://other.example/", &["93.184.216.34:80"], REFUSED),
    (&["good.example"], "http://good.example/to?//other.example/", &["93.184.216.34:80"], REFUSED),
    (&["good.example"], "http://good.example/to?http://127.0.0.1/", &["93.184.216.34:80"], REFUSED),
    (&["good.example"], "http://good.example/to?http://2130706433/", &["93.184.216.34:80"], REFUSED),
    (&["insecure:allow-all"], "http://good.example/to?http://169.254.169.254/", &["93.184.216.34:80"], REFUSED),
    (&["good.example", "loop.example"], "http://good.example/to?http://loop.example/", &["93.184.216.34:80"], REFUSED),
    (&["good.example:80"], "http://good.example/to?http://good.example:8080/", &["93.184.216.34:80"], REFUSED),
    (&["good.example:80"], "http://good.example/to?https://good.example/", &["93.184.216.34:80"], REFUSED),
    (&["good.example"], "http://good.example/to?http://good.example@other.example/", &["93.184.216.34:80"], FAILED),
    (&["*.good.example"], "http://a.good.example/to?http://good.example/", &["93.184.216.35:80"], REFUSED),

    // A name that moves to this machine between two connections.
    (&["moving.example"], "http://moving.example/to?http://moving.example/", &["93.184.216.50:80"], REFUSED),
    (&["*.example"], "http://moving.example/to?http://moving.example/", &["93.184.216.50:80"], REFUSED),
];

#[tokio::test]
async fn lists_open_what_they_say_and_nothing_else() {
    let server = server(|request| match request.uri().query() {
        Some(target) if request.uri().path() == "/to" => {
            answer(302, &[("location", target), ("connection", "close")], "")
        }
        _ => answer(200, &[], ""),
    })
    .await;
    for &(list, url, dialled, code) in TABLE {
        let transport = FakeTransport::new(server);
        for (name, addresses) in NAMES {
            transport.name(name, addresses);
        }
        let ended = get(&client(&transport, list), url).await.err().map_or(ANSWER, |error| error.code());
        assert_eq!(transport.dialled(), dialled, "{list:?} and {url:?}");
        assert_eq!(ended, code, "{list:?} and {url:?}");
    }
}

/// The table form says scheme and port of a host named in full, which no text does.
#[tokio::test]
async fn tables_restrict_scheme_and_port() {
    let server = server(|_| answer(200, &[], "")).await;
    for (table, url, dialled) in [
        ("{ host = 'good.example', scheme = 'http' }", "http://good.example:8080/", &["93.184.216.34:8080"][..]),
        ("{ host = 'good.example', scheme = 'http' }", "https://good.example/", &[]),
        ("{ host = 'good.example', scheme = 'https', port = 443 }", "https://good.example/", &["93.184.216.34:443"]),
        ("{ host = 'good.example', scheme = 'https', port = 443 }", "https://good.example:8443/", &[]),
        ("{ host = 'good.example', scheme = 'https', port = 443 }", "http://good.example:443/", &[]),
        ("{ host = '10.0.0.0/8', port = 80 }", "http://10.0.0.5/", &["10.0.0.5:80"]),
        ("{ host = '10.0.0.0/8', port = 80 }", "http://10.0.0.5:81/", &[]),
        ("{ host = '*.good.example', port = 80 }", "http://a.good.example/", &["93.184.216.35:80"]),
        ("{ host = 'fd12::1' }", "http://[fd12::1]/", &["[fd12::1]:80"]),
    ] {
        let transport = FakeTransport::new(server);
        for (name, addresses) in NAMES {
            transport.name(name, addresses);
        }
        let client = network(transport.clone()).client(written(table), CallLimits::default());
        let ended = get(&client, url).await;
        assert_eq!(transport.dialled(), dialled, "{table} and {url}: {ended:?}");
    }
}

/// What a modules.toml with this entry allows.
fn written(entry: &str) -> AllowedHosts {
    let directory = tempfile::tempdir().expect("a directory");
    let (manifest, module) = (directory.path().join("modules.toml"), directory.path().join("m.wasm"));
    let text = format!("[[module]]\nroute = '/'\nmodule = '{}'\nallowed_hosts = [{entry}]\n", module.display());
    std::fs::write(module, "").and_then(|()| std::fs::write(&manifest, text)).expect("writable");
    let options = crate::config::Options::new(crate::config::Source::Manifest(manifest));
    let (config, problems) = crate::config::Config::load(&options);
    assert_eq!(problems, [], "{entry}");
    config.entries.into_iter().next().expect("one script").allowed_hosts
}
