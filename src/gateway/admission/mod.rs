//! What does a request need before its guest can start, and how long may it hold that?
//!
//! A permit to run a guest, and its body: as it comes, which takes a permit for an upload, or collected, which takes memory. One
//! client may hold only a share of the latter two.

pub(in crate::gateway) mod buffer_budget;
mod client_address;
mod client_shares;
pub(in crate::gateway) mod concurrency;
pub(in crate::gateway) mod request_body;
pub(in crate::gateway) mod uploads;
