//! The keys `scripts` and `static` of a `[[module]]`.

use std::ops::Range;
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use crate::config::manifest::static_table;
use crate::config::manifest::volumes::GuestDirectories;
use crate::config::reader::file::{directory_help, must_be_directory};
use crate::config::reader::report::Report;
use crate::config::reader::values::{StringItem, Value, ValueError, boolean, string, string_or_array, table};
use crate::config::{Key, Origin, OtherFiles, ScriptsConfig, Volume};
use crate::route::RoutePattern;

const KEYS: [&str; 4] = ["directory", "extensions", "index", "mount"];

/// Where guests see the directory if `mount` is missing.
const DEFAULT_MOUNT: &str = "/www";

/// What an entry says beside its scripts.
pub(super) struct ScriptsContext<'a> {
    pub route: Option<&'a RoutePattern>,
    /// What the guests see. The directory becomes the last volume.
    pub directories: &'a mut GuestDirectories,
    pub origin: &'a mut Origin,
}

/// Reads both keys. `None` without scripts.
pub(super) fn read(entry: &DeTable<'_>, context: ScriptsContext<'_>, report: &mut Report) -> Option<ScriptsConfig> {
    let is_sent = report.optional(entry, "static", |value| boolean("static", value)).unwrap_or(false);
    let Some(value) = entry.get("scripts") else {
        if let Some(value) = entry.get("static").filter(|_| is_sent) {
            let error = ValueError::new("`static` is for the files beside `scripts`, and there are none");
            let help = "remove it; files alone are a `[[static]]` of their own";
            report.error(value.span(), error.help(help));
        }
        return None;
    };
    let scripts = report.accept(value.span(), table("scripts", value.get_ref()))?;
    let config = read_keys(scripts, value.span(), is_sent, report);
    check_route(entry, context.route, report);
    check_argv(entry, report);
    let directory_span = scripts.get("directory").map_or(value.span(), Value::span);
    let config = config?;
    check_mount(scripts, &config.mount, context.directories, report);
    let volumes = &mut context.directories.volumes;
    context.origin.add(Key::Volume(volumes.len()), directory_span);
    let guest_path = if config.mount.is_empty() { "/" } else { &config.mount };
    volumes.push(Volume { guest_path: guest_path.to_owned(), host_path: config.directory.clone(), read_only: true });
    Some(config)
}

fn read_keys(scripts: &DeTable<'_>, span: Range<usize>, is_sent: bool, report: &mut Report) -> Option<ScriptsConfig> {
    report.unknown_keys(scripts, &KEYS, "in `scripts`");
    let directory = directory(scripts, &span, report);
    let extensions = extensions(scripts, &span, report);
    let mount = report.optional(scripts, "mount", mount).unwrap_or_else(|| DEFAULT_MOUNT.to_owned());
    let index = index(scripts, extensions.as_deref().unwrap_or_default(), is_sent, report);
    let others = if is_sent { OtherFiles::Sent } else { OtherFiles::NotSent };
    Some(ScriptsConfig { directory: directory?, extensions: extensions?, index, mount, others })
}

fn missing(key: &str, example: &str) -> ValueError {
    ValueError::new(format!("`{key}` is missing in `scripts`")).help(format!("write `{key} = {example}`"))
}

fn directory(scripts: &DeTable<'_>, span: &Range<usize>, report: &mut Report) -> Option<PathBuf> {
    let Some(value) = scripts.get("directory") else {
        report.error(span.clone(), missing("directory", "\"www\""));
        return None;
    };
    let text = report.accept(value.span(), string("scripts.directory", value.get_ref()))?;
    let path = PathBuf::from(if text.is_empty() { "." } else { text });
    let found = must_be_directory(&path).map_err(|error| ValueError::new(error).help(directory_help(&path)));
    report.accept(value.span(), found)?;
    Some(path)
}

fn extensions(scripts: &DeTable<'_>, span: &Range<usize>, report: &mut Report) -> Option<Vec<String>> {
    let Some(value) = scripts.get("extensions") else {
        report.error(span.clone(), missing("extensions", "[\"php\"]"));
        return None;
    };
    let items = string_or_array("extensions", value).map_err(|error| error.help("write `extensions = [\"php\"]`"));
    let items = report.accept(value.span(), items)?;
    if items.is_empty() {
        let error = ValueError::new("`extensions` is empty: no file would be a script");
        report.error(value.span(), error.help("write `extensions = [\"php\"]`"));
    }
    let parsed = items.iter().filter_map(|item| report.accept(item.span(), extension(item)));
    Some(parsed.collect())
}

fn extension(item: &StringItem<'_, '_>) -> Result<String, ValueError> {
    let text = item.string()?;
    if let Some(bare) = text.strip_prefix('.').filter(|bare| !bare.is_empty()) {
        let error = ValueError::new(format!("the extension `{text}` begins with a dot"));
        return Err(error.help(format!("write `{bare}`")));
    }
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-+".contains(letter);
    if text.is_empty() || !text.chars().all(is_plain) {
        let error = ValueError::new(format!("`{text}` is no extension: it has letters, digits and `._-+`"));
        return Err(error.help("write it as at the end of a name, without the dot: `php` for `a.php`"));
    }
    Ok(text.to_owned())
}

fn index(scripts: &DeTable<'_>, extensions: &[String], is_sent: bool, report: &mut Report) -> Vec<String> {
    let Some(value) = scripts.get("index") else {
        return extensions.iter().map(|extension| format!("index.{extension}")).collect();
    };
    let names = static_table::index_names(value, report);
    let is_script = |name: &String| extensions.iter().any(|extension| name.ends_with(&format!(".{extension}")));
    if let Some(other) = names.iter().find(|name| !is_sent && !extensions.is_empty() && !is_script(name)) {
        let error = ValueError::new(format!("the index `{other}` is no script, and other files are not sent"));
        report.error(value.span(), error.help("remove it, or write `static = true` in the `[[module]]`"));
    }
    names
}

/// The path without a slash at its end.
fn mount(value: &DeValue<'_>) -> Result<String, ValueError> {
    let text = string("mount", value)?;
    let is_place = |part: &str| part != "." && part != "..";
    if !text.starts_with('/') || text.contains('\0') || !text.split('/').all(is_place) {
        let error = ValueError::new("`mount` is a path in the guest that begins with a slash, without `.` and `..`");
        return Err(error.help(format!("write `mount = \"{DEFAULT_MOUNT}\"`")));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    Ok(parts.iter().flat_map(|part| ["/", part]).collect())
}

/// Scripts are at a tree of paths.
fn check_route(entry: &DeTable<'_>, route: Option<&RoutePattern>, report: &mut Report) {
    let Some(route) = route.filter(|route| !route.is_prefix()) else { return };
    let tree = route.as_str().trim_end_matches('/');
    let error = ValueError::new("`scripts` needs a route that ends in `/...`");
    let span = entry.get("route").map(Value::span).unwrap_or_default();
    report.error(span, error.help(format!("write `route = \"{tree}/...\"`")));
}

/// Interpreters take options from their arguments, and a query is written by a client (CVE-2012-1823).
fn check_argv(entry: &DeTable<'_>, report: &mut Report) {
    let Some(value) = entry.get("argv") else { return };
    match value.get_ref() {
        DeValue::String(line) if line.contains(ARGS) => report.error(value.span(), query_as_options()),
        DeValue::String(line) if line.contains(SCRIPT_FILENAME) => {
            let error = ValueError::new(format!("`{SCRIPT_FILENAME}` is filled in only if `argv` is an array"));
            let help = format!("write each argument by itself, as in `argv = [\"python\", \"{SCRIPT_FILENAME}\"]`");
            report.error(value.span(), error.help(help));
        }
        DeValue::Array(elements) => {
            let before = elements.iter().take_while(|element| !is_script(element));
            for query in before.filter(|element| is_query(element)) {
                report.error(query.span(), query_as_options());
            }
        }
        _ => {}
    }
}

const ARGS: &str = "${ARGS}";
const SCRIPT_FILENAME: &str = "${SCRIPT_FILENAME}";

/// Behind the script an argument is one for the script.
fn is_script(element: &Value<'_>) -> bool {
    element.get_ref().as_str().is_some_and(|text| text.contains(SCRIPT_FILENAME))
}

fn is_query(element: &Value<'_>) -> bool {
    element.get_ref().as_str().is_some_and(|text| text == ARGS || text.starts_with("${QUERY_STRING}"))
}

fn query_as_options() -> ValueError {
    ValueError::new("`argv` would give the query to the interpreter, which may take it for options").help(format!(
        "remove it: scripts read QUERY_STRING; behind `{SCRIPT_FILENAME}` in an array the query is for the script"
    ))
}

fn check_mount(scripts: &DeTable<'_>, mount: &str, directories: &GuestDirectories, report: &mut Report) {
    let Some(volume) = directories.in_place_of(mount) else { return };
    let place = if mount.is_empty() { "/" } else { mount };
    let error = ValueError::new(format!("the scripts are at `{place}` in the guest, and so is the volume `{volume}`"));
    let span = scripts.get("mount").or(scripts.get("directory")).map(Value::span).unwrap_or_default();
    report
        .error(span, error.help("write another `mount`, or remove the volume: the guest can read its scripts anyway"));
}
