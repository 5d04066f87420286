//! How does a run start, what may it use, and how does it end?

pub(in crate::runtime) mod calls;
pub(in crate::runtime) mod client_wait;
pub(in crate::runtime) mod cpu_time;
pub(in crate::runtime) mod debug;
pub(in crate::runtime) mod ending;
pub(in crate::runtime) mod grants;
pub(in crate::runtime) mod invocation;
pub(in crate::runtime) mod memory;
pub(in crate::runtime) mod output;
pub(in crate::runtime) mod response_state;
pub(in crate::runtime) mod run;
pub(in crate::runtime) mod stderr;
pub(in crate::runtime) mod stdio;
