//! How does a file reach the connection?
//!
//! Piece by piece, when the connection asks for the next: a client that does not read costs one piece. A file that has become
//! shorter meanwhile ends the transfer, so that the response does not look complete.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::static_files::blocking;

/// The most that is read at once.
const PIECE: u64 = 64 << 10;

/// A part of a file that is on its way to the client.
pub(crate) struct FileBody {
    file: Arc<File>,
    offset: u64,
    remaining: u64,
    reading: Option<Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>>,
}

impl FileBody {
    /// The `length` bytes of a file from an offset.
    pub(super) fn new(file: File, offset: u64, length: u64) -> Self {
        Self { file: Arc::new(file), offset, remaining: length, reading: None }
    }

    /// How much is still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next piece; `None` at the end.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let (file, offset, length) = (&self.file, self.offset, self.remaining.min(PIECE));
        let reading = self.reading.get_or_insert_with(|| Box::pin(read(file.clone(), offset, length)));
        let piece = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        if let Ok(piece) = &piece {
            self.offset += piece.len() as u64;
            self.remaining = self.remaining.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(piece))
    }
}

/// Reads a piece, which has at least one byte.
async fn read(file: Arc<File>, offset: u64, length: u64) -> io::Result<Bytes> {
    let reading = move || {
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        loop {
            match file.read_at(&mut piece, offset) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file has become shorter")),
                Ok(read) => {
                    piece.truncate(read);
                    return Ok(piece.into());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    let too_slow = || io::Error::new(io::ErrorKind::TimedOut, "the file system takes too long");
    blocking::run(reading).await.ok_or_else(too_slow)?
}
