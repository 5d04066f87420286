//! Which configuration is in force?

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::config::Config;
use crate::fetch::Resolved;

/// The configuration in force, which a reload replaces. Clones are of the same server.
#[derive(Clone)]
pub struct ConfigInForce(Arc<ArcSwap<Resolved>>);

/// The configuration that was in force when it was asked for.
pub struct LoadedConfig(Guard<Arc<Resolved>>);

impl ConfigInForce {
    pub(super) fn new(resolved: Arc<Resolved>) -> Self {
        Self(Arc::new(ArcSwap::new(resolved)))
    }

    pub(super) fn replace(&self, resolved: Arc<Resolved>) {
        self.0.store(resolved);
    }

    /// The configuration now.
    pub fn load(&self) -> LoadedConfig {
        LoadedConfig(self.0.load())
    }
}

impl Deref for LoadedConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        self.0.config()
    }
}
