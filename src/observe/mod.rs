//! What does the operator see of a running server?
//!
//! Everything goes through [`LogWriter`], which never blocks whoever has something to say: one line per request, what guests
//! print on stderr, and the server's own events.

mod access;
mod escape;
mod guest;
mod log_writer;
mod time;

pub use crate::format::sha256_hex;
pub use crate::observe::access::{AccessLog, Record, RouteName};
pub use crate::observe::guest::{GuestLog, LogDirectory, LogFile};
pub use crate::observe::log_writer::LogWriter;
