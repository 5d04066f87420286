//! Several listeners at once: ports with and without TLS, the ready line, redirects, and addresses that cannot be used.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use crate::support::http1::{Answer, Connection};
use crate::support::port;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;
use crate::support::tls::fixture;

/// The probe with `[server]` and TLS.
fn start_secure(server: &str) -> Wagi {
    let (cert, key) = (fixture("ec.cert.pem"), fixture("ec.pkcs8.pem"));
    let tls = format!("[tls]\ncertificates = [{{ cert = '{cert}', key = '{key}' }}]\n");
    start(&format!("[server]\n{server}\n{tls}"))
}

/// The probe with something before it, and without `--listen`.
fn start(top: &str) -> Wagi {
    let site = Site::probe("").top(top);
    site.write();
    let mut command = process::command(site.path());
    Wagi::spawn(command.args(["-c", "modules.toml"])).keeping(site.into_directory())
}

fn plain(wagi: &Wagi, number: usize, request: &str) -> Answer {
    let mut connection = Connection::open(wagi.addresses()[number]);
    connection.send(request);
    connection.answer()
}

#[test]
fn all_addresses_are_served_and_the_ready_line_names_them_in_order() {
    let wagi = start("[server]\nlisten = ['127.0.0.1:0', 'unix:web.sock', '[::1]:0']\n");
    let [first, second] = wagi.addresses()[..] else { panic!("two ports: {}", wagi.url()) };
    assert_eq!(wagi.url(), format!("http://{first} unix:web.sock http://{second}"));
    assert_eq!(wagi.output(), format!("Ready: serving on {}\n", wagi.url()));
    assert!(first.is_ipv4() && second.is_ipv6());
    for address in [first, second] {
        assert_eq!(Connection::open(address).get("/args").text(), "\"/args\"\n");
    }
    assert_eq!(Connection::open_unix(&wagi.directory().join("web.sock")).get("/args").text(), "\"/args\"\n");
}

#[test]
fn addresses_of_the_command_line_replace_those_of_the_file() {
    let site = Site::probe("").top("[server]\nlisten = ['unix:file.sock']\n");
    let wagi = site.start(&["--listen", "127.0.0.1:0"]);
    assert_eq!(wagi.addresses().len(), 2);
    assert!(!wagi.directory().join("file.sock").exists());
}

#[test]
fn a_port_can_be_plain_beside_others_with_tls_and_unix_sockets_always_are() {
    let wagi = start_secure("listen = ['127.0.0.1:0', 'http:127.0.0.1:0', 'unix:web.sock']");
    let [secure, plain] = wagi.addresses()[..] else { panic!("two ports: {}", wagi.url()) };
    assert_eq!(wagi.url(), format!("https://{secure} http://{plain} unix:web.sock"));
    assert_eq!(Connection::open(plain).get("/args").text(), "\"/args\"\n");
    assert_eq!(Connection::open_unix(&wagi.directory().join("web.sock")).get("/args").text(), "\"/args\"\n");
    assert_eq!(Connection::open(secure).get("/args").status, 400);
}

#[test]
fn ipv4_and_ipv6_of_the_same_port_can_be_listed_both() {
    let port = port::free_of(Ipv4Addr::UNSPECIFIED.into()).port();
    let wagi = start(&format!("[server]\nlisten = ['0.0.0.0:{port}', '[::]:{port}']\n"));
    for host in ["127.0.0.1", "[::1]"] {
        let address = format!("{host}:{port}").parse().expect("an address");
        assert_eq!(Connection::open(address).get("/args").status, 200, "{}", wagi.url());
    }
}

/// RFC 9110 §15.4.9: the method and the body stay.
#[test]
fn a_plain_port_can_redirect_to_the_port_with_tls() {
    let wagi = start_secure("listen = ['http:127.0.0.1:0', '127.0.0.1:0', 'unix:web.sock']\nredirect_https = true");
    let port = wagi.addresses()[1].port();
    for method in ["GET", "POST", "HEAD", "DELETE"] {
        let request = format!("{method} /a%20b?c=d HTTP/1.1\r\nHost: example.com:80\r\n\r\n");
        let mut connection = Connection::open(wagi.addresses()[0]);
        connection.send(request);
        let answer = connection.head();
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(&*format!("https://example.com:{port}/a%20b?c=d")))
        );
    }
    for request in ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: good@evil.example\r\n\r\n"] {
        let answer = plain(&wagi, 0, request);
        assert_eq!((answer.status, answer.header("location")), (400, None), "{request}");
    }
    assert_eq!(Connection::open_unix(&wagi.directory().join("web.sock")).get("/args").status, 200);
}

/// Otherwise the client, which uses HTTPS already, would be sent to where it came from, for ever.
#[test]
fn a_plain_port_serves_what_a_trusted_proxy_has_received_over_https() {
    let wagi = start_secure(
        "listen = ['http:127.0.0.1:0', '127.0.0.1:0']\nredirect_https = true\ntrusted_proxies = ['127.0.0.1']",
    );
    for (field, status) in [
        ("X-Forwarded-Proto: https", 200),
        ("X-Forwarded-Proto: http", 308),
        ("Forwarded: proto=https", 308),
        ("X-Other: https", 308),
    ] {
        let request = format!("GET /args HTTP/1.1\r\nHost: example.com\r\n{field}\r\nConnection: close\r\n\r\n");
        assert_eq!(plain(&wagi, 0, &request).status, status, "{field}");
    }
}

#[test]
fn an_address_is_used_once() {
    let refused = |listen: &[&str], top: &str| {
        let site = Site::probe("").top(top);
        site.write();
        let mut arguments = vec!["-c", "modules.toml"];
        arguments.extend(listen.iter().flat_map(|address| ["-l", *address]));
        let output = process::run(site.path(), &arguments);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let twice = refused(&["127.0.0.1:3999", "http:127.0.0.1:3999"], "");
    assert!(twice.contains("`--listen http:127.0.0.1:3999` is given twice"), "{twice}");
    let twice = refused(&[], "[server]\nlisten = ['unix:a', 'unix:a?mode=0600']\n");
    assert!(twice.contains("`unix:a` is listed twice in `listen`") && twice.contains("modules.toml:2:21"), "{twice}");
    let redirect = refused(&[], "[server]\nlisten = ['127.0.0.1:0']\nredirect_https = true\n");
    assert!(
        redirect.contains("`redirect_https` needs a certificate") && redirect.contains("modules.toml:3:18"),
        "{redirect}"
    );
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("an address").to_string();
    let in_use = refused(&["unix:a", &taken], "");
    assert!(in_use.contains(&format!("address {taken} is already in use")), "{in_use}");
    let inherited = refused(&["systemd:web"], "");
    assert!(inherited.contains("cannot listen on systemd:web: the process inherits no socket"), "{inherited}");
}

/// What was opened before the address that fails is closed and removed again.
#[test]
fn nothing_is_left_of_a_start_that_fails() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("an address").to_string();
    let site = Site::probe("");
    site.write();
    let output = process::run(site.path(), &["-c", "modules.toml", "-l", "unix:web.sock", "-l", &taken]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    assert!(!site.path().join("web.sock").exists());
    assert!(TcpStream::connect(&taken).is_ok());
}
