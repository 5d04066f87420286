//! Can a program begin warm, and are its answers the same then? For operators who ask before they start a server.

use crate::wasm_bytes::to_binary;

use crate::runtime::engine::gc_support::GcSupport;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::transform;
use crate::runtime::warm_start::WarmStarts;
use crate::runtime::warm_start::program::failed;
use crate::runtime::warm_start::request::{QueryClass, SnapshotKey, SnapshotScope};
use crate::runtime::warm_start::snapshot::ProvenRequests;

/// Why requests begin cold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColdExplanation {
    /// The name of the reason.
    pub reason: &'static str,
    /// What it means here.
    pub text: String,
}

/// What came of requests that were answered cold and warm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmStartProof {
    /// What the requests have in common.
    pub requests: String,
    /// How many fit the snapshot, and were answered as they are cold, and how many begin cold since they do not fit.
    pub proven: ProvenRequests,
    /// Why they would begin cold; `None` if all answers were the same.
    pub cold: Option<ColdExplanation>,
    /// Which of them would begin warm, if not all begin cold.
    pub scope: SnapshotScope,
}

/// Whether the guests of a route can begin warm, as far as their module shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WarmStartChance {
    /// The operator does not want it.
    NotWanted,
    /// Nothing in the module is against it.
    Possible,
    /// The module has what no snapshot can hold.
    Impossible(ColdExplanation),
}

impl From<ColdReason> for ColdExplanation {
    fn from(reason: ColdReason) -> Self {
        Self { reason: reason.name(), text: reason.to_string() }
    }
}

/// Why no guest of a module, binary or text, can begin warm, as far as the module shows.
pub fn warm_start_obstacle(module: &[u8]) -> Option<ColdExplanation> {
    check(module).err().map(ColdExplanation::from)
}

fn check(module: &[u8]) -> Result<(), ColdReason> {
    if GcSupport::needed_by(module).map_err(|error| failed(&error))? == GcSupport::On {
        return Err(ColdReason::Collector);
    }
    transform::check(&to_binary(module).map_err(|_| ColdReason::Module)?)
}

impl WarmStarts {
    /// Whether its guests can begin warm. Reads the module.
    pub fn chance(&self) -> WarmStartChance {
        let checked = (self.setup.module)().ok_or(ColdReason::ModuleChanged).and_then(|module| check(&module));
        checked.map_or_else(|reason| WarmStartChance::Impossible(reason.into()), |()| WarmStartChance::Possible)
    }

    /// Answers this many requests cold and warm, for the scripts that there is a snapshot for first, and for each kind of query. Makes
    /// the snapshots for it. It blocks for as long as that takes.
    pub fn prove(&self, requests: usize) -> Vec<WarmStartProof> {
        let queries = [QueryClass::None, QueryClass::Fields, QueryClass::Words];
        let keys = queries.into_iter().flat_map(|query| self.keys(query));
        let proof = |key: SnapshotKey| {
            let tried = self.proven(&key, requests);
            let (scope, proven) = *tried.as_ref().unwrap_or(&(SnapshotScope::All, ProvenRequests::default()));
            WarmStartProof { requests: key.to_string(), proven, cold: tried.err(), scope }
        };
        keys.map(proof).collect()
    }

    fn proven(&self, key: &SnapshotKey, requests: usize) -> Result<(SnapshotScope, ProvenRequests), ColdExplanation> {
        let reason = match self.program.snapshot(&self.setup, key, requests) {
            Ok(snapshot) => return Ok((snapshot.scope, snapshot.proven)),
            Err(refusal) => refusal.reason,
        };
        let differing = match reason {
            ColdReason::OtherAnswer(number) => (self.setup.requests)(key, number, &[]),
            _ => None,
        };
        let variable = |name| differing.as_ref()?.environment.variable(name);
        let request = variable("REQUEST_METHOD").zip(variable("X_FULL_URL"));
        let mut explained = ColdExplanation::from(reason);
        if let Some((method, url)) = request {
            explained.text += &format!(": {method} {url}");
        }
        Err(explained)
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::warm_start::proving::*;

    #[test]
    fn what_no_snapshot_can_hold_is_seen_in_the_module() {
        for (module, reason) in [
            ("(module (memory 1))", None),
            ("(module)", Some("memories")),
            ("(module (memory 1) (memory 1))", Some("memories")),
            ("(module (memory i64 1))", Some("memories")),
            ("(module (memory 1 1 shared))", Some("threads")),
            ("(module (memory 1) (global (mut funcref) (ref.null func)))", Some("reference-globals")),
            ("(module (memory 1) (data $d \"a\") (func (data.drop $d)))", Some("passive-segments")),
            (
                "(module (memory 1) (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))",
                Some("changed-tables"),
            ),
            ("(module (memory 1) (tag $t) (func (throw $t)))", Some("collector")),
        ] {
            assert_eq!(warm_start_obstacle(module.as_bytes()).map(|found| found.reason), reason, "{module}");
        }
    }
}
