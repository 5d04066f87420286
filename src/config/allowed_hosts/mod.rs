//! Whom may a script call, going by its list of `allowed_hosts`?
//!
//! | file | question |
//! | --- | --- |
//! | `host` | what does one of its hosts stand for? |
//! | `list` | which URLs does the list allow? |
//! | `parse` | what does the key say? |
//!
//! `entry` and `parse` make the list; `outbound::policy` asks it about every URL and every address. What an entry does
//! not say, it does not restrict.

mod host;
mod list;
mod parse;
#[cfg(test)]
mod tests;

pub use crate::config::allowed_hosts::host::{AllowedHost, HostError};
pub use crate::config::allowed_hosts::list::AllowedHosts;
pub(super) use crate::config::allowed_hosts::parse::read;
