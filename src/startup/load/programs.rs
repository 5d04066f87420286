//! Which executables are there already?
//!
//! A module with the same content, preparation and treatment of unknown imports is compiled once, also if configurations come and go: an
//! executable is found here as long as something runs or serves it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::{Preparation, UnknownImports};
use crate::runtime::{Executable, WeakExecutable};

/// What is the same for entries that share one executable.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct ContentKey {
    pub sha256: String,
    pub preparation: Preparation,
    pub unknown_imports: UnknownImports,
}

/// The executables of all configurations that serve, without keeping them.
#[derive(Default)]
pub(in crate::startup) struct Programs(Mutex<HashMap<ContentKey, WeakExecutable>>);

impl Programs {
    pub(super) fn find(&self, key: &ContentKey) -> Option<Executable> {
        self.by_content().get(key)?.upgrade()
    }

    pub(super) fn insert(&self, key: ContentKey, executable: &Executable) {
        self.by_content().insert(key, executable.downgrade());
    }

    /// Forgets those that are gone.
    pub(super) fn remove_unused(&self) {
        self.by_content().retain(|_, executable| !executable.is_gone());
    }

    fn by_content(&self) -> MutexGuard<'_, HashMap<ContentKey, WeakExecutable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
