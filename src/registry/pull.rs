//! How does a reference become a file of the store?
//!
//! Its manifest names the layer that is the module. Both are stored by their digests, so that what is pinned to a
//! digest is downloaded once and never again. A tag is looked up at each start unless the operator wants it otherwise.
//! A record says which manifest the tag stood for. It is used if the operator does not want a look-up, and if the registry is
//! down. For threads that may block.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Instant;

use crate::cache;
use crate::cache::ReferenceRecord;
use crate::cache::disk::sha256;
use crate::cache::fetched::Arrival;
use crate::cache::store::Store;
use crate::config::{Lock, ModuleRef, Sha256};
use crate::format::sha256_hex;
use crate::net::client::Fetch;
use crate::net::progress::Counted;
use crate::parallel;
use crate::regular_file;

use crate::registry::api::Session;
use crate::registry::client::{PullOptions, RegistryClient};
use crate::registry::download::{MAX_MANIFEST, ManifestResponse};
use crate::registry::error::PullError;
use crate::registry::manifest;
use crate::registry::manifest::{Descriptor, ManifestContent, ManifestError};
use crate::registry::reference::{Reference, TagOrDigest};

/// How many modules are pulled at the same time.
const CONCURRENCY: usize = 4;

/// How often the download of a layer is tried.
const ATTEMPTS: usize = 2;

/// Pulls modules into a store.
pub(in crate::registry) struct Pull<'p> {
    pub store: &'p Store,
    pub client: &'p RegistryClient,
    pub options: &'p PullOptions,
}

/// A module in the store.
#[derive(Debug)]
pub(in crate::registry) struct Pulled {
    pub path: PathBuf,
    /// The manifest or index that the reference stands for.
    pub manifest: Sha256,
    /// The layer that is the module.
    pub layer: Descriptor,
    pub arrival: Arrival,
    /// Why this is the module that the tag stood for earlier. The tag may stand for another one now.
    pub outdated: Option<PullError>,
}

/// A module in the store, and the manifests that lead to it.
struct StoredModule {
    path: PathBuf,
    layer: Descriptor,
    /// The manifest, and before it the index that lists it, if there is one.
    manifests: Vec<Sha256>,
    is_new: bool,
}

impl Pull<'_> {
    /// Pulls each of the references, several at the same time. A reference that is locked is pulled as it was when it
    /// was locked.
    pub fn pull_all(&self, references: &[String]) -> HashMap<String, Result<Pulled, PullError>> {
        let pulled = parallel::map(references, CONCURRENCY, |text| {
            resolve(text, self.options.lock.as_ref()).and_then(|reference| self.pull(&reference))
        });
        references.iter().cloned().zip(pulled).collect()
    }

    fn pull(&self, reference: &Reference) -> Result<Pulled, PullError> {
        let started = Instant::now();
        let (found, outdated) = self.pull_or_cached(reference)?;
        let StoredModule { path, layer, manifests, is_new } = found;
        let arrival = Arrival { is_new, took: started.elapsed() };
        tracing::debug!(module = %reference, bytes = layer.size, digest = %layer.sha256, is_new, took = ?arrival.took, "pulled");
        let manifest = manifests.into_iter().next().unwrap_or_else(|| layer.sha256.clone());
        Ok(Pulled { path, manifest, layer, arrival, outdated })
    }

    /// The module of a reference, and why it may be outdated.
    fn pull_or_cached(&self, reference: &Reference) -> Result<(StoredModule, Option<PullError>), PullError> {
        // A record is not verified: it must not be used for a digest.
        let is_tag = matches!(reference.version, TagOrDigest::Tag(_));
        if is_tag
            && self.client.prefers_cached()
            && let Some(found) = self.cached(reference)
        {
            return Ok((found, None));
        }
        match self.download(reference) {
            Ok(found) => {
                self.record(reference, &found);
                Ok((found, None))
            }
            Err(error) if is_tag && error.is_outage() => match self.cached(reference) {
                Some(found) => Ok((found, Some(error))),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn download(&self, reference: &Reference) -> Result<StoredModule, PullError> {
        let mut session = Session::to_pull(self.client, reference);
        let registry = reference.registry.name();
        let (first, content) = match &reference.version {
            TagOrDigest::Tag(tag) => {
                let response = session.manifest(tag)?;
                response.check_digest_header()?;
                self.insert_manifest(response, registry)?
            }
            TagOrDigest::Digest(sha256) => (sha256.clone(), self.manifest(sha256, None, &mut session, registry)?),
        };
        let mut manifests = vec![first];
        let layer = match content {
            ManifestContent::Module(layer) => layer,
            ManifestContent::Manifest(next) => {
                manifests.push(next.sha256.clone());
                match self.manifest(&next.sha256, Some(next.size), &mut session, registry)? {
                    ManifestContent::Module(layer) => layer,
                    ManifestContent::Manifest(_) => return Err(unusable(registry, None, ManifestError::Nested)),
                }
            }
        };
        let (path, is_new) = self.layer(&layer, &mut session, reference)?;
        Ok(StoredModule { path, layer, manifests, is_new })
    }

    /// The content of the manifest with a digest, from the store if it is there.
    fn manifest(
        &self,
        sha256: &Sha256,
        size: Option<u64>,
        session: &mut Session<'_>,
        registry: &str,
    ) -> Result<ManifestContent, PullError> {
        if let Some(bytes) = stored_manifest(self.store, sha256) {
            return manifest::read(&bytes, None).map_err(|error| unusable(registry, None, error));
        }
        let response = session.manifest(&format!("sha256:{sha256}"))?;
        let found = sha256_hex(&response.bytes);
        if found != sha256.as_str() {
            return Err(PullError::ManifestDigest { found, expected: sha256.to_string() });
        }
        let bytes = response.bytes.len() as u64;
        if let Some(expected) = size.filter(|size| *size != bytes) {
            return Err(PullError::ManifestSize { found: bytes, expected });
        }
        Ok(self.insert_manifest(response, registry)?.1)
    }

    /// Reads a manifest and stores it. Returns its digest and content.
    fn insert_manifest(
        &self,
        response: ManifestResponse,
        registry: &str,
    ) -> Result<(Sha256, ManifestContent), PullError> {
        let content = manifest::read(&response.bytes, response.content_type.as_deref())
            .map_err(|error| unusable(registry, response.content_type.clone(), error))?;
        let (sha256, size) = (sha256(&response.bytes), response.bytes.len() as u64);
        let inserted = self.store.insert(&sha256, size, &mut response.bytes.as_slice());
        inserted.map_err(|error| PullError::from_store(error, registry))?;
        Ok((sha256, content))
    }

    /// The file of a layer, and whether it was downloaded now.
    fn layer(
        &self,
        layer: &Descriptor,
        session: &mut Session<'_>,
        reference: &Reference,
    ) -> Result<(PathBuf, bool), PullError> {
        let limit = self.options.max_module_size;
        if layer.size > limit {
            return Err(PullError::TooLarge { size: layer.size, limit });
        }
        if let Some(path) = self.store.find(&layer.sha256, layer.size) {
            return Ok((path, false));
        }
        let (fetch, mut attempts) = (Fetch::start_sized(layer.size), 0);
        loop {
            let from = session.layer(&format!("sha256:{}", layer.sha256), fetch)?;
            let step = self.options.progress.begin(&reference.to_string(), layer.size);
            let inserted = self.store.insert(&layer.sha256, layer.size, &mut Counted { from, step });
            attempts += 1;
            if attempts == ATTEMPTS || !matches!(&inserted, Err(error) if error.is_transient()) {
                let inserted = inserted.map(|path| (path, true));
                return inserted.map_err(|error| PullError::from_store(error, reference.registry.name()));
            }
        }
    }

    /// Records what a reference is, so that it can be served when the registry is down, and so that its files have a
    /// name.
    fn record(&self, reference: &Reference, found: &StoredModule) {
        let record = ReferenceRecord {
            module: found.layer.sha256.clone(),
            size: found.layer.size,
            reference: reference.to_string(),
            manifests: found.manifests.clone(),
        };
        let relative = ReferenceRecord::path(&record.reference);
        let path = self.store.path(&relative);
        match ReferenceRecord::read(&path) {
            Some(former) if former == record => return cache::mark_modified(&path),
            Some(former) if former.module != record.module => {
                tracing::info!(module = %reference, was = %former.module, is = %record.module, "the tag has moved");
            }
            _ => {}
        }
        if let Err(error) = self.store.write(&relative, record.to_string().as_bytes()) {
            tracing::warn!(module = %reference, %error, "cannot note what the reference is");
        }
    }

    /// The module that a reference was when its registry was last asked, if all of it is still in the store.
    fn cached(&self, reference: &Reference) -> Option<StoredModule> {
        let path = self.store.path(ReferenceRecord::path(&reference.to_string()));
        let record = ReferenceRecord::read(&path)?;
        let layer = Descriptor { sha256: record.module, size: record.size };
        let file = self.store.find(&layer.sha256, layer.size)?;
        cache::mark_modified(&path);
        Some(StoredModule { path: file, layer, manifests: record.manifests, is_new: false })
    }
}

/// A manifest of a store, if it is there undamaged.
pub(in crate::registry) fn stored_manifest(store: &Store, sha256: &Sha256) -> Option<Vec<u8>> {
    let path = store.path(sha256.as_str());
    fs::symlink_metadata(&path).ok().filter(|found| found.is_file() && found.len() <= MAX_MANIFEST)?;
    let mut bytes = Vec::new();
    let file = regular_file::open(&path).ok()?;
    (&file).take(MAX_MANIFEST).read_to_end(&mut bytes).ok()?;
    (sha256_hex(&bytes) == sha256.as_str()).then(|| {
        cache::mark_accessed(&file);
        bytes
    })
}

/// The artifact that a text names. If the text is locked, it is the artifact that it named then.
fn resolve(text: &str, lock: Option<&Lock>) -> Result<Reference, PullError> {
    let reference = Reference::parse(text)?;
    let locked = lock.and_then(|lock| lock.find((&ModuleRef::Oci(text.to_owned()).to_string(), None)));
    Ok(match locked.and_then(|module| module.manifest.clone()) {
        Some(manifest) => Reference { version: TagOrDigest::Digest(manifest), ..reference },
        None => reference,
    })
}

fn unusable(registry: &str, content_type: Option<String>, source: ManifestError) -> PullError {
    PullError::Manifest { registry: registry.to_owned(), content_type, source }
}
