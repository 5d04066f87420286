//! Which signatures of an artifact are looked at?
//!
//! Who can push to a repository can attach whatever they like: many signatures, long ones, damaged ones. So there are bounds, and what
//! cannot be read is no reason not to read the next.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::config::Sha256;
use crate::net::client::ClientError;
use crate::signature::{Evidence, is_bundle};

use crate::registry::api::Session;
use crate::registry::client::RegistryClient;
use crate::registry::error::{PullError, RegistryError};
use crate::registry::manifest::{Descriptor, OCI_MANIFEST};
use crate::registry::reference::Reference;
use crate::registry::signatures::referrers::Referrers;
use crate::registry::signatures::{SignedArtifact, check_digest, read_descriptor};

/// The media type of a layer that is a signature in cosign's older format.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// How many signatures of each format are looked at, and how many artifacts that may have some. Each costs a request.
const MAX_SIGNATURES: usize = 32;

/// The most bytes of a signature, or of the manifest of an artifact that has one. A bundle has some KiB.
const MAX_SIGNATURE: u64 = 1 << 20;

/// The most bytes of all signatures of one format.
const MAX_BYTES: u64 = 2 << 20;

/// After how many failures a registry is not asked any more.
const MAX_FAILURES: usize = 4;

/// Looks for the signatures of an artifact. Returns those that were found, and why there may be others.
pub(super) fn search(artifact: &SignedArtifact, client: &RegistryClient) -> (Vec<Evidence>, Option<PullError>) {
    let reference = match Reference::parse(&artifact.reference) {
        Ok(reference) => reference,
        Err(error) => return (Vec::new(), Some(error.into())),
    };
    let mut search = SignatureSearch::new(Session::to_pull(client, &reference));
    search.bundles(&artifact.manifest);
    search.begin_format();
    search.simple_signatures(&artifact.manifest);
    (search.found, search.problem)
}

/// What may still be looked at of one format.
struct SearchBounds {
    signatures: usize,
    bytes: u64,
}

impl Default for SearchBounds {
    fn default() -> Self {
        Self { signatures: MAX_SIGNATURES, bytes: MAX_BYTES }
    }
}

/// The signatures of one artifact.
struct SignatureSearch<'s> {
    session: Session<'s>,
    bounds: SearchBounds,
    found: Vec<Evidence>,
    /// What was looked at of this format: the paths and sizes. The same bytes are the same signature.
    seen: HashSet<String>,
    failures: usize,
    /// The first failure.
    problem: Option<PullError>,
}

impl<'s> SignatureSearch<'s> {
    fn new(session: Session<'s>) -> Self {
        let bounds = SearchBounds::default();
        Self { session, bounds, found: Vec::new(), seen: HashSet::new(), failures: 0, problem: None }
    }

    /// Begins with the next format, for which nothing counts that stands in the other one.
    fn begin_format(&mut self) {
        self.bounds = SearchBounds::default();
        self.seen.clear();
    }

    /// What was asked for, if the registry has it. A failure is noted.
    fn noted<T>(&mut self, result: Result<Option<T>, PullError>) -> Option<T> {
        let error = match result {
            Ok(found) => return found,
            Err(error) => error,
        };
        // Who does not respond is not waited for again.
        let is_last = match &error {
            PullError::Registry(RegistryError::Unreachable { source, .. }) => !source.is_rejection(),
            PullError::Registry(RegistryError::NotAsked | RegistryError::Address(_)) => true,
            _ => false,
        };
        self.failures += if is_last { MAX_FAILURES } else { 1 };
        self.problem.get_or_insert(error);
        None
    }

    fn bundles(&mut self, sha256: &Sha256) {
        let mut referrers = Referrers::new(MAX_SIGNATURES);
        let asked = referrers.ask(&mut self.session, sha256);
        self.noted(asked.map(Some));
        for descriptor in referrers.found() {
            if self.bounds.signatures == 0 {
                return;
            }
            let Some(manifest) = self.blob("manifests", OCI_MANIFEST, &descriptor) else { continue };
            let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
            for layer in layers(&manifest).filter(|layer| is_bundle(text(layer, "mediaType"))) {
                if let Some(bundle) = self.layer(layer) {
                    self.add(Evidence::Bundle(bundle));
                }
            }
        }
    }

    fn simple_signatures(&mut self, sha256: &Sha256) {
        if self.failures >= MAX_FAILURES {
            return;
        }
        let manifest = self.session.document(&format!("manifests/sha256-{sha256}.sig"), OCI_MANIFEST);
        let manifest = self.noted(manifest).unwrap_or_default();
        let mut payloads = Vec::<(&str, Vec<u8>)>::new();
        for layer in layers(&manifest).filter(|layer| text(layer, "mediaType") == SIMPLE_SIGNING) {
            // Several signatures may be over the same text.
            let digest = text(layer, "digest");
            if payloads.iter().all(|(known, _)| *known != digest) {
                payloads.extend(self.layer(layer).map(|payload| (digest, payload)));
            }
            let payload = payloads.iter().find(|(known, _)| *known == digest);
            let Some(payload) = payload.map(|(_, payload)| payload.clone()) else { continue };
            let annotations =
                layer.get("annotations").and_then(Value::as_object).map(Map::to_owned).unwrap_or_default();
            self.add(Evidence::SimpleSigning { payload, annotations: Evidence::annotations(&annotations) });
        }
    }

    /// Adds a signature, unless it is too long.
    fn add(&mut self, evidence: Evidence) {
        let size = evidence.size() as u64;
        if size <= MAX_SIGNATURE && size <= self.bounds.bytes && !self.found.contains(&evidence) {
            self.bounds.bytes -= size;
            self.found.push(evidence);
        }
    }

    /// The bytes of a layer with a signature. `None` if they cannot be one, or are too many.
    fn layer(&mut self, layer: &Value) -> Option<Vec<u8>> {
        let is_new =
            |found: &Descriptor| found.size <= self.bounds.bytes && !self.seen.contains(&path_and_size("blobs", found));
        let descriptor = read_descriptor(layer).filter(is_new)?;
        self.bounds.signatures = self.bounds.signatures.checked_sub(1)?;
        self.blob("blobs", "*/*", &descriptor)
    }

    /// The bytes with a digest, if they were not looked at already.
    fn blob(&mut self, folder: &str, accept: &'static str, descriptor: &Descriptor) -> Option<Vec<u8>> {
        let Descriptor { sha256, size } = descriptor;
        let is_wanted = *size <= MAX_SIGNATURE && self.failures < MAX_FAILURES;
        let is_new = is_wanted && self.seen.insert(path_and_size(folder, descriptor));
        let path = is_new.then(|| format!("{folder}/sha256:{sha256}"))?;
        let found = self.session.url(&path).map_err(PullError::from);
        let found = found.and_then(|url| self.session.optional(url, accept, *size));
        let bytes = found.and_then(|found| match found {
            Some(found) => check_digest(&found.bytes, sha256).map(|()| Some(found.bytes)),
            None => Ok(None),
        });
        // Bytes of another size than the descriptor says are not what it describes.
        let is_longer = |error: &PullError| {
            matches!(
                error,
                PullError::Registry(RegistryError::Unreachable { source: ClientError::TooLarge { .. }, .. })
            )
        };
        self.noted(bytes.or_else(|error| if is_longer(&error) { Ok(None) } else { Err(error) }))
    }
}

/// A descriptor with another size is another one, or a wrong size would hide the bytes from one that is right.
fn path_and_size(folder: &str, descriptor: &Descriptor) -> String {
    format!("{folder}/{} {}", descriptor.sha256, descriptor.size)
}

fn layers(manifest: &Value) -> impl Iterator<Item = &Value> {
    manifest.get("layers").and_then(Value::as_array).into_iter().flatten().take(MAX_SIGNATURES)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
