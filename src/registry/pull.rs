//! How does a reference become a file of the store?
//!
//! Its manifest names the layer that is the module; both are kept by their digests, so that what is pinned to one is asked
//! for once and never again. A tag is asked for at each start unless the operator wants it otherwise; what it was last is
//! noted for that, and for the day the registry is down. Called by `mod`, on a thread that may block.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cache;
use crate::cache::disk::sha256;
use crate::cache::fetched::Arrival;
use crate::cache::store::{Store, StoreError};
use crate::cache::{NOTES, Note};
use crate::config::Sha256;
use crate::format::sha256_hex;
use crate::net::progress::{Counted, Progress};

use crate::registry::api::Session;
use crate::registry::client::RegistryClient;
use crate::registry::download::{MAX_MANIFEST, Sent};
use crate::registry::error::PullError;
use crate::registry::manifest;
use crate::registry::manifest::{Content, Descriptor, ManifestError};
use crate::registry::reference;
use crate::registry::reference::{Reference, Version};

/// How often a module is asked for that does not arrive whole.
const ATTEMPTS: usize = 2;

/// What modules are pulled with.
pub(in crate::registry) struct Pull<'p> {
    pub store: &'p Store,
    pub client: &'p RegistryClient,
    /// How many bytes a module may have.
    pub most: u64,
    /// Who wants to know how far a download is.
    pub progress: &'p dyn Progress,
}

/// A module in the store.
#[derive(Debug)]
pub(in crate::registry) struct Pulled {
    pub path: PathBuf,
    /// The manifest or index that the reference stands for.
    pub manifest: Sha256,
    /// What that says of the module.
    pub layer: Descriptor,
    pub arrival: Arrival,
    /// Why it is what the tag was, and not what it may be now.
    pub outdated: Option<PullError>,
}

/// A module in the store, and what led to it.
struct Found {
    path: PathBuf,
    layer: Descriptor,
    /// The manifest, and before it the index that lists it, if there is one.
    manifests: Vec<Sha256>,
    is_new: bool,
}

impl Pull<'_> {
    pub fn pull(&self, reference: &Reference) -> Result<Pulled, PullError> {
        let started = Instant::now();
        let (found, outdated) = self.pull_or_cached(reference)?;
        let Found { path, layer, manifests, is_new } = found;
        let arrival = Arrival { is_new, took: started.elapsed() };
        tracing::debug!(module = %reference, bytes = layer.size, digest = %layer.sha256, is_new, took = ?arrival.took, "pulled");
        let manifest = manifests.into_iter().next().unwrap_or_else(|| layer.sha256.clone());
        Ok(Pulled { path, manifest, layer, arrival, outdated })
    }

    /// What a reference is, and why it may be something else by now.
    fn pull_or_cached(&self, reference: &Reference) -> Result<(Found, Option<PullError>), PullError> {
        // Nobody checks a note: it must not stand in for a digest.
        let is_tag = matches!(reference.version, Version::Tag(_));
        if is_tag
            && self.client.asks_for_what_is_missing_only()
            && let Some(found) = self.cached(reference)
        {
            return Ok((found, None));
        }
        match self.module(reference) {
            Ok(found) => {
                self.note(reference, &found);
                Ok((found, None))
            }
            Err(error) if is_tag && error.is_outage() => match self.cached(reference) {
                Some(found) => Ok((found, Some(error))),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn module(&self, reference: &Reference) -> Result<Found, PullError> {
        let mut session = Session::to_pull(self.client, reference);
        let registry = reference.registry.name();
        let (first, content) = match &reference.version {
            Version::Tag(tag) => {
                let sent = session.manifest(tag)?;
                check_against_header(&sent)?;
                self.take_in(sent, registry)?
            }
            Version::Digest(sha256) => (sha256.clone(), self.by_digest(sha256, None, &mut session, registry)?),
        };
        let mut manifests = vec![first];
        let layer = match content {
            Content::Module(layer) => layer,
            Content::Manifest(next) => {
                manifests.push(next.sha256.clone());
                match self.by_digest(&next.sha256, Some(next.size), &mut session, registry)? {
                    Content::Module(layer) => layer,
                    Content::Manifest(_) => return Err(unusable(registry, None, ManifestError::Nested)),
                }
            }
        };
        let (path, is_new) = self.layer(&layer, &mut session, reference)?;
        Ok(Found { path, layer, manifests, is_new })
    }

    /// What the manifest with a digest says, from the store if it is there.
    fn by_digest(
        &self,
        sha256: &Sha256,
        size: Option<u64>,
        session: &mut Session<'_>,
        registry: &str,
    ) -> Result<Content, PullError> {
        if let Some(bytes) = self.stored(sha256) {
            return manifest::read(&bytes, None).map_err(|error| unusable(registry, None, error));
        }
        let sent = session.manifest(&format!("sha256:{sha256}"))?;
        let found = sha256_hex(&sent.bytes);
        if found != sha256.as_str() {
            return Err(PullError::ManifestDigest { found, expected: sha256.to_string() });
        }
        let bytes = sent.bytes.len() as u64;
        if let Some(expected) = size.filter(|size| *size != bytes) {
            return Err(PullError::ManifestSize { found: bytes, expected });
        }
        Ok(self.take_in(sent, registry)?.1)
    }

    /// Understands a manifest that is what it should be, and keeps it; its digest, and what it says.
    fn take_in(&self, sent: Sent, registry: &str) -> Result<(Sha256, Content), PullError> {
        let content = manifest::read(&sent.bytes, sent.content_type.as_deref())
            .map_err(|error| unusable(registry, sent.content_type.clone(), error))?;
        let sha256 = sha256(&sent.bytes);
        let kept = self.store.take_in(&sha256, sent.bytes.len() as u64, &mut sent.bytes.as_slice());
        kept.map_err(|error| PullError::of_module(error, registry))?;
        Ok((sha256, content))
    }

    /// A manifest of the store, if it is there undamaged.
    fn stored(&self, sha256: &Sha256) -> Option<Vec<u8>> {
        let path = self.store.path(sha256.as_str());
        fs::symlink_metadata(&path).ok().filter(|found| found.is_file() && found.len() <= MAX_MANIFEST)?;
        let mut bytes = Vec::new();
        let file = File::open(&path).ok()?;
        (&file).take(MAX_MANIFEST).read_to_end(&mut bytes).ok()?;
        (sha256_hex(&bytes) == sha256.as_str()).then(|| {
            cache::touch(&file);
            bytes
        })
    }

    fn layer(
        &self,
        layer: &Descriptor,
        session: &mut Session<'_>,
        reference: &Reference,
    ) -> Result<(PathBuf, bool), PullError> {
        if layer.size > self.most {
            return Err(PullError::TooLarge { size: layer.size, most: self.most });
        }
        if let Some(path) = self.store.find(&layer.sha256, layer.size) {
            return Ok((path, false));
        }
        let mut attempts = 0;
        loop {
            let from = session.layer(&format!("sha256:{}", layer.sha256), layer.size)?;
            let mut bytes = Counted { from, step: self.progress.begins(&reference.to_string(), layer.size) };
            let taken = self.store.take_in(&layer.sha256, layer.size, &mut bytes);
            attempts += 1;
            if attempts == ATTEMPTS || !matches!(taken, Err(StoreError::Fetch(_))) {
                let taken = taken.map(|path| (path, true));
                return taken.map_err(|error| PullError::of_module(error, reference.registry.name()));
            }
        }
    }

    /// Where the note is below the store.
    fn note_path(reference: &Reference) -> PathBuf {
        Path::new(NOTES).join(sha256_hex(reference.to_string().as_bytes()))
    }

    /// Notes what a reference is, so that it can be served when the registry is down, and so that its files have a name.
    fn note(&self, reference: &Reference, found: &Found) {
        let path = self.store.path(Self::note_path(reference));
        let note = Note {
            module: found.layer.sha256.clone(),
            size: found.layer.size,
            reference: reference.to_string(),
            manifests: found.manifests.clone(),
        };
        match Note::read(&path) {
            Some(noted) if noted == note => return cache::renew(&path),
            Some(noted) if noted.module != note.module => {
                tracing::info!(module = %reference, was = %noted.module, is = %note.module, "the tag has moved");
            }
            _ => {}
        }
        if let Err(error) = self.store.write(&Self::note_path(reference), note.text().as_bytes()) {
            tracing::warn!(module = %reference, %error, "cannot note what the reference is");
        }
    }

    /// What a reference was when its registry was last asked, if all of it is still here.
    fn cached(&self, reference: &Reference) -> Option<Found> {
        let path = self.store.path(Self::note_path(reference));
        let note = Note::read(&path)?;
        let layer = Descriptor { sha256: note.module, size: note.size };
        let file = self.store.find(&layer.sha256, layer.size)?;
        cache::renew(&path);
        Some(Found { path: file, layer, manifests: note.manifests, is_new: false })
    }
}

/// Nobody has said which digest the manifest of a tag has, but the registry has to agree with itself.
fn check_against_header(sent: &Sent) -> Result<(), PullError> {
    let found = sha256_hex(&sent.bytes);
    match &sent.digest {
        // It may count with another function, which says nothing here.
        Some(stated) if stated.starts_with("sha512:") => Ok(()),
        Some(stated) if reference::sha256(stated).ok().is_none_or(|stated| stated.as_str() != found) => {
            Err(PullError::ManifestDigest { found, expected: manifest::shortened(stated) })
        }
        _ => Ok(()),
    }
}

fn unusable(registry: &str, content_type: Option<String>, source: ManifestError) -> PullError {
    PullError::Manifest { registry: registry.to_owned(), content_type, source }
}
