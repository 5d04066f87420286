//! What does a registry give? Manifests, and the bytes of layers. Asked by `pull`, on a thread that may block.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, StatusCode};

use crate::net::client::{Response, SLOWEST_BYTES_PER_SECOND};
use crate::net::upload::Upload;

use crate::registry::api::{ApiRequest, RESPONSE_TIMEOUT, Session};
use crate::registry::client::RegistryClient;
use crate::registry::error::RegistryError;
use crate::registry::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, shortened};

/// What registries themselves allow.
pub(in crate::registry) const MAX_MANIFEST: u64 = 4 << 20;

/// A manifest as it was sent.
pub(in crate::registry) struct Sent {
    pub bytes: Vec<u8>,
    pub content_type: Option<String>,
    /// The digest that the registry says it has.
    pub digest: Option<String>,
}

impl<'s> Session<'s> {
    /// The manifest with this tag or digest.
    pub fn manifest(&mut self, version: &str) -> Result<Sent, RegistryError> {
        let accepted = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
        let mut answer = self.get(&format!("manifests/{version}"), &accepted, "for the manifest")?;
        let header =
            |name: &str| answer.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into());
        let content_type: Option<String> = header(CONTENT_TYPE.as_str());
        // Behind a semicolon are parameters, which say nothing about a manifest.
        let content_type = content_type.and_then(|name| name.split(';').next().map(|name| shortened(name.trim())));
        let digest = header("docker-content-digest");
        let bytes = self.whole(&mut answer, MAX_MANIFEST)?;
        Ok(Sent { bytes, content_type, digest })
    }

    /// The bytes of a layer.
    pub fn layer(&mut self, digest: &str, size: u64) -> Result<Arriving<'s>, RegistryError> {
        let answer = self.get(&format!("blobs/{digest}"), "*/*", "for the module")?;
        let allowed = RESPONSE_TIMEOUT + Duration::from_secs(size / SLOWEST_BYTES_PER_SECOND);
        Ok(Arriving { answer, client: self.client, rest: Bytes::new(), end: Instant::now() + allowed })
    }

    fn get(&mut self, path: &str, accept: &str, what: &'static str) -> Result<Response, RegistryError> {
        let request = ApiRequest {
            method: Method::GET,
            url: self.url(path)?,
            headers: &[(ACCEPT, accept)],
            body: &Upload::default,
            is_repeatable: true,
            what,
        };
        self.send(&request, &[StatusCode::OK])
    }
}

/// Bytes on their way, for one who waits for them.
pub(in crate::registry) struct Arriving<'s> {
    answer: Response,
    client: &'s RegistryClient,
    rest: Bytes,
    end: Instant,
}

impl Read for Arriving<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            if Instant::now() > self.end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it arrives too slowly"));
            }
            match self.client.runtime.block_on(self.answer.chunk()).map_err(io::Error::other)? {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let read = self.rest.len().min(into.len());
        into.iter_mut().zip(&self.rest).for_each(|(to, from)| *to = *from);
        self.rest.advance(read);
        Ok(read)
    }
}
