//! Which signatures of an artifact are looked at?
//!
//! Who can push to a repository can attach whatever they like: many signatures, long ones, damaged ones. So there are bounds, and what
//! cannot be read is no reason not to read the next.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::config::Sha256;
use crate::signature::{Evidence, SIGNS, is_bundle, is_other_statement};

use crate::registry::api::Session;
use crate::registry::client::RegistryClient;
use crate::registry::error::{PullError, RegistryError};
use crate::registry::manifest::{Descriptor, OCI_MANIFEST};
use crate::registry::reference::Reference;
use crate::registry::signatures::{SignedArtifact, check_digest, read_descriptor, referrers};

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
    search.bounds = SearchBounds::default();
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
    /// What was looked at. The same bytes are the same signature.
    seen: HashSet<Sha256>,
    failures: usize,
    /// The first failure.
    problem: Option<PullError>,
}

impl<'s> SignatureSearch<'s> {
    fn new(session: Session<'s>) -> Self {
        let bounds = SearchBounds::default();
        Self { session, bounds, found: Vec::new(), seen: HashSet::new(), failures: 0, problem: None }
    }

    /// What was asked for, if the registry has it. A failure is noted.
    fn noted<T>(&mut self, result: Result<Option<T>, PullError>) -> Option<T> {
        let error = match result {
            Ok(found) => return found,
            Err(error) => error,
        };
        // Who does not respond is not waited for again.
        let is_last = matches!(
            error,
            PullError::Registry(
                RegistryError::NotAsked | RegistryError::Unreachable { .. } | RegistryError::Address(_)
            )
        );
        self.failures += if is_last { MAX_FAILURES } else { 1 };
        self.problem.get_or_insert(error);
        None
    }

    fn bundles(&mut self, sha256: &Sha256) {
        let index = referrers(&mut self.session, sha256).map(Some);
        let index = self.noted(index).unwrap_or_default();
        let listed = index.get("manifests").and_then(Value::as_array).into_iter().flatten();
        let mut listed: Vec<_> = listed.filter(|listed| may_be_bundle(listed)).collect();
        // Those that say so first: others may be results of scanners, which come each day.
        listed.sort_by_key(|listed| statement_of(listed) != Some(SIGNS));
        let mut digests = HashSet::new();
        let distinct =
            listed.into_iter().filter_map(read_descriptor).filter(|found| digests.insert(found.sha256.clone()));
        for descriptor in distinct.take(MAX_SIGNATURES) {
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
        let is_new = |found: &Descriptor| found.size <= self.bounds.bytes && !self.seen.contains(&found.sha256);
        let descriptor = read_descriptor(layer).filter(is_new)?;
        self.bounds.signatures = self.bounds.signatures.checked_sub(1)?;
        self.blob("blobs", "*/*", &descriptor)
    }

    /// The bytes with a digest, if they were not looked at already.
    fn blob(&mut self, folder: &str, accept: &'static str, descriptor: &Descriptor) -> Option<Vec<u8>> {
        let Descriptor { sha256, size } = descriptor;
        let is_wanted = *size <= MAX_SIGNATURE && self.failures < MAX_FAILURES && self.seen.insert(sha256.clone());
        let path = is_wanted.then(|| format!("{folder}/sha256:{sha256}"))?;
        let bytes = self.session.optional(&path, accept, *size);
        let bytes = bytes.and_then(|bytes| match bytes {
            Some(bytes) => check_digest(&bytes, sha256).map(|()| Some(bytes)),
            None => Ok(None),
        });
        self.noted(bytes)
    }
}

/// Whether an artifact that is listed may be a bundle with a signature. Those with other statements say so.
fn may_be_bundle(descriptor: &Value) -> bool {
    let kind = text(descriptor, "artifactType");
    (kind.is_empty() || is_bundle(kind)) && !statement_of(descriptor).is_some_and(is_other_statement)
}

/// What an artifact that is listed says that its statement says.
fn statement_of(descriptor: &Value) -> Option<&str> {
    descriptor.get("annotations")?.get("dev.sigstore.bundle.predicateType")?.as_str()
}

fn layers(manifest: &Value) -> impl Iterator<Item = &Value> {
    manifest.get("layers").and_then(Value::as_array).into_iter().flatten().take(MAX_SIGNATURES)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
