//! How does standard input become the body of a request?
//!
//! A thread of its own reads it, as a read of standard input cannot be given up. The thread ends with the process, or when the body is
//! dropped.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How much is read at once, and how many pieces wait for the gateway.
const PIECE: usize = 16 << 10;
const WAITING_PIECES: usize = 2;

/// How much of standard input is the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::commands) enum InputLength {
    Known(u64),
    /// All of it.
    Unknown,
}

/// The body of the request.
pub(in crate::cli::commands) struct StandardInput {
    pieces: Receiver<io::Result<Bytes>>,
    left: InputLength,
}

impl StandardInput {
    /// A body of this length.
    pub fn spawn(length: InputLength) -> Self {
        let (sender, pieces) = channel(WAITING_PIECES);
        if length != InputLength::Known(0) {
            std::thread::spawn(move || read(&mut io::stdin().lock(), length, &sender));
        }
        Self { pieces, left: length }
    }
}

impl InputLength {
    fn without(self, read: usize) -> Self {
        match self {
            Self::Known(left) => Self::Known(left.saturating_sub(read as u64)),
            Self::Unknown => Self::Unknown,
        }
    }

    /// The most that is read next.
    fn room(self) -> usize {
        match self {
            Self::Known(left) => usize::try_from(left).map_or(PIECE, |left| left.min(PIECE)),
            Self::Unknown => PIECE,
        }
    }
}

/// Sends the body piece by piece. If it ends before its length, that is an error.
fn read(input: &mut impl Read, mut left: InputLength, sender: &Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PIECE];
    while left != InputLength::Known(0) {
        let piece = match input.read(buffer.get_mut(..left.room()).unwrap_or_default()) {
            Ok(0) if left == InputLength::Unknown => return,
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => Ok(Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let read = piece.as_ref().map_or(0, Bytes::len);
        left = left.without(read);
        if sender.blocking_send(piece).is_err() || read == 0 {
            return;
        }
    }
}

impl Body for StandardInput {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(cx).map(|piece| {
            let piece = piece?;
            self.left = self.left.without(piece.as_ref().map_or(0, Bytes::len));
            Some(piece.map(Frame::data))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == InputLength::Known(0)
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            InputLength::Known(left) => SizeHint::with_exact(left),
            InputLength::Unknown => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::cgi::standard_input::*;

    /// What is sent of an input, and whether it ends with an error.
    fn sent(input: &[u8], length: InputLength) -> (Vec<u8>, bool) {
        let (sender, mut pieces) = channel(64);
        read(&mut &input[..], length, &sender);
        drop(sender);
        let (mut all, mut is_broken) = (Vec::new(), false);
        while let Some(piece) = pieces.blocking_recv() {
            match piece {
                Ok(piece) => all.extend(piece),
                Err(_) => is_broken = true,
            }
        }
        (all, is_broken)
    }

    #[test]
    fn the_body_is_what_was_announced() {
        let long = vec![b'x'; 100_000];
        for (input, length, expected) in [
            (&b"abc"[..], InputLength::Known(3), (&b"abc"[..], false)),
            (b"abcdef", InputLength::Known(3), (b"abc", false)),
            (b"ab", InputLength::Known(3), (b"ab", true)),
            (b"", InputLength::Known(1), (b"", true)),
            (b"", InputLength::Unknown, (b"", false)),
            (b"abc", InputLength::Unknown, (b"abc", false)),
            (&long, InputLength::Known(100_000), (&long, false)),
            (&long, InputLength::Unknown, (&long, false)),
        ] {
            let (all, is_broken) = sent(input, length);
            assert_eq!((&*all, is_broken), expected, "{length:?}");
        }
    }
}
