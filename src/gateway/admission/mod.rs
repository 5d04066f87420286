//! What does a request need before its guest can start?
//!
//! It needs a permit to run a guest, and its body. A body that streams needs a permit for an upload, and a body that is
//! collected needs memory. One client may hold only a share of these permits and of this memory. A guest whose client is slow
//! to take the response can lose its permit to a request that needs one. An operator can end a request at any time.

pub(in crate::gateway) mod buffer_budget;
pub(in crate::gateway) mod cancellation;
pub(in crate::gateway) mod client_address;
mod client_lag;
pub(in crate::gateway) mod client_shares;
pub(in crate::gateway) mod concurrency;
pub(in crate::gateway) mod counted_body;
mod reader_limit;
pub(in crate::gateway) mod readers;
pub(in crate::gateway) mod request_body;
pub(in crate::gateway) mod uploads;
