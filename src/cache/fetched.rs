//! What is known of a module that was fetched?

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Diagnostic, ModuleRef, Sha256};

/// A module in the cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FetchedModule {
    /// Its file.
    pub path: PathBuf,
    /// The digest of the file.
    pub sha256: Sha256,
    /// The size of the file in bytes.
    pub size: u64,
    /// The digest of the manifest or index that names the module, if it is from a registry.
    pub manifest: Option<Sha256>,
    /// How it came into the cache.
    pub arrival: Arrival,
}

/// How a module came into the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// Whether it was downloaded now. If not, it was in the cache already.
    pub is_new: bool,
    /// How long it took to find or download it.
    pub took: Duration,
}

/// The modules that could be fetched, and what is wrong with the others.
#[derive(Debug, Default)]
pub(crate) struct FetchedModules {
    pub by_reference: HashMap<ModuleRef, FetchedModule>,
    pub problems: Vec<Diagnostic>,
}
