//! How are manifests and layers downloaded from a registry? For a thread that may block.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, StatusCode};

use crate::format::sha256_hex;
use crate::net::client::{BodyReader, Fetch, FetchResponse};

use crate::registry::api::{ApiRequest, Session};
use crate::registry::error::{PullError, RegistryError};
use crate::registry::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, shortened};
use crate::registry::reference;

/// The limit of registries themselves.
pub(in crate::registry) const MAX_MANIFEST: u64 = 4 << 20;

/// A manifest as the registry sent it.
pub(in crate::registry) struct ManifestResponse {
    pub bytes: Vec<u8>,
    pub content_type: Option<String>,
    /// The digest in the response's header.
    pub digest: Option<String>,
}

impl ManifestResponse {
    /// Compares the manifest with the digest in the header. What digest the manifest of a tag should have is not known,
    /// but the registry has to agree with itself.
    pub fn check_digest_header(&self) -> Result<(), PullError> {
        let found = sha256_hex(&self.bytes);
        match &self.digest {
            // A digest of another kind cannot be compared.
            Some(stated) if stated.starts_with("sha512:") => Ok(()),
            Some(stated) if reference::sha256(stated).ok().is_none_or(|stated| stated.as_str() != found) => {
                Err(PullError::ManifestDigest { found, expected: shortened(stated) })
            }
            _ => Ok(()),
        }
    }
}

impl Session<'_> {
    /// Downloads the manifest with this tag or digest.
    pub fn manifest(&mut self, version: &str) -> Result<ManifestResponse, RegistryError> {
        let accepted = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
        let mut response = self.get(&format!("manifests/{version}"), &accepted, "for the manifest", Fetch::start())?;
        let header =
            |name: &str| response.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into());
        let content_type: Option<String> = header(CONTENT_TYPE.as_str());
        // Behind a semicolon are parameters, which say nothing about a manifest.
        let content_type = content_type.and_then(|name| name.split(';').next().map(|name| shortened(name.trim())));
        let digest = header("docker-content-digest");
        let bytes = self.read_body(&mut response, MAX_MANIFEST)?;
        Ok(ManifestResponse { bytes, content_type, digest })
    }

    /// Starts to download a layer.
    pub fn layer(&mut self, digest: &str, fetch: Fetch) -> Result<BodyReader, RegistryError> {
        let response = self.get(&format!("blobs/{digest}"), "*/*", "for the module", fetch)?;
        Ok(response.into_reader(self.client.runtime.clone()))
    }

    fn get(
        &mut self,
        path: &str,
        accept: &str,
        what: &'static str,
        fetch: Fetch,
    ) -> Result<FetchResponse, RegistryError> {
        let headers = &[(ACCEPT, accept)];
        let request = ApiRequest { headers, fetch, ..ApiRequest::new(Method::GET, self.url(path)?, what) };
        self.send(&request, &[StatusCode::OK])
    }
}
