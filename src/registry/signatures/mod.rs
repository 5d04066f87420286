//! Which signatures does an artifact have, and how does it get one?
//!
//! cosign's older ones are under a tag that is named after the digest of the manifest. Bundles are artifacts that refer to it. For
//! threads that may block.

pub(in crate::registry) mod attach;
mod referrers;
mod scope;
mod search;

use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use url::Url;

use crate::cache::store::Store;
use crate::config::{Diagnostic, Registries, Sha256};
use crate::format::sha256_hex;
use crate::net::client::Fetch;
use crate::parallel;
use crate::signature::Evidence;

use crate::registry::api::{ApiRequest, Session};
use crate::registry::client::RegistryClient;
use crate::registry::download::MAX_MANIFEST;
use crate::registry::error::{PullError, RegistryError, with_help};
use crate::registry::manifest;
use crate::registry::manifest::{Descriptor, ManifestContent};
use crate::registry::pull::stored_manifest;
use crate::registry::reference;
pub(crate) use crate::registry::signatures::scope::RegistryScope;
use crate::registry::signatures::search::search;

/// How many artifacts are asked about at the same time.
const CONCURRENCY: usize = 4;

/// An artifact whose signatures are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SignedArtifact {
    /// Its reference, without the scheme.
    pub reference: String,
    /// The digest of its manifest.
    pub manifest: Sha256,
}

/// What was found of the signatures of an artifact.
#[derive(Default)]
pub(crate) struct FoundSignatures {
    pub evidence: Vec<Evidence>,
    /// Why there may be others.
    pub problem: Option<Box<Diagnostic>>,
}

/// Asks for the signatures of artifacts. The results are in their order.
pub(crate) fn fetch(artifacts: &[SignedArtifact], registries: &Registries) -> Vec<FoundSignatures> {
    let client = match RegistryClient::new(registries) {
        Ok(client) => client,
        Err(error) => {
            let failed = |_| FoundSignatures { problem: Some(Box::new(error.report())), ..FoundSignatures::default() };
            return artifacts.iter().map(failed).collect();
        }
    };
    parallel::map(artifacts, CONCURRENCY, |artifact| {
        let (evidence, error) = search(artifact, &client);
        let problem = error.map(|error| {
            let message = format!("cannot ask for the signatures of `{}`", artifact.reference);
            Box::new(with_help(Diagnostic::error(message).caused_by(&error), help(&error)))
        });
        FoundSignatures { evidence, problem }
    })
}

fn help(error: &PullError) -> Option<String> {
    match error {
        PullError::Registry(RegistryError::NotAsked) => Some(
            "leave out `--pull never`, or run `wagi check` with the same configuration before, which keeps them"
                .to_owned(),
        ),
        PullError::Registry(error) => error.help(),
        _ => None,
    }
}

/// The manifest that a reference stands for, if it is in the store and leads to a module with this digest.
pub(crate) fn manifest_of(store: &Store, sha256: &Sha256, module: &Sha256) -> Option<Vec<u8>> {
    let bytes = stored_manifest(store, sha256)?;
    let layer = match manifest::read(&bytes, None).ok()? {
        ManifestContent::Module(layer) => layer,
        ManifestContent::Manifest(next) => match manifest::read(&stored_manifest(store, &next.sha256)?, None).ok()? {
            ManifestContent::Module(layer) => layer,
            ManifestContent::Manifest(_) => return None,
        },
    };
    (&layer.sha256 == module).then_some(bytes)
}

fn read_descriptor(value: &Value) -> Option<Descriptor> {
    let sha256 = reference::sha256(value.get("digest")?.as_str()?).ok()?;
    Some(Descriptor { sha256, size: value.get("size")?.as_u64()? })
}

fn check_digest(bytes: &[u8], expected: &Sha256) -> Result<(), PullError> {
    match sha256_hex(bytes) {
        found if found == expected.as_str() => Ok(()),
        found => Err(PullError::SignatureDigest { found, expected: expected.clone() }),
    }
}

/// What a registry has at a URL.
struct FoundBytes {
    headers: HeaderMap,
    bytes: Vec<u8>,
}

/// A JSON object, if the bytes are one.
fn object(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().filter(Value::is_object)
}

impl Session<'_> {
    /// The JSON at a path. `None` if there is nothing, or nothing of the kind.
    fn document(&mut self, path: &str, accept: &'static str) -> Result<Option<Value>, PullError> {
        let found = self.optional(self.url(path)?, accept, MAX_MANIFEST)?;
        Ok(found.and_then(|found| object(&found.bytes)))
    }

    /// What is at a URL. `None` if the registry has nothing there, or does not know what is asked for.
    fn optional(&mut self, url: Url, accept: &'static str, limit: u64) -> Result<Option<FoundBytes>, PullError> {
        const NOTHING: [StatusCode; 3] =
            [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST, StatusCode::METHOD_NOT_ALLOWED];
        let headers = &[(ACCEPT, accept)];
        let request = ApiRequest::new(http::Method::GET, url, "for a signature");
        let request = ApiRequest { headers, fetch: Fetch::start(), ..request };
        let mut response = self.send(&request, &[&[StatusCode::OK], &NOTHING[..]].concat())?;
        if NOTHING.contains(&response.status) {
            return Ok(None);
        }
        let bytes = self.read_body(&mut response, limit)?;
        Ok(Some(FoundBytes { headers: response.headers, bytes }))
    }
}
