//! One run of a guest: how it starts, what it may use, and how it ends.

pub(in crate::runtime) mod cpu_time;
pub(in crate::runtime) mod guest;
pub(in crate::runtime) mod memory;
pub(in crate::runtime) mod run;
pub(in crate::runtime) mod state;
pub(in crate::runtime) mod stdio;
