//! What is a configuration in which every module is a file?

use std::path::{Path, PathBuf};

use crate::bindle::BindleModule;
use crate::cache::CacheLock;
use crate::cache::fetched::{Arrival, FetchedModule, FetchedModules};
use crate::cache::store::{Store, TemporaryDirectory};
use crate::config::{Config, EntryConfig, ModuleRef, Sha256};
use crate::signature::Signer;

/// A configuration in which every module is a file of this machine. Made by [`complete`](crate::fetch::complete).
///
/// Keep it as long as the gateway: the files of a temporary module cache are removed when it is dropped, and other
/// processes may then prune the files of a shared one.
#[derive(Debug)]
#[must_use = "dropping it may remove the files of its modules"]
pub struct Resolved {
    config: Config,
    /// The module of each entry of `config`, in the same order.
    files: Vec<ModuleFile>,
    /// Who has signed it, if that is verified; in the same order.
    signers: Vec<Option<Signer>>,
    store: Option<Store>,
}

/// An entry whose module is a file.
#[derive(Debug)]
pub(super) struct ResolvedEntry {
    pub config: EntryConfig,
    pub file: ModuleFile,
    /// Who has signed it, if that is verified.
    pub signer: Option<Signer>,
}

impl From<BindleModule> for ResolvedEntry {
    fn from(module: BindleModule) -> Self {
        Self { config: module.entry, file: ModuleFile::Fetched(module.module), signer: None }
    }
}

/// The file that a module is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModuleFile {
    /// A file that the configuration names.
    Local {
        /// Its path.
        path: PathBuf,
        /// Its digest, if the lock file says it.
        sha256: Option<Sha256>,
    },
    /// A file of the module cache.
    Fetched(FetchedModule),
}

impl Resolved {
    pub(super) fn new(config: Config, entries: Vec<ResolvedEntry>, store: Option<Store>) -> Self {
        let signers = entries.iter().map(|entry| entry.signer.clone()).collect();
        let (entries, files) = entries.into_iter().map(|entry| (entry.config, entry.file)).unzip();
        Self { config: Config { entries, ..config }, files, signers, store }
    }

    /// The configuration. Its entries are those whose modules are files.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The entries of the configuration, each with the file of its module.
    pub fn entries(&self) -> impl Iterator<Item = (&EntryConfig, &ModuleFile)> {
        self.config.entries.iter().zip(&self.files)
    }

    /// Who has signed the module of each entry, if that is verified.
    pub(super) fn signers(&self) -> impl Iterator<Item = Option<&Signer>> {
        self.signers.iter().map(Option::as_ref)
    }

    /// Takes the directory with the modules, if it is a temporary one.
    pub(crate) fn take_temporary_directory(&mut self) -> Option<TemporaryDirectory> {
        self.store.as_mut()?.take_temporary_directory()
    }

    /// The lock that keeps other processes from pruning the module cache. It is to be dropped when every file has been
    /// read that is read only once.
    pub(crate) fn take_startup_lock(&mut self) -> Option<CacheLock> {
        self.store.as_mut()?.take_startup_lock()
    }
}

impl ModuleFile {
    /// The path of the file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Local { path, .. } => path,
            Self::Fetched(module) => &module.path,
        }
    }

    /// The digest that the file must have, if it is known.
    pub fn sha256(&self) -> Option<&Sha256> {
        match self {
            Self::Local { sha256, .. } => sha256.as_ref(),
            Self::Fetched(module) => Some(&module.sha256),
        }
    }

    /// How the file came into the module cache, if it is there.
    pub fn arrival(&self) -> Option<Arrival> {
        match self {
            Self::Local { .. } => None,
            Self::Fetched(module) => Some(module.arrival),
        }
    }
}

/// The entries with the files of their modules, without those whose module was not fetched.
pub(super) fn with_files(entries: Vec<EntryConfig>, fetched: &FetchedModules) -> Vec<ResolvedEntry> {
    let with_file = |config: EntryConfig| {
        let file = match &config.module {
            ModuleRef::File(path) => ModuleFile::Local { path: path.clone(), sha256: None },
            reference @ (ModuleRef::Oci(_) | ModuleRef::Bindle { .. }) => {
                ModuleFile::Fetched(fetched.by_reference.get(reference)?.clone())
            }
        };
        Some(ResolvedEntry { config, file, signer: None })
    };
    entries.into_iter().filter_map(with_file).collect()
}
