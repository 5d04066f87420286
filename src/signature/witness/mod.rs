//! Who else has seen a signature, and when?
//!
//! A log that has written it down (`log_entry`), or a clock that has stamped it (`timestamp`). Without a witness it is not known
//! whether the short-lived certificate of a signature was valid when it was made.

pub(in crate::signature) mod checkpoint;
mod inclusion;
pub(in crate::signature) mod log_body;
pub(in crate::signature) mod log_entry;
pub(in crate::signature) mod timestamp;
