//! Which sub-routes does a module declare?
//!
//! If a module exports `_routes`, wagi calls it once, when its module is loaded: without arguments, environment, input or files, and
//! with the limits of a request. All other modules are instantiated once. So a start finds a module whose memory does not fit or
//! whose start function traps.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::Limits;
use crate::route::{Discovered, DiscoveryError, discovery};
use crate::runtime::{Ending, EntryPointError, Executable, Grants, Guest, Invocation, ROUTES, Run};

/// The limit on the bytes of a list of sub-routes.
const MAX_LIST: u64 = 1 << 20;

/// The time that `_routes` may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why the sub-routes of a module are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoverError {
    /// It cannot be instantiated.
    #[error("the module cannot be instantiated: {0}")]
    Instance(String),
    /// Its export `_routes` cannot be called.
    #[error("its sub-routes cannot be asked for")]
    Entry(#[from] EntryPointError),
    /// The call of `_routes` failed.
    #[error("asking for its sub-routes failed: `_routes` {0}")]
    Failed(String),
    /// The output is not a list of routes.
    #[error("`_routes` printed what is not a list of routes")]
    Printed(#[from] DiscoveryError),
}

/// The sub-routes of modules that were called already. Entries with the same module and the same limits share them.
#[derive(Default)]
pub(super) struct SubRouteCache(HashMap<CacheKey, SubRoutes>);

/// What the sub-routes of a module may depend on.
#[derive(PartialEq, Eq, Hash)]
struct CacheKey {
    executable: Executable,
    memory: usize,
    table_elements: usize,
    cpu_time: Duration,
}

/// The sub-routes in the order they were printed; `None` for a module that does not declare any.
type SubRoutes = Option<Vec<Discovered>>;

impl SubRouteCache {
    /// The sub-routes of a module. It is not called if it is in this cache, or in the one of the configuration `before`.
    pub async fn get(
        &mut self,
        executable: &Executable,
        grants: Grants,
        before: &Self,
    ) -> Result<SubRoutes, DiscoverError> {
        let Limits { memory, table_elements, cpu_time, .. } = grants.limits;
        let key = CacheKey { executable: executable.clone(), memory, table_elements, cpu_time };
        if let Some(cached) = self.0.get(&key) {
            return Ok(cached.clone());
        }
        let found = match before.0.get(&key) {
            Some(cached) => cached.clone(),
            None => sub_routes(executable, grants).await?,
        };
        self.0.insert(key, found.clone());
        Ok(found)
    }
}

/// Calls `_routes` of an executable that exports it, and instantiates any other.
pub(super) async fn sub_routes(executable: &Executable, grants: Grants) -> Result<SubRoutes, DiscoverError> {
    // All of the output is the list.
    let limits = Limits { response_head: 0, response_body: Some(MAX_LIST), ..grants.limits };
    let grants = Grants { limits, ..grants };
    if !executable.exports(ROUTES) {
        let (_, ending) = finish(executable.instantiate_only(grants)).await;
        return match failure(ending) {
            None => Ok(None),
            Some(reason) => Err(DiscoverError::Instance(reason)),
        };
    }
    let (printed, ending) = finish(executable.guest(ROUTES, grants)?).await;
    match failure(ending) {
        None => Ok(Some(discovery::parse(&printed)?)),
        Some(reason) => Err(DiscoverError::Failed(reason)),
    }
}

async fn finish(guest: Guest) -> (Vec<u8>, Option<Ending>) {
    let run: Run = guest.start(Invocation::default(), ());
    match tokio::time::timeout(TIMEOUT, run.collect()).await {
        Ok((printed, ending)) => (printed, Some(ending)),
        Err(_) => (Vec::new(), None),
    }
}

fn failure(ending: Option<Ending>) -> Option<String> {
    Some(match ending {
        Some(Ending::Succeeded) => return None,
        None => "did not return in time".to_owned(),
        Some(Ending::Exited(code)) => format!("exited with code {code}"),
        Some(Ending::Trapped(report)) => format!("trapped: {}", report.reason),
        Some(Ending::NotStarted(reason) | Ending::NoResponse(reason)) => reason,
        Some(Ending::CpuTimeUsedUp) => "used up its CPU time".to_owned(),
        Some(Ending::OutputLimitReached) => format!("printed more than {MAX_LIST} bytes"),
        Some(Ending::PoolExhausted) => "found no room".to_owned(),
        Some(Ending::VolumesHang) => "uses volumes whose files hang".to_owned(),
        Some(Ending::InputFailed(error)) => error.to_string(),
    })
}
