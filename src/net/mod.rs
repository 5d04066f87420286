//! What do both HTTP clients share, the one for registries and bindle servers and the one for the calls of guests?
//!
//! | file | question |
//! | --- | --- |
//! | `connect` | how does a URL become a connection? |
//! | `tls` | which certificates are trusted, and how is TLS set up? |
//! | `redirect` | where does a response send the client? |
//! | `url` | what may be sent or shown of a URL? |
//! | `client` | how does wagi talk to registries and bindle servers? |
//! | `response` | what does such a server answer, and how long may that take? |
//! | `interim` | how many interim responses (1xx) may come before a response? |
//! | `error` | why does such a request fail? |
//! | `upload` | what is the body of such a request? |
//! | `authorization` | how does such a request show who sends it? |
//! | `progress` | how far is a transfer? |

pub(crate) mod authorization;
pub(crate) mod client;
pub(crate) mod connect;
mod error;
pub(crate) mod interim;
pub(crate) mod progress;
pub(crate) mod redirect;
mod response;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tls;
pub(crate) mod upload;
pub(crate) mod url;
