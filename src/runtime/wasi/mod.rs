//! Which imports do modules get, and what do they do?
//!
//! | file | question |
//! | --- | --- |
//! | `state` | what does the host keep for a guest while it runs? |
//! | `abi` | how do the functions of preview 1 take parameters and return results? |
//! | `preview1` | what do the calls that every guest makes return? |
//! | `descriptors` | what do the calls that describe and close descriptors return? |
//! | `files` | how does a guest use files? |
//! | `file_polls` | which files that a guest polls are ready? |
//! | `paths` | what do the calls on paths return? |
//! | `read_write` | how does a guest read and write its standard streams? |
//! | `rehearsal` | what happens in a run that is no request? |
//! | `scratch` | what may a guest write into its scratch directories? |
//! | `timers` | how does a guest sleep? |
//! | `streams` | how does wasmtime-wasi see the standard streams? |
//! | `experimental_http` | what do the imports of `wasi_experimental_http` return? |

pub(in crate::runtime) mod abi;
mod descriptors;
pub(in crate::runtime) mod experimental_http;
mod file_polls;
mod files;
pub(in crate::runtime) mod paths;
pub(in crate::runtime) mod preview1;
mod read_write;
pub(in crate::runtime) mod rehearsal;
mod scratch;
pub(in crate::runtime) mod state;
pub(in crate::runtime) mod streams;
#[cfg(test)]
mod tests;
pub(in crate::runtime) mod timers;
