//! What has a guest printed of its body before the head is committed?

use bytes::{Bytes, BytesMut};

/// A body in the chunks in which it was printed. A single chunk, the usual case, is not copied.
#[derive(Default)]
pub(super) struct PrintedBody {
    first: Bytes,
    joined: BytesMut,
    /// The bytes in the chunks.
    pub kept: usize,
    /// The length of the body, discarded bytes included.
    pub length: u64,
}

impl PrintedBody {
    /// Appends a chunk.
    pub fn push(&mut self, chunk: Bytes) {
        self.kept += chunk.len();
        self.count(&chunk);
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = chunk;
        } else {
            if self.joined.is_empty() {
                self.joined.extend_from_slice(&self.first);
            }
            self.joined.extend_from_slice(&chunk);
        }
    }

    /// Counts a chunk that is not kept.
    pub fn count(&mut self, chunk: &Bytes) {
        self.length += chunk.len() as u64;
    }

    /// Takes all chunks as one.
    pub fn take(&mut self) -> Bytes {
        let Self { first, joined, .. } = std::mem::take(self);
        if joined.is_empty() { first } else { joined.freeze() }
    }
}
