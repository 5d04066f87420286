//! How do programs become routes?
//!
//! Entry by entry, in the order of the configuration: sub-routes first, the last printed first, then the entry's own
//! route. Whatever is wrong with an entry becomes a diagnostic that points at it.

use std::error::Error as StdError;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::cgi::RouteVariables;
use crate::config::{AllowedHosts, Config, Diagnostic, EntryConfig, Key, LogFormat};
use crate::fetch::ModuleFile;
use crate::gateway::{GuestRoute, ModuleConcurrency, Target};
use crate::observe::{GuestLog, LogDirectory, LogWriter, RouteName};
use crate::outbound;
use crate::outbound::Network;
use crate::route::{Discovered, RoutePattern, RouteTable, discovery};
use crate::runtime::{EntryError, Grants, Outbound, Program, Volumes};

use crate::startup::Error;
use crate::startup::discover::{Declared, DiscoverError};
use crate::startup::load::Wanted;
use crate::startup::refusal::LoadError;

/// The path of the built-in health check, before all routes.
const HEALTH: &str = "/healthz";

/// What the routes of one entry share.
struct Given {
    volumes: Volumes,
    outbound: Option<Outbound>,
    environment: Arc<[(String, String)]>,
}

/// The table of routes while it is being made.
pub(super) struct Mounting<'a> {
    log: &'a LogWriter,
    format: LogFormat,
    log_directory: Option<LogDirectory>,
    network: Option<Network>,
    table: Vec<(RoutePattern, Target)>,
    /// The entry each row of the table comes from; none for what is built in.
    owners: Vec<Option<&'a EntryConfig>>,
    declared: Declared,
    problems: &'a mut Vec<Diagnostic>,
}

impl<'a> Mounting<'a> {
    pub fn new(config: &Config, log: &'a LogWriter, problems: &'a mut Vec<Diagnostic>) -> Result<Self, Error> {
        let create = |path: &std::path::PathBuf| {
            LogDirectory::create(path).map_err(|source| Error::LogDirectory { path: path.clone(), source })
        };
        let log_directory = config.log.dir.as_ref().map(create).transpose()?;
        // Reading certificates takes time: only where somebody may call out.
        let calls_out = config.entries.iter().any(|script| script.allowed_hosts != AllowedHosts::None);
        let network = calls_out.then(|| Network::new(Handle::current(), config.outbound_ca.as_deref())).transpose()?;
        if network.as_ref().is_some_and(|network| network.roots() == 0) {
            tracing::warn!("the system has no certificates to trust: guests cannot call anybody over https");
        }
        let table = vec![(RoutePattern::new(HEALTH), Target::Health)];
        let (format, owners, declared) = (config.log.format, vec![None], Declared::default());
        Ok(Self { log, format, log_directory, network, table, owners, declared, problems })
    }

    /// Reports an entry whose module is not a program.
    pub fn refuse(&mut self, script: &EntryConfig, error: &LoadError) {
        let message = for_route(script, format!("cannot load `{}`", script.module));
        let problem = Diagnostic::error(message).at(script.origin.at(error.key())).caused_by(error);
        self.problems.push(match error.help() {
            Some(help) => problem.help(help),
            None => problem,
        });
    }

    /// Mounts an entry.
    pub async fn mount(&mut self, script: &'a EntryConfig, file: &ModuleFile, program: &Program) {
        self.warn_about_cgi(script, program);
        let Some(volumes) = self.open_volumes(script) else { return };
        let places = ModuleConcurrency::new(script.limits.concurrency);
        let own = RoutePattern::new(script.route.as_str());
        let environment = script.environment.clone().into();
        let given = Given { volumes, outbound: self.outbound(script), environment };
        let Some(grants) = self.grants(script, &own, &given) else { return };
        let discovery = Grants { volumes: Volumes::default(), outbound: None, ..grants.clone() };
        let discovered = match self.declared.sub_routes(Wanted::from((script, file)), program, discovery).await {
            Ok(discovered) => discovered.inspect(|list| self.warn_about_empty(script, list)).unwrap_or_default(),
            Err(error) => {
                self.problems.push(discovery_failed(script, &error));
                Vec::new()
            }
        };
        for (pattern, entry) in discovery::sub_routes(&own, &discovered) {
            let Some(log) = self.grants(script, &pattern, &given) else { return };
            self.add(script, program, (pattern, Key::Module), entry, log, &places);
        }
        self.add(script, program, (own, Key::Entrypoint), &script.entrypoint, grants, &places);
    }

    fn add(
        &mut self,
        script: &'a EntryConfig,
        program: &Program,
        (pattern, key): (RoutePattern, Key),
        entry: &str,
        grants: Grants,
        places: &ModuleConcurrency,
    ) {
        match program.guest(entry, grants) {
            Ok(linked) => {
                let route = GuestRoute::new(&pattern, script, linked, places);
                self.table.push((pattern, Target::Guest(Box::new(route))));
                self.owners.push(Some(script));
            }
            Err(error) => self.problems.push(no_entry(script, &pattern, key, &error)),
        }
    }
}

/// What an entry is given.
impl<'a> Mounting<'a> {
    fn open_volumes(&mut self, script: &EntryConfig) -> Option<Volumes> {
        let directories =
            script.volumes.iter().map(|volume| (volume.guest_path.as_str(), &volume.host_path, volume.read_only));
        match Volumes::open(directories) {
            Ok(volumes) => Some(volumes),
            Err((index, error)) => {
                let message = for_route(script, "cannot open the directory of a volume");
                self.problems
                    .push(Diagnostic::error(message).at(script.origin.at(Key::Volume(index))).caused_by(&error));
                None
            }
        }
    }

    fn outbound(&self, script: &EntryConfig) -> Option<Outbound> {
        let network = self.network.as_ref().filter(|_| script.allowed_hosts != AllowedHosts::None)?;
        let client = network.client(script.allowed_hosts.clone(), outbound::Limits::default());
        Some(Outbound { client, max_open: script.http_max_concurrency })
    }

    fn grants(&mut self, script: &EntryConfig, pattern: &RoutePattern, given: &Given) -> Option<Grants> {
        let name = route_name(script, pattern);
        let file = self.log_directory.as_mut().map(|directory| directory.open(pattern.as_str())).transpose();
        let file = match file {
            Ok(file) => file,
            Err(error) => {
                let message = for_route(script, "cannot open the file for what its guests print on stderr");
                self.problems.push(Diagnostic::error(message).at(script.origin.at(Key::Route)).caused_by(&error));
                return None;
            }
        };
        Some(Grants {
            volumes: given.volumes.clone(),
            outbound: given.outbound.clone(),
            environment: given.environment.clone(),
            log: Some(Arc::new(GuestLog::new(name, self.log.clone(), self.format, file))),
            limits: script.limits.clone(),
        })
    }
}

/// What an operator should know though it stops nothing.
impl<'a> Mounting<'a> {
    /// What is written for CGI: variables it defines itself and, for a component that is asked over HTTP, arguments.
    fn warn_about_cgi(&mut self, script: &EntryConfig, program: &Program) {
        if program.speaks_http() {
            if script.argv.is_some() {
                let message = for_route(script, "`argv` has no effect: the component is asked over HTTP");
                let problem = Diagnostic::warning(message).at(script.origin.at(Key::Argv));
                self.problems.push(problem.help("remove it; the component reads the request itself"));
            }
            return;
        }
        for (name, _) in script.environment.iter().filter(|(name, _)| RouteVariables::defines(name)) {
            let message = for_route(script, format!("the variable `{name}` is left out: CGI defines it itself"));
            self.problems.push(Diagnostic::warning(message).at(script.origin.at(Key::Route)));
        }
    }

    fn warn_about_empty(&mut self, script: &EntryConfig, discovered: &[Discovered]) {
        if discovered.is_empty() {
            let message = for_route(script, "`_routes` printed nothing: there are no sub-routes");
            self.problems.push(Diagnostic::warning(message).at(script.origin.at(Key::Module)));
        }
    }

    /// The finished table, and a warning for each route in it that no request reaches.
    pub fn finish(self) -> Result<RouteTable<Target>, Error> {
        if let Some(directory) = &self.log_directory {
            let path = directory.path().to_owned();
            directory.write_index().map_err(|source| Error::LogDirectory { path, source })?;
        }
        let table = RouteTable::new(self.table);
        let patterns: Vec<&RoutePattern> = table.entries().map(|(pattern, _)| pattern).collect();
        let own = |row: usize| self.owners.get(row).copied().flatten();
        for (dead, by) in table.shadowed() {
            let (Some(script), Some(pattern), Some(before)) = (own(dead), patterns.get(dead), patterns.get(by)) else {
                continue;
            };
            let message =
                format!("no request reaches the route `{pattern}`: `{before}` comes first and matches the same");
            self.problems.push(
                Diagnostic::warning(message).at(script.origin.at(Key::Route)).help("the first route that matches wins"),
            );
        }
        for (row, pattern) in patterns.iter().enumerate().filter(|(_, pattern)| !pattern.can_match_a_request()) {
            // An entry's own route was looked at when it was read.
            if let Some(script) = own(row).filter(|script| script.route != **pattern) {
                let message =
                    format!("no request reaches the route `{pattern}`: it is not a path a client can ask for");
                let help = format!("write `/{}`", pattern.as_str().trim_start_matches('/'));
                self.problems.push(Diagnostic::warning(message).at(script.origin.at(Key::Route)).help(help));
            }
        }
        Ok(table)
    }
}

fn route_name(script: &EntryConfig, pattern: &RoutePattern) -> Arc<RouteName> {
    Arc::new(RouteName::new(pattern, &script.module))
}

fn for_route(script: &EntryConfig, what: impl std::fmt::Display) -> String {
    format!("route `{}`: {what}", script.route)
}

fn discovery_failed(script: &EntryConfig, error: &DiscoverError) -> Diagnostic {
    let problem = Diagnostic::error(for_route(script, error)).at(script.origin.at(Key::Module));
    match error.source() {
        Some(cause) => problem.caused_by(cause),
        None => problem,
    }
}

fn no_entry(script: &EntryConfig, pattern: &RoutePattern, key: Key, error: &EntryError) -> Diagnostic {
    let module = &script.module;
    let problem = Diagnostic::error(format!("route `{pattern}`: module `{module}` has no such entry point"))
        .at(script.origin.at(key))
        .caused_by(error);
    match error {
        EntryError::Missing { candidates, .. } if !candidates.is_empty() => {
            problem.help(format!("the module exports {}", quoted(candidates)))
        }
        EntryError::Component { .. } => problem.help("remove `entrypoint`"),
        _ => problem,
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
