//! Where does the machine code of a module or component come from?
//!
//! From a cache or the compiler, or from a file that the operator had compiled ahead of time.
//!
//! | file | question |
//! | --- | --- |
//! | `cache` | where is compiled code kept between two starts? |
//! | `compiler_process` | how is a module compiled in a process that can be ended? |
//! | `compiler_target` | for which engine does a process compile? |
//! | `compiler_turns` | when does a process that compiles in the background have a core? |
//! | `file_cache` | how, in files of wagi's own format? |
//! | `wasmtime_cache` | how, in the cache of wasmtime? |
//! | `sealed` | which files did wagi itself write, undamaged? |
//! | `precompiled` | which ahead-of-time code is trusted, and what has a process compiled? |
//! | `deserialize` | which calls of the engine trust the code they are given? |
//! | `machine_code` | how is a module or component compiled, and in which form is its code written to a file? |
//! | `module_info` | what does a module import and export? |
//! | `preinitialize` | what is a program after its initializer has run? |

pub(in crate::runtime) mod cache;
pub(in crate::runtime) mod compiler_process;
pub(in crate::runtime) mod compiler_target;
pub(in crate::runtime) mod compiler_turns;
pub(in crate::runtime) mod deserialize;
pub(in crate::runtime) mod file_cache;
pub(in crate::runtime) mod machine_code;
pub(in crate::runtime) mod precompiled;
pub(in crate::runtime) mod preinitialize;
mod sealed;
mod wasmtime_cache;
