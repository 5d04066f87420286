//! Which routes are served, and what does each lead to? For operators who look at the table.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{HostPattern, Limits};
use crate::observe::RouteName;
use crate::route::RoutePattern;
use crate::runtime::WarmStartView;

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
    /// The function of the module that requests call. Components of `wasi:http` have theirs by their interface.
    pub entry_point: Option<String>,
    /// The route of the entry, if this is a sub-route that its module declares.
    pub sub_route_of: Option<String>,
    /// The limits of its guests.
    pub limits: Option<Limits>,
    /// The route that keeps requests from it, if there is one: its position in the table.
    pub hidden_by: Option<HiddenBy>,
    /// What is seen of its warm starts, if it has any.
    pub warm_start: Option<WarmStartView>,
}

/// Why no request reaches a route, or none for some of its hosts.
#[derive(Clone, Debug)]
pub struct HiddenBy {
    /// The position in the table of the first route that matches the same.
    pub position: usize,
    /// The hosts for which it does; none if it does so for all.
    pub hosts: Vec<HostPattern>,
}

/// How far the routes of a start are that serves what is ready.
#[derive(Clone, Debug)]
pub struct StartingRoutes {
    /// How many routes are served.
    pub ready: usize,
    /// The others.
    pub not_ready: Vec<StartingRoute>,
}

/// A route that cannot be served yet, since its module is still being compiled.
#[derive(Clone, Debug)]
pub struct StartingRoute {
    /// The route of the entry.
    pub route: String,
    /// The names that it answers; none if it answers every name.
    pub hosts: Vec<HostPattern>,
    /// The module.
    pub module: String,
}

impl Gateway {
    /// Which routes are served, and which are not ready yet.
    pub fn starting_routes(&self) -> StartingRoutes {
        let generation = self.in_force.load();
        let snapshot = &generation.snapshot;
        let starting = snapshot.routes.rows().iter().filter_map(|row| match &row.target {
            RouteTarget::Starting(name) => Some((name, &row.hosts)),
            _ => None,
        });
        let mut entries: Vec<_> = starting.collect();
        // An entry whose sub-routes are not known yet has two rows, one behind the other.
        entries.dedup_by(|(name, _), (before, _)| Arc::ptr_eq(name, before));
        let route = |(name, hosts): (&Arc<RouteName>, &Vec<HostPattern>)| StartingRoute {
            route: name.route.clone(),
            hosts: hosts.clone(),
            module: name.module.clone(),
        };
        StartingRoutes { ready: snapshot.ready(), not_ready: entries.into_iter().map(route).collect() }
    }

    /// The routes in the order in which they are tried.
    pub fn routes(&self) -> Vec<ServedRoute> {
        let generation = self.in_force.load();
        let routes = &generation.snapshot.routes;
        let hidden: HashMap<usize, HiddenBy> = (routes.hidden().into_iter())
            .map(|row| (row.row, HiddenBy { position: row.earlier, hosts: row.hosts }))
            .collect();
        let served = |(position, row): (usize, &RouteRow<RouteTarget>)| {
            let (guest, files) = match &row.target {
                RouteTarget::Health | RouteTarget::Starting(_) => (None, None),
                RouteTarget::Guest(route) => (Some(route), None),
                RouteTarget::Files(route) => (None, Some(route.path.clone())),
            };
            ServedRoute {
                pattern: row.pattern.clone(),
                hosts: row.hosts.clone(),
                module: match &row.target {
                    RouteTarget::Starting(name) => Some(name.module.clone()),
                    _ => guest.map(|route| route.name.module.clone()),
                },
                digest: guest.map(|route| route.module.digest.to_string()),
                kind: guest.map(|route| route.module.kind),
                files,
                entry_point: guest.map(|route| route.module.entry_point.clone()),
                sub_route_of: guest
                    .map(|route| route.module.entry_route.clone())
                    .filter(|entry| *entry != row.pattern.to_string()),
                limits: guest.map(|route| route.limits.clone()),
                hidden_by: hidden.get(&position).cloned(),
                warm_start: guest.and_then(|route| route.guest.warm_starts()),
            }
        };
        routes.rows().iter().enumerate().map(served).collect()
    }
}
