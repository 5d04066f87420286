//! Which routes does a gateway have?

use crate::config::HostPattern;
use crate::route::RoutePattern;

use crate::gateway::Gateway;
use crate::gateway::guest_route::RouteTarget;
use crate::gateway::hosts::RouteRow;

/// A route, with its module.
#[derive(Clone, Debug)]
pub struct ServedRoute {
    /// The paths that it answers.
    pub pattern: RoutePattern,
    /// The names that it answers; none if it answers every name.
    pub hosts: Vec<HostPattern>,
    /// The module; `None` for files and for the built-in health check.
    pub module: Option<String>,
    /// The digest of the module.
    pub digest: Option<String>,
    /// Whether it is a module or a component.
    pub kind: Option<&'static str>,
    /// The file or directory, if it leads to files.
    pub files: Option<String>,
}

impl Gateway {
    /// The routes in the order in which they are tried.
    pub fn routes(&self) -> Vec<ServedRoute> {
        let served = |row: &RouteRow<RouteTarget>| {
            let (guest, files) = match &row.target {
                RouteTarget::Health => (None, None),
                RouteTarget::Guest(route) => (Some(route), None),
                RouteTarget::Files(route) => (None, Some(route.path.clone())),
            };
            ServedRoute {
                pattern: row.pattern.clone(),
                hosts: row.hosts.clone(),
                module: guest.map(|route| route.name.module.clone()),
                digest: guest.map(|route| route.module.digest.to_string()),
                kind: guest.map(|route| route.module.kind),
                files,
            }
        };
        self.in_force.load().snapshot.routes.rows().iter().map(served).collect()
    }
}
