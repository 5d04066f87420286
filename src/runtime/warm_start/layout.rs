//! Where in memory do the variables and the arguments of a program lie, for all requests of a snapshot?

use crate::runtime::resume::arguments::ArgumentPlaces;
use crate::runtime::resume::variables::VariablePlaces;
use crate::runtime::warm_start::WarmStartSetup;
use crate::runtime::warm_start::making::REQUESTS;
use crate::runtime::warm_start::request::{RehearsalRequest, SnapshotKey};

/// How what a request gives to a program lies in memory.
pub(in crate::runtime::warm_start) struct RequestLayout {
    /// The request that the program is initialized with.
    pub first: RehearsalRequest,
    pub variables: VariablePlaces,
    /// `None` if all requests have the same arguments.
    pub arguments: Option<ArgumentPlaces>,
}

impl WarmStartSetup {
    /// The layout for the requests of a snapshot; `None` if the route has no such requests.
    pub(in crate::runtime::warm_start) fn layout(&self, key: &SnapshotKey) -> Option<RequestLayout> {
        let request = |number| {
            let request = (self.requests)(key, number, &[])?;
            key.has(&request).then_some(request)
        };
        let first = request(0)?;
        let others: Vec<_> = (1..REQUESTS).filter_map(request).collect();
        let environments = others.iter().map(|other| &other.environment);
        let variables = VariablePlaces::new(std::iter::once(&first.environment).chain(environments));
        let is_same = others.iter().all(|other| other.arguments == first.arguments);
        let arguments = (!is_same).then(|| ArgumentPlaces::new(&first.arguments));
        Some(RequestLayout { first, variables, arguments })
    }
}
