//! What the HTTP clients of guests and of fetched modules share.

pub(crate) mod address;
pub(crate) mod authorization;
pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod progress;
pub(crate) mod redirect;
pub(crate) mod resolve;
pub(crate) mod roots;
pub(crate) mod tls;
pub(crate) mod transport;
pub(crate) mod upload;
