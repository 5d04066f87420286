//! How does a guest call a server?
//!
//! | file | question |
//! | --- | --- |
//! | `policy` | may this guest call that host, at that address? |
//! | `request` | what does the guest's request mean, and what of it is sent? |
//! | `hop` | which requests lead to the response, and what is sent next when one redirects? |
//! | `response` | how does a response come into memory? |
//! | `streaming` | how do a request and its response pass piece by piece? |
//! | `budget` | what may the calls of one run take? |
//! | `open_responses` | which responses does a run hold? |
//! | `pool` | which connections do the guests of one entry share? |
//! | `client` | who makes the calls of one entry? |
//! | `trace` | how do the calls of a run join the trace of its request? |
//! | `error` | what went wrong, and with which code? |
//!
//! `startup` makes one [`Network`] and of it one [`Client`] for each entry; the imports of `wasi_experimental_http` hold
//! the [`OpenResponses`] of their run and call the client, those of `wasi:http` hold its [`CallBudget`]. Connections are made by
//! `net`. The proxies in the server's environment are not used.

mod budget;
mod client;
mod error;
mod hop;
mod open_responses;
mod policy;
mod pool;
mod request;
mod response;
mod streaming;
#[cfg(test)]
mod tests;
mod trace;

pub use crate::outbound::budget::{CallBudget, CallLimits};
pub use crate::outbound::client::{Client, Network};
pub use crate::outbound::error::{CallResult, Error, ErrorKind};
pub use crate::outbound::open_responses::OpenResponses;
pub use crate::outbound::request::{CallRequest, headers, method};
pub use crate::outbound::streaming::{CallTimeouts, StreamingRequest};
pub use crate::outbound::trace::{CallReport, CallTracer};
