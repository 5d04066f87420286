//! Which signatures of an artifact were right before?
//!
//! They are kept beside the modules in the cache, and verified again each time.

use std::path::{Path, PathBuf};

use crate::cache::SIGNATURES;
use crate::cache::store::Store;
use crate::config::Sha256;
use crate::regular_file;
use crate::signature::Evidence;

/// The most bytes of the signatures of an artifact. A single one is never as long.
const MAX_FILE: usize = 8 << 20;

/// How many signatures are kept for one artifact.
const MAX_KEPT: usize = 8;

/// The path of the signatures of an artifact in the cache.
fn path_of(manifest: &Sha256) -> PathBuf {
    Path::new(SIGNATURES).join(manifest.as_str())
}

/// The signatures that are kept for an artifact.
pub(super) fn kept(store: &Store, manifest: &Sha256) -> Vec<Evidence> {
    let document = regular_file::read(&store.path(path_of(manifest)), MAX_FILE as u64).unwrap_or_default();
    Evidence::parse(&document)
}

/// Keeps a signature beside those that are kept already: other entries may need another one.
pub(super) fn keep(store: &Store, manifest: &Sha256, evidence: &Evidence) {
    let before = kept(store, manifest);
    if !before.contains(evidence)
        && let Err(error) = store.write(&path_of(manifest), &document(evidence, before))
    {
        tracing::warn!(%manifest, %error, "cannot keep the signature");
    }
}

/// The document with a new signature and as many of the others as it may have.
fn document(new: &Evidence, before: Vec<Evidence>) -> Vec<u8> {
    let mut all = vec![new.clone()];
    all.extend(before.into_iter().take(MAX_KEPT - 1));
    loop {
        let document = Evidence::write(&all);
        if document.len() <= MAX_FILE || all.pop().is_none() {
            return document;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fetch::kept_signatures::*;

    #[test]
    fn what_is_kept_is_never_too_long_to_be_read_again() {
        let bundle = |letter: u8| Evidence::Bundle(vec![letter; 1 << 20]);
        let before: Vec<_> = (0..9).map(bundle).collect();
        let written = document(&bundle(9), before);
        assert!(written.len() <= MAX_FILE, "{}", written.len());
        let kept = Evidence::parse(&written);
        assert_eq!((kept.len(), &kept[0]), (5, &bundle(9)));
        assert_eq!(
            Evidence::parse(&document(&Evidence::Bundle(vec![1]), vec![Evidence::Bundle(vec![2]); 20])).len(),
            MAX_KEPT
        );
    }
}
