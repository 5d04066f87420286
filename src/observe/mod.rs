//! What does the operator see of a running server?
//!
//! Everything goes through [`Lines`], which never blocks whoever has something to say: one line per request, what guests
//! print on stderr, and the server's own events.

mod access;
mod escape;
mod guest;
mod lines;
mod time;

pub use crate::spelling::sha256_hex;
pub use access::{AccessLog, Record, RouteName};
pub use guest::{GuestLog, LogDirectory, LogFile};
pub use lines::Lines;
