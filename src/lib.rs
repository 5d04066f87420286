//! wagi serves WebAssembly programs over HTTP, CGI style: a program reads a request from stdin and its environment, and
//! prints the header fields and the body of the response. Each request runs in a fresh sandbox.
//!
//! The `wagi` binary is a thin layer over this library, which can be embedded: [`Config`](config::Config) says what to
//! serve, [`fetch::complete`] makes files of its modules, [`startup::load`] makes a [`Gateway`] of it, a `tower` service
//! that [`Server`](server::Server) or any other HTTP server can mount. ARCHITECTURE.md in the repository has the map.
//!
//! wagi runs on Unix only: file permissions, locks and signals are those of Unix.

#![warn(missing_docs)]

pub mod admin;
mod bindle;
pub mod cache;
pub mod cgi;
mod client_rate;
pub mod config;
mod content;
mod fastcgi;
pub mod fetch;
mod format;
mod gateway;
mod hop_by_hop;
mod idle_timeout;
mod net;
pub mod observe;
mod outbound;
mod parallel;
pub mod printable;
mod proxy;
mod registry;
mod regular_file;
mod remote_address;
mod route;
mod runtime;
mod scratch;
pub mod server;
mod signature;
pub mod startup;
mod static_files;
mod strings;
mod wasm_bytes;

pub use crate::content::status::has_whole_content;
pub use crate::format::counted;
pub use crate::gateway::{
    ColdExplanation, FailedResponse, Gateway, HiddenBy, ProvenRoute, ReloadHandle, ReloadOutcome, ReloadReport,
    ReloadRequest, ReloadRequests, ResponseAborted, ResponseBody, ServedRoute, SnapshotScope, StartingRoute,
    StartingRoutes, WarmStartChance, WarmStartProof, reload_channel,
};
pub use crate::route::RoutePattern;
pub use crate::runtime::{HostCall, PathArgument, RunInputs, RunWatcher};
