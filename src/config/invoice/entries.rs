//! Which parcels become entries, and what do they get? Called by the parent when all parcels are read.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::allowed_hosts::host_error;
use crate::config::reader::report::Report;
use crate::config::reader::route;
use crate::config::reader::values::{SpannedStr, ValueError};
use crate::config::{AllowedHosts, Argv, EntryConfig, Key, ModuleRef, Origin, Volume};

use crate::config::invoice::bindle::BindleConfig;
use crate::config::invoice::groups::{GroupGraph, SearchBudget};
use crate::config::invoice::parcel::{Parcel, ParcelTable};

/// The largest number of graph edges that the searches for the files of all entries may follow: ten thousand files for
/// each of fifty entries fit, and the time is below one second.
const MAX_STEPS: usize = 1_000_000;

/// The media type of modules. Other spellings do not count.
const MODULE_TYPE: &str = "application/wasm";

/// A served parcel. It lacks only the paths of its files.
#[derive(Debug)]
pub struct BindleEntry {
    /// The parcel with the module.
    pub module: Parcel,
    /// The files that the guest may see, in the order of the invoice.
    pub assets: Vec<Arc<Parcel>>,
    settings: EntryConfig,
}

impl BindleEntry {
    /// Returns the entry, with `root` as the root directory of its guests if it has files.
    pub fn with_files(self, root: Option<PathBuf>) -> EntryConfig {
        let root = root.map(|host_path| Volume { guest_path: "/".to_owned(), host_path, read_only: true });
        EntryConfig { volumes: root.into_iter().collect(), ..self.settings }
    }
}

/// Returns the entries in the order of their parcels, which is also the precedence of their routes.
pub(super) fn read(parcels: &[ParcelTable<'_>], bindle: &BindleConfig, report: &mut Report) -> Vec<BindleEntry> {
    let groups = GroupGraph::new(parcels);
    let files: Vec<Option<Arc<Parcel>>> =
        parcels.iter().map(|table| table.is_file.then(|| Arc::new(table.label.parcel.clone()))).collect();
    let mut entries = Vec::new();
    let mut roots = Vec::new();
    let mut budget = SearchBudget::new(MAX_STEPS);
    for (index, table) in parcels.iter().enumerate() {
        let Some(route) = served_route(table, report) else { continue };
        let Some(required) = groups.required_by(index, &mut budget) else {
            let error = ValueError::new(format!("parcel `{}` is one too many", table.label.parcel.name));
            let help = "the programs of this bindle require too many files: make several bindles of it";
            report.error(table.header.clone(), error.help(help));
            break;
        };
        let assets: Vec<_> = required.into_iter().filter_map(|index| files.get(index).cloned().flatten()).collect();
        report_path_conflicts(table, &assets, report);
        roots.push(index);
        let settings = settings(table, route, bindle, report);
        entries.push(BindleEntry { module: table.label.parcel.clone(), assets, settings });
    }
    report_cycles(parcels, &groups, &roots, report);
    if roots.is_empty() {
        let error = ValueError::new(format!("nothing in bindle `{}` is served", bindle.id));
        report.warning(0..0, error.help(format!("a program has the type `{MODULE_TYPE}`, a route and no group")));
    }
    entries
}

/// Returns the route of a parcel that is served. Warns if a parcel has a route but is not served.
fn served_route<'p, 't>(table: &'p ParcelTable<'t>, report: &mut Report) -> Option<&'p SpannedStr<'t>> {
    let route = table.features.route.as_ref()?;
    let reason = if table.label.media_type != MODULE_TYPE {
        format!("only parcels of the type `{MODULE_TYPE}` are programs")
    } else if let Some(group) = table.member_of.first() {
        format!("it is in group `{}`, but only programs in no group are served", group.text)
    } else {
        return Some(route);
    };
    let error = ValueError::new(format!("parcel `{}` is not served: {reason}", table.label.parcel.name));
    report.warning(route.span.clone(), error.label("this route has no effect"));
    None
}

fn settings(
    table: &ParcelTable<'_>,
    route: &SpannedStr<'_>,
    bindle: &BindleConfig,
    report: &mut Report,
) -> EntryConfig {
    let features = &table.features;
    let mut origin = Origin::in_file(report.file(), table.header.clone());
    origin.add(Key::Route, route.span.clone());
    origin.add(Key::Module, table.label.name_span.clone());
    for (key, value) in [
        (Key::Entrypoint, &features.entrypoint),
        (Key::Argv, &features.argv),
        (Key::AllowedHosts, &features.allowed_hosts),
    ] {
        if let Some(value) = value {
            origin.add(key, value.span.clone());
        }
    }
    let text = |value: &Option<SpannedStr<'_>>| value.as_ref().map(|value| value.text.to_owned());
    let route = route::pattern(route.clone(), report);
    let module = ModuleRef::Bindle { id: format!("{}#{}", bindle.id, table.label.parcel.name), server: None };
    let defaults = EntryConfig::new(origin, route, module);
    EntryConfig {
        entrypoint: text(&features.entrypoint).unwrap_or(defaults.entrypoint),
        argv: text(&features.argv).map(Argv::Line),
        environment: bindle.environment.clone(),
        allowed_hosts: features.allowed_hosts.as_ref().map(|list| allowed_hosts(list, report)).unwrap_or_default(),
        ..defaults
    }
}

fn allowed_hosts(list: &SpannedStr<'_>, report: &mut Report) -> AllowedHosts {
    let mut hosts = AllowedHosts::None;
    for host in list.text.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        report.accept(list.span.clone(), hosts.add(host).map_err(host_error));
    }
    hosts
}

/// Reports files of one entry with the same name, and a file whose name is a directory of another file.
fn report_path_conflicts(table: &ParcelTable<'_>, assets: &[Arc<Parcel>], report: &mut Report) {
    let mut sorted: Vec<&Parcel> = assets.iter().map(Arc::as_ref).collect();
    // Sorted by segments, `a/b` follows `a` directly and precedes `a-b`.
    sorted.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    for pair in sorted.windows(2) {
        let [a, b] = pair else { continue };
        let conflict = match b.name.strip_prefix(a.name.as_str()) {
            Some("") if a.sha256 != b.sha256 => format!("two different files with the name `{}`", a.name),
            Some(rest) if rest.starts_with('/') => format!("`{}` as a file and as a directory", a.name),
            _ => continue,
        };
        let error = ValueError::new(format!("parcel `{}` requires {conflict}", table.label.parcel.name));
        report.error(table.requires_span.clone(), error);
    }
}

fn report_cycles(parcels: &[ParcelTable<'_>], groups: &GroupGraph<'_>, roots: &[usize], report: &mut Report) {
    for cycle in groups.cycles(roots) {
        let Some(closing) = parcels.get(cycle.closed_by) else { continue };
        let message = match cycle.groups.as_slice() {
            [group] => format!("group `{group}` requires itself"),
            groups => format!("groups require each other: {}", cycle_text(groups)),
        };
        let label = format!("parcel `{}` closes the cycle", closing.label.parcel.name);
        report.error(closing.requires_span.clone(), ValueError::new(message).label(label));
    }
}

/// Returns `a` → `b` → `a`. A long cycle is shortened.
fn cycle_text(groups: &[&str]) -> String {
    const MAX_NAMES: usize = 8;
    let mut names: Vec<String> = groups.iter().take(MAX_NAMES).map(|group| format!("`{group}`")).collect();
    if groups.len() > MAX_NAMES {
        names.push(format!("{} more", groups.len() - MAX_NAMES));
    }
    names.extend(groups.first().map(|group| format!("`{group}`")));
    names.join(" → ")
}
