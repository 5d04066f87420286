//! What does one `[[module]]` say? Called by the parent for each of them.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::manifest::scripts_table::{self, ScriptsContext};
use crate::config::manifest::{build_table, hosts, volumes, warm_start};
use crate::config::reader::file::{module_file_help, must_be_file};
use crate::config::reader::report::Report;
use crate::config::reader::route;
use crate::config::reader::values::{SpannedStr, Value, ValueError, boolean, count, string, string_or_array, table};
use crate::config::{
    Argv, BindleId, EntryConfig, Key, Limits, ModuleRef, Origin, Preparation, ServerEnvironment, UnknownImports,
};
use crate::config::{allowed_hosts, environment, signatures};

const KEYS: [&str; 26] = [
    "route",
    "module",
    "verify",
    "preinitialize",
    "precompiled",
    "unknown_imports",
    "entrypoint",
    "argv",
    "volumes",
    "scripts",
    "static",
    "allowed_hosts",
    "http_max_concurrency",
    "environment",
    "env_file",
    "secrets",
    "repository",
    "bindle_server",
    "host",
    "pass_authorization",
    "compress",
    "warm_start",
    "snapshots",
    "limits",
    "build",
    "watch",
];

/// What every `[[module]]` gets.
pub(super) struct Defaults<'a> {
    /// The limits where the table sets none.
    pub limits: &'a Limits,
    /// Whether responses are compressed where the table does not say.
    pub compress: bool,
    /// The variables of `--env` and `--env-file`.
    pub environment: &'a [(String, String)],
    /// The values of `${NAME}`.
    pub server: &'a ServerEnvironment,
}

/// Reads one `[[module]]` with its header at `header`. Returns `None` if it holds an error.
pub(super) fn read(
    entry: &DeTable<'_>,
    header: Range<usize>,
    defaults: &Defaults<'_>,
    report: &mut Report,
) -> Option<EntryConfig> {
    let errors_before = report.errors();
    report.set_route(entry.get("route").and_then(|route| route.get_ref().as_str()));
    let config = read_keys(entry, header, defaults, report);
    report.set_route(None);
    config.filter(|_| report.errors() == errors_before)
}

fn read_keys(
    entry: &DeTable<'_>,
    header: Range<usize>,
    defaults: &Defaults<'_>,
    report: &mut Report,
) -> Option<EntryConfig> {
    report.unknown_keys(entry, &KEYS, "in `[[module]]`");
    // The key has no effect, and never had any.
    optional_string(entry, "repository", report);
    let mut origin = origin(entry, &header, report);
    let route = required(entry, "route", &header, report).map(|text| route::pattern(text, report));
    let hosts = hosts::read(entry, report);
    let module = module(entry, &header, report);
    let preparation = preparation(entry, module.as_ref(), report);
    let verify = signatures::table::of_module(entry, module.as_ref(), report);
    let unknown_imports = report.optional(entry, "unknown_imports", unknown_imports).unwrap_or_default();
    let entrypoint = optional_string(entry, "entrypoint", report);
    let argv = argv(entry, report);
    let environment = environment::read(entry, defaults.environment, defaults.server, report);
    let mut directories = volumes::read(entry, &mut origin, report);
    let context = ScriptsContext { route: route.as_ref(), directories: &mut directories, origin: &mut origin };
    let scripts = scripts_table::read(entry, context, report);
    let allowed_hosts = allowed_hosts::read(entry, report);
    let http_max_concurrency = report.optional(entry, "http_max_concurrency", max_open_responses);
    let pass_authorization = report.optional(entry, "pass_authorization", |value| boolean("pass_authorization", value));
    let compress = report.optional(entry, "compress", |value| boolean("compress", value)).unwrap_or(defaults.compress);
    let warm_start = warm_start::read(entry, preparation, defaults.environment, report);
    let limits = limits(entry, defaults.limits, report);
    build_table::check(entry, report);
    let defaults = EntryConfig::new(origin, route?, module?);
    Some(EntryConfig {
        hosts,
        verify,
        preparation,
        unknown_imports,
        entrypoint: entrypoint.unwrap_or(defaults.entrypoint),
        argv,
        environment,
        volumes: directories.volumes,
        scratch: directories.scratch,
        scripts,
        allowed_hosts,
        http_max_concurrency,
        pass_authorization,
        compress,
        warm_start,
        limits,
        ..defaults
    })
}

fn origin(entry: &DeTable<'_>, header: &Range<usize>, report: &Report) -> Origin {
    let mut origin = Origin::in_file(report.file(), header.clone());
    for (key, name) in [
        (Key::Route, "route"),
        (Key::Module, "module"),
        (Key::Preinitialize, "preinitialize"),
        (Key::Precompiled, "precompiled"),
        (Key::UnknownImports, "unknown_imports"),
        (Key::Entrypoint, "entrypoint"),
        (Key::Argv, "argv"),
        (Key::AllowedHosts, "allowed_hosts"),
        (Key::Scripts, "scripts"),
        (Key::WarmStart, "warm_start"),
    ] {
        if let Some(value) = entry.get(name) {
            origin.add(key, value.span());
        }
    }
    let variables = entry.get("environment").and_then(|value| value.get_ref().as_table());
    for name in variables.into_iter().flat_map(DeTable::keys) {
        origin.add_variable(name.get_ref(), name.span());
    }
    origin
}

fn optional_string(entry: &DeTable<'_>, key: &str, report: &mut Report) -> Option<String> {
    report.optional(entry, key, |value| string(key, value).map(str::to_owned))
}

fn unknown_imports(value: &DeValue<'_>) -> Result<UnknownImports, ValueError> {
    match string("unknown_imports", value)? {
        "refuse" => Ok(UnknownImports::Refuse),
        "trap" => Ok(UnknownImports::Trap),
        _ => Err(ValueError::new("`unknown_imports` must be `\"refuse\"` or `\"trap\"`")),
    }
}

/// Returns the arguments: a text, or an array of them.
fn argv(entry: &DeTable<'_>, report: &mut Report) -> Option<Argv> {
    let value = entry.get("argv")?;
    let elements = report.accept(value.span(), string_or_array("argv", value))?;
    let is_line = value.get_ref().is_str();
    let texts = elements.iter().filter_map(|item| report.accept(item.span(), item.string().map(str::to_owned)));
    let mut texts: Vec<String> = texts.collect();
    if is_line { texts.pop().map(Argv::Line) } else { Some(Argv::Array(texts)) }
}

/// Returns the string at `key`. If it is missing, reports an error at the header.
fn required<'t>(
    entry: &'t DeTable<'_>,
    key: &str,
    header: &Range<usize>,
    report: &mut Report,
) -> Option<SpannedStr<'t>> {
    let Some(value) = entry.get(key) else {
        let error = ValueError::new(format!("`{key}` is missing in `[[module]]`"));
        let example = if key == "route" { "/hello/..." } else { "hello.wasm" };
        report.error(header.clone(), error.help(format!("write `{key} = \"{example}\"`")));
        return None;
    };
    Some(SpannedStr { text: report.accept(value.span(), string(key, value.get_ref()))?, span: value.span() })
}

fn module(entry: &DeTable<'_>, header: &Range<usize>, report: &mut Report) -> Option<ModuleRef> {
    let server = optional_string(entry, "bindle_server", report);
    let SpannedStr { text, span } = required(entry, "module", header, report)?;
    let parsed = text.parse::<ModuleRef>().map_err(|error| ValueError::new(error.to_string()).help(error.help()));
    let mut module = report.accept(span.clone(), parsed)?;
    if let ModuleRef::File(path) = &module {
        report.names_file(path);
    }
    let available = match &mut module {
        ModuleRef::File(path) => must_be_file(path).map_err(|error| {
            let reference = path.to_str().filter(|text| looks_like_a_reference(text));
            ValueError::new(error).help(match reference {
                Some(reference) => format!("did you mean `oci:{reference}`, an artifact in a registry?"),
                None => build_table::command_help(entry).unwrap_or_else(|| module_file_help(path)),
            })
        }),
        // `fetch` parses the reference.
        ModuleRef::Oci(_) => Ok(()),
        ModuleRef::Bindle { .. } if server.is_none() && !entry.contains_key("bindle_server") => {
            Err(ValueError::new("a `bindle:` module needs `bindle_server`, the URL of the server that has it"))
        }
        ModuleRef::Bindle { id, server: module_server } => {
            *module_server = server;
            let parsed = id.parse::<BindleId>().map(drop);
            parsed.map_err(|error| ValueError::new(error.to_string()).help(error.help()))
        }
    };
    report.accept(span, available)?;
    Some(module)
}

/// Whether the text is `HOST/NAME`, with a host as registries have, and not the name of a file.
fn looks_like_a_reference(text: &str) -> bool {
    let Some((host, name)) = text.split_once('/') else { return false };
    let is_host = host.trim_start_matches('.').contains(['.', ':']) && !host.starts_with('.') || host == "localhost";
    is_host && !name.is_empty() && !name.ends_with(".wasm") && !name.ends_with(".wat")
}

/// Returns how the module becomes machine code. Only code in a file can be trusted: what a server sends is compiled
/// here.
fn preparation(entry: &DeTable<'_>, module: Option<&ModuleRef>, report: &mut Report) -> Preparation {
    let mut flag = |key: &'static str| report.optional(entry, key, |value| boolean(key, value)).unwrap_or(false);
    let (preinitialize, precompiled) = (flag("preinitialize"), flag("precompiled"));
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

fn max_open_responses(value: &DeValue<'_>) -> Result<u32, ValueError> {
    let max = count("http_max_concurrency", value, 1..=u32::MAX.into())
        .map_err(|error| error.help("leave it out for no limit; leave out `allowed_hosts` to allow no calls at all"))?;
    Ok(u32::try_from(max).unwrap_or(u32::MAX))
}

fn limits(entry: &DeTable<'_>, global: &Limits, report: &mut Report) -> Limits {
    let mut limits = global.clone();
    if let Some(own) = report.optional(entry, "limits", |value| table("limits", value)) {
        limits.read(own, report);
    }
    limits
}
