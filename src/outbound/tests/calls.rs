//! What is sent, and what comes back.

use crate::net::connect::transport::SystemTransport;
use crate::outbound::tests::*;

#[tokio::test]
async fn requests_are_sent_with_the_headers_of_the_guest_and_ours() {
    let transport = FakeTransport::new(server(|request| answer(200, &[("x-echo", "1")], describe(&request))).await);
    transport.name("good.example", &["93.184.216.34"]);
    let client = client(&transport, &["good.example"]);
    let fields = "X-Mine:1\nHost:evil.example\nConnection:close, x-hop\nx-hop:1\nTransfer-Encoding:chunked\n\
                  Content-Length:9\nTE:trailers\nUpgrade:h2c\nExpect:100-continue\nProxy-Authorization:x\nKeep-Alive:1";
    for (verb, fields, body, expected) in [
        ("GET", "", "", "GET /a?b=c\naccept:*/*\nhost:good.example:81"),
        ("GET", "accept:text/plain\n", "", "GET /a?b=c\naccept:text/plain\nhost:good.example:81"),
        ("POST", fields, "hello", "POST /a?b=c\naccept:*/*\ncontent-length:5\nhost:good.example:81\nx-mine:1"),
        ("PUT", "", "", "PUT /a?b=c\naccept:*/*\ncontent-length:0\nhost:good.example:81"),
        ("DELET", "", "", "DELETE /a?b=c\naccept:*/*\nhost:good.example:81"),
        ("purge", "", "", "purge /a?b=c\naccept:*/*\nhost:good.example:81"),
    ] {
        let response = call(&client, verb, "http://good.example:81/a?b=c#d", fields, body).await.expect(verb);
        assert_eq!(text(&response), expected);
        assert_eq!((response.status(), &response.headers()["x-echo"]), (200, &http::HeaderValue::from_static("1")));
    }
    assert_eq!(transport.dialled(), ["93.184.216.34:81"], "connections are used again");
}

#[tokio::test]
async fn scripts_do_not_share_connections() {
    let transport = FakeTransport::new(server(|_| answer(200, &[], "")).await);
    transport.name("good.example", &["93.184.216.34"]);
    let network = network(transport.clone());
    for _ in 0..2 {
        let client = network.client(allowed(&["good.example"]), CallLimits::default());
        get(&client, "http://good.example/").await.expect("an answer");
        get(&client.clone(), "http://good.example/").await.expect("an answer");
    }
    assert_eq!(transport.dialled().len(), 2);
}

#[tokio::test]
async fn the_system_resolves_names() {
    let server = server(|request| answer(200, &[], describe(&request))).await;
    let client = network(Arc::new(SystemTransport)).client(allowed(&["localhost"]), CallLimits::default());
    let response = get(&client, &format!("http://localhost:{}/", server.port())).await.expect("an answer");
    assert!(text(&response).contains("host:localhost:"), "{}", text(&response));
    let error = get(&client, &format!("http://127.0.0.1:{}/", server.port())).await.expect_err("not listed");
    assert_eq!(error.code(), 7);
}

#[tokio::test]
async fn any_status_is_an_answer_and_bodies_are_not_decompressed() {
    let transport = FakeTransport::new(server(|_| answer(503, &[("content-encoding", "gzip")], "not gzip")).await);
    let client = client(&transport, &["http://10.0.0.1"]);
    let response = get(&client, "http://10.0.0.1/").await.expect("an answer");
    assert_eq!((response.status(), text(&response).as_str()), (503, "not gzip"));
}

#[tokio::test]
async fn schemes_tunnels_and_silent_servers_are_request_errors() {
    let transport = FakeTransport::new(server(|_| answer(200, &[], "")).await);
    let client = client(&transport, &["http://10.0.0.1", "nowhere.example"]);
    for (verb, url) in [
        ("GET", "ftp://10.0.0.1/"),
        ("GET", "redis://10.0.0.1/"),
        ("GET", "ws://10.0.0.1/"),
        ("CONNECT", "http://10.0.0.1/"),
        ("TRACE", "http://10.0.0.1/"),
        ("PRI", "http://10.0.0.1/"),
        ("GET", "https://10.0.0.1/"),
        ("GET", "http://nowhere.example/"),
    ] {
        let error = call(&client, verb, url, "", "").await.expect_err(url);
        assert_eq!(error.code(), 11, "{verb} {url}: {error}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let client = crate::outbound::tests::client(&FakeTransport::new(closed), &["http://10.0.0.1"]);
    assert!(matches!(get(&client, "http://10.0.0.1/").await, Err(Error::Connect { .. })));
    let client = crate::outbound::tests::client(
        &FakeTransport::new(raw_server(b"220 smtp ready\r\n").await),
        &["http://10.0.0.1"],
    );
    assert!(matches!(get(&client, "http://10.0.0.1/").await, Err(Error::Exchange(_))));
}

/// A server whose paths redirect: `/301/http://...` with 301 to what follows. Everything else describes the request.
async fn redirecting() -> Arc<FakeTransport> {
    let transport = FakeTransport::new(
        server(|request| {
            let target = request.uri().path_and_query().expect("a path").as_str();
            let (status, to) = target[1..].split_once('/').unwrap_or_default();
            match status.parse() {
                Ok(status) => answer(status, &[("location", to)], "moved"),
                Err(_) => answer(200, &[], describe(&request)),
            }
        })
        .await,
    );
    transport.name("a.example", &["93.184.216.34"]);
    transport.name("b.example", &["93.184.216.35"]);
    transport.name("evil.example", &["93.184.216.66"]);
    transport.name("loop.example", &["127.0.0.1"]);
    transport
}

#[tokio::test]
async fn redirects_within_the_list_are_followed() {
    let transport = redirecting().await;
    let client = client(&transport, &["a.example", "b.example"]);
    let secrets = "authorization:s\ncookie:s\nx-mine:1\ncontent-type:text/plain\n";
    for (target, expected) in [
        ("302//x", "GET /x\naccept:*/*\nauthorization:s\ncookie:s\nhost:a.example\nx-mine:1"),
        ("303/http://b.example/x", "GET /x\naccept:*/*\nhost:b.example\nx-mine:1"),
        (
            "307//x",
            "POST /x\naccept:*/*\nauthorization:s\ncontent-length:5\ncontent-type:text/plain\ncookie:s\n\
             host:a.example\nx-mine:1",
        ),
        (
            "308/http://b.example/x",
            "POST /x\naccept:*/*\ncontent-length:5\ncontent-type:text/plain\nhost:b.example\nx-mine:1",
        ),
        ("301//302//307//x", "GET /x\naccept:*/*\nauthorization:s\ncookie:s\nhost:a.example\nx-mine:1"),
    ] {
        let url = format!("http://a.example/{target}");
        let response = call(&client, "POST", &url, secrets, "hello").await.expect(target);
        assert_eq!(text(&response), expected, "{target}");
    }
    let response = get(&client, "http://a.example/304//x").await.expect("an answer");
    assert_eq!(response.status(), 304);
}

#[tokio::test]
async fn redirects_out_are_refused() {
    let transport = redirecting().await;
    let client = client(&transport, &["a.example", "loop.example"]);
    for (target, code) in [
        ("302/http://evil.example/", 7),
        ("307/https://evil.example/", 7),
        ("302//302/http://evil.example/", 7),
        ("302///evil.example/", 7),
        ("302/http://127.0.0.1/", 7),
        ("302/http://[::1]/", 7),
        ("302/http://2130706433/", 7),
        ("302/http://169.254.169.254/latest/meta-data/", 7),
        ("302/http://loop.example/", 7),
        ("302/http://sub.a.example/", 7),
        ("302/http://a.example../", 7),
        ("302/http://user@a.example/", 11),
        ("302/ftp://a.example/", 11),
    ] {
        let target = format!("http://a.example/{target}");
        let error = get(&client, &target).await.expect_err(&target);
        assert_eq!(error.code(), code, "{target}: {error}");
    }
    let dialled = transport.dialled();
    assert!(dialled.iter().all(|address| address == "93.184.216.34:80"), "{dialled:?}");
}

#[tokio::test]
async fn redirects_end() {
    let transport = redirecting().await;
    let client = client(&transport, &["a.example"]);
    let ten = format!("http://a.example/{}x", "302//".repeat(10));
    assert_eq!(get(&client, &ten).await.expect("an answer").status(), 200);
    let eleven = format!("http://a.example/{}x", "302//".repeat(11));
    assert!(matches!(get(&client, &eleven).await, Err(Error::TooManyRedirects(10))));
}
