//! What is known of a request from its first line and its connection?

use std::time::Instant;

use http::request::Parts;
use http::{Method, Uri, Version};

use crate::remote_address::RemoteAddress;

use crate::observe::request_id::RequestId;

/// The methods that have a name of their own in metrics and traces.
pub(in crate::observe) const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The name of all other methods there.
pub(in crate::observe) const OTHER_METHOD: &str = "_OTHER";

/// What is known of a request when it comes.
#[derive(Clone)]
pub(in crate::observe) struct RequestFacts {
    pub id: RequestId,
    pub started: Instant,
    pub client: RemoteAddress,
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
}

impl RequestFacts {
    /// The facts of a request that has just come.
    pub fn new(id: RequestId, client: RemoteAddress, request: &Parts) -> Self {
        let (method, uri) = (request.method.clone(), request.uri.clone());
        Self { id, started: Instant::now(), client, method, uri, version: request.version }
    }

    /// The path and the query, as the client has sent them.
    pub fn target(&self) -> &str {
        self.uri.path_and_query().map_or("", |target| target.as_str())
    }

    /// The address of the client.
    pub fn client(&self) -> String {
        let mut client = String::new();
        self.client.push_host(&mut client);
        client
    }
}
