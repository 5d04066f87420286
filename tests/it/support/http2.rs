//! HTTP/2 with prior knowledge: streams that a test can hold, read piece by piece and reset.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::LONG;

/// A connection, driven by a task until it is dropped.
pub struct Connection {
    client: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("the server listens")).await
    }

    /// Begins on an open connection.
    pub async fn over(tcp: TcpStream) -> Self {
        let (client, connection) = h2::client::handshake(tcp).await.expect("the server speaks HTTP/2");
        // How it ends is of no interest: the streams tell.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Self { client, driver }
    }

    /// Sends a GET.
    pub async fn get(&mut self, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        self.send(Request::get(format!("http://localhost{path}")), true).await
    }

    /// Sends a request whose body follows unless this is its end.
    pub async fn send(&mut self, head: http::request::Builder, is_end: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let request = head.body(()).expect("a request");
        let client = self.client.clone().ready().await.expect("room for a stream");
        self.client = client;
        self.client.send_request(request, is_end).expect("an open connection")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The status of an answer, and its body still to be read.
pub async fn head(answer: ResponseFuture) -> (u16, RecvStream) {
    let answer = timeout(LONG, answer).await.expect("an answer in time").expect("an answer");
    (answer.status().as_u16(), answer.into_body())
}

/// The next piece of a body.
pub async fn piece(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let piece = timeout(LONG, body.data()).await.expect("a piece in time")?;
    Some(piece.inspect(|bytes| {
        body.flow_control().release_capacity(bytes.len()).expect("as much as was read");
    }))
}
