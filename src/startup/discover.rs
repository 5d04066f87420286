//! Which sub-routes does a module declare?
//!
//! A module that exports `_routes` is asked once, at start: without arguments, environment, input or files, and within
//! the limits of a request. Every module is instantiated here once, so that one whose memory does not fit or whose start
//! function traps is found before a client does.

use std::collections::HashMap;
use std::time::Duration;

use crate::config::Limits;
use crate::route::{Discovered, DiscoveryError, discovery};
use crate::runtime::{Ending, EntryError, Grants, Guest, Invocation, Program, ROUTES, Run};

use crate::startup::load::Wanted;

/// The most a module may print to declare them.
const LONGEST_LIST: u64 = 1 << 20;

/// How long a module may take to declare them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a module cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoverError {
    /// It cannot even be instantiated.
    #[error("the module cannot be instantiated: {0}")]
    Instance(String),
    /// What it exports as `_routes` cannot be called.
    #[error("its sub-routes cannot be asked for")]
    Entry(#[from] EntryError),
    /// Asking did not end well.
    #[error("asking for its sub-routes failed: `_routes` {0}")]
    Asked(String),
    /// The answer is not a list of routes.
    #[error("`_routes` printed what is not a list of routes")]
    Printed(#[from] DiscoveryError),
}

/// What modules have declared, each under the limits it was asked with. Entries that differ in nothing that could matter are
/// asked once.
#[derive(Default)]
pub(super) struct Declared(HashMap<(Wanted, usize, usize, Duration), SubRoutes>);

/// The sub-routes in the order they were printed; `None` for a module that does not declare any.
type SubRoutes = Option<Vec<Discovered>>;

impl Declared {
    /// The sub-routes of a program.
    pub async fn sub_routes(
        &mut self,
        wanted: Wanted,
        program: &Program,
        grants: Grants,
    ) -> Result<SubRoutes, DiscoverError> {
        let asked = (wanted, grants.limits.memory, grants.limits.table_elements, grants.limits.cpu_time);
        if let Some(known) = self.0.get(&asked) {
            return Ok(known.clone());
        }
        let found = sub_routes(program, grants).await?;
        self.0.insert(asked, found.clone());
        Ok(found)
    }
}

/// Asks a program for its sub-routes.
pub(super) async fn sub_routes(program: &Program, grants: Grants) -> Result<SubRoutes, DiscoverError> {
    // All of the output is the list.
    let limits = Limits { response_head: 0, response_body: Some(LONGEST_LIST), ..grants.limits };
    let grants = Grants { limits, ..grants };
    if !program.exports(ROUTES) {
        let (_, ending) = finish(program.instantiation(grants)).await;
        return match failure(ending) {
            None => Ok(None),
            Some(reason) => Err(DiscoverError::Instance(reason)),
        };
    }
    let (printed, ending) = finish(program.guest(ROUTES, grants)?).await;
    match failure(ending) {
        None => Ok(Some(discovery::parse(&printed)?)),
        Some(reason) => Err(DiscoverError::Asked(reason)),
    }
}

async fn finish(script: Guest) -> (Vec<u8>, Option<Ending>) {
    let run: Run = script.start(Invocation::default(), ());
    match tokio::time::timeout(PATIENCE, run.collect()).await {
        Ok((printed, ending)) => (printed, Some(ending)),
        Err(_) => (Vec::new(), None),
    }
}

fn failure(ending: Option<Ending>) -> Option<String> {
    Some(match ending {
        Some(Ending::Succeeded) => return None,
        None => "did not return in time".to_owned(),
        Some(Ending::Exited(code)) => format!("exited with code {code}"),
        Some(Ending::Trapped(reason)) => format!("trapped: {reason}"),
        Some(Ending::NotStarted(reason) | Ending::NoResponse(reason)) => reason,
        Some(Ending::CpuTimeUsedUp) => "used up its CPU time".to_owned(),
        Some(Ending::OutputLimitReached) => format!("printed more than {LONGEST_LIST} bytes"),
        Some(Ending::PoolExhausted) => "found no room".to_owned(),
        Some(Ending::InputFailed(error)) => error.to_string(),
    })
}
