//! One entry: a module or component at a route, and what it is given.

use std::fmt;
use std::path::PathBuf;

use crate::config::{AllowedHosts, Limits, ModuleRef, Origin};
use crate::route::RoutePattern;

/// The function that is called if `entrypoint` names no other.
const DEFAULT_ENTRYPOINT: &str = "_start";

/// A script at a route.
#[derive(Clone)]
pub struct EntryConfig {
    /// Where it was described.
    pub origin: Origin,
    /// Which requests it answers.
    pub route: RoutePattern,
    /// Where its module is.
    pub module: ModuleRef,
    /// What has to happen to the module before it is code.
    pub preparation: Preparation,
    /// The exported function to call. Default `_start`.
    pub entrypoint: String,
    /// The template of its arguments, if not WAGI's usual ones.
    pub argv: Option<String>,
    /// Its variables, without CGI's, each name once.
    pub environment: Vec<(String, String)>,
    /// The directories it may use, in the order they were written.
    pub volumes: Vec<Volume>,
    /// The hosts it may call. Default: none.
    pub allowed_hosts: AllowedHosts,
    /// How many responses of such calls it may hold open; `None` for any number.
    pub http_max_concurrency: Option<u32>,
    /// Whether it is shown the client's credentials, if that was said. Components that are asked over HTTP see them
    /// otherwise, all others do not.
    pub pass_authorization: Option<bool>,
    /// What it may use.
    pub limits: Limits,
}

/// What has to happen to a module before it is code that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preparation {
    /// It is compiled.
    #[default]
    Compile,
    /// Its initialiser is run, and what it leaves is compiled.
    Preinitialize,
    /// Nothing: the file holds ahead-of-time code that the operator trusts.
    Precompiled,
}

/// A directory of ours and where a guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its path for the guest.
    pub guest_path: String,
    /// Its path for us; a relative one starts from the working directory.
    pub host_path: PathBuf,
    /// Whether the guest may only read. Default: no.
    pub read_only: bool,
}

impl EntryConfig {
    /// An entry that serves `module` at `route`, with every other setting at its default.
    pub(crate) fn new(origin: Origin, route: RoutePattern, module: ModuleRef) -> Self {
        Self {
            origin,
            route,
            module,
            preparation: Preparation::Compile,
            entrypoint: DEFAULT_ENTRYPOINT.to_owned(),
            argv: None,
            environment: Vec::new(),
            volumes: Vec::new(),
            allowed_hosts: AllowedHosts::None,
            http_max_concurrency: None,
            pass_authorization: None,
            limits: Limits::default(),
        }
    }
}

/// Shows what is run where, but not the variables: they are often secrets.
impl fmt::Debug for EntryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryConfig")
            .field("route", &self.route)
            .field("module", &self.module)
            .field("entrypoint", &self.entrypoint)
            .finish_non_exhaustive()
    }
}
