//! What is seen of a run from outside?
//!
//! `wagi run` does. The guests of a server have no watcher.

use std::time::Duration;

/// Sees what guests get and what they print. Its methods are called on the threads that guests compute on.
pub trait RunWatcher: Send + Sync {
    /// A run begins with these inputs.
    fn begins(&self, inputs: &RunInputs);

    /// A guest prints on its standard output.
    fn prints(&self, bytes: &[u8]);

    /// Whether it wants to see each call of a module to its host. Then the calls take longer.
    fn sees_calls(&self) -> bool {
        false
    }

    /// A guest has called its host. Returns another error number for the guest to get, if there is to be one.
    fn calls(&self, _call: &HostCall) -> Option<i32> {
        None
    }
}

/// A call of a module to its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// The name of the function.
    pub name: String,
    /// Its parameters.
    pub parameters: Vec<i64>,
    /// The path that it is about, if it is about one.
    pub path: Option<PathArgument>,
    /// What it returned: mostly an error number. `None` if it returned nothing.
    pub result: Option<i64>,
    /// Why it has ended the guest, if it has.
    pub trap: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// A path that a guest passes to its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathArgument {
    /// The descriptor of the directory that the path starts from.
    pub descriptor: i64,
    /// The path.
    pub path: String,
}

/// What a guest gets, the request body apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunInputs {
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment, each `NAME=VALUE`.
    pub environment: Vec<String>,
    /// The request that a component of `wasi:http` gets, line by line; empty for all others.
    pub request: Vec<String>,
}
