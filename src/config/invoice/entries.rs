//! Which parcels are scripts, and what are they given? Asked by the parent, when all parcels are read.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::reader::report::Report;
use crate::config::reader::route;
use crate::config::reader::values::ValueError;
use crate::config::{AllowedHosts, EntryConfig, Key, ModuleRef, Origin, Volume};

use crate::config::invoice::bindle::BindleConfig;
use crate::config::invoice::groups::{Groups, Walks};
use crate::config::invoice::parcel::{Described, Parcel, Written};

/// A script of a bindle, which lacks nothing but the paths of its files.
#[derive(Debug)]
pub struct BindleEntry {
    /// Its program.
    pub module: Parcel,
    /// The files it may see, in the order of the invoice.
    pub assets: Vec<Arc<Parcel>>,
    settings: EntryConfig,
}

impl BindleEntry {
    /// The entry whose guests see the directory `view`, if there are files, as `/`.
    pub fn with_files(self, view: Option<PathBuf>) -> EntryConfig {
        let root = view.map(|host_path| Volume { guest_path: "/".to_owned(), host_path, read_only: true });
        EntryConfig { volumes: root.into_iter().collect(), ..self.settings }
    }
}

/// How often, for all scripts together, a group or a parcel may be looked at to find what they require: ten thousand files
/// for each of fifty scripts fit, and it takes no second.
const MOST_STEPS: usize = 1_000_000;

/// Only what is exactly of this type is a program.
const MODULE_TYPE: &str = "application/wasm";

/// The scripts in the order of their parcels, which is that of their routes.
pub(super) fn scripts(parcels: &[Described<'_>], asked: &BindleConfig, report: &mut Report) -> Vec<BindleEntry> {
    let groups = Groups::of(parcels);
    let files: Vec<Option<Arc<Parcel>>> =
        parcels.iter().map(|described| described.is_file.then(|| Arc::new(described.parcel.clone()))).collect();
    let mut scripts = Vec::new();
    let mut roots = Vec::new();
    let mut walks = Walks::new(MOST_STEPS);
    for (index, described) in parcels.iter().enumerate() {
        let Some(route) = route(described, report) else { continue };
        let Some(required) = groups.required_by(index, &mut walks) else {
            let error = ValueError::new(format!("parcel `{}` is one too many", described.parcel.name));
            let help = "the programs of this bindle require too many files: make several bindles of it";
            report.error(described.header.clone(), error.help(help));
            break;
        };
        let assets: Vec<_> = required.into_iter().filter_map(|index| files.get(index).cloned().flatten()).collect();
        no_two_in_one_place(described, &assets, report);
        roots.push(index);
        scripts.push(BindleEntry {
            module: described.parcel.clone(),
            assets,
            settings: settings(described, route, asked, report),
        });
    }
    report_cycles(parcels, &groups, &roots, report);
    if roots.is_empty() {
        let error = ValueError::new(format!("nothing in bindle `{}` is served", asked.id));
        report.warning(0..0, error.help(format!("a program has the type `{MODULE_TYPE}`, a route and no group")));
    }
    scripts
}

/// The route of a parcel that is served.
fn route<'d, 't>(described: &'d Described<'t>, report: &mut Report) -> Option<&'d Written<'t>> {
    let route = described.wagi.route.as_ref()?;
    let reason = if described.media_type != MODULE_TYPE {
        format!("only parcels of the type `{MODULE_TYPE}` are programs")
    } else if let Some((group, _)) = described.member_of.first() {
        format!("it is in group `{group}`, but only programs in no group are served")
    } else {
        return Some(route);
    };
    let error = ValueError::new(format!("parcel `{}` is not served: {reason}", described.parcel.name));
    report.warning(route.1.clone(), error.label("this route has no effect"));
    None
}

fn settings(described: &Described<'_>, route: &Written<'_>, asked: &BindleConfig, report: &mut Report) -> EntryConfig {
    let wagi = &described.wagi;
    let mut origin = Origin::written(report.file(), described.header.clone());
    origin.note(Key::Route, route.1.clone());
    origin.note(Key::Module, described.name_span.clone());
    for (key, written) in
        [(Key::Entrypoint, &wagi.entrypoint), (Key::Argv, &wagi.argv), (Key::AllowedHosts, &wagi.allowed_hosts)]
    {
        if let Some((_, span)) = written {
            origin.note(key, span.clone());
        }
    }
    let text = |written: &Option<Written<'_>>| written.as_ref().map(|(text, _)| (*text).to_owned());
    let route = route::pattern(route.0, route.1.clone(), report);
    let module = ModuleRef::Bindle { id: format!("{}#{}", asked.id, described.parcel.name), server: None };
    let defaults = EntryConfig::new(origin, route, module);
    EntryConfig {
        entrypoint: text(&wagi.entrypoint).unwrap_or(defaults.entrypoint),
        argv: text(&wagi.argv),
        environment: asked.environment.clone(),
        allowed_hosts: wagi.allowed_hosts.as_ref().map(|written| allowed_hosts(written, report)).unwrap_or_default(),
        ..defaults
    }
}

fn allowed_hosts((list, span): &Written<'_>, report: &mut Report) -> AllowedHosts {
    let mut hosts = AllowedHosts::None;
    for piece in list.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        let added = hosts.add(piece);
        let added = added.map_err(|error| ValueError::new(format!("in `allowed_hosts`: {error}")).help(error.help()));
        report.accept(span.clone(), added);
    }
    hosts
}

/// Two files of one script must not have the same name, nor may the name of one be a directory of the other's.
fn no_two_in_one_place(described: &Described<'_>, assets: &[Arc<Parcel>], report: &mut Report) {
    let mut sorted: Vec<&Parcel> = assets.iter().map(Arc::as_ref).collect();
    // By segments: `a/b` stands right behind `a`, and before `a-b`.
    sorted.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
    for pair in sorted.windows(2) {
        let [a, b] = pair else { continue };
        let complaint = match b.name.strip_prefix(a.name.as_str()) {
            Some("") if a.sha256 != b.sha256 => format!("two different files with the name `{}`", a.name),
            Some(below) if below.starts_with('/') => format!("`{}` as a file and as a directory", a.name),
            _ => continue,
        };
        let error = ValueError::new(format!("parcel `{}` requires {complaint}", described.parcel.name));
        report.error(described.requires_span.clone(), error);
    }
}

fn report_cycles(parcels: &[Described<'_>], groups: &Groups<'_>, roots: &[usize], report: &mut Report) {
    for cycle in groups.cycles(roots) {
        let Some(closing) = parcels.get(cycle.closed_by) else { continue };
        let message = match cycle.groups.as_slice() {
            [group] => format!("group `{group}` requires itself"),
            groups => format!("groups require each other: {}", cycle_text(groups)),
        };
        let label = format!("parcel `{}` closes the circle", closing.parcel.name);
        report.error(closing.requires_span.clone(), ValueError::new(message).label(label));
    }
}

/// `a` → `b` → `a`, without the middle of what is too long to read.
fn cycle_text(groups: &[&str]) -> String {
    const MOST: usize = 8;
    let mut names: Vec<String> = groups.iter().take(MOST).map(|group| format!("`{group}`")).collect();
    if groups.len() > MOST {
        names.push(format!("{} more", groups.len() - MOST));
    }
    names.extend(groups.first().map(|group| format!("`{group}`")));
    names.join(" → ")
}
