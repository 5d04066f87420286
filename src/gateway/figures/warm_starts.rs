//! Which routes begin warm, and do they answer the same then? For operators who ask before they start a server.

use crate::runtime::{WarmStartChance, WarmStartProof};

use crate::gateway::Gateway;
use crate::gateway::guest_route::RouteTarget;

/// What came of requests to a route that were answered cold and warm.
#[derive(Clone, Debug)]
pub struct ProvenRoute {
    /// The route.
    pub route: String,
    /// What came of them, for each kind of request.
    pub proofs: Vec<WarmStartProof>,
}

impl Gateway {
    /// Whether guests can begin warm, for each route in the order in which they are tried. Reads modules.
    pub fn warm_start_chances(&self) -> Vec<WarmStartChance> {
        let generation = self.in_force.load();
        let chance = |target: &RouteTarget| match target {
            RouteTarget::Guest(route) => route.guest.warm_start_chance(),
            RouteTarget::Health | RouteTarget::Files(_) | RouteTarget::Starting(_) => WarmStartChance::NotWanted,
        };
        generation.snapshot.routes.rows().iter().map(|row| chance(&row.target)).collect()
    }

    /// Answers this many requests cold and warm, of each kind that snapshots are made for first, at each route whose guests may begin
    /// warm. It compiles and runs guests: not for a thread that serves.
    pub fn prove_warm_starts(&self, requests: usize) -> Vec<ProvenRoute> {
        let generation = self.in_force.load_full();
        let routes = generation.snapshot.guest_routes().filter(|route| route.guest.warm_start_counts().is_some());
        let proven = routes.map(|route| ProvenRoute {
            route: route.name.route.clone(),
            proofs: route.guest.prove_warm_starts(requests),
        });
        proven.collect()
    }
}
