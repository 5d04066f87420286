//! What is counted of reloads, connections and certificates.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use wagi::Gateway;
use wagi::config::{Diagnostic, ListenAddress, Options, Source, TlsFiles};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::server::Server;
use wagi::startup::Reloader;

use crate::metrics::{has, requests, value};
use crate::support::eventually;
use crate::support::guest::printing;
use crate::support::http1::Connection;

/// A server in this process that can be reloaded.
pub(super) struct Served {
    directory: TempDir,
    reloader: Reloader,
    pub addresses: Vec<SocketAddr>,
}

/// Writes a modules.toml, whose modules are beside it.
fn configure(directory: &TempDir, manifest: &str) {
    let manifest = manifest.replace("module = '", &format!("module = '{}/", directory.path().display()));
    std::fs::write(directory.path().join("modules.toml"), manifest).expect("a file");
}

impl Served {
    /// A server over this modules.toml, with the modules `a.wat` and `b.wat` beside it, on a plain port and perhaps one with TLS.
    pub async fn start(manifest: &str, has_tls: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        for name in ["a", "b"] {
            let guest = printing(format!("Content-Type: text/plain\n\n{name}"));
            std::fs::write(path(&format!("{name}.wat")), guest).expect("a file");
        }
        configure(&directory, manifest);
        let mut options = Options::new(Source::Manifest(path("modules.toml")));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        options.listen = vec![ListenAddress::PlainTcp(any)];
        if has_tls {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
            let (cert, key) = (fixtures.join("ec.cert.pem"), fixtures.join("ec.pkcs8.pem"));
            options.listen.push(ListenAddress::Tcp(any));
            options.tls = Some(TlsFiles { cert, key, location: None });
        }
        let (log, mut problems) = (LogWriter::spawn(std::io::sink()).expect("a thread"), Vec::new());
        let reloader = Reloader::start(options, &log, Arc::new(Silent), &mut problems).await.expect("a gateway");
        assert!(!problems.iter().any(Diagnostic::is_error), "{problems:?}");
        let server = Server::bind(&reloader.config().server).await.expect("a port");
        let addresses = server.addresses();
        let reloader = reloader.with_server(server.handle());
        tokio::spawn(server.serve(reloader.gateway().clone(), std::future::pending()));
        Self { directory, reloader, addresses }
    }

    pub fn gateway(&self) -> &Gateway {
        self.reloader.gateway()
    }

    /// Reloads over another modules.toml.
    async fn reload(&mut self, manifest: &str) {
        configure(&self.directory, manifest);
        self.reloader.reload().await;
    }

    /// Asks for some paths on a connection of their own.
    pub async fn get(&self, paths: &'static [&'static str]) {
        let address = self.addresses[0];
        let asked = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(address);
            paths.iter().for_each(|path| drop(connection.get(path)));
        });
        asked.await.expect("answers");
    }
}

pub(super) const A: &str = "[[module]]\nroute = '/a'\nmodule = 'a.wat'\n";
const B: &str = "[[module]]\nroute = '/b'\nmodule = 'b.wat'\n";

#[tokio::test(flavor = "multi_thread")]
async fn counters_go_on_over_reloads_also_those_of_a_route_that_was_gone() {
    let mut served = Served::start(&format!("{A}{B}"), false).await;
    has(served.gateway(), &[("wagi_module_compile_seconds_count", 2.0), ("wagi_config_last_reload_success", 1.0)]);
    let started = value(served.gateway(), "wagi_config_last_reload_timestamp_seconds");
    assert!(started > 1.7e9, "{started}");
    served.get(&["/a", "/b", "/a"]).await;
    served.reload(A).await;
    served.get(&["/a", "/b"]).await;
    let gone = requests("/b", "GET", "200");
    has(served.gateway(), &[(&requests("/a", "GET", "200"), 3.0), (&gone, 1.0), (&requests("", "GET", "404"), 1.0)]);
    served.reload(&format!("{A}{B}")).await;
    served.get(&["/b"]).await;
    has(served.gateway(), &[(&gone, 2.0), ("wagi_config_generation", 3.0)]);
    assert!(value(served.gateway(), "wagi_config_last_reload_timestamp_seconds") >= started);
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_are_counted_by_their_result() {
    let mut served = Served::start(A, false).await;
    served.reload(A).await;
    served.reload("nonsense = = 1").await;
    has(
        served.gateway(),
        &[
            ("wagi_config_reloads_total{result=\"success\"}", 0.0),
            ("wagi_config_reloads_total{result=\"unchanged\"}", 1.0),
            ("wagi_config_reloads_total{result=\"failure\"}", 1.0),
            ("wagi_config_last_reload_success", 0.0),
            ("wagi_config_generation", 1.0),
        ],
    );
    served.reload(&format!("{A}{B}")).await;
    has(
        served.gateway(),
        &[("wagi_config_reloads_total{result=\"success\"}", 1.0), ("wagi_config_last_reload_success", 1.0)],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_at_their_listener_by_protocol_and_result() {
    let served = Served::start(A, true).await;
    let (plain, secure) = (format!("http://{}", served.addresses[0]), format!("https://{}", served.addresses[1]));
    let sample = |listener: &str, protocol: &str, result: &str| {
        let labels = format!("listener=\"{listener}\",protocol=\"{protocol}\",result=\"{result}\"");
        value(served.gateway(), &format!("wagi_connections_total{{{labels}}}"))
    };
    let open = || value(served.gateway(), &format!("wagi_connections{{listener=\"{plain}\"}}"));
    let mut kept = Connection::open(served.addresses[0]);
    kept.get("/a");
    kept.get("/a");
    assert!((sample(&plain, "http1", "accepted") - 1.0).abs() < 0.1);
    assert!((open() - 1.0).abs() < 0.1);
    drop(kept);
    eventually(|| (open() < 0.1).then_some(()));
    drop(Connection::open(served.addresses[0]));
    eventually(|| (sample(&plain, "", "closed") > 0.9).then_some(()));
    let mut http2 = Connection::open(served.addresses[0]);
    http2.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    eventually(|| (sample(&plain, "http2", "accepted") > 0.9).then_some(()));
    Connection::open(served.addresses[1]).send("GET / HTTP/1.1\r\n\r\n");
    eventually(|| (sample(&secure, "", "handshake-failed") > 0.9).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_has_the_time_of_its_end_and_none_has_nothing() {
    let sample = "wagi_tls_certificate_not_after_timestamp_seconds{subject=\"CN=localhost\"}";
    let secure = Served::start(A, true).await;
    assert!(value(secure.gateway(), sample) > 1.7e9);
    let plain = Served::start(A, false).await;
    assert!(!plain.gateway().render_metrics().contains("wagi_tls_certificate_not_after_timestamp_seconds{"));
}
