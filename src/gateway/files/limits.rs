//! How many files are sent, and how many responses compressed, at the same time?
//!
//! Such responses need no permit of a guest, and a client of HTTP/2 may ask for a hundred with one connection and take none of them. Each
//! file needs a descriptor, and each encoder memory.

use http::request::Parts;

use crate::gateway::admission::client_address::ClientAddress;
use crate::gateway::admission::client_shares::{SharedPermit, SharedPermits};
use crate::server::spare_descriptors;

/// How many responses are compressed at once. An encoder has up to 1 MiB.
const MAX_ENCODERS: usize = 256;

/// The permits of responses that are on their way.
pub(in crate::gateway) struct SentLimits {
    files: SharedPermits,
    encoders: SharedPermits,
}

impl SentLimits {
    /// Files may have half of the descriptors that are not for connections. One client may have half of all.
    pub fn new() -> Self {
        let of = |count: usize| SharedPermits::new(count, count / 2);
        Self { files: of(spare_descriptors() / 2), encoders: of(MAX_ENCODERS) }
    }

    /// A permit to send a file as the response to a request.
    pub fn file(&self, request: &Parts) -> Option<SharedPermit> {
        self.files.try_acquire(ClientAddress::from_head(request))
    }

    /// A permit to compress the response to a request.
    pub fn encoder(&self, request: &Parts) -> Option<SharedPermit> {
        self.encoders.try_acquire(ClientAddress::from_head(request))
    }
}
