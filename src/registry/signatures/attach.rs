//! How does an artifact get a signature?
//!
//! The bundle becomes an artifact of its own, which refers to the signed one. A registry that does not say that it has seen this
//! cannot list it later: the index under the fallback tag does.

use http::header::HeaderName;
use serde_json::{Value, json};

use crate::config::Sha256;
use crate::net::upload::Upload;
use crate::signature::{BUNDLE, SIGNS};

use crate::registry::api::Session;
use crate::registry::artifact::Blob;
use crate::registry::client::RegistryClient;
use crate::registry::credentials::challenge::Scope;
use crate::registry::manifest::{OCI_INDEX, OCI_MANIFEST};
use crate::registry::push::PushError;
use crate::registry::reference::Reference;
use crate::registry::signatures::referrers::{fallback_tag, tagged};

/// The configuration of an artifact that needs none.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// By this header a registry says that it has seen what an artifact refers to.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Attaches a bundle to the artifact with this manifest.
pub(in crate::registry) fn attach(
    client: &RegistryClient,
    reference: &Reference,
    manifest: &Blob,
    bundle: Vec<u8>,
) -> Result<(), PushError> {
    let mut session = Session::new(client, &reference.registry, Scope::Push(&reference.repository));
    let bundle = Blob::new(bundle.into(), BUNDLE);
    let config = Blob::new("{}".into(), EMPTY);
    for (blob, what) in [(&bundle, "the signature"), (&config, "the configuration")] {
        session.put_blob(blob, &|| Upload::from(blob.bytes.clone()), what)?;
    }
    let annotations = json!({
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": SIGNS,
    });
    let signature = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": BUNDLE,
        "config": config.descriptor(),
        "layers": [bundle.descriptor()],
        "subject": manifest.descriptor(),
        "annotations": annotations,
    });
    let signature = Blob::new(signature.to_string().into(), OCI_MANIFEST);
    let headers = session.put_manifest(&format!("sha256:{}", signature.sha256), &signature)?;
    if !headers.contains_key(SUBJECT) {
        let mut descriptor = signature.descriptor();
        descriptor["artifactType"] = BUNDLE.into();
        descriptor["annotations"] = annotations;
        session.add_to_index(&manifest.sha256, descriptor)?;
    }
    Ok(())
}

impl Session<'_> {
    /// Adds a descriptor to the index of what refers to an artifact.
    fn add_to_index(&mut self, sha256: &Sha256, descriptor: Value) -> Result<(), PushError> {
        // Not what the registry lists: it may do so and not say it.
        let index = tagged(self, sha256).map_err(|error| PushError::Index(error.to_string()))?;
        let mut manifests = index.get("manifests").and_then(Value::as_array).cloned().unwrap_or_default();
        if manifests.iter().all(|listed| listed.get("digest") != descriptor.get("digest")) {
            manifests.push(descriptor);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        let index = Blob::new(index.to_string().into(), OCI_INDEX);
        self.put_manifest(&fallback_tag(sha256), &index).map(drop)
    }
}
