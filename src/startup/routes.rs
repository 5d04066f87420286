//! How do programs become routes?
//!
//! Entry by entry, in the order of the configuration: sub-routes first, the last printed first, then the entry's own
//! route. Whatever is wrong with an entry becomes a diagnostic that points at it.

use crate::config::{Config, Diagnostic, EntryConfig, Key, LogFormat};
use crate::fetch::ModuleFile;
use crate::gateway::{GuestRoute, RouteTarget};
use crate::observe::{GuestLog, LogDirectory, LogWriter};
use crate::outbound::Network;
use crate::route::{Discovered, RoutePattern, RouteTable, discovery};
use crate::runtime::{Executable, Grants};

use crate::startup::diagnostics;
use crate::startup::discover::SubRouteCache;
use crate::startup::error::{Error, LoadError};
use crate::startup::grants;
use crate::startup::grants::{EntryGrants, route_name};
use crate::startup::load::ModuleSpec;
use crate::startup::platform::Platform;

/// The path of the built-in health check, before all routes.
const HEALTH: &str = "/healthz";

/// A builder for the table of routes.
pub(super) struct RouteTableBuilder<'a> {
    log: &'a LogWriter,
    format: LogFormat,
    log_directory: Option<LogDirectory>,
    network: Option<&'a Network>,
    rows: Vec<Row<'a>>,
    sub_routes: SubRouteCache,
    problems: &'a mut Vec<Diagnostic>,
}

/// A row of the table.
struct Row<'a> {
    pattern: RoutePattern,
    target: RouteTarget,
    /// The entry that the row comes from; `None` for what is built in.
    entry: Option<&'a EntryConfig>,
}

/// An entry that gets its routes.
struct LoadedEntry<'a, 'b> {
    entry: &'a EntryConfig,
    executable: &'b Executable,
    grants: EntryGrants,
}

/// The entry point of a route, and the key of the configuration that names it.
struct EntryPoint<'b> {
    name: &'b str,
    key: Key,
}

impl<'a> RouteTableBuilder<'a> {
    /// A table with the health check alone.
    pub fn new(config: &Config, platform: &'a Platform, problems: &'a mut Vec<Diagnostic>) -> Result<Self, Error> {
        let create = |path| LogDirectory::create(path).map_err(|error| Error::log_directory(path, error));
        Ok(Self {
            log: &platform.log,
            format: config.log.format,
            log_directory: config.log.dir.as_deref().map(create).transpose()?,
            network: platform.network(config)?,
            rows: vec![Row { pattern: RoutePattern::new(HEALTH), target: RouteTarget::Health, entry: None }],
            sub_routes: SubRouteCache::default(),
            problems,
        })
    }

    /// Reports an entry whose module cannot be loaded.
    pub fn report(&mut self, entry: &EntryConfig, error: &LoadError) {
        self.problems.push(diagnostics::not_loaded(entry, error));
    }

    /// Adds the routes of an entry.
    pub async fn add_entry(&mut self, entry: &'a EntryConfig, file: &ModuleFile, executable: &Executable) {
        self.problems.extend(diagnostics::without_effect(entry, executable));
        let grants = match EntryGrants::new(entry, self.network) {
            Ok(grants) => grants,
            Err(error) => return self.problems.push(diagnostics::volume_not_opened(entry, &error)),
        };
        let loaded = LoadedEntry { entry, executable, grants };
        let own = RoutePattern::new(entry.route.as_str());
        let Some(grants) = self.grants(&loaded, &own) else { return };
        let discovered = self.discover(&loaded, file, &grants).await;
        for (pattern, name) in discovery::sub_routes(&own, &discovered) {
            let Some(grants) = self.grants(&loaded, &pattern) else { return };
            self.add(&loaded, pattern, EntryPoint { name, key: Key::Module }, grants);
        }
        self.add(&loaded, own, EntryPoint { name: &entry.entrypoint, key: Key::Entrypoint }, grants);
    }

    async fn discover(&mut self, loaded: &LoadedEntry<'a, '_>, file: &ModuleFile, grants: &Grants) -> Vec<Discovered> {
        let spec = ModuleSpec::new(loaded.entry, file);
        match self.sub_routes.get(spec, loaded.executable, grants::for_discovery(grants)).await {
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

    fn grants(&mut self, loaded: &LoadedEntry<'a, '_>, pattern: &RoutePattern) -> Option<Grants> {
        let file = self.log_directory.as_mut().map(|directory| directory.open(pattern.as_str())).transpose();
        let file =
            file.inspect_err(|error| self.problems.push(diagnostics::log_not_opened(loaded.entry, error))).ok()?;
        let log = GuestLog::new(route_name(loaded.entry, pattern), self.log.clone(), self.format, file);
        Some(loaded.grants.for_route(loaded.entry, log))
    }

    fn add(
        &mut self,
        loaded: &LoadedEntry<'a, '_>,
        pattern: RoutePattern,
        entry_point: EntryPoint<'_>,
        grants: Grants,
    ) {
        let entry = loaded.entry;
        match loaded.executable.guest(entry_point.name, grants) {
            Ok(guest) => {
                let route = GuestRoute::new(&pattern, entry, guest, &loaded.grants.concurrency);
                self.rows.push(Row { pattern, target: RouteTarget::Guest(Box::new(route)), entry: Some(entry) });
            }
            Err(error) => self.problems.push(diagnostics::no_entry_point(entry, &pattern, entry_point.key, &error)),
        }
    }

    /// The finished table, and a warning for each route in it that no request reaches.
    pub fn finish(self) -> Result<RouteTable<RouteTarget>, Error> {
        if let Some(directory) = &self.log_directory {
            directory.write_index().map_err(|error| Error::log_directory(directory.path(), error))?;
        }
        let (rows, entries): (Vec<_>, Vec<_>) =
            self.rows.into_iter().map(|row| ((row.pattern, row.target), row.entry)).unzip();
        let table = RouteTable::new(rows);
        let patterns: Vec<&RoutePattern> = table.entries().map(|(pattern, _)| pattern).collect();
        let entry_of = |row: usize| entries.get(row).copied().flatten();
        for (row, first) in table.shadowed() {
            if let (Some(entry), Some(pattern), Some(earlier)) = (entry_of(row), patterns.get(row), patterns.get(first))
            {
                self.problems.push(diagnostics::shadowed(entry, pattern, earlier, entry_of(first)));
            }
        }
        for (row, pattern) in patterns.iter().enumerate().filter(|(_, pattern)| !pattern.can_match_a_request()) {
            // The route of an entry itself was checked when the configuration was read.
            if let Some(entry) = entry_of(row).filter(|entry| entry.route != **pattern) {
                self.problems.push(diagnostics::unreachable(entry, pattern));
            }
        }
        Ok(table)
    }
}
