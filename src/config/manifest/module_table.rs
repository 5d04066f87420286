//! What does one `[[module]]` ask for? Called by `manifest`, for each of them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::reader::file::{must_be_directory, must_be_file, relative_paths};
use crate::config::reader::report::Report;
use crate::config::reader::route;
use crate::config::reader::values::{Value, ValueError, boolean, count, string, table};
use crate::config::{BindleId, EntryConfig, Key, Limits, ModuleRef, Origin, Preparation, ServerEnvironment, Volume};
use crate::config::{allowed_hosts, environment};

const KEYS: [&str; 17] = [
    "route",
    "module",
    "preinitialize",
    "precompiled",
    "entrypoint",
    "argv",
    "volumes",
    "allowed_hosts",
    "http_max_concurrency",
    "environment",
    "env_file",
    "secrets",
    "repository",
    "bindle_server",
    "host",
    "pass_authorization",
    "limits",
];

/// What holds for every module unless it says otherwise.
pub(super) struct Defaults<'a> {
    pub limits: &'a Limits,
    /// The variables of `--env` and `--env-file`.
    pub environment: &'a [(String, String)],
    /// What `${NAME}` stands for in its variables.
    pub server: &'a ServerEnvironment,
}

/// Reads the `[[module]]` with its header at `span`; `None` if it holds an error.
pub(super) fn read(
    entry: &DeTable<'_>,
    span: Range<usize>,
    defaults: &Defaults<'_>,
    report: &mut Report,
) -> Option<EntryConfig> {
    let errors_before = report.errors();
    report.unknown_keys(entry, &KEYS, "in `[[module]]`");
    historical(entry, report);
    let mut origin = origin(entry, &span, report);
    let text = |key: &'static str, report: &mut Report| {
        report.optional(entry, key, |value| string(key, value).map(str::to_owned))
    };
    let route = required(entry, "route", &span, report).map(|(text, at)| route::pattern(text, at, report));
    let module = module(entry, &span, report);
    let preparation = preparation(entry, module.as_ref(), report);
    let entrypoint = text("entrypoint", report);
    let argv = text("argv", report);
    let environment = environment::read(entry, defaults.environment, defaults.server, report);
    let volumes = volumes(entry, &mut origin, report);
    let allowed_hosts = allowed_hosts::read(entry, report);
    let http_max_concurrency = report.optional(entry, "http_max_concurrency", open_responses);
    let pass_authorization = report.optional(entry, "pass_authorization", |value| boolean("pass_authorization", value));
    let limits = limits(entry, defaults.limits, report);
    if report.errors() > errors_before {
        return None;
    }
    let unset = EntryConfig::new(origin, route?, module?);
    Some(EntryConfig {
        preparation,
        entrypoint: entrypoint.unwrap_or(unset.entrypoint),
        argv,
        environment,
        volumes,
        allowed_hosts,
        http_max_concurrency,
        pass_authorization,
        limits,
        ..unset
    })
}

fn origin(entry: &DeTable<'_>, header: &Range<usize>, report: &Report) -> Origin {
    let mut origin = Origin::written(report.file(), header.clone());
    for (key, name) in [
        (Key::Route, "route"),
        (Key::Module, "module"),
        (Key::Preinitialize, "preinitialize"),
        (Key::Precompiled, "precompiled"),
        (Key::Entrypoint, "entrypoint"),
        (Key::Argv, "argv"),
        (Key::AllowedHosts, "allowed_hosts"),
    ] {
        if let Some(value) = entry.get(name) {
            origin.note(key, value.span());
        }
    }
    origin
}

/// Keys of former versions: what was never used is only looked at, what no longer works is pointed out.
fn historical(entry: &DeTable<'_>, report: &mut Report) {
    report.optional(entry, "repository", |value| string("repository", value).map(drop));
    if let Some(host) = entry.get("host")
        && report.accept(host.span(), string("host", host.get_ref())).is_some()
    {
        let error = ValueError::new("`host` has no effect: virtual hosts are not applied");
        report.warning(host.span(), error.help("remove it; the route answers for every host"));
    }
}

/// The string at `key` and where it stands, or else an error at the header.
fn required<'t>(
    entry: &'t DeTable<'_>,
    key: &str,
    header: &Range<usize>,
    report: &mut Report,
) -> Option<(&'t str, Range<usize>)> {
    let Some(value) = entry.get(key) else {
        report.error(header.clone(), ValueError::new(format!("`{key}` is missing in `[[module]]`")));
        return None;
    };
    Some((report.accept(value.span(), string(key, value.get_ref()))?, value.span()))
}

fn module(entry: &DeTable<'_>, header: &Range<usize>, report: &mut Report) -> Option<ModuleRef> {
    let server = report.optional(entry, "bindle_server", |value| string("bindle_server", value).map(str::to_owned));
    let (text, span) = required(entry, "module", header, report)?;
    let parsed = text.parse::<ModuleRef>().map_err(|error| ValueError::new(error.to_string()).help(error.help()));
    let mut module = report.accept(span.clone(), parsed)?;
    let available = match &mut module {
        ModuleRef::File(path) => must_be_file(path).map_err(|error| ValueError::new(error).help(relative_paths())),
        // What it names is for `fetch` to find out.
        ModuleRef::Oci(_) => Ok(()),
        ModuleRef::Bindle { .. } if server.is_none() && !entry.contains_key("bindle_server") => {
            Err(ValueError::new("a `bindle:` module needs `bindle_server`, the URL of the server that has it"))
        }
        ModuleRef::Bindle { id, server: at } => {
            *at = server;
            let parsed = id.parse::<BindleId>().map(drop);
            parsed.map_err(|error| ValueError::new(error.to_string()).help(error.help()))
        }
    };
    report.accept(span, available)?;
    Some(module)
}

/// What has to happen to the module. That code is trusted can be said of a file only: what others serve is compiled here.
fn preparation(entry: &DeTable<'_>, module: Option<&ModuleRef>, report: &mut Report) -> Preparation {
    let mut asked = |key: &'static str| report.optional(entry, key, |value| boolean(key, value)).unwrap_or(false);
    let (preinitialize, precompiled) = (asked("preinitialize"), asked("precompiled"));
    let span = entry.get("precompiled").map(Value::span).unwrap_or_default();
    match (preinitialize, precompiled) {
        (true, true) => {
            let error = ValueError::new("`precompiled` and `preinitialize` exclude each other");
            report.error(span, error.help("run `wagi preinit` first, and `wagi compile` on what it writes"));
        }
        (_, true) if !matches!(module, None | Some(ModuleRef::File(_))) => {
            let error =
                ValueError::new("`precompiled` is for files: code from a registry or bindle server is never trusted");
            report.error(span, error.help("publish the module itself; it is compiled once and kept"));
        }
        _ => {}
    }
    match (preinitialize, precompiled) {
        (_, true) => Preparation::Precompiled,
        (true, false) => Preparation::Preinitialize,
        (false, false) => Preparation::Compile,
    }
}

fn volumes(entry: &DeTable<'_>, origin: &mut Origin, report: &mut Report) -> Vec<Volume> {
    let mut volumes = Vec::new();
    let written = report.optional(entry, "volumes", |value| table("volumes", value));
    for (guest_path, value) in written.into_iter().flatten() {
        let guest: &str = guest_path.get_ref();
        if guest.is_empty() || guest.contains('\0') {
            report.error(guest_path.span(), ValueError::new("a volume needs a path in the guest, such as `/`"));
        }
        if let Some((host_path, span, read_only)) = volume(guest, value, report) {
            origin.note(Key::Volume(volumes.len()), span);
            volumes.push(Volume { guest_path: guest.to_owned(), host_path, read_only });
        }
    }
    volumes
}

/// The directory of a volume, where it is written, and whether the guest may only read it.
fn volume(guest: &str, value: &Value<'_>, report: &mut Report) -> Option<(PathBuf, Range<usize>, bool)> {
    let name = format!("volumes.{guest}");
    let (path, read_only) = match value.get_ref() {
        DeValue::Table(table) => {
            report.unknown_keys(table, &["path", "read_only"], &format!("in `{name}`"));
            let read_only = report.optional(table, "read_only", |value| boolean("read_only", value)).unwrap_or(false);
            let Some(path) = table.get("path") else {
                report.error(value.span(), ValueError::new(format!("`path` is missing in `{name}`")));
                return None;
            };
            (path, read_only)
        }
        DeValue::String(_) => (value, false),
        _ => {
            let error = ValueError::new(format!("`{name}` must be a path or `{{ path = \"...\", read_only = true }}`"));
            report.error(value.span(), error);
            return None;
        }
    };
    let text = report.accept(path.span(), string(&name, path.get_ref()))?;
    let directory = must_be_directory(Path::new(text)).map_err(|error| ValueError::new(error).help(relative_paths()));
    report.accept(path.span(), directory)?;
    Some((text.into(), path.span(), read_only))
}

fn open_responses(value: &DeValue<'_>) -> Result<u32, ValueError> {
    let most = count("http_max_concurrency", value, 1..=u32::MAX.into())
        .map_err(|error| error.help("leave it out for no limit; leave out `allowed_hosts` to allow no calls at all"))?;
    Ok(u32::try_from(most).unwrap_or(u32::MAX))
}

fn limits(entry: &DeTable<'_>, global: &Limits, report: &mut Report) -> Limits {
    let mut limits = global.clone();
    if let Some(own) = report.optional(entry, "limits", |value| table("limits", value)) {
        limits.read(own, report);
    }
    limits
}
