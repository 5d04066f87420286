//! What is a configuration that could be put in force?
//!
//! Everything that can fail has been done: its modules are compiled, its volumes open, its routes checked.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::config::{Config, Diagnostic, EntryConfig, TlsConfig};
use crate::fetch::Resolved;
use crate::format::sha256_hex;
use crate::gateway::{RouteFiles, Snapshot};
use crate::outbound::Network;
use crate::regular_file;
use crate::runtime::Executable;

use crate::startup::error::Error;
use crate::startup::guest_writable;
use crate::startup::handover::Handover;
use crate::startup::load::so_far::{LoadState, LoadingModules};
use crate::startup::load::{Loaded, ModuleSpec, Priority, ServeWhen};
use crate::startup::platform::Platform;
use crate::startup::routes::RouteTableBuilder;

/// A configuration that could be put in force, if there is no error among its problems.
pub(super) struct Candidate {
    pub snapshot: Snapshot,
    pub handover: Handover,
    pub parts: Fingerprint,
    pub counts: Counts,
    /// Whether there is a module that may be half written.
    pub is_half_written: bool,
}

/// How much of a configuration there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub routes: usize,
    /// Modules with different content, and how many of them were compiled.
    pub modules: usize,
    pub compiled: usize,
}

/// What is compared, besides the `Config`, to tell whether a reload has changed anything.
#[derive(PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// One for each entry.
    executables: Vec<Option<Executable>>,
    /// Device and inode of each volume, and of each directory or file of a `[[static]]`.
    volumes: Vec<Option<(u64, u64)>>,
    network: Option<Network>,
    /// The digest of each file with certificates or a key of the server.
    tls: Vec<Option<String>>,
}

/// More than any chain of certificates has.
const MAX_TLS_FILE: u64 = 16 << 20;

/// A configuration that is being loaded.
pub(super) struct Loading<'a> {
    pub resolved: &'a Resolved,
    pub platform: &'a Platform,
    pub before: &'a Handover,
    pub priority: Priority,
}

impl Loading<'_> {
    /// Begins to load the modules.
    pub fn begin(&self, serve: ServeWhen) -> LoadingModules {
        let specs = self.resolved.entries().map(|(entry, file)| ModuleSpec::new(entry, file)).collect();
        self.platform.load(self.resolved.config(), specs, self.priority, serve)
    }

    /// Loads the modules and mounts the entries. Guests that may use `files` keep them.
    pub async fn load(&self, files: Option<RouteFiles>, problems: &mut Vec<Diagnostic>) -> Result<Candidate, Error> {
        let loaded = self.begin(ServeWhen::AllAreLoaded).all().await?;
        self.mount_all(loaded, files, problems).await
    }

    /// Mounts the entries, when all their modules are loaded.
    pub async fn mount_all(
        &self,
        loaded: Loaded,
        files: Option<RouteFiles>,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Candidate, Error> {
        let Loaded { results, modules, compiled } = loaded;
        let states = results.into_iter().map(LoadState::Ended).collect();
        let candidate = self.mount(states, files, problems).await?;
        Ok(Candidate { counts: Counts { modules, compiled, ..candidate.counts }, ..candidate })
    }

    /// Mounts the entries, each as far as its module is. Modules are not counted.
    pub async fn mount(
        &self,
        states: Vec<LoadState>,
        files: Option<RouteFiles>,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Candidate, Error> {
        let Self { resolved, platform, before, .. } = *self;
        let config = resolved.config();
        let mut routes = RouteTableBuilder::new(config, platform, before, problems)?.with_files(files);
        let network = routes.network();
        let found = states.iter().map(LoadState::executable).collect();
        let is_half_written = states.iter().any(LoadState::may_be_half_written);
        let mut static_files = config.static_files.iter().peekable();
        for (number, ((entry, file), state)) in resolved.entries().zip(states).enumerate() {
            while let Some(earlier) = static_files.next_if(|entry| entry.modules_before <= number) {
                routes.add_files(earlier);
            }
            match state {
                LoadState::Compiling(list) => routes.add_starting(entry, list),
                LoadState::Ended(Err(error)) => routes.report(entry, &error),
                LoadState::Ended(Ok(loaded)) => match guest_writable::check(config, entry, file) {
                    Ok(()) => {
                        routes.warn(guest_writable::writable_scripts(config, entry));
                        routes.warn(guest_writable::sent_scripts(config, entry));
                        routes.add_entry(entry, file, &loaded).await;
                    }
                    Err(error) => routes.report(entry, &error),
                },
            }
        }
        static_files.for_each(|entry| routes.add_files(entry));
        let (routes, handover) = routes.finish()?;
        let hostname = config.hostname.explicit.then(|| config.hostname.to_string());
        let snapshot = Snapshot::new(routes, hostname.as_deref(), &config.limits, &config.server);
        let counts = Counts { routes: snapshot.configured(), modules: 0, compiled: 0 };
        let parts = Fingerprint { executables: found, volumes: volumes(config), network, tls: tls(config) };
        Ok(Candidate { snapshot, handover, parts, counts, is_half_written })
    }
}

fn tls(config: &Config) -> Vec<Option<String>> {
    let of_server = config.server.tls.iter().flat_map(TlsConfig::certificates);
    let of_server = of_server.flat_map(|files| [&files.cert, &files.key]);
    let of_clients = config.server.tls.iter().filter_map(|tls| tls.client_ca.as_ref());
    let digest = |path: &PathBuf| Some(sha256_hex(&regular_file::read(path, MAX_TLS_FILE).ok()?));
    of_server.chain(of_clients).map(digest).collect()
}

/// Device and inode of each volume and of what each `[[static]]` names: a directory that was made anew has the same path.
fn volumes(config: &Config) -> Vec<Option<(u64, u64)>> {
    let volumes = config.entries.iter().flat_map(|entry: &EntryConfig| &entry.volumes);
    let volumes = volumes.map(|volume| &volume.host_path);
    let directories = volumes.chain(config.static_files.iter().map(|entry| entry.content.path()));
    directories.map(|path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))).collect()
}
