//! What can the operator ask a running server, and change?
//!
//! An HTTP server of its own, on a thread of its own, with small limits of its own: it answers while the other one is saturated.
//! It is there before modules are loaded, and until the process ends. The program starts it and tells it how far the server is.
//!
//! | file | question |
//! | --- | --- |
//! | `listener` | where is it, and on which thread? |
//! | `state` | how far is the server, and what is known of it? |
//! | `access` | which requests are answered? |
//! | `endpoints` | which paths are there, with which methods? |
//! | `service` | what does a request get? |
//! | `response` | what do all responses have in common? |
//! | `status` | what is the server doing? |
//! | `configuration` | what is configured? |
//! | `requests` | which requests are there? |
//! | `page` | what does a browser show? |
//! | `reload` | what does a request for a reload get? |
//! | `log_level` | which events are logged? |

mod access;
pub mod configuration;
mod endpoints;
mod listener;
mod log_level;
mod page;
pub mod reload;
mod requests;
mod response;
mod service;
mod state;
mod status;

pub use crate::admin::listener::{AdminError, AdminListener};
pub use crate::admin::log_level::LogLevel;
pub use crate::admin::state::{AdminState, ServedParts};
