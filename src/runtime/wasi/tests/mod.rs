//! The calls of preview 1 beside those of wasmtime-wasi and of the system.

mod paths;
mod preview1;
