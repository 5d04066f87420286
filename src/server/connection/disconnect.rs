//! How does a connection end at its socket?
//!
//! `watch` notices that the client has closed it. `linger` closes it so that the client still gets the response.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::server::connection::socket::Socket;
use crate::server::connection::state::ConnectionState;

/// How long a client may go on sending while its connection is closed, and how many bytes. They are read and dropped.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 64 << 20;

/// How the client closed the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Disconnect {
    /// It has closed its sending side, and may still read.
    HalfClosed,
    /// The connection is broken in both directions.
    Reset,
}

pub(in crate::server) type DisconnectWatch = Pin<Box<dyn Future<Output = Disconnect> + Send>>;

/// Resolves when the client has closed its sending side or the connection, even if bytes that it sent before are unread.
///
/// The HTTP library learns of a closed connection when it reads, and it does not read while a request body waits for its reader.
/// Of all events of a socket, an interest in "priority" reports "closed" and does not report "readable".
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::server) fn watch(state: &Arc<ConnectionState>) -> DisconnectWatch {
    use tokio::io::Interest;

    let state = Arc::clone(state);
    Box::pin(async move {
        match state.socket.ready(Interest::PRIORITY | Interest::ERROR).await {
            Ok(ready) if ready.is_error() => Disconnect::Reset,
            Ok(ready) if ready.is_read_closed() && is_gone(&state.socket).await => Disconnect::Reset,
            Ok(ready) if ready.is_read_closed() => Disconnect::HalfClosed,
            // Urgent data: HTTP has none, and it would keep this future ready for ever.
            Ok(_) => std::future::pending().await,
            Err(_) => Disconnect::Reset,
        }
    })
}

/// Resolves when the client has reset the connection. For a client that may close its sending side.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::server) fn watch_for_reset(state: &Arc<ConnectionState>) -> DisconnectWatch {
    let state = Arc::clone(state);
    Box::pin(async move {
        let _ = state.socket.ready(tokio::io::Interest::ERROR).await;
        Disconnect::Reset
    })
}

/// Whether the client has closed both directions of a Unix socket. Over TCP that looks like the end of one.
#[cfg(any(target_os = "linux", target_os = "android"))]
async fn is_gone(socket: &Socket) -> bool {
    let Socket::Unix(stream) = socket else { return false };
    tokio::select! {
        biased;
        ready = stream.ready(tokio::io::Interest::WRITABLE) => ready.is_ok_and(|ready| ready.is_write_closed()),
        // It is known at once, or it is not so.
        () = std::future::ready(()) => false,
    }
}

/// Elsewhere the socket has no such event. The next read or write notices the disconnect.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::server) fn watch(_: &Arc<ConnectionState>) -> DisconnectWatch {
    Box::pin(std::future::pending())
}

/// Elsewhere the socket has no such event.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(in crate::server) fn watch_for_reset(_: &Arc<ConnectionState>) -> DisconnectWatch {
    Box::pin(std::future::pending())
}

/// Closes the sending side and, if the client may still be sending, reads until it stops.
///
/// If a socket with unread bytes is closed, the system sends a reset. The reset can overtake the response, and the client would
/// see a broken connection instead of the response.
pub(in crate::server) async fn linger(state: &ConnectionState, failed: bool) {
    state.shutdown_write();
    let mut scratch = vec![0; 16 << 10];
    let pending = matches!(state.socket.try_read(&mut scratch), Ok(1..));
    if failed || pending || state.has_unread_body() {
        let _ = tokio::time::timeout(LINGER_TIME, discard(state, &mut scratch)).await;
    }
}

async fn discard(state: &ConnectionState, scratch: &mut [u8]) -> std::io::Result<()> {
    let mut discarded = 0;
    while discarded < LINGER_BYTES {
        state.socket.readable().await?;
        match state.socket.try_read(scratch) {
            Ok(0) => break,
            Ok(read) => discarded += read,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
