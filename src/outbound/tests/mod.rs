//! Calls over real sockets, on a transport that leads to a single server, whatever is connected to.

mod calls;
mod hosts;
mod limits;
mod policy;
mod streaming;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::config::AllowedHosts;
use crate::net::connect::transport::Transport;
use crate::net::tests::{FakeTransport, ServerRequest, answer, server};
use crate::outbound::response::CallResponse;
use crate::outbound::{CallLimits, CallRequest, Client, Error, Network, headers, method};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// Starts a server that reads something and then writes `bytes`, and no more.
async fn raw_server(bytes: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await;
            kept.push(stream);
        }
    });
    address
}

/// The request line and the headers, sorted.
fn describe(request: &ServerRequest) -> String {
    let mut lines: Vec<_> =
        request.headers().iter().map(|(name, value)| format!("{name}:{}", value.to_str().expect("text"))).collect();
    lines.sort();
    format!("{} {}\n{}", request.method(), request.uri(), lines.join("\n"))
}

fn allowed(entries: &[&str]) -> AllowedHosts {
    let mut allowed = AllowedHosts::default();
    for entry in entries {
        allowed.add(entry).expect(entry);
    }
    allowed
}

fn network(transport: Arc<dyn Transport>) -> Network {
    let tls = crate::net::tls::verified(tokio_rustls::rustls::RootCertStore::empty()).expect("TLS");
    Network::with(Handle::current(), tls, transport)
}

fn client(transport: &Arc<FakeTransport>, entries: &[&str]) -> Client {
    network(transport.clone()).client(allowed(entries), CallLimits::default())
}

fn request(client: &Client, verb: &str, url: &str, fields: &str, body: &'static str) -> Result<CallRequest, Error> {
    Ok(CallRequest {
        destination: client.destination(url.as_bytes())?,
        method: method(verb.as_bytes())?,
        headers: headers(fields.as_bytes())?,
        body: Bytes::from_static(body.as_bytes()),
    })
}

async fn call(client: &Client, verb: &str, url: &str, fields: &str, body: &'static str) -> Result<CallResponse, Error> {
    client.send(request(client, verb, url, fields, body)?, None, LONG).await
}

async fn get(client: &Client, url: &str) -> Result<CallResponse, Error> {
    call(client, "GET", url, "", "").await
}

fn text(response: &CallResponse) -> String {
    String::from_utf8_lossy(response.body()).into_owned()
}
