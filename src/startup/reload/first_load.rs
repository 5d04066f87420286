//! What is the first configuration while its modules are being loaded?

use std::sync::Arc;

use tokio::sync::watch;

use crate::cache::CacheLock;
use crate::cache::store::TemporaryDirectory;
use crate::config::{Diagnostic, Options};
use crate::fetch::Resolved;
use crate::gateway::Gateway;

use crate::startup;
use crate::startup::candidate::{Candidate, Counts, Fingerprint, Loading};
use crate::startup::error::Error;
use crate::startup::handover::Handover;
use crate::startup::load::so_far::LoadingModules;
use crate::startup::load::{Loaded, Priority};
use crate::startup::platform::Platform;
use crate::startup::reload::files::Stamps;
use crate::startup::reload::in_force::ConfigInForce;
use crate::startup::reload::{Current, Reloader, files};

/// The first configuration, whose modules are being loaded.
pub(super) struct FirstLoad {
    pub options: Options,
    pub stamps: Stamps,
    pub temporary: Option<Arc<TemporaryDirectory>>,
    pub startup_lock: Option<CacheLock>,
    pub resolved: Arc<Resolved>,
    pub platform: Arc<Platform>,
    pub modules: LoadingModules,
}

/// What of a candidate stays when it is in force.
pub(super) struct MountedParts {
    pub handover: Handover,
    pub parts: Fingerprint,
    pub counts: Counts,
}

impl FirstLoad {
    /// The same, for mounting its entries. What was mounted `before` stays.
    pub fn loading<'a>(&'a self, before: &'a Handover) -> Loading<'a> {
        Loading { resolved: &self.resolved, platform: &self.platform, before, priority: Priority::Start }
    }

    /// Mounts all entries.
    pub async fn complete(self, loaded: Loaded, problems: &mut Vec<Diagnostic>) -> Result<Reloader, Error> {
        let files = files(&self.resolved);
        let candidate = self.loading(&Handover::default()).mount_all(loaded, Some(files), problems).await?;
        let Candidate { snapshot, handover, parts, counts, .. } = candidate;
        let gateway = startup::gateway(&self.platform, snapshot, &self.resolved)?;
        Ok(self.into_reloader(gateway, MountedParts { handover, parts, counts }))
    }

    /// What reloads it from now on.
    pub fn into_reloader(self, gateway: Gateway, mounted: MountedParts) -> Reloader {
        let Self { options, stamps, temporary, startup_lock, resolved, platform, modules: _ } = self;
        drop(startup_lock);
        let MountedParts { handover, parts, counts } = mounted;
        let (watched, _) = watch::channel(stamps.clone());
        let in_force = ConfigInForce::new(resolved.clone());
        let current = Arc::new(Current { resolved, handover, parts, counts, stamps });
        let observer = Box::new(|_: startup::ReloadStage<'_>| {});
        let options = Arc::new(options);
        Reloader { options, platform, gateway, server: None, current, in_force, temporary, watched, observer }
    }
}
