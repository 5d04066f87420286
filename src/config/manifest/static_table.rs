//! What does one `[[static]]` say? Called by the parent for each of them.

use std::ops::Range;
use std::path::{Path, PathBuf};

use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue};
use toml::de::{DeTable, DeValue};

use crate::config::manifest::hosts;
use crate::config::reader::file::{directory_help, must_be_directory, must_be_file, relative_paths_help};
use crate::config::reader::report::Report;
use crate::config::reader::route;
use crate::config::reader::values::{
    SpannedStr, StringItem, Value, ValueError, boolean, string, string_or_array, table,
};
use crate::config::{Key, Origin, StaticConfig, StaticContent};
use crate::hop_by_hop::is_hop_by_hop;
use crate::route::RoutePattern;

const KEYS: [&str; 10] = [
    "route",
    "directory",
    "file",
    "host",
    "index",
    "fallback",
    "precompressed",
    "compress",
    "cache_control",
    "headers",
];

/// The keys that only a directory has.
const OF_DIRECTORIES: [&str; 2] = ["index", "fallback"];

/// What the server says itself of a file, beside the fields about a connection.
const OWN_FIELDS: [&str; 10] = [
    "accept-ranges",
    "allow",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "etag",
    "last-modified",
    "location",
    "vary",
];

/// Reads one `[[static]]` with its header at `header`. Responses are compressed if it says so, or else as `compress` says. Returns `None` if it holds an error.
pub(super) fn read(
    entry: &DeTable<'_>,
    header: Range<usize>,
    compress: bool,
    report: &mut Report,
) -> Option<StaticConfig> {
    let errors_before = report.errors();
    report.set_route(entry.get("route").and_then(|route| route.get_ref().as_str()));
    let config = read_keys(entry, header, compress, report);
    report.set_route(None);
    config.filter(|_| report.errors() == errors_before)
}

fn read_keys(entry: &DeTable<'_>, header: Range<usize>, compress: bool, report: &mut Report) -> Option<StaticConfig> {
    report.unknown_keys(entry, &KEYS, "in `[[static]]`");
    let mut origin = Origin::in_file(report.file(), header.clone());
    for (key, name) in [(Key::Route, "route"), (Key::Directory, "directory"), (Key::File, "file")] {
        if let Some(value) = entry.get(name) {
            origin.add(key, value.span());
        }
    }
    let route = match entry.get("route") {
        Some(value) => report
            .accept(value.span(), string("route", value.get_ref()))
            .map(|text| route::pattern(SpannedStr { text, span: value.span() }, report)),
        None => {
            let error = ValueError::new("`route` is missing in `[[static]]`");
            report.error(header.clone(), error.help("write `route = \"/assets/...\"`"));
            None
        }
    };
    let hosts = hosts::read(entry, report);
    let content = content(entry, &header, report);
    if let (Some(route), Some(content)) = (&route, &content) {
        check_route(entry, route, content, report);
    }
    let precompressed = report.optional(entry, "precompressed", |value| boolean("precompressed", value));
    let compress = report.optional(entry, "compress", |value| boolean("compress", value)).unwrap_or(compress);
    let headers = headers(entry, report);
    Some(StaticConfig {
        origin,
        route: route?,
        hosts,
        modules_before: 0,
        content: content?,
        precompressed: precompressed.unwrap_or(true),
        compress,
        headers,
    })
}

/// A directory is at a tree of paths, a file at one.
fn check_route(entry: &DeTable<'_>, route: &RoutePattern, content: &StaticContent, report: &mut Report) {
    let span = entry.get("route").map(Value::span).unwrap_or_default();
    let error = match (content, route.is_prefix()) {
        (StaticContent::Directory { .. }, false) => {
            let tree = route.as_str().trim_end_matches('/');
            ValueError::new("`directory` needs a route that ends in `/...`")
                .help(format!("write `route = \"{tree}/...\"`, or name one file with `file`"))
        }
        (StaticContent::File(_), true) => {
            let path = Some(route.prefix()).filter(|prefix| !prefix.is_empty()).unwrap_or("/");
            ValueError::new("`file` needs a route that is one path")
                .help(format!("write `route = \"{path}\"`, or name a directory with `directory`"))
        }
        _ => return,
    };
    report.error(span, error);
}

fn content(entry: &DeTable<'_>, header: &Range<usize>, report: &mut Report) -> Option<StaticContent> {
    match (entry.get("directory"), entry.get("file")) {
        (Some(_), Some(file)) => {
            let error = ValueError::new("`directory` and `file` exclude each other");
            report.error(file.span(), error.help("keep one of them, or write two `[[static]]`"));
            None
        }
        (None, None) => {
            let error = ValueError::new("`directory` is missing in `[[static]]`");
            report.error(header.clone(), error.help("write `directory = \"public\"`, or `file = \"robots.txt\"`"));
            None
        }
        (Some(directory), None) => self::directory(entry, directory, report),
        (None, Some(file)) => {
            for key in OF_DIRECTORIES.iter().filter_map(|key| entry.get(*key).map(|value| (key, value))) {
                let error = ValueError::new(format!("`{}` is for `directory`, not for `file`", key.0));
                report.error(key.1.span(), error.help("remove it"));
            }
            let path = PathBuf::from(report.accept(file.span(), string("file", file.get_ref()))?);
            let found = must_be_file(&path).map_err(|error| ValueError::new(error).help(file_help(&path)));
            report.accept(file.span(), found)?;
            Some(StaticContent::File(path))
        }
    }
}

fn file_help(path: &Path) -> String {
    match path.is_dir() {
        true => "write `directory` in place of `file`".to_owned(),
        false => relative_paths_help(),
    }
}

fn directory(entry: &DeTable<'_>, value: &Value<'_>, report: &mut Report) -> Option<StaticContent> {
    let index = index(entry, report);
    let path = report.accept(value.span(), string("directory", value.get_ref()))?;
    let path = PathBuf::from(if path.is_empty() { "." } else { path });
    let found = must_be_directory(&path).map_err(|error| ValueError::new(error).help(directory_help(&path)));
    report.accept(value.span(), found)?;
    let fallback = report.optional(entry, "fallback", |value| fallback(&path, string("fallback", value)?));
    Some(StaticContent::Directory { path, index, fallback })
}

/// A file of the directory, or else one that is named as other files are.
fn fallback(directory: &Path, name: &str) -> Result<PathBuf, ValueError> {
    let inside = directory.join(name);
    if must_be_file(&inside).is_ok() {
        return Ok(inside);
    }
    let path = PathBuf::from(name);
    must_be_file(&path).map_err(|error| {
        let help = format!("`fallback` is a file in `{}`, or a path of its own", directory.display());
        ValueError::new(format!("in `fallback`: {error}")).help(help)
    })?;
    Ok(path)
}

fn index(entry: &DeTable<'_>, report: &mut Report) -> Vec<String> {
    entry.get("index").map_or_else(|| vec!["index.html".to_owned()], |value| index_names(value, report))
}

/// The names of the key `index`.
pub(super) fn index_names(value: &Value<'_>, report: &mut Report) -> Vec<String> {
    let items = report.accept(value.span(), string_or_array("index", value)).unwrap_or_default();
    items.iter().filter_map(|item| report.accept(item.span(), index_name(item))).collect()
}

fn index_name(item: &StringItem<'_, '_>) -> Result<String, ValueError> {
    let name = item.string()?;
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        let error = ValueError::new("`index` is the name of a file, without `/` and without a dot at its begin");
        return Err(error.help("write `index = [\"index.html\"]`"));
    }
    Ok(name.to_owned())
}

fn headers(entry: &DeTable<'_>, report: &mut Report) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(value) = report.optional(entry, "cache_control", |value| field_value("cache_control", value)) {
        headers.insert(CACHE_CONTROL, value);
    }
    let own = report.optional(entry, "headers", |value| table("headers", value));
    for (name, value) in own.into_iter().flatten() {
        let field = report.accept(name.span(), field_name(name.get_ref(), entry));
        let text = report.accept(value.span(), field_value(name.get_ref(), value.get_ref()));
        if let (Some(field), Some(text)) = (field, text)
            && headers.insert(&field, text).is_some()
            && field != X_CONTENT_TYPE_OPTIONS
        {
            report.error(name.span(), ValueError::new(format!("the header field `{field}` is there twice")));
        }
    }
    headers
}

fn field_name(name: &str, entry: &DeTable<'_>) -> Result<HeaderName, ValueError> {
    let field: HeaderName =
        name.parse().map_err(|_| ValueError::new(format!("`{name}` is no name of a header field")))?;
    if OWN_FIELDS.contains(&field.as_str()) || is_hop_by_hop(&field) {
        let error = ValueError::new(format!("the header field `{field}` is set by the server"));
        return Err(error.help("remove it"));
    }
    if field == CACHE_CONTROL && entry.contains_key("cache_control") {
        return Err(ValueError::new("`cache_control` and `headers` both set Cache-Control").help("keep one of them"));
    }
    Ok(field)
}

fn field_value(name: &str, value: &DeValue<'_>) -> Result<HeaderValue, ValueError> {
    let text = string(name, value)?;
    HeaderValue::from_str(text.trim())
        .map_err(|_| ValueError::new(format!("`{name}` holds characters that a header field cannot have")))
}
