//! How is a registry asked?
//!
//! With GET, as anybody at first; when it refuses, with the credentials it asks for; when it is busy, again after a
//! moment. Asked by `pull`, on a thread that may block.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::runtime::Handle;
use tokio::time::timeout;
use url::Url;

use crate::fetch::http::{Answer, Http, HttpError};

use super::auth::{self, Challenge};
use super::credentials;
use super::error::PullError;
use super::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, shortened};
use super::reference::{Reference, ReferenceError};

/// What registries themselves allow.
pub(super) const LARGEST_MANIFEST: u64 = 4 << 20;

const LARGEST_TOKEN: u64 = 1 << 20;

/// How long to wait before asking again.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// How long a manifest or a token may take, and what is added to that for a module, by its size.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 10;

/// What it takes to ask registries.
pub(super) struct Line {
    pub http: Http,
    /// What the network is waited for with.
    pub runtime: Handle,
    /// The files of credentials.
    pub credentials: Vec<PathBuf>,
}

/// A conversation about one artifact.
pub(super) struct Session<'s> {
    line: &'s Line,
    reference: &'s Reference,
    /// What the registry wants to see.
    authorization: Option<HeaderValue>,
    /// Whose credentials that stands for.
    user: Option<String>,
}

/// A manifest as it was sent.
pub(super) struct Sent {
    pub bytes: Vec<u8>,
    pub content_type: Option<String>,
    /// The digest that the registry says it has.
    pub digest: Option<String>,
}

impl<'s> Session<'s> {
    pub fn new(line: &'s Line, reference: &'s Reference) -> Self {
        Self { line, reference, authorization: None, user: None }
    }

    /// The manifest with this tag or digest.
    pub fn manifest(&mut self, version: &str) -> Result<Sent, PullError> {
        let accepted = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
        let mut answer = self.get(&format!("manifests/{version}"), &accepted, "the manifest")?;
        let header =
            |name: &str| answer.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into());
        let content_type: Option<String> = header(CONTENT_TYPE.as_str());
        // Behind a semicolon are parameters, which say nothing about a manifest.
        let content_type = content_type.and_then(|name| name.split(';').next().map(|name| shortened(name.trim())));
        let digest = header("docker-content-digest");
        let bytes = self.whole(&mut answer, LARGEST_MANIFEST)?;
        Ok(Sent { bytes, content_type, digest })
    }

    /// The bytes of a layer.
    pub fn layer(&mut self, digest: &str, size: u64) -> Result<Arriving<'s>, PullError> {
        let answer = self.get(&format!("blobs/{digest}"), "*/*", "the module")?;
        let allowed = PATIENCE + Duration::from_secs(size / SLOWEST_BYTES_PER_SECOND);
        Ok(Arriving { answer, line: self.line, rest: Bytes::new(), end: Instant::now() + allowed })
    }

    fn get(&mut self, path: &str, accept: &str, what: &'static str) -> Result<Answer, PullError> {
        let (registry, repository) = (&self.reference.registry, &self.reference.repository);
        let url = registry.url(&format!("{repository}/{path}"));
        let url = url.ok_or_else(|| ReferenceError::Registry(registry.to_string()))?;
        let mut answer = self.ask(&url, accept, self.authorization.clone())?;
        if answer.status == StatusCode::UNAUTHORIZED {
            // A token is good for some minutes only, so that even one that was shown may have to be renewed.
            self.authorization = Some(self.authorize(&answer.headers)?);
            answer = self.ask(&url, accept, self.authorization.clone())?;
        }
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refused()),
            status if is_busy(status) => Err(PullError::Failing { registry: registry.to_string(), status }),
            status => Err(PullError::Status { registry: registry.to_string(), status, what }),
        }
    }

    /// Asks, and asks again as long as that may help.
    fn ask(&self, url: &Url, accept: &str, authorization: Option<HeaderValue>) -> Result<Answer, PullError> {
        let mut headers = HeaderMap::new();
        headers.extend(HeaderValue::from_str(accept).ok().map(|value| (ACCEPT, value)));
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        let mut pauses = PAUSES.iter();
        loop {
            let asked = self.line.runtime.block_on(self.line.http.get(url, &headers));
            let is_worth_another = match &asked {
                Ok(answer) => is_busy(answer.status),
                Err(error) => error.is_transient(),
            };
            match pauses.next().filter(|_| is_worth_another) {
                Some(pause) => std::thread::sleep(*pause),
                None => return asked.map_err(|error| self.unreachable(error)),
            }
        }
    }

    /// What the registry wants to see, by the headers of its refusal.
    fn authorize(&mut self, refusal: &HeaderMap) -> Result<HeaderValue, PullError> {
        let registry = &self.reference.registry;
        let failed = |source| PullError::Auth { registry: registry.to_string(), source };
        let challenge = Challenge::in_headers(refusal).map_err(failed)?;
        let login = credentials::find(&self.line.credentials, registry)
            .map_err(|source| PullError::Credentials { registry: registry.to_string(), source })?;
        self.user = login.as_ref().map(|login| login.user.clone());
        let shown = login.as_ref().and_then(auth::basic);
        match challenge {
            Challenge::Basic => shown.ok_or_else(|| self.refused()),
            Challenge::Bearer { realm, service } => {
                let repository = &self.reference.repository;
                let url = auth::token_url(&realm, service.as_deref(), registry, repository).map_err(failed)?;
                let mut answer = self.ask(&url, "application/json", shown)?;
                match answer.status {
                    StatusCode::OK => auth::bearer(&self.whole(&mut answer, LARGEST_TOKEN)?, &url).map_err(failed),
                    status if is_busy(status) => Err(PullError::Failing { registry: registry.to_string(), status }),
                    StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refused()),
                    status => Err(PullError::Status { registry: registry.to_string(), status, what: "a token" }),
                }
            }
        }
    }

    fn whole(&self, answer: &mut Answer, most: u64) -> Result<Vec<u8>, PullError> {
        let reading = async { timeout(PATIENCE, answer.bytes(most)).await };
        match self.line.runtime.block_on(reading) {
            Ok(read) => read.map_err(|error| self.unreachable(error)),
            Err(_) => Err(PullError::Slow { registry: self.reference.registry.to_string() }),
        }
    }

    fn unreachable(&self, source: HttpError) -> PullError {
        PullError::Unreachable { registry: self.reference.registry.to_string(), source }
    }

    fn refused(&self) -> PullError {
        let registry = self.reference.registry.to_string();
        match &self.user {
            Some(user) => PullError::WrongCredentials { registry, user: user.clone() },
            None => PullError::NoCredentials(registry),
        }
    }
}

fn is_busy(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// Bytes on their way, for one who waits for them.
pub(super) struct Arriving<'s> {
    answer: Answer,
    line: &'s Line,
    rest: Bytes,
    end: Instant,
}

impl Read for Arriving<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            if Instant::now() > self.end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it arrives too slowly"));
            }
            match self.line.runtime.block_on(self.answer.chunk()).map_err(io::Error::other)? {
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
