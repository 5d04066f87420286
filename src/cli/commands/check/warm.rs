//! Which routes begin warm, and do they answer the same then? Requests of wagi's own are answered cold and warm.

use anyhow::Context;
use serde_json::{Value, json};

use wagi::counted;
use wagi::printable;
use wagi::{ColdExplanation, Gateway, ProvenRoute, SnapshotScope, WarmStartProof};

/// How many requests are answered cold and warm, of each kind that snapshots are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmRequests(pub usize);

/// What came of them, at all routes that may begin warm.
pub struct WarmReport {
    routes: Vec<ProvenRoute>,
}

/// Whether a program can begin warm, and why not.
pub fn warm_start_json(cold: Option<&ColdExplanation>) -> Value {
    json!({
        "possible": cold.is_none(),
        "reason": cold.map(|cold| cold.reason),
        "text": cold.map(|cold| cold.text.as_str()),
    })
}

impl WarmReport {
    /// Answers the requests. That takes as long as the compiler and the programs take.
    pub async fn new(gateway: &Gateway, WarmRequests(requests): WarmRequests) -> anyhow::Result<Self> {
        let gateway = gateway.clone();
        let proving = tokio::task::spawn_blocking(move || gateway.prove_warm_starts(requests));
        Ok(Self { routes: proving.await.context("answering requests cold and warm has failed")? })
    }

    /// Whether all requests at all routes were answered warm as they were cold.
    pub fn is_warm(&self) -> bool {
        self.routes
            .iter()
            .all(|route| !route.proofs.is_empty() && route.proofs.iter().all(|proof| proof.cold.is_none()))
    }

    pub fn json(&self) -> Value {
        let proof = |route: &str, proof: &WarmStartProof| {
            json!({
                "route": route,
                "requests": proof.requests,
                "answered": proof.proven.same,
                "unfit": proof.proven.unfit,
                "state": if proof.cold.is_none() { "warm" } else { "cold" },
                "warm_requests": proof.cold.is_none().then(|| proof.scope.name()),
                "reason": proof.cold.as_ref().map(|cold| cold.reason),
                "text": proof.cold.as_ref().map(|cold| cold.text.as_str()),
            })
        };
        let proofs = self.routes.iter().flat_map(|route| {
            let nothing = route.proofs.is_empty().then(|| without_requests(&route.route));
            route.proofs.iter().map(|found| proof(&route.route, found)).chain(nothing).collect::<Vec<_>>()
        });
        proofs.collect()
    }

    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for ProvenRoute { route, proofs } in &self.routes {
            if proofs.is_empty() {
                lines.push(format!("{route}: {NO_SCRIPT}"));
            }
            for WarmStartProof { requests, cold, scope, proven } in proofs {
                let which = match scope {
                    SnapshotScope::All => "",
                    SnapshotScope::WithoutBody => " for GET and HEAD without a body",
                    SnapshotScope::Get => " for GET without a body",
                };
                let same = counted(proven.same, "answer is", "answers are");
                let unfit = unfit(proven.unfit);
                lines.push(match cold {
                    None => format!("{route}: {requests}: warm{which}, {same} the same as cold{unfit}"),
                    Some(ColdExplanation { reason, text }) => format!("{route}: {requests}: cold ({reason}): {text}"),
                });
            }
        }
        if lines.is_empty() {
            lines.push("no route has `warm_start`".to_owned());
        }
        lines.iter().map(|line| format!("{}\n", printable::line(line))).collect()
    }
}

/// How many requests begin cold, if any do.
fn unfit(requests: usize) -> String {
    match requests {
        0 => String::new(),
        _ => {
            let begin = counted(requests, "request begins cold, since it does", "requests begin cold, since they do");
            format!("; {begin} not fit")
        }
    }
}

const NO_SCRIPT: &str = "no script stands for its directory, so no requests can be made for it";

fn without_requests(route: &str) -> Value {
    json!({
        "route": route, "requests": null, "answered": 0, "unfit": 0, "state": "cold", "warm_requests": null,
        "reason": "no-request", "text": NO_SCRIPT,
    })
}
