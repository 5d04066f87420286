//! Which signatures does an artifact have, and how does it get one?
//!
//! cosign's older ones are under a tag that is named after the digest of the manifest. Bundles are artifacts that refer to it: a
//! registry lists these or, if it cannot, there is an index of them under another such tag. For threads that may block.

pub(in crate::registry) mod attach;

use http::StatusCode;
use http::header::ACCEPT;
use serde_json::{Map, Value};

use crate::cache::store::Store;
use crate::config::{Diagnostic, Registries, Sha256};
use crate::format::sha256_hex;
use crate::net::client::Fetch;
use crate::parallel;
use crate::signature::{BUNDLE, Evidence, is_bundle, is_other_statement};

use crate::registry::api::{ApiRequest, Session};
use crate::registry::client::RegistryClient;
use crate::registry::download::MAX_MANIFEST;
use crate::registry::error::{PullError, RegistryError, with_help};
use crate::registry::manifest;
use crate::registry::manifest::{Descriptor, ManifestContent, OCI_INDEX, OCI_MANIFEST};
use crate::registry::pull::stored_manifest;
use crate::registry::reference;
use crate::registry::reference::{Reference, Registry, without_scheme};

/// The media type of a layer that is a signature in cosign's older format.
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// How many signatures of an artifact are looked at. Each costs requests, and who can push can attach more.
const MAX_SIGNATURES: usize = 32;

/// The most bytes of a signature. A bundle has some KiB.
const MAX_SIGNATURE: u64 = 1 << 20;

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

/// Asks for the signatures of artifacts. The results are in their order.
pub(crate) fn fetch(
    artifacts: &[SignedArtifact],
    registries: &Registries,
) -> Vec<Result<Vec<Evidence>, Box<Diagnostic>>> {
    let client = match RegistryClient::new(registries) {
        Ok(client) => client,
        Err(error) => return artifacts.iter().map(|_| Err(Box::new(error.report()))).collect(),
    };
    parallel::map(artifacts, CONCURRENCY, |artifact| {
        fetch_one(artifact, &client).map_err(|error| {
            let message = format!("cannot ask for the signatures of `{}`", artifact.reference);
            Box::new(with_help(Diagnostic::error(message).caused_by(&error), help(&error)))
        })
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

fn fetch_one(artifact: &SignedArtifact, client: &RegistryClient) -> Result<Vec<Evidence>, PullError> {
    let reference = Reference::parse(&artifact.reference)?;
    let mut session = Session::to_pull(client, &reference);
    let mut found = bundles(&mut session, &artifact.manifest)?;
    found.extend(simple_signatures(&mut session, &artifact.manifest)?);
    Ok(found)
}

/// Whether an artifact is one of a registry, or of a part of it: `HOST[:PORT]`, and perhaps the begin of names. An error if that
/// names no registry.
pub(crate) fn is_in(reference: &str, registry: &str) -> Result<bool, String> {
    let (host, names) = registry.split_once('/').unwrap_or((registry, ""));
    let host = Registry::parse_alone(host).map_err(|error| error.to_string())?;
    let Ok(reference) = Reference::parse(without_scheme(reference)) else { return Ok(false) };
    let names = names.trim_end_matches('/');
    let rest = reference.repository.strip_prefix(names);
    let is_below = rest.is_some_and(|rest| names.is_empty() || rest.is_empty() || rest.starts_with('/'));
    Ok(reference.registry == host && is_below)
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

/// The artifacts that refer to another one, as the registry lists them, and whether it can.
struct Referrers {
    index: Value,
    is_listed: bool,
}

/// The tag with the artifacts that refer to another one, for registries that cannot list them.
fn fallback_tag(sha256: &Sha256) -> String {
    format!("sha256-{sha256}")
}

fn referrers(session: &mut Session<'_>, sha256: &Sha256) -> Result<Referrers, PullError> {
    // A plus sign would be a blank in a query.
    let path = format!("referrers/sha256:{sha256}?artifactType={}", BUNDLE.replace('+', "%2B"));
    if let Some(index) = session.document(&path, OCI_INDEX)? {
        return Ok(Referrers { index, is_listed: true });
    }
    let index = session.document(&format!("manifests/{}", fallback_tag(sha256)), OCI_INDEX)?;
    Ok(Referrers { index: index.unwrap_or_default(), is_listed: false })
}

fn bundles(session: &mut Session<'_>, sha256: &Sha256) -> Result<Vec<Evidence>, PullError> {
    let Referrers { index, .. } = referrers(session, sha256)?;
    let listed = index.get("manifests").and_then(Value::as_array).into_iter().flatten();
    let mut found = Vec::new();
    for descriptor in listed.filter(|listed| may_be_bundle(listed)).take(MAX_SIGNATURES) {
        let Some(descriptor) = read_descriptor(descriptor) else { continue };
        let path = format!("manifests/sha256:{}", descriptor.sha256);
        let Some(bytes) = session.optional(&path, OCI_MANIFEST, MAX_MANIFEST)? else { continue };
        check_digest(&bytes, &descriptor.sha256)?;
        let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        for layer in layers(&manifest).filter(|layer| is_bundle(text(layer, "mediaType"))) {
            found.extend(session.signature(layer)?.map(Evidence::Bundle));
        }
    }
    Ok(found)
}

/// Whether an artifact that is listed may be a bundle with a signature. Those with other statements say so.
fn may_be_bundle(descriptor: &Value) -> bool {
    let says = descriptor.get("annotations").map(|annotations| text(annotations, "dev.sigstore.bundle.predicateType"));
    let kind = text(descriptor, "artifactType");
    (kind.is_empty() || is_bundle(kind)) && !says.is_some_and(is_other_statement)
}

fn simple_signatures(session: &mut Session<'_>, sha256: &Sha256) -> Result<Vec<Evidence>, PullError> {
    let manifest = session.document(&format!("manifests/sha256-{sha256}.sig"), OCI_MANIFEST)?.unwrap_or_default();
    let mut found = Vec::new();
    for layer in layers(&manifest).filter(|layer| text(layer, "mediaType") == SIMPLE_SIGNING) {
        let Some(payload) = session.signature(layer)? else { continue };
        let annotations = layer.get("annotations").and_then(Value::as_object).map(Map::to_owned).unwrap_or_default();
        found.push(Evidence::SimpleSigning { payload, annotations: Evidence::annotations(&annotations) });
    }
    Ok(found)
}

fn layers(manifest: &Value) -> impl Iterator<Item = &Value> {
    manifest.get("layers").and_then(Value::as_array).into_iter().flatten().take(MAX_SIGNATURES)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn read_descriptor(value: &Value) -> Option<Descriptor> {
    let sha256 = reference::sha256(text(value, "digest")).ok()?;
    Some(Descriptor { sha256, size: value.get("size")?.as_u64()? })
}

fn check_digest(bytes: &[u8], expected: &Sha256) -> Result<(), PullError> {
    match sha256_hex(bytes) {
        found if found == expected.as_str() => Ok(()),
        found => Err(PullError::SignatureDigest { found, expected: expected.clone() }),
    }
}

impl Session<'_> {
    /// The JSON at a path. `None` if there is nothing, or nothing of the kind.
    fn document(&mut self, path: &str, accept: &'static str) -> Result<Option<Value>, PullError> {
        let bytes = self.optional(path, accept, MAX_MANIFEST)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).filter(Value::is_object))
    }

    /// The bytes of a layer with a signature. `None` if they cannot be one.
    fn signature(&mut self, layer: &Value) -> Result<Option<Vec<u8>>, PullError> {
        let Some(Descriptor { sha256, size }) = read_descriptor(layer).filter(|found| found.size <= MAX_SIGNATURE)
        else {
            return Ok(None);
        };
        let Some(bytes) = self.optional(&format!("blobs/sha256:{sha256}"), "*/*", size)? else { return Ok(None) };
        check_digest(&bytes, &sha256)?;
        Ok(Some(bytes))
    }

    /// The bytes at a path. `None` if the registry has nothing there, or does not know what is asked for.
    fn optional(&mut self, path: &str, accept: &'static str, limit: u64) -> Result<Option<Vec<u8>>, PullError> {
        const NOTHING: [StatusCode; 3] =
            [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST, StatusCode::METHOD_NOT_ALLOWED];
        let headers = &[(ACCEPT, accept)];
        let request = ApiRequest::new(http::Method::GET, self.url(path)?, "for a signature");
        let request = ApiRequest { headers, fetch: Fetch::start(), ..request };
        let mut response = self.send(&request, &[&[StatusCode::OK], &NOTHING[..]].concat())?;
        match NOTHING.contains(&response.status) {
            true => Ok(None),
            false => Ok(Some(self.read_body(&mut response, limit)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::registry::signatures::*;

    #[test]
    fn a_registry_or_a_part_of_it_has_what_is_below_it() {
        for (reference, registry, expected) in [
            ("ghcr.io/acme/app:1", "ghcr.io", true),
            ("ghcr.io/acme/app:1", "GHCR.io/acme", true),
            ("oci:ghcr.io/acme/app:1", "ghcr.io/acme/", true),
            ("oci://ghcr.io/acme/app:1", "ghcr.io/acme/app", true),
            ("ghcr.io/acme-evil/app:1", "ghcr.io/acme", false),
            ("ghcr.io/acme/app:1", "ghcr.io/acme/app/x", false),
            ("ghcr.io.evil.example/acme/app:1", "ghcr.io", false),
            ("localhost:5000/app", "localhost:5000", true),
            ("localhost:5000/app", "localhost", false),
            ("app", "docker.io/library", true),
            ("app", "index.docker.io", true),
        ] {
            assert_eq!(is_in(reference, registry), Ok(expected), "{reference} {registry}");
        }
        assert!(is_in("ghcr.io/app", "acme").is_err() && is_in("ghcr.io/app", "").is_err());
    }
}
