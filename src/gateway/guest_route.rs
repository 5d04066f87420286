//! What does a route lead to?

use std::any::Any;
use std::sync::Arc;

use crate::cgi::{ArgumentTemplate, RouteVariables};
use crate::config::{Argv, EntryConfig, Limits, ScriptsConfig, StaticConfig};
use crate::observe::RouteName;
use crate::route::RoutePattern;
use crate::runtime::Guest;
use crate::static_files::{ScriptFiles, StaticFiles};

use crate::gateway::admission::concurrency::EntryConcurrency;
use crate::gateway::component_request::RouteFields;

/// The argument of a guest that runs scripts, if the operator gives none.
const SCRIPT_FILENAME: &str = "${SCRIPT_FILENAME}";

/// What a route leads to.
pub(crate) enum RouteTarget {
    /// The built-in health check.
    Health,
    /// A guest.
    Guest(Box<GuestRoute>),
    /// Files.
    Files(Box<FilesRoute>),
    /// A guest whose module is still being compiled.
    Starting(Arc<RouteName>),
}

impl RouteTarget {
    /// Whether paths name files there: those that are sent, or scripts.
    pub(super) fn names_files(&self) -> bool {
        match self {
            Self::Files(_) => true,
            Self::Guest(route) => route.scripts.is_some(),
            Self::Health | Self::Starting(_) => false,
        }
    }
}

/// Files at a route.
pub(crate) struct FilesRoute {
    pub(super) name: Arc<RouteName>,
    pub(super) files: StaticFiles,
    /// Whether responses are compressed.
    pub(super) compress: bool,
    /// The path that the configuration names.
    pub(super) path: String,
}

impl FilesRoute {
    /// Mounts the files of `entry` at its route.
    pub fn new(entry: &StaticConfig, files: StaticFiles) -> Self {
        let path = entry.content.path().display().to_string();
        Self { name: Arc::new(RouteName::of_files(&entry.route)), files, compress: entry.compress, path }
    }
}

/// A guest at a route, with everything about it that is the same for each request.
pub(crate) struct GuestRoute {
    pub(super) name: Arc<RouteName>,
    pub(super) interface: Interface,
    pub(super) guest: Guest,
    pub(super) concurrency: EntryConcurrency,
    pub(super) limits: Limits,
    /// Whether responses are compressed.
    pub(super) compress: bool,
    /// The scripts that the guest runs. The request says which.
    pub(super) scripts: Option<ScriptFiles>,
    /// What a run keeps to its end, besides its permit.
    pub(super) files: Option<RouteFiles>,
    pub(super) module: ModuleFacts,
}

/// What is known of the module of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModuleFacts {
    /// The digest of its file, as `sha256:...`.
    pub digest: Arc<str>,
    /// Whether it is a module or a component.
    pub kind: &'static str,
    /// The function that requests call.
    pub entry_point: String,
    /// The route of the entry, of which this may be a sub-route.
    pub entry_route: String,
}

/// Keeps files where they are, as long as there is a clone: those that guests see of a bindle.
pub(crate) type RouteFiles = Arc<dyn Any + Send + Sync>;

/// The interface by which a guest gets its requests.
pub(super) enum Interface {
    /// CGI: the head as environment and arguments, the body as stdin.
    Cgi { variables: RouteVariables, argv: ArgumentTemplate },
    /// `wasi:http`: the request itself.
    WasiHttp(RouteFields),
}

impl GuestRoute {
    /// Mounts the guest of `entry` at a pattern.
    pub fn new(pattern: &RoutePattern, entry: &EntryConfig, guest: Guest, concurrency: &EntryConcurrency) -> Self {
        let interface = if guest.is_http_component() {
            Interface::WasiHttp(RouteFields::new(pattern, entry.pass_authorization.unwrap_or(true)))
        } else {
            let pass_authorization = entry.pass_authorization.unwrap_or(false);
            Interface::Cgi {
                variables: RouteVariables::new(pattern, &entry.environment, pass_authorization),
                argv: argument_template(entry.argv.as_ref(), false),
            }
        };
        Self {
            name: Arc::new(RouteName::new(pattern, &entry.module)),
            interface,
            guest,
            concurrency: concurrency.clone(),
            limits: entry.limits.clone(),
            compress: entry.compress,
            scripts: None,
            files: None,
            module: ModuleFacts::default(),
        }
    }

    /// The same, whose guest runs the scripts of an entry.
    pub fn with_scripts(self, entry: &EntryConfig, config: &ScriptsConfig, scripts: ScriptFiles) -> Self {
        let pass_authorization = entry.pass_authorization.unwrap_or(false);
        let interface = match self.interface {
            Interface::Cgi { .. } => Interface::Cgi {
                variables: RouteVariables::for_scripts(
                    &entry.route,
                    &entry.environment,
                    pass_authorization,
                    &config.mount,
                ),
                argv: argument_template(entry.argv.as_ref(), true),
            },
            interface => interface,
        };
        Self { interface, scripts: Some(scripts), ..self }
    }

    /// The same, whose guest begins warm.
    pub fn with_guest(self, change: impl FnOnce(Guest) -> Guest) -> Self {
        Self { guest: change(self.guest), ..self }
    }

    /// The same, with the name that its log has, and what is known of its module.
    pub fn with_facts(self, name: Arc<RouteName>, module: ModuleFacts) -> Self {
        Self { name, module, ..self }
    }

    /// The same, whose runs keep `files`.
    pub fn with_files(self, files: Option<RouteFiles>) -> Self {
        Self { files, ..self }
    }
}

/// How the arguments of a guest are made. A guest that runs scripts gets its script if the operator says nothing else: a query never
/// becomes an option of an interpreter (CVE-2012-1823).
pub(super) fn argument_template(argv: Option<&Argv>, has_scripts: bool) -> ArgumentTemplate {
    match argv {
        None if has_scripts => ArgumentTemplate::from_array(&[SCRIPT_FILENAME.to_owned()]),
        None => ArgumentTemplate::default(),
        Some(Argv::Line(line)) => ArgumentTemplate::from_line(line),
        Some(Argv::Array(elements)) => ArgumentTemplate::from_array(elements),
    }
}
