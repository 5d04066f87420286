//! Guests that call the server they run in, which no list allows.

use std::net::UdpSocket;

use crate::support::caller::Caller;
use crate::support::guest::component;
use crate::support::http1::{Answer, Connection};
use crate::support::port;
use crate::support::process::{Wagi, command};
use crate::support::site::Site;
use crate::support::upstream::{Upstream, redirect, reply};

const ALL: &str = "allowed_hosts = ['insecure:allow-all']";

/// Lets the component call a URL.
fn called(wagi: &Wagi, url: &str) -> Answer {
    Connection::open(wagi.address()).get(&format!("/call?{url}"))
}

#[track_caller]
fn is_refused(wagi: &Wagi, url: &str) {
    let answer = called(wagi, url);
    assert_eq!(answer.status, 502, "{url}");
    assert!(answer.text().contains("DestinationIpProhibited"), "{url}: {}", answer.text());
}

/// The address of an interface by which this machine would leave it, if there is one.
fn interface_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback()).then(|| own.to_string())
}

#[test]
fn a_component_cannot_call_its_server_by_any_spelling_of_its_address() {
    let upstream = Upstream::start(|_| reply("200 OK", "", "elsewhere"));
    let wagi = Site::new().module("/...", &component("http-probe.wasm"), ALL).start(&["-l", "0.0.0.0:0"]);
    assert_eq!(called(&wagi, &upstream.url("/")).text(), "elsewhere");
    let [loopback, wildcard] = [0, 1].map(|at| wagi.addresses()[at].port());
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST.",
        "api.localhost",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:0.0.0.0]",
        "127.0.0.1%2e",
    ] {
        for port in [loopback, wildcard] {
            let answer = called(&wagi, &format!("http://{host}:{port}/call?{}", upstream.url("/")));
            assert!(answer.status >= 500 && !answer.text().contains("elsewhere"), "{host}:{port}: {}", answer.text());
        }
    }
    for host in ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        is_refused(&wagi, &format!("http://{host}:{loopback}/"));
        is_refused(&wagi, &format!("https://{host}:{wildcard}/"));
    }
    is_refused(&wagi, &format!("http://127.9.8.7:{wildcard}/"));
    if let Some(own) = interface_address() {
        is_refused(&wagi, &format!("http://{own}:{wildcard}/"));
    }
    // Where the server does not listen, the list decides.
    assert!(called(&wagi, &format!("http://127.9.8.7:{loopback}/")).text().contains("ConnectionRefused"));
    assert_eq!(upstream.received().len(), 1);
}

#[test]
fn a_module_cannot_call_its_server_nor_be_redirected_there() {
    let site = Site::new().text_module("/...", &Caller::new().module(), ALL);
    let wagi = site.start(&[]);
    let own = format!("http://{}/", wagi.address());
    let redirected = own.clone();
    let upstream = Upstream::start(move |_| redirect("302 Found", &redirected));
    let by_name = format!("http://localhost:{}/", wagi.address().port());
    let caller = Caller::new().get(&own).get(&by_name).get(upstream.url("/"));
    std::fs::write(wagi.directory().join("guest0.wat"), caller.module()).expect("a file can be written");
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=2 "]);
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "7\n7\n7\n");
    assert_eq!(upstream.received().len(), 1);
    wagi.logged(&["127.0.0.1", "where this server itself listens"]);
}

#[test]
fn a_listener_that_a_reload_opens_is_refused_and_one_that_it_closes_is_not() {
    let port = port::free().port();
    let manifest = |listen: &str| {
        let module = component("http-probe.wasm");
        let module = module.display();
        format!("[server]\nlisten = [{listen}]\n[[module]]\nroute = '/...'\nmodule = '{module}'\n{ALL}\n")
    };
    let site = Site::new().top(&manifest("'127.0.0.1:0'"));
    site.write();
    let mut command = command(site.path());
    let wagi = Wagi::spawn(command.args(["-c", "modules.toml"])).keeping(site.into_directory());
    let (file, url) = (wagi.directory().join("modules.toml"), format!("http://127.0.0.1:{port}/"));
    assert!(called(&wagi, &url).text().contains("ConnectionRefused"));
    std::fs::write(&file, manifest(&format!("'127.0.0.1:0', '127.0.0.1:{port}'"))).expect("a file can be written");
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=2 "]);
    is_refused(&wagi, &url);
    std::fs::write(&file, manifest("'127.0.0.1:0'")).expect("a file can be written");
    wagi.signal("HUP");
    wagi.logged(&["reloaded generation=3 "]);
    assert!(called(&wagi, &url).text().contains("ConnectionRefused"));
    is_refused(&wagi, &format!("http://{}/", wagi.address()));
}

#[test]
fn a_component_cannot_call_the_address_of_its_server_for_web_servers() {
    let server = "[server]\ntrusted_proxies = ['127.0.0.0/8']";
    let site = Site::new().top(server).module("/...", &component("http-probe.wasm"), ALL);
    let wagi = site.start(&["-l", "fastcgi:127.0.0.1:0"]);
    let address = wagi.url().split_once("fastcgi:").expect("the second address").1.to_owned();
    is_refused(&wagi, &format!("http://{address}/"));
}
