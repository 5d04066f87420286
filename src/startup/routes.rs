//! How do programs become routes?
//!
//! Entry by entry, in the order of the configuration: sub-routes first, the last printed first, then the entry's own
//! route. Whatever is wrong with an entry becomes a diagnostic that points at it.

use std::sync::Arc;

use crate::cgi::Endpoint;
use crate::config::{Config, Diagnostic, EntryConfig, HostPattern, Key, LogFormat, Origin, Preparation, StaticConfig};
use crate::fetch::ModuleFile;
use crate::gateway::{
    FilesRoute, GuestRoute, HiddenRow, HostRoutes, ModuleFacts, RouteFiles, RouteRow, RouteTarget, rehearsal_requests,
};
use crate::observe::{GuestLog, LogDirectory, LogWriter, RouteName};
use crate::outbound::Network;
use crate::route::{Discovered, RoutePattern, discovery};
use crate::runtime::{Grants, ProgramFile, RunWatcher};
use crate::scratch::{ScratchError, ScratchSpace};
use crate::static_files::{ScriptFiles, StaticFiles};

use crate::startup::diagnostics;
use crate::startup::diagnostics::EarlierRoute;
use crate::startup::error::{Error, LoadError};
use crate::startup::grants;
use crate::startup::grants::{DebugPlaces, EntryGrants, route_name};
use crate::startup::guest_writable;
use crate::startup::handover::Handover;
use crate::startup::load::LoadedModule;
use crate::startup::load::so_far::RouteList;
use crate::startup::platform::Platform;
use crate::startup::warm_start;

/// The path of the built-in health check, before all routes.
const HEALTH: &str = "/healthz";

/// A builder for the table of routes.
pub(super) struct RouteTableBuilder<'a> {
    platform: &'a Platform,
    endpoint: Endpoint,
    log: &'a LogWriter,
    watcher: Option<&'a Arc<dyn RunWatcher>>,
    format: LogFormat,
    log_directory: Option<LogDirectory>,
    network: Option<Network>,
    rows: Vec<Row<'a>>,
    files: Option<RouteFiles>,
    scratch: Result<Option<Arc<ScratchSpace>>, ScratchError>,
    debug: DebugPlaces,
    before: &'a Handover,
    next: Handover,
    problems: &'a mut Vec<Diagnostic>,
}

/// A row of the table.
struct Row<'a> {
    pattern: RoutePattern,
    target: RouteTarget,
    /// The entry that the row comes from; `None` for what is built in.
    entry: Option<RowEntry<'a>>,
}

/// What the entry of a row says of its route.
#[derive(Clone, Copy)]
struct RowEntry<'a> {
    origin: &'a Origin,
    route: &'a RoutePattern,
    hosts: &'a [HostPattern],
}

/// An entry that gets its routes.
struct LoadedEntry<'a, 'b> {
    entry: &'a EntryConfig,
    module: &'b LoadedModule,
    grants: EntryGrants,
    /// Its module. If it is in the module cache, so may be files that its guests see.
    file: &'b ModuleFile,
}

/// What the guests of a route get, and its name, which is also that of its log.
struct RouteGrants {
    grants: Grants,
    name: Arc<RouteName>,
}

/// The file with the debug information of an entry's program. That of a third party is not read, since reading it cannot be ended;
/// and after its initializer has run, a program is another one.
fn program(loaded: &LoadedEntry<'_, '_>) -> Option<ProgramFile> {
    let ModuleFile::Local { path, .. } = loaded.file else { return None };
    let sha256 = loaded.module.digest.strip_prefix("sha256:")?.to_owned();
    (loaded.entry.preparation == Preparation::Compile).then(|| ProgramFile { path: path.clone(), sha256 })
}

/// The entry point of a route, and the key of the configuration that names it.
struct EntryPoint<'b> {
    name: &'b str,
    key: Key,
}

impl<'a> RouteTableBuilder<'a> {
    /// A table with the health check alone. `before` is what the configuration before leaves.
    pub fn new(
        config: &Config,
        platform: &'a Platform,
        before: &'a Handover,
        problems: &'a mut Vec<Diagnostic>,
    ) -> Result<Self, Error> {
        problems.extend(guest_writable::visible_coredumps(config));
        let explicit = config.hostname.explicit.then(|| config.hostname.to_string());
        Ok(Self {
            platform,
            endpoint: Endpoint::new(config.server.tls.is_some(), explicit.as_deref()),
            log: &platform.log,
            watcher: platform.watcher.as_ref(),
            format: config.log.format,
            log_directory: platform.log_directory(config)?,
            network: platform.network(config)?,
            rows: vec![Row { pattern: RoutePattern::new(HEALTH), target: RouteTarget::Health, entry: None }],
            files: None,
            scratch: platform.scratch(config),
            debug: DebugPlaces::open(config, &platform.metrics, problems),
            before,
            next: Handover::default(),
            problems,
        })
    }

    /// The network of the guests that call other servers.
    pub fn network(&self) -> Option<Network> {
        self.network.clone()
    }

    /// The same, whose guests keep `files` if they may use them.
    pub fn with_files(self, files: Option<RouteFiles>) -> Self {
        Self { files, ..self }
    }

    /// Reports an entry whose module cannot be loaded.
    pub fn report(&mut self, entry: &EntryConfig, error: &LoadError) {
        self.problems.push(diagnostics::not_loaded(entry, error));
    }

    /// Reports warnings, if there are any.
    pub fn warn(&mut self, warnings: impl IntoIterator<Item = Diagnostic>) {
        self.problems.extend(warnings);
    }

    /// Adds the route of an entry with files.
    pub fn add_files(&mut self, entry: &'a StaticConfig) {
        match StaticFiles::open(entry) {
            Ok(files) => {
                let target = RouteTarget::Files(Box::new(FilesRoute::new(entry, files)));
                let origin = RowEntry { origin: &entry.origin, route: &entry.route, hosts: &entry.hosts };
                self.rows.push(Row { pattern: entry.route.clone(), target, entry: Some(origin) });
            }
            Err(error) => self.problems.push(diagnostics::files_not_opened(entry, &error)),
        }
    }

    /// Adds the route of an entry whose module is still being compiled. If it declares sub-routes, no later entry may answer what
    /// may be one of them.
    pub fn add_starting(&mut self, entry: &'a EntryConfig, list: RouteList) {
        let own = RoutePattern::new(entry.route.as_str());
        let name = route_name(entry, &own);
        let below = (list == RouteList::Declared).then(|| own.join("/..."));
        for pattern in below.into_iter().chain([own]) {
            let row_entry = RowEntry { origin: &entry.origin, route: &entry.route, hosts: &entry.hosts };
            self.rows.push(Row { pattern, target: RouteTarget::Starting(name.clone()), entry: Some(row_entry) });
        }
    }

    /// Adds the routes of an entry.
    pub async fn add_entry(&mut self, entry: &'a EntryConfig, file: &ModuleFile, module: &LoadedModule) {
        self.problems.extend(diagnostics::without_effect(entry, &module.executable));
        self.problems.extend(diagnostics::trapping_imports(entry, &module.executable));
        if entry.warm_start.is_some() && module.executable.is_component() {
            return self.problems.push(diagnostics::warm_start_of_component(entry));
        }
        let state = self.before.state(entry, &self.next);
        let scratch = match self.scratch_space(entry, module) {
            Ok(scratch) => scratch,
            Err(problem) => return self.problems.push(*problem),
        };
        let grants = match EntryGrants::new(entry, self.network.as_ref(), state, scratch.as_ref()) {
            Ok(grants) => grants,
            Err(error) => return self.problems.push(diagnostics::volume_not_opened(entry, &error)),
        };
        self.next.add(entry, grants.state.clone());
        let loaded = LoadedEntry { entry, module, grants, file };
        let own = RoutePattern::new(entry.route.as_str());
        let Some(grants) = self.grants(&loaded, &own) else { return };
        let discovered = self.discover(&loaded, &grants.grants).await;
        for (pattern, name) in discovery::sub_routes(&own, &discovered) {
            let Some(grants) = self.grants(&loaded, &pattern) else { return };
            let entry_point = EntryPoint { name, key: Key::Module };
            let Some(route) = self.route(&loaded, &pattern, entry_point, grants) else { continue };
            self.push(entry, pattern, route);
        }
        let entry_point = EntryPoint { name: &entry.entrypoint, key: Key::Entrypoint };
        let Some(route) = self.route(&loaded, &own, entry_point, grants) else { return };
        let Some(config) = &entry.scripts else {
            let route = self.warm(&loaded, &own, route);
            return self.push(entry, own, route);
        };
        if module.executable.is_http_component() {
            return self.problems.push(diagnostics::scripts_without_cgi(entry));
        }
        match ScriptFiles::open(config) {
            Ok(scripts) => {
                let route = self.warm(&loaded, &own, route.with_scripts(entry, config, scripts));
                self.push(entry, own, route);
            }
            Err(error) => self.problems.push(diagnostics::scripts_not_opened(entry, &error)),
        }
    }

    /// The place of scratch directories, if an entry needs it. One that has none begins cold without it.
    fn scratch_space(
        &self,
        entry: &EntryConfig,
        module: &LoadedModule,
    ) -> Result<Option<Arc<ScratchSpace>>, Box<Diagnostic>> {
        match &self.scratch {
            _ if !entry.needs_scratch_space() => Ok(None),
            _ if module.executable.is_component() => Err(diagnostics::scratch_of_component(entry).into()),
            Ok(space) => Ok(space.clone()),
            Err(error) if entry.scratch.is_empty() => {
                warm_start::log_without_directory(entry, error);
                Ok(None)
            }
            Err(error) => Err(diagnostics::scratch_not_opened(entry, error).into()),
        }
    }

    async fn discover(&mut self, loaded: &LoadedEntry<'a, '_>, grants: &Grants) -> Vec<Discovered> {
        let (known, grants) = (&self.before.sub_routes, grants::for_discovery(grants));
        match self.next.sub_routes.get(&loaded.module.executable, grants, known).await {
            Ok(None) => Vec::new(),
            Ok(Some(discovered)) => {
                if discovered.is_empty() {
                    self.problems.push(diagnostics::no_sub_routes(loaded.entry));
                }
                discovered
            }
            Err(error) => {
                self.problems.push(diagnostics::discovery_failed(loaded.entry, &error));
                Vec::new()
            }
        }
    }

    fn grants(&mut self, loaded: &LoadedEntry<'a, '_>, pattern: &RoutePattern) -> Option<RouteGrants> {
        let file = self.log_directory.as_ref().map(|directory| directory.open(pattern.as_str())).transpose();
        let file =
            file.inspect_err(|error| self.problems.push(diagnostics::log_not_opened(loaded.entry, error))).ok()?;
        let name = route_name(loaded.entry, pattern);
        let debugging = self.debug.of_route(&name, program(loaded));
        let log = GuestLog::new(name.clone(), self.log.clone(), self.format, file).with_debugging(debugging);
        let grants = loaded.grants.for_route(loaded.entry, log);
        Some(RouteGrants { grants: Grants { watcher: self.watcher.cloned(), ..grants }, name })
    }

    /// A route of an entry; `None`, with an error, if its module has no such entry point.
    fn route(
        &mut self,
        loaded: &LoadedEntry<'a, '_>,
        pattern: &RoutePattern,
        entry_point: EntryPoint<'_>,
        RouteGrants { grants, name }: RouteGrants,
    ) -> Option<GuestRoute> {
        let (entry, module) = (loaded.entry, loaded.module);
        match module.executable.guest(entry_point.name, grants) {
            Ok(guest) => {
                let files = self.files.clone().filter(|_| matches!(loaded.file, ModuleFile::Fetched(_)));
                let (digest, kind) = (module.digest.clone(), module.executable.kind());
                let (entry_point, entry_route) = (entry_point.name.to_owned(), entry.route.to_string());
                let facts = ModuleFacts { digest, kind, entry_point, entry_route };
                let route = GuestRoute::new(pattern, entry, guest, &loaded.grants.state.concurrency);
                Some(route.with_files(files).with_facts(name, facts))
            }
            Err(error) => {
                self.problems.push(diagnostics::no_entry_point(entry, pattern, entry_point.key, &error));
                None
            }
        }
    }

    /// The same route, whose guests begin warm if the entry says so.
    fn warm(&self, loaded: &LoadedEntry<'a, '_>, pattern: &RoutePattern, route: GuestRoute) -> GuestRoute {
        let Some(config) = &loaded.entry.warm_start else { return route };
        let requests = rehearsal_requests(loaded.entry, config, pattern, self.endpoint.clone());
        let setup = warm_start::setup(loaded.entry, config, loaded.file, &loaded.module.digest, requests);
        route.with_guest(|guest| self.platform.warm_start(guest, loaded.entry, setup))
    }

    fn push(&mut self, entry: &'a EntryConfig, pattern: RoutePattern, route: GuestRoute) {
        let row_entry = RowEntry { origin: &entry.origin, route: &entry.route, hosts: &entry.hosts };
        self.rows.push(Row { pattern, target: RouteTarget::Guest(Box::new(route)), entry: Some(row_entry) });
    }

    /// The finished routes, and a warning for each of them that no request reaches.
    pub fn finish(self) -> Result<(HostRoutes<RouteTarget>, Handover), Error> {
        if let Some(directory) = &self.log_directory {
            directory.write_index().map_err(|error| Error::log_directory(directory.path(), error))?;
        }
        let mut entries = Vec::with_capacity(self.rows.len());
        let rows = self.rows.into_iter().map(|Row { pattern, target, entry }| {
            entries.push(entry);
            RouteRow { pattern, hosts: entry.map(|entry| entry.hosts.to_vec()).unwrap_or_default(), target }
        });
        let routes = HostRoutes::new(rows.collect());
        let entry_of = |row: usize| entries.get(row).copied().flatten();
        let pattern_of = |row: usize| routes.rows().get(row).map(|row| &row.pattern);
        for HiddenRow { row, earlier: first, hosts } in routes.hidden() {
            if let (Some(entry), Some(pattern), Some(earlier)) = (entry_of(row), pattern_of(row), pattern_of(first)) {
                let earlier = EarlierRoute { pattern: earlier, origin: entry_of(first).map(|entry| entry.origin) };
                self.problems.push(diagnostics::hidden(entry.origin, pattern, &hosts, &earlier));
            }
        }
        let unreachable = routes.rows().iter().map(|row| &row.pattern).zip(&entries);
        for (pattern, entry) in unreachable.filter(|(pattern, _)| !pattern.can_match_a_request()) {
            // The route of an entry itself was checked when the configuration was read.
            if let Some(entry) = entry.filter(|entry| entry.route != pattern) {
                self.problems.push(diagnostics::unreachable(entry.origin, pattern));
            }
        }
        Ok((routes, self.next))
    }
}
