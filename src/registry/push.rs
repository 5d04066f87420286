//! How does a module get into a registry?
//!
//! First its bytes and its configuration, unless the registry has them already. Then the manifest that names them, under the tag.
//! So a client that sees the tag finds everything. For threads that may block.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::config::{MAX_MODULE_SIZE, Sha256};
use crate::net::client::Fetch;
use crate::net::progress::Progress;
use crate::net::redirect;
use crate::net::upload::Upload;
use crate::signature::SigningKeyError;

use crate::registry::api::{ApiRequest, Session};
use crate::registry::artifact::{ArtifactBlobs, ArtifactError, Blob, Layout};
use crate::registry::client::RegistryClient;
use crate::registry::credentials::challenge::Scope;
use crate::registry::error::RegistryError;
use crate::registry::manifest::shortened;
use crate::registry::reference;
use crate::registry::reference::{Reference, ReferenceError, TagOrDigest};

/// How often an upload is tried.
const ATTEMPTS: usize = 3;

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Why a module was not published.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum PushError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("`{0}` is a digest: give a tag to publish to")]
    NoTag(String),
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` has more than the {MAX_MODULE_SIZE} bytes that modules may have", .0.display())]
    TooLarge(PathBuf),
    #[error("`{}` cannot be published", path.display())]
    Artifact { path: PathBuf, source: ArtifactError },
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("`{}` cannot sign it", path.display())]
    SigningKey { path: PathBuf, source: SigningKeyError },
    #[error("cannot learn which signatures it has: {0}")]
    Index(String),
    #[error("registry `{0}` does not say where to put the bytes")]
    NoUploadUrl(String),
    #[error("registry `{registry}` has kept {what} as `{found}`, not as `sha256:{expected}`: it is damaged")]
    Digest { registry: String, what: &'static str, found: String, expected: Sha256 },
}

impl PushError {
    /// What the operator can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Reference(_) => Some("write `HOST/NAME:TAG`".to_owned()),
            Self::NoTag(_) => Some("name a tag: `HOST/NAME:TAG`".to_owned()),
            Self::Registry(error) => error.help(),
            Self::Digest { .. } => Some("push again".to_owned()),
            Self::SigningKey { source, .. } => source.help().map(str::to_owned),
            _ => None,
        }
    }
}

/// Publishes a file.
pub(in crate::registry) struct Push<'p> {
    pub client: &'p RegistryClient,
    pub file: &'p Path,
    pub layout: Layout,
    pub progress: &'p dyn Progress,
}

impl Push<'_> {
    /// Publishes the file under a name and tag, and returns the reference by digest. What is done with the manifest `before_tag`
    /// is done when a client that sees the tag sees it.
    pub fn push(
        &self,
        reference: &Reference,
        before_tag: impl FnOnce(&mut Session<'_>, &Blob) -> Result<(), PushError>,
    ) -> Result<Reference, PushError> {
        let TagOrDigest::Tag(tag) = &reference.version else {
            return Err(PushError::NoTag(reference.version.to_string()));
        };
        let artifact = self.artifact()?;
        let scope = Scope::Push(&reference.repository);
        let mut session = Session::new(self.client, &reference.registry, scope);
        let module = &artifact.module.bytes;
        let watched_body =
            || Upload::watched(module.clone(), self.progress.begin(&reference.to_string(), module.len() as u64));
        session.put_blob(&artifact.module, &watched_body, "the module")?;
        let config = || Upload::from(artifact.config.bytes.clone());
        session.put_blob(&artifact.config, &config, "the configuration")?;
        before_tag(&mut session, &artifact.manifest)?;
        session.put_manifest(tag, &artifact.manifest)?;
        tracing::info!(module = %reference, digest = %artifact.manifest.sha256, "module is in the registry");
        Ok(reference.pinned(&artifact.manifest.sha256))
    }

    fn artifact(&self) -> Result<ArtifactBlobs, PushError> {
        let path = || self.file.to_owned();
        let (bytes, modified) = read(self.file).map_err(|source| PushError::Read { path: path(), source })?;
        if bytes.len() as u64 > MAX_MODULE_SIZE {
            return Err(PushError::TooLarge(path()));
        }
        // The time of the file rather than of now: the same file is the same artifact, whenever it is published.
        let artifact = ArtifactBlobs::new(bytes, self.layout, modified);
        artifact.map_err(|source| PushError::Artifact { path: path(), source })
    }
}

/// The content of a file, up to one byte more than a module may have, and when it was modified.
fn read(path: &Path) -> io::Result<(Vec<u8>, SystemTime)> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    let modified = file.metadata()?.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    file.take(MAX_MODULE_SIZE + 1).read_to_end(&mut bytes)?;
    Ok((bytes, modified))
}

impl Session<'_> {
    /// Uploads a blob, unless the registry has it already.
    pub fn put_blob(
        &mut self,
        blob: &Blob,
        body: &(dyn Fn() -> Upload + Sync),
        what: &'static str,
    ) -> Result<(), PushError> {
        if self.has_blob(blob)? {
            tracing::debug!(digest = %blob.sha256, "the registry has it already");
            return Ok(());
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let uploaded = self.begin_upload().and_then(|url| self.finish_upload(url, blob, body, what));
            match uploaded {
                // The state of the upload is unknown: a new one is needed.
                Err(PushError::Registry(error)) if attempts < ATTEMPTS && error.is_outage() => {
                    tracing::debug!(%error, "uploading again");
                }
                done => return done,
            }
        }
    }

    fn has_blob(&mut self, blob: &Blob) -> Result<bool, PushError> {
        let url = self.url(&format!("blobs/sha256:{}", blob.sha256))?;
        let request = ApiRequest::new(Method::HEAD, url, "what it has");
        let response = self.send(&request, &[StatusCode::OK, StatusCode::NOT_FOUND])?;
        Ok(response.status == StatusCode::OK)
    }

    /// Returns the URL for the bytes of one blob.
    fn begin_upload(&mut self) -> Result<Url, PushError> {
        let url = self.url("blobs/uploads/")?;
        let request = ApiRequest::new(Method::POST, url, "to take something in");
        let response = self.send(&request, &[StatusCode::ACCEPTED])?;
        let url = redirect::safe_location(&response.url, &response.headers)
            .map_err(|error| self.unreachable(error.into()))?;
        url.ok_or_else(|| PushError::NoUploadUrl(self.registry.to_string()))
    }

    fn finish_upload(
        &mut self,
        mut url: Url,
        blob: &Blob,
        body: &(dyn Fn() -> Upload + Sync),
        what: &'static str,
    ) -> Result<(), PushError> {
        url.query_pairs_mut().append_pair("digest", &format!("sha256:{}", blob.sha256));
        let request = ApiRequest {
            headers: &[(CONTENT_TYPE, "application/octet-stream")],
            body,
            is_repeatable: false,
            fetch: Fetch::start_sized(blob.bytes.len() as u64),
            ..ApiRequest::new(Method::PUT, url, "to take in the bytes")
        };
        let response = self.send(&request, &[StatusCode::CREATED])?;
        self.verify_digest(&response.headers, blob, what)
    }

    /// Uploads a manifest under a tag or digest. Returns the header of the response.
    pub fn put_manifest(&mut self, version: &str, manifest: &Blob) -> Result<HeaderMap, PushError> {
        let bytes: &Bytes = &manifest.bytes;
        let url = self.url(&format!("manifests/{version}"))?;
        let request = ApiRequest {
            headers: &[(CONTENT_TYPE, manifest.media_type)],
            body: &|| Upload::from(bytes.clone()),
            ..ApiRequest::new(Method::PUT, url, "to take in the manifest")
        };
        let response = self.send(&request, &[StatusCode::CREATED])?;
        self.verify_digest(&response.headers, manifest, "the manifest")?;
        Ok(response.headers)
    }

    /// Compares the digest that the registry states, if it does, with that of the blob.
    fn verify_digest(&self, headers: &HeaderMap, blob: &Blob, what: &'static str) -> Result<(), PushError> {
        let Some(stated) = headers.get(DIGEST) else { return Ok(()) };
        let stated = String::from_utf8_lossy(stated.as_bytes());
        match reference::sha256(&stated) {
            Ok(found) if found == blob.sha256 => Ok(()),
            // A digest of another kind cannot be compared.
            _ if stated.starts_with("sha512:") => Ok(()),
            _ => Err(PushError::Digest {
                registry: self.registry.to_string(),
                what,
                found: shortened(&stated),
                expected: blob.sha256.clone(),
            }),
        }
    }
}

#[cfg(test)]
#[path = "tests/push.rs"]
mod tests;
