//! What does a trusted proxy say about a request, in whichever fields?

use std::borrow::Cow;
use std::net::SocketAddr;

use http::header::HeaderName;

/// What a trusted proxy says about a request. `None` stands for what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded<'a> {
    /// The client. Port 0 stands for one that is not told.
    pub client: Option<SocketAddr>,
    /// Whether the client reached the nearest proxy over TLS.
    pub https: Option<bool>,
    /// The host that the client named, with or without a port.
    pub host: Option<Cow<'a, str>>,
    /// The port that the client reached, in decimal.
    pub port: Option<&'a str>,
    /// The fields that were ignored, since their values make no sense.
    pub malformed: Vec<HeaderName>,
}
