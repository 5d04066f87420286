//! The imports of modules: WASI preview 1 and `wasi_experimental_http`.

pub(in crate::runtime) mod abi;
pub(in crate::runtime) mod experimental_http;
pub(in crate::runtime) mod preview1;
#[cfg(test)]
mod preview1_tests;
pub(in crate::runtime) mod state;
pub(in crate::runtime) mod streams;
pub(in crate::runtime) mod timers;
