//! What does a component become?

use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use crate::cli::commands::import::build::ImportedBuild;
use crate::cli::commands::import::manifest::{HttpTrigger, SpinManifest};
use crate::cli::commands::import::notes::{Notes, value};
use crate::cli::commands::import::routes::ImportedRoute;
use crate::cli::commands::import::source::{ImportedSource, WasmForm};
use crate::cli::commands::import::volumes::{ImportedVolume, volumes};
use crate::cli::commands::import::{hosts, values};

/// An entry of the modules.toml.
pub(super) struct ImportedEntry {
    pub id: String,
    pub route: ImportedRoute,
    pub span: Range<usize>,
    pub target: ImportedTarget,
}

/// What an entry serves.
pub(super) enum ImportedTarget {
    Program(Box<ImportedProgram>),
    /// The files of a directory, which Spin serves with a component of its own.
    Files(String),
}

/// A program with what it may use.
pub(super) struct ImportedProgram {
    pub module: String,
    pub entrypoint: Option<String>,
    pub argv: Option<String>,
    pub environment: Vec<(String, String)>,
    pub volumes: Vec<ImportedVolume>,
    pub allowed_hosts: Vec<String>,
    pub build: Option<ImportedBuild>,
}

/// Keys of a component that are taken along, or need not be.
const KNOWN: [&str; 18] = [
    "allowed_http_hosts",
    "allowed_outbound_hosts",
    "build",
    "config",
    "dependencies_inherit_configuration",
    "description",
    "environment",
    "exclude_files",
    "files",
    "id",
    "profile",
    "source",
    "targets",
    "tool",
    "trigger",
    "variables",
    "version",
    "wasm",
];

/// Keys of a component that cannot be taken along, and what to do.
const NOT_PROVIDED: [(&str, &str, &str); 4] = [
    (
        "key_value_stores",
        "Spin's interface for key-value stores is not provided",
        "keep the values in files of a volume, or in a database that is called over HTTP",
    ),
    (
        "sqlite_databases",
        "Spin's interface for SQLite is not provided",
        "build SQLite into the program, and keep its file in a volume",
    ),
    ("ai_models", "Spin's interface for models is not provided", "call a server that runs the model: `allowed_hosts`"),
    ("dependencies", "components that this one is linked to are not fetched", "compose them into one: `wac plug`"),
];

/// Programs of the makers of Spin that serve files, by a part of their URL.
const FILE_SERVERS: [&str; 2] = ["spin-fileserver", "spin_static_fs"];

impl ImportedEntry {
    /// The entry of a trigger.
    pub fn new(
        trigger: &HttpTrigger<'_>,
        manifest: &SpinManifest<'_>,
        directory: &Path,
        notes: &mut Notes<'_>,
    ) -> Option<Self> {
        let HttpTrigger { component, id, span, .. } = trigger;
        let route = ImportedRoute::new(trigger, &manifest.base, notes);
        let entry = |target| Some(Self { id: id.clone(), route, span: span.clone(), target });
        if let Some(directory) = served_files(component, directory, notes) {
            return entry(ImportedTarget::Files(directory));
        }
        report_keys(component, notes);
        let Some(source) = value(component, "source") else {
            notes.error(span.clone(), format!("component `{id}` has no `source`"), "write `source = \"FILE.wasm\"`");
            return None;
        };
        let source = ImportedSource::new(source, directory, notes)?;
        let executor = Executor::new(trigger, &source, notes);
        entry(ImportedTarget::Program(Box::new(ImportedProgram {
            module: source.module,
            entrypoint: executor.entrypoint,
            argv: executor.argv,
            environment: values::environment(component, manifest.variables.as_ref(), notes),
            volumes: volumes(component, directory, notes),
            allowed_hosts: hosts::allowed(component, notes),
            build: ImportedBuild::new(component, directory, notes),
        })))
    }
}

/// The directory of a component that does nothing but serve files.
fn served_files(component: &DeTable<'_>, directory: &Path, notes: &mut Notes<'_>) -> Option<String> {
    let source = value(component, "source")?;
    let url = value(source.get_ref().as_table()?, "url")?.get_ref().as_str()?;
    if !FILE_SERVERS.iter().any(|server| url.contains(server)) {
        return None;
    }
    let found = volumes(component, directory, notes);
    let [volume] = &found[..] else { return None };
    let message = "this component becomes `[[static]]`: wagi serves files itself";
    notes.add(source.span(), message, "nothing has to be downloaded; its `environment` has no effect");
    if volume.guest != "/" {
        let message =
            format!("wagi serves `{}` at the route itself, and Spin serves it below `{}`", volume.host, volume.guest);
        notes.add(source.span(), message, format!("write the route with `{}` before its `/...`", volume.guest));
    }
    Some(volume.host.clone())
}

/// What of a component cannot be taken along, or is not known.
fn report_keys(component: &DeTable<'_>, notes: &mut Notes<'_>) {
    for (key, found) in component {
        let is_empty = found.get_ref().as_array().is_some_and(|list| list.is_empty());
        if let Some((_, message, help)) = NOT_PROVIDED.iter().find(|(name, ..)| name == key.get_ref()) {
            if !is_empty {
                notes.add(key.span(), *message, *help);
            }
        } else if !KNOWN.contains(&&**key.get_ref()) {
            notes.add(key.span(), format!("`{}` is not known here", key.get_ref()), "see docs/coming-from-spin.md");
        }
    }
}

/// How a component is run.
#[derive(Default)]
struct Executor {
    entrypoint: Option<String>,
    argv: Option<String>,
}

impl Executor {
    fn new(trigger: &HttpTrigger<'_>, source: &ImportedSource, notes: &mut Notes<'_>) -> Self {
        let table = trigger.executor.as_ref().and_then(|found| notes.table("executor", found));
        let text = |key: &str| table.and_then(|table| value(table, key)).and_then(|found| found.get_ref().as_str());
        if text("type") == Some("wagi") {
            let entrypoint = text("entrypoint").filter(|name| *name != "_start" && !name.is_empty());
            return Self { entrypoint: entrypoint.map(str::to_owned), argv: text("argv").map(str::to_owned) };
        }
        if source.form == Some(WasmForm::Module) {
            notes.add(
                trigger.span.clone(),
                format!("`{}` is a module that Spin calls through an interface of its own", source.module),
                "build it as a CGI program, or as a component of wasi:http for WASI 0.2 or 0.3 as they were released: wagi refuses \
                 release candidates, for which version 2 of Spin's SDK for Rust builds",
            );
        }
        Self::default()
    }
}
