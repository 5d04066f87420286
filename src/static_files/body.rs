//! How does a file reach the connection?
//!
//! Piece by piece, when the connection asks for the next: a client that does not read costs one piece. A piece that the system has in
//! memory is taken at once; a disk is waited for on a thread that may block. A file that has become shorter meanwhile ends the
//! transfer, so that the response does not look complete.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::static_files::blocking;
use crate::static_files::root::OpenFile;

/// The most that is read at once.
const PIECE: u64 = 64 << 10;

/// A part of a file that is on its way to the client.
pub(crate) struct FileBody {
    file: Arc<File>,
    /// Whether reading without waiting can be tried: the file is local, and its file system has not said that it cannot do that.
    can_try: bool,
    offset: u64,
    remaining: u64,
    reading: Option<Pin<Box<dyn Future<Output = io::Result<Bytes>> + Send>>>,
}

impl FileBody {
    /// The `length` bytes of a file from an offset.
    pub(super) fn new(opened: OpenFile, offset: u64, length: u64) -> Self {
        let OpenFile { file, is_local, .. } = opened;
        Self { file: Arc::new(file), can_try: is_local, offset, remaining: length, reading: None }
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
        let piece = match self.read_at_once() {
            Some(piece) => Ok(piece),
            None => ready!(self.poll_reading(cx)),
        };
        if let Ok(piece) = &piece {
            self.offset += piece.len() as u64;
            self.remaining = self.remaining.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(piece))
    }

    fn length(&self) -> u64 {
        self.remaining.min(PIECE)
    }

    /// What the system has in memory of the next piece, if it has its begin.
    fn read_at_once(&mut self) -> Option<Bytes> {
        if !self.can_try || self.reading.is_some() {
            return None;
        }
        let mut piece = vec![0; usize::try_from(self.length()).ok()?];
        match read_cached(&self.file, &mut piece, self.offset) {
            Cached::Piece(0) | Cached::Absent => None,
            Cached::Piece(read) => {
                piece.truncate(read);
                Some(piece.into())
            }
            Cached::Unsupported => {
                self.can_try = false;
                None
            }
        }
    }

    /// Waits for the next piece.
    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let (file, offset, length) = (&self.file, self.offset, self.length());
        let reading = self.reading.get_or_insert_with(|| Box::pin(read(file.clone(), offset, length)));
        let piece = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        Poll::Ready(piece)
    }
}

/// What comes of reading without waiting for a disk.
enum Cached {
    /// This many bytes, which the system has in memory.
    Piece(usize),
    /// The disk has to be waited for.
    Absent,
    /// The file system cannot read without waiting.
    Unsupported,
}

#[cfg(target_os = "linux")]
fn read_cached(file: &File, piece: &mut [u8], offset: u64) -> Cached {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    match preadv2(file, &mut [io::IoSliceMut::new(piece)], offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => Cached::Piece(read),
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => Cached::Unsupported,
        Err(_) => Cached::Absent,
    }
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: u64) -> Cached {
    Cached::Unsupported
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
