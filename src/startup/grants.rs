//! What do the guests of an entry get?

use std::io;
use std::sync::Arc;

use crate::config::{Config, CoredumpConfig, Diagnostic, EntryConfig, ProfileConfig};
use crate::observe::{GuestLog, Metrics, ProfileLog, RouteName, RouteProfiles};
use crate::outbound::Network;
use crate::runtime::{CoredumpDirectory, Debugging, Grants, Outbound, Profiling, ProgramFile, Volumes};
use crate::scratch::{ScratchLimits, ScratchSpace};

use crate::startup::handover::EntryState;
use crate::startup::warm_start::{self, CHECKPOINT_DIRECTORY, EmptyDirectory};

/// A directory of a volume that cannot be opened.
#[derive(Debug)]
pub(super) struct VolumeError {
    /// The index of the volume in its entry.
    pub index: usize,
    pub error: io::Error,
}

/// What all routes of an entry share.
pub(super) struct EntryGrants {
    volumes: Volumes,
    environment: Arc<[(String, String)]>,
    outbound: Option<Outbound>,
    /// What the same entry of the next configuration gets.
    pub state: EntryState,
}

impl EntryGrants {
    /// Opens the volumes of an entry. Its guests call other servers through `network`. `before` is the state of the same entry in
    /// the configuration before.
    pub fn new(
        entry: &EntryConfig,
        network: Option<&Network>,
        before: Option<&EntryState>,
        scratch: Option<&Arc<ScratchSpace>>,
    ) -> Result<Self, VolumeError> {
        let volumes = volumes(entry, scratch).map_err(|(index, error)| VolumeError { index, error })?;
        let state = EntryState::new(entry, network, before);
        let outbound = state
            .client
            .as_ref()
            .map(|caller| Outbound { client: caller.client.clone(), max_open: entry.http_max_concurrency });
        Ok(Self { volumes, environment: entry.environment.clone().into(), outbound, state })
    }

    /// The grants of the guests at one route.
    pub fn for_route(&self, entry: &EntryConfig, log: GuestLog) -> Grants {
        Grants {
            volumes: self.volumes.clone(),
            outbound: self.outbound.clone(),
            environment: self.environment.clone(),
            log: Some(Arc::new(log)),
            watcher: None,
            limits: entry.limits.clone(),
        }
    }
}

/// What is kept of the guests of all routes that trap or compute for long.
pub(super) struct DebugPlaces {
    coredumps: Option<Arc<CoredumpDirectory>>,
    profile: Option<ProfileConfig>,
    profiles: Arc<ProfileLog>,
}

impl DebugPlaces {
    /// Opens what `[debug]` names.
    pub fn open(config: &Config, metrics: &Metrics, problems: &mut Vec<Diagnostic>) -> Self {
        let coredumps = config.debug.coredumps.as_ref().and_then(|dumps| {
            let CoredumpConfig { directory, location, files, size } = dumps;
            let opened = match config.is_check {
                true => CoredumpDirectory::check(directory).map(|()| None),
                false => CoredumpDirectory::open(directory, *files, *size).map(|opened| Some(Arc::new(opened))),
            };
            let problem = |error| {
                let problem = Diagnostic::error("cannot use the directory for core dumps").at(location.clone());
                problems.push(problem.caused_by(&error).help("name a directory that the server can write to"));
            };
            opened.map_err(problem).ok().flatten()
        });
        Self { coredumps, profile: config.debug.profile.clone(), profiles: metrics.profiles.clone() }
    }

    /// What is kept of the guests of a route, whose program is in this file.
    pub fn of_route(&self, name: &Arc<RouteName>, program: Option<ProgramFile>) -> Debugging {
        let profiling = |config: &ProfileConfig| Profiling {
            slower_than: config.slower_than,
            module: name.module.clone(),
            sink: Arc::new(RouteProfiles { log: self.profiles.clone(), name: name.clone(), kept: config.kept }),
        };
        Debugging { program, coredumps: self.coredumps.clone(), profiling: self.profile.as_ref().map(profiling) }
    }
}

/// Opens the volumes of an entry, and after them an empty directory for each scratch directory, and one to ask for a checkpoint.
fn volumes(entry: &EntryConfig, scratch: Option<&Arc<ScratchSpace>>) -> Result<Volumes, (usize, io::Error)> {
    let count = entry.volumes.len();
    let of_scratch = |error| (count, error);
    let placeholders = match scratch {
        Some(space) => entry.scratch.iter().map(|_| space.placeholder()).collect::<io::Result<Vec<_>>>(),
        None => Ok(Vec::new()),
    };
    let placeholders = placeholders.map_err(of_scratch)?;
    let directories =
        entry.volumes.iter().map(|volume| (volume.guest_path.as_str(), &volume.host_path, volume.read_only));
    let empty =
        entry.scratch.iter().zip(&placeholders).map(|(scratch, path)| (scratch.guest_path.as_str(), path, false));
    let begins_warm = scratch.filter(|_| entry.warm_start.is_some());
    let checkpoint = begins_warm.and_then(|space| checkpoint_directory(entry, space));
    let path = checkpoint.as_ref().map(EmptyDirectory::path);
    let checkpoint_directory = path.into_iter().map(|path| (CHECKPOINT_DIRECTORY, path, true));
    // Last, so that all others have the descriptors that they have without.
    let volumes = Volumes::open(directories.chain(empty).chain(checkpoint_directory))?;
    let Some(space) = scratch else { return Ok(volumes) };
    let limits = entry.scratch.iter().map(|scratch| ScratchLimits { bytes: scratch.bytes, files: scratch.files });
    let scratch = limits.zip(&placeholders).enumerate().map(|(index, (limits, path))| (count + index, path, limits));
    volumes.with_scratch(space, scratch).map_err(of_scratch)
}

/// The directory in which guests ask for their checkpoint. Without it they begin cold, which is no reason not to serve.
fn checkpoint_directory(entry: &EntryConfig, space: &ScratchSpace) -> Option<EmptyDirectory> {
    EmptyDirectory::create(space).inspect_err(|error| warm_start::log_without_directory(entry, error)).ok()
}

/// The grants of a guest that is called for its sub-routes: no directories and no calls.
pub(super) fn for_discovery(grants: &Grants) -> Grants {
    Grants { volumes: Volumes::default(), outbound: None, watcher: None, ..grants.clone() }
}

/// The name of an entry's route in the log.
pub(super) fn route_name(entry: &EntryConfig, pattern: &impl ToString) -> Arc<RouteName> {
    Arc::new(RouteName::new(pattern, &entry.module))
}
