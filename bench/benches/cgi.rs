//! How long do the two translations of CGI take: from a request to its variables, and from printed lines to a head?

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use tokio::runtime::Runtime;

use wagi::cgi::{Endpoint, HeadReader, Host, RequestHead, RouteVariables};
use wagi::config::Source;
use wagi_bench::{gateway, in_repository};

/// What a browser sends.
const HEADERS: [(&str, &str); 10] = [
    ("host", "www.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ("referer", "https://www.example.com/shop/"),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-mode", "navigate"),
    ("priority", "u=0, i"),
];

const SMALL: &[u8] = b"Content-Type: text/plain\n\n";

const LARGE: &[u8] = b"Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: private, max-age=0\r\n\
Content-Length: 5120\r\nSet-Cookie: session=0123456789abcdef; Path=/; HttpOnly; Secure\r\nSet-Cookie: theme=dark\r\n\
ETag: \"0123456789abcdef\"\r\nVary: Accept-Encoding\r\nX-Content-Type-Options: nosniff\r\nServer-Timing: total;dur=1\r\n\r\n";

fn meta_variables(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("threads can be started");
    let served = runtime.block_on(gateway(Source::Module(in_repository("examples/hello.wat"))));
    let gateway = served.expect("the example can be served");
    let route = gateway.routes().pop().expect("there is a route");
    let variables = RouteVariables::new(&route.pattern, &[], false);
    let endpoint = Endpoint::new(false, None);
    let headers: HeaderMap = HEADERS
        .into_iter()
        .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)))
        .collect();
    let few: HeaderMap = [(http::header::HOST, HeaderValue::from_static("localhost"))].into_iter().collect();
    let uri = Uri::from_static("/shop/articles/17?colour=blue&size=9");
    let mut group = criterion.benchmark_group("meta-variables");
    for (name, headers) in [("load generator", &few), ("browser", &headers)] {
        let head = RequestHead {
            method: &Method::GET,
            uri: &uri,
            version: Version::HTTP_11,
            headers,
            host: Host::parse(b"localhost"),
            content_length: 0,
            local_address: Some(std::net::Ipv4Addr::LOCALHOST.into()),
            request_id: "00000000000000a1",
            remote_address: SocketAddr::from((Ipv4Addr::LOCALHOST, 4321)).into(),
            client_certificate: None,
            script: None,
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| variables.environment(&endpoint, black_box(&head), "/shop/articles/17").is_ok());
        });
    }
    group.finish();
}

fn head(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("head");
    for (name, printed) in [("one field", SMALL), ("ten fields", LARGE)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut reader = HeadReader::new(65_536);
                assert!(reader.read(black_box(printed)).is_ok_and(|end| end == Some(printed.len())));
                reader.finish().expect("a valid head")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, meta_variables, head);
criterion_main!(benches);
