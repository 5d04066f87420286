//! What is kept of a guest that traps or computes for long, so that a developer can look into it?
//!
//! The lines of its source in the backtrace, if its file has debug information. What the operator asks for in `[debug]`: a core
//! dump of its memory, and a profile of where it computes. Guests that do neither pay nothing.

pub(in crate::runtime) mod backtrace;
pub(in crate::runtime) mod coredump;
pub(in crate::runtime) mod profiler;
pub(in crate::runtime) mod source_lines;
pub(in crate::runtime) mod trap;

pub use crate::runtime::instance::debug::coredump::CoredumpDirectory;
pub use crate::runtime::instance::debug::profiler::{GuestProfile, Profiling};
pub use crate::runtime::instance::debug::source_lines::ProgramFile;

use std::sync::Arc;

/// What is kept of the guests of a route. The log of the guests has it.
#[derive(Clone, Default)]
pub struct Debugging {
    /// The file of the program, if debug information may be read from it.
    pub program: Option<ProgramFile>,
    /// Where core dumps are written.
    pub coredumps: Option<Arc<CoredumpDirectory>>,
    /// Which guests are sampled.
    pub profiling: Option<Profiling>,
}
