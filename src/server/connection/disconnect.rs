//! How a connection ends at the socket: noticing that the client has left, and closing without destroying an answer
//! that is still under way. Called by `pace` while requests are open, and by `connection` after the last.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::server::connection::state::ConnectionState;

/// Longest wait for a client to stop sending after it was answered.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// Most bytes read for nothing after the answer.
const LINGER_BYTES: usize = 64 << 20;

/// How the client left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Disconnect {
    /// It will send no more, but might still be reading.
    HalfClosed,
    /// The connection is broken in both directions.
    Reset,
}

pub(in crate::server) type Watch = Pin<Box<dyn Future<Output = Disconnect> + Send>>;

/// Resolves once the client has closed its side, whether or not bytes it sent before are still unread.
///
/// The HTTP library learns of a closed connection by reading, which it does not do while a request body waits for
/// its reader. The interest in priority events is the one that comes with "closed" but not with "readable".
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::server) fn watch(line: &Arc<ConnectionState>) -> Watch {
    use tokio::io::Interest;

    let line = Arc::clone(line);
    Box::pin(async move {
        match line.tcp.ready(Interest::PRIORITY | Interest::ERROR).await {
            Ok(ready) if ready.is_error() => Disconnect::Reset,
            Ok(ready) if ready.is_read_closed() => Disconnect::HalfClosed,
            // Urgent data: nobody sends it over HTTP, and it would keep this future ready for ever.
            Ok(_) => std::future::pending().await,
            Err(_) => Disconnect::Reset,
        }
    })
}

/// Elsewhere the socket cannot be asked; a client that left is noticed by the next read or write.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::server) fn watch(_: &Arc<ConnectionState>) -> Watch {
    Box::pin(std::future::pending())
}

/// Ends our direction and, if the client may still be sending, reads until it stops.
///
/// Closing a socket with unread bytes makes the kernel send a reset, and a reset can overtake the answer: the client
/// would see a broken connection where a refusal was sent.
pub(in crate::server) async fn linger(line: &ConnectionState, failed: bool) {
    line.shut(std::net::Shutdown::Write);
    let mut scrap = vec![0; 16 << 10];
    let pending = matches!(line.tcp.try_read(&mut scrap), Ok(1..));
    if failed || pending || line.unread() {
        let _ = tokio::time::timeout(LINGER_TIME, discard(line, &mut scrap)).await;
    }
}

async fn discard(line: &ConnectionState, scrap: &mut [u8]) -> std::io::Result<()> {
    let mut discarded = 0;
    while discarded < LINGER_BYTES {
        line.tcp.readable().await?;
        match line.tcp.try_read(scrap) {
            Ok(0) => break,
            Ok(read) => discarded += read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
