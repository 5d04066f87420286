#![allow(dead_code, unused_imports, missing_docs)]
#[path = "/work/w/hosts/src/route/mod.rs"] mod route;
#[path = "/work/w/hosts/src/cgi/mod.rs"] pub mod cgi;
#[path = "/work/w/hosts/src/strings.rs"] mod strings;
#[path = "/work/w/hosts/src/format.rs"] mod format;
#[path = "/work/w/hosts/src/hop_by_hop.rs"] mod hop_by_hop;
#[path = "/work/w/hosts/src/remote_address.rs"] mod remote_address;
#[path = "/work/w/hosts/src/printable.rs"] pub mod printable;
#[path = "/work/w/hosts/src/regular_file.rs"] mod regular_file;
#[path = "/work/w/hosts/src/wasm_bytes.rs"] mod wasm_bytes;
#[path = "/work/w/hosts/src/config/mod.rs"] pub mod config;
mod gateway { #[path = "/work/w/hosts/src/gateway/hosts/mod.rs"] pub mod hosts; }
mod observe { #[path = "/work/w/hosts/src/observe/request_id.rs"] pub mod request_id; }
