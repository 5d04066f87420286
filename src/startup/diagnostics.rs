//! Which errors and warnings about an entry or a route does the operator see?

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use crate::cgi::RouteVariables;
use crate::config::{Diagnostic, EntryConfig, HostPattern, Key, Origin, StaticConfig, StaticContent};
use crate::format::counted;
use crate::route::RoutePattern;
use crate::runtime::{EntryPointError, Executable};

use crate::scratch::ScratchError;

use crate::startup::discover::DiscoverError;
use crate::startup::error::LoadError;
use crate::startup::grants::VolumeError;

/// An entry whose module cannot be loaded.
pub(super) fn not_loaded(entry: &EntryConfig, error: &LoadError) -> Diagnostic {
    let message = for_route(entry, format!("cannot load `{}`", entry.module));
    let problem = Diagnostic::error(message).at(entry.origin.at(error.key())).caused_by(error);
    match error.help() {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// An entry with a volume that cannot be opened.
pub(super) fn volume_not_opened(entry: &EntryConfig, error: &VolumeError) -> Diagnostic {
    let message = for_route(entry, "cannot open the directory of a volume");
    Diagnostic::error(message).at(entry.origin.at(Key::Volume(error.index))).caused_by(&error.error)
}

/// An entry with scratch directories, for which there is no place.
pub(super) fn scratch_not_opened(entry: &EntryConfig, error: &ScratchError) -> Diagnostic {
    let message = for_route(entry, "there is no place for scratch directories");
    let problem = Diagnostic::error(message).at(entry.origin.at(Key::Scratch(0))).caused_by(error);
    problem.help("name a directory of the server's own in `scratch_directory` of `[server]`, with the mode 700")
}

/// A component with scratch directories.
pub(super) fn scratch_of_component(entry: &EntryConfig) -> Diagnostic {
    let message = for_route(entry, "scratch directories are for modules, and this is a component");
    Diagnostic::error(message).at(entry.origin.at(Key::Scratch(0))).help("give it a directory of this machine")
}

/// An entry whose files cannot be opened.
pub(super) fn files_not_opened(entry: &StaticConfig, error: &io::Error) -> Diagnostic {
    let (key, what, help) = match &entry.content {
        StaticContent::File(_) => (Key::File, "file", "name the file itself, not a symlink to another directory"),
        StaticContent::Directory { .. } => {
            (Key::Directory, "directory or the fallback", "the server must be able to read both")
        }
    };
    let message = format!("route `{}`: cannot open the {what} of `[[static]]`", entry.route);
    Diagnostic::error(message).at(entry.origin.at(key)).caused_by(error).help(help)
}

/// An entry whose directory of scripts cannot be opened.
pub(super) fn scripts_not_opened(entry: &EntryConfig, error: &io::Error) -> Diagnostic {
    let message = for_route(entry, "cannot open the directory of `scripts`");
    Diagnostic::error(message).at(entry.origin.at(Key::Scripts)).caused_by(error)
}

/// An entry with scripts whose component is asked over HTTP.
pub(super) fn scripts_without_cgi(entry: &EntryConfig) -> Diagnostic {
    let message = for_route(
        entry,
        "`scripts` is for interpreters, which CGI tells what to run, and the component is asked over HTTP",
    );
    let help = "name an interpreter that is a module or a component with `wasi:cli/run`, or remove `scripts`";
    Diagnostic::error(message).at(entry.origin.at(Key::Scripts)).help(help)
}

/// An entry whose component would begin warm.
pub(super) fn warm_start_of_component(entry: &EntryConfig) -> Diagnostic {
    let message = for_route(entry, "`warm_start` is for modules, and this is a component");
    let help = "remove it";
    Diagnostic::error(message).at(entry.origin.at(Key::WarmStart)).help(help)
}

/// An entry whose scripts guests may change.
pub(super) fn scripts_are_writable(entry: &EntryConfig, volume: &Path) -> Diagnostic {
    let message = for_route(
        entry,
        format!("guests may write scripts, and clients may run them: the volume `{}` is writable", volume.display()),
    );
    let help = "give guests a directory outside of that of `scripts`, or this one with `read_only = true`";
    Diagnostic::warning(message).at(entry.origin.at(Key::Scripts)).help(help)
}

/// An entry whose scripts a `[[static]]` sends as they are.
pub(super) fn scripts_are_sent(entry: &EntryConfig, files: &StaticConfig) -> Diagnostic {
    let (key, covers) = match &files.content {
        StaticContent::File(_) => (Key::File, "file is one of the"),
        StaticContent::Directory { .. } => (Key::Directory, "directory contains"),
    };
    let line = entry.origin.at(Key::Scripts).map(|scripts| format!(" in line {}", scripts.line())).unwrap_or_default();
    let message = format!(
        "route `{}`: clients get the sources of scripts, since this {covers} `scripts` of the route `{}`{line}",
        files.route, entry.route
    );
    let help =
        "name another path here; `static = true` in the `[[module]]` sends the files beside scripts, and no script";
    Diagnostic::warning(message).at(files.origin.at(key)).help(help)
}

/// A route whose log file cannot be opened.
pub(super) fn log_not_opened(entry: &EntryConfig, error: &io::Error) -> Diagnostic {
    let message = for_route(entry, "cannot open the file for what its guests print on stderr");
    Diagnostic::error(message).at(entry.origin.at(Key::Route)).caused_by(error)
}

/// An entry whose sub-routes are not known.
pub(super) fn discovery_failed(entry: &EntryConfig, error: &DiscoverError) -> Diagnostic {
    let problem = Diagnostic::error(for_route(entry, error)).at(entry.origin.at(Key::Module));
    match error.source() {
        Some(cause) => problem.caused_by(cause),
        None => problem,
    }
}

/// A route whose entry point, which the key `key` names, cannot be called.
pub(super) fn no_entry_point(
    entry: &EntryConfig,
    pattern: &RoutePattern,
    key: Key,
    error: &EntryPointError,
) -> Diagnostic {
    let module = &entry.module;
    let problem = Diagnostic::error(format!("route `{pattern}`: module `{module}` has no such entry point"))
        .at(entry.origin.at(key))
        .caused_by(error);
    match error.help() {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// Settings of an entry that have no effect: variables that CGI defines and, for a component of `wasi:http`, arguments.
pub(super) fn without_effect(entry: &EntryConfig, executable: &Executable) -> Vec<Diagnostic> {
    if executable.is_http_component() {
        let message = for_route(entry, "`argv` has no effect: the component is asked over HTTP");
        let problem = Diagnostic::warning(message).at(entry.origin.at(Key::Argv));
        let problem = problem.help("remove it; the component reads the request itself");
        return entry.argv.as_ref().map(|_| problem).into_iter().collect();
    }
    let problem = |name: &str| {
        let message = if RouteVariables::defines(name) {
            format!("the variable `{name}` is left out: CGI defines it itself")
        } else if entry.scripts.is_some() && RouteVariables::defines_for_scripts(name) {
            format!("the variable `{name}` is left out: `scripts` defines it")
        } else {
            return None;
        };
        let problem = Diagnostic::warning(for_route(entry, message)).at(entry.origin.at_variable(name));
        Some(problem.help(help_for_defined(name)))
    };
    entry.environment.iter().filter_map(|(name, _)| problem(name)).collect()
}

/// The most imports that a warning names.
const MAX_IMPORTS: usize = 20;

/// Imports that end a guest when it calls them.
pub(super) fn trapping_imports(entry: &EntryConfig, executable: &Executable) -> Option<Diagnostic> {
    let imports = executable.trapping_imports();
    let list = imports.iter().take(MAX_IMPORTS).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = imports.len().saturating_sub(MAX_IMPORTS);
    let list = if more == 0 { list } else { format!("{list} and {more} more") };
    let message = for_route(entry, format!("nothing here provides {list}: a guest ends when it calls them"));
    (!imports.is_empty()).then(|| Diagnostic::warning(message).at(entry.origin.at(Key::UnknownImports)))
}

/// What to do instead of setting a variable that CGI defines. Some are set because a proxy in front of wagi knows better.
fn help_for_defined(name: &str) -> &'static str {
    match name {
        "HTTPS" | "REQUEST_SCHEME" => {
            "remove it; name a proxy that ends TLS in `trusted_proxies` of `[server]`, and it says so by `X-Forwarded-Proto`"
        }
        "REMOTE_ADDR" | "REMOTE_HOST" | "REMOTE_PORT" => {
            "remove it; name the proxy in `trusted_proxies` of `[server]`, and it says so by `X-Forwarded-For`"
        }
        "SERVER_NAME" | "SERVER_PORT" => {
            "remove it; `--hostname` sets it for requests without Host, and a proxy in `trusted_proxies` by `X-Forwarded-Host`"
        }
        _ => "remove it, or give it another name",
    }
}

/// An entry whose list of sub-routes is empty.
pub(super) fn no_sub_routes(entry: &EntryConfig) -> Diagnostic {
    let message = for_route(entry, "`_routes` printed nothing: there are no sub-routes");
    Diagnostic::warning(message).at(entry.origin.at(Key::Module))
}

/// A route that comes first, from an entry unless it is built in.
pub(super) struct EarlierRoute<'a> {
    pub pattern: &'a RoutePattern,
    pub origin: Option<&'a Origin>,
}

/// A route that no request reaches, or none to some of its hosts, because an earlier route matches all its paths. `hosts` is
/// empty if no request at all reaches it.
pub(super) fn hidden(
    origin: &Origin,
    pattern: &RoutePattern,
    hosts: &[HostPattern],
    earlier: &EarlierRoute<'_>,
) -> Diagnostic {
    let (place, help) = match earlier.origin.map(|first| first.at(Key::Route)) {
        None => (" is built in and".to_owned(), "choose another path"),
        Some(None) => (String::new(), "the first route that matches wins"),
        Some(Some(location)) => {
            (format!(" in line {}", location.line()), "the first route that matches wins: change their order")
        }
    };
    let (at_hosts, earlier) = (named(hosts), earlier.pattern);
    let message = format!(
        "no request{at_hosts} reaches the route `{pattern}`: `{earlier}`{place} comes first and matches the same"
    );
    Diagnostic::warning(message).at(origin.at(Key::Route)).help(help)
}

/// The hosts in a message: the first three, and how many more.
fn named(hosts: &[HostPattern]) -> String {
    const MOST: usize = 3;
    let names: Vec<String> = hosts.iter().take(MOST).map(|host| format!("`{host}`")).collect();
    match (names.is_empty(), hosts.len().saturating_sub(MOST)) {
        (true, _) => String::new(),
        (false, 0) => format!(" to {}", names.join(", ")),
        (false, more) => format!(" to {} and {}", names.join(", "), counted(more, "other host", "other hosts")),
    }
}

/// A sub-route that no request path can match.
pub(super) fn unreachable(origin: &Origin, pattern: &RoutePattern) -> Diagnostic {
    let message = format!("no request reaches the route `{pattern}`: it is not a path a client can ask for");
    let help = format!("write `/{}`", pattern.as_str().trim_start_matches('/'));
    Diagnostic::warning(message).at(origin.at(Key::Route)).help(help)
}

fn for_route(entry: &EntryConfig, message: impl std::fmt::Display) -> String {
    format!("route `{}`: {message}", entry.route)
}
