//! Which hosts may a guest call, by its list `allowed_hosts`?
//!
//! | file | contents |
//! | --- | --- |
//! | `list` | the whole list |
//! | `host` | one item of it |
//! | `parse` | the key `allowed_hosts` of a `[[module]]` |
//!
//! `outbound::policy` checks every URL and every address of a call against the list. A scheme or port that an item
//! does not name is not restricted.

mod host;
mod list;
mod parse;
#[cfg(test)]
mod tests;

pub use crate::config::allowed_hosts::host::{AllowedHost, HostError};
pub use crate::config::allowed_hosts::list::AllowedHosts;
pub(super) use crate::config::allowed_hosts::parse::{host_error, read};
