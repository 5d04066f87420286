//! What does the operator see of a running server?
//!
//! Everything goes through [`Lines`], which never blocks whoever has something to say: one line per request, what guests
//! print on stderr, and the server's own events.

mod access;
mod escape;
mod guest;
mod lines;
mod time;

pub use crate::observe::access::{AccessLog, Record, RouteName};
pub use crate::observe::guest::{GuestLog, LogDirectory, LogFile};
pub use crate::observe::lines::Lines;
pub use crate::spelling::sha256_hex;
