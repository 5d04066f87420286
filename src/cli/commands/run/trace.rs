//! What happens during a request, and when? Called by the parent.
//!
//! `--trace` prints phases and the calls of a module to its host, each with its time. A file that no volume has is named, with what to
//! write. C libraries look for a volume before they call the host, and give up without a call if there is none. So each entry without a
//! volume at `/` gets an empty one for the trace, and its calls get the error number that they would have got.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use wagi::config::{Config, EntryConfig, Key, Volume};
use wagi::counted;
use wagi::{HostCall, RunInputs};

use crate::cli::commands::run::errno;
use crate::cli::commands::run::run_log::FinishedRequest;

/// The events that are kept. A loop can make millions of calls.
const MAX_EVENTS: usize = 10_000;

/// The files that are named which no volume has.
const MAX_MISSING: usize = 16;

/// The descriptor of the first volume.
const FIRST_VOLUME: i64 = 3;

/// The variable with the route of a request.
const ROUTE_VARIABLE: &str = "X_MATCHED_ROUTE=";

/// The whole file system of a guest.
const ROOT: &str = "/";

/// What has happened.
pub(super) struct TraceRecorder {
    content: Mutex<TraceContent>,
    entries: Vec<TracedEntry>,
    /// The empty directory, which is removed at the end.
    empty: PathBuf,
}

#[derive(Default)]
struct TraceContent {
    /// Whether the guest that runs has the empty directory at `/`.
    has_empty_root: bool,
    events: Vec<TraceEvent>,
    /// How many events there were besides.
    more: usize,
    missing: Vec<MissingFile>,
}

struct TraceEvent {
    at: Instant,
    text: String,
}

/// A file that no volume has.
#[derive(PartialEq, Eq)]
struct MissingFile {
    call: String,
    path: String,
    /// The directory to grant.
    directory: String,
}

/// An entry of the configuration, as a trace speaks of it.
struct TracedEntry {
    route: String,
    module: String,
    /// File and line, if there is a file.
    origin: Option<String>,
    has_volumes: bool,
    has_empty_root: bool,
}

impl TraceRecorder {
    /// A trace of the guests of a configuration, each of which gets a volume at `/`.
    pub fn new(config: &mut Config) -> anyhow::Result<Self> {
        let number = getrandom::u64().map_err(|error| anyhow!("cannot make a name for a directory: {error}"))?;
        let empty = std::env::temp_dir().join(format!("wagi-trace-{number:016x}"));
        std::fs::create_dir(&empty).with_context(|| format!("cannot make the directory `{}`", empty.display()))?;
        let entries = config.entries.iter_mut().map(|entry| TracedEntry::new(entry, &empty)).collect();
        Ok(Self { content: Mutex::default(), entries, empty })
    }

    fn content(&self) -> MutexGuard<'_, TraceContent> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A guest begins.
    pub fn begins(&self, inputs: &RunInputs) {
        let route = inputs.environment.iter().find_map(|variable| variable.strip_prefix(ROUTE_VARIABLE));
        let mut content = self.content();
        content.has_empty_root = self.has_empty_root(route);
        content.add(Instant::now(), "the guest begins".to_owned());
    }

    /// Whether the guest for a request of this route has the empty directory. Sub-routes are of any entry.
    fn has_empty_root(&self, route: Option<&str>) -> bool {
        let mut of_route = self.entries.iter().filter(|entry| Some(&*entry.route) == route).peekable();
        match of_route.peek() {
            Some(_) => of_route.all(|entry| entry.has_empty_root),
            None => self.entries.iter().all(|entry| entry.has_empty_root),
        }
    }

    /// A guest has called its host. Returns what it gets instead.
    pub fn calls(&self, call: &HostCall) -> Option<i32> {
        let mut content = self.content();
        let has_empty_root = content.has_empty_root;
        let in_empty_root = call.path.as_ref().filter(|path| has_empty_root && path.descriptor == FIRST_VOLUME);
        let is_failure = call.result.is_some_and(|result| result != 0);
        let missing = in_empty_root.filter(|_| is_failure).map(|path| format!("{ROOT}{}", path.path));
        let instead = missing.is_some().then_some(errno::NOT_CAPABLE);
        let result = instead.map_or(call.result, |errno| Some(errno.into()));
        content.add(Instant::now(), shown(call, result));
        if let Some(path) = missing {
            let directory = directory(call, &path);
            let missing = MissingFile { call: call.name.clone(), path, directory };
            if content.missing.len() < MAX_MISSING && !content.missing.contains(&missing) {
                content.missing.push(missing);
            }
        }
        instead
    }

    /// The trace of a request that began at `began`, line by line.
    pub fn lines(&self, began: Instant, finished: &FinishedRequest) -> Vec<String> {
        let mut content = self.content();
        content.events.sort_by_key(|event| event.at);
        let mut lines: Vec<String> = content
            .events
            .iter()
            .map(|event| format!("{:>12}  {}", milliseconds(event.at.saturating_duration_since(began)), event.text))
            .collect();
        if content.more > 0 {
            let more = counted(content.more, "more call", "more calls");
            lines.push(format!("{:>12}  and {more}", ""));
        }
        for missing in &content.missing {
            lines.push(format!("{} of `{}`: not granted, no volume of this entry has it", missing.call, missing.path));
            lines.extend(self.entry(finished).map(|entry| format!("help: {}", entry.cure(&missing.directory))));
        }
        lines
    }

    pub fn json(&self, began: Instant, finished: &FinishedRequest) -> Value {
        json!(self.lines(began, finished).iter().map(|line| line.trim()).collect::<Vec<_>>())
    }

    /// The entry that a request was for. Sub-routes have the module of their entry.
    fn entry(&self, finished: &FinishedRequest) -> Option<&TracedEntry> {
        let (route, module) = (finished.route.as_deref()?, finished.module.as_deref()?);
        let of_module = || self.entries.iter().filter(|entry| entry.module == module);
        of_module().find(|entry| entry.route == route).or_else(|| of_module().next())
    }
}

impl Drop for TraceRecorder {
    fn drop(&mut self) {
        // Best effort: it is empty, in a directory for temporary files.
        let _ = std::fs::remove_dir(&self.empty);
    }
}

impl TraceContent {
    fn add(&mut self, at: Instant, text: String) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(TraceEvent { at, text });
        } else {
            self.more += 1;
        }
    }
}

impl TracedEntry {
    fn new(entry: &mut EntryConfig, empty: &Path) -> Self {
        let location = entry.origin.at(Key::Entry);
        let origin = location.map(|location| format!("{}:{}", location.file_name(), location.position().0));
        let has_volumes = !entry.volumes.is_empty();
        let has_empty_root = entry.volumes.iter().all(|volume| volume.guest_path != ROOT);
        if has_empty_root {
            // The first, so that its descriptor is known.
            let root = Volume { guest_path: ROOT.to_owned(), host_path: empty.to_owned(), read_only: true };
            entry.volumes.insert(0, root);
        }
        let (route, module) = (entry.route.to_string(), entry.module.to_string());
        Self { route, module, origin, has_volumes, has_empty_root }
    }

    /// What to write, so that the guest has this directory.
    fn cure(&self, guest: &str) -> String {
        let host = format!("./{}", guest.trim_start_matches('/'));
        match &self.origin {
            Some(origin) if self.has_volumes => {
                format!("add to `volumes` of the entry at {origin}: \"{guest}\" = \"{host}\"")
            }
            Some(origin) => format!("add to the entry at {origin}: volumes = {{ \"{guest}\" = \"{host}\" }}"),
            None => format!(
                "write a modules.toml with `[[module]]`, route = \"{}\", module = \"{}\", volumes = {{ \"{guest}\" = \"{host}\" }}",
                self.route, self.module
            ),
        }
    }
}

/// The directory that a guest needs for a call on a path: the one that it opens, or the one above the file.
fn directory(call: &HostCall, path: &str) -> String {
    /// The fifth parameter of `path_open`, and its flag for directories.
    const OPEN_FLAGS: usize = 4;
    const DIRECTORY: i64 = 2;
    let flags = call.parameters.get(OPEN_FLAGS).copied().unwrap_or_default();
    let opens_directory = call.name == "path_open" && flags & DIRECTORY != 0;
    match Path::new(path).parent().filter(|_| !opens_directory) {
        Some(parent) => parent.display().to_string(),
        None => path.trim_end_matches('/').to_owned(),
    }
}

fn shown(call: &HostCall, result: Option<i64>) -> String {
    let parameters = match &call.path {
        Some(path) => format!("{}, {:?}", path.descriptor, path.path),
        None => call.parameters.iter().map(i64::to_string).collect::<Vec<_>>().join(", "),
    };
    let result = match (result, &call.trap) {
        (_, Some(trap)) => format!(" ended the guest: {trap}"),
        (Some(result), None) => format!(" = {}", errno::name(result)),
        (None, None) => String::new(),
    };
    format!("{}({parameters}){result}  ({})", call.name, milliseconds(call.took))
}

pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::run::trace::*;

    #[test]
    fn the_cure_names_the_directory_and_where_to_write_it() {
        let entry = |origin: Option<&str>, has_volumes| TracedEntry {
            route: "/...".to_owned(),
            module: "a.wasm".to_owned(),
            origin: origin.map(str::to_owned),
            has_volumes,
            has_empty_root: true,
        };
        for (entry, cure) in [
            (entry(Some("m.toml:3"), false), "add to the entry at m.toml:3: volumes = { \"/data\" = \"./data\" }"),
            (entry(Some("m.toml:3"), true), "add to `volumes` of the entry at m.toml:3: \"/data\" = \"./data\""),
        ] {
            assert_eq!(entry.cure("/data"), cure);
        }
        let open = |flags| HostCall {
            name: "path_open".to_owned(),
            parameters: vec![3, 0, 0, 0, flags],
            path: None,
            result: Some(44),
            trap: None,
            took: Duration::ZERO,
        };
        assert_eq!([directory(&open(0), "/data/x"), directory(&open(2), "/data/x")], ["/data", "/data/x"]);
        assert!(entry(None, false).cure("/").ends_with("volumes = { \"/\" = \"./\" }"));
    }
}
