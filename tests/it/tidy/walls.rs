//! Which room may know which? Folders and files right below `src` are rooms. ARCHITECTURE.md says why.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::{Source, program};

/// Each room with the rooms that it may name, from low to high: it may name none that comes later.
const ROOMS: [(&str, &[&str]); 18] = [
    ("route", &[]),
    ("strings", &[]),
    ("spelling", &[]),
    ("idle_timeout", &[]),
    ("cgi", &["route", "strings", "spelling"]),
    ("config", &["route", "spelling"]),
    ("cache", &["config", "spelling"]),
    ("net", &["config", "idle_timeout"]),
    ("bindle", &["config", "cache", "net", "spelling"]),
    ("registry", &["config", "cache", "net", "bindle", "spelling"]),
    ("fetch", &["config", "route", "cache", "net", "bindle", "registry", "spelling"]),
    ("outbound", &["config", "net", "idle_timeout"]),
    ("runtime", &["config", "cache", "outbound", "strings", "spelling"]),
    ("observe", &["config", "runtime", "spelling"]),
    ("server", &["config", "idle_timeout"]),
    ("gateway", &["config", "route", "cgi", "runtime", "observe", "server", "strings", "spelling"]),
    ("startup", &["config", "route", "cgi", "cache", "net", "outbound", "runtime", "observe", "gateway", "spelling"]),
    ("cli", &["config", "cache", "fetch", "observe", "server", "gateway", "startup", "spelling"]),
];

/// What the files below a path must never name.
const CRATES: [(&str, &[&str]); 14] = [
    ("src/route", &["tokio", "hyper", "wasmtime", "http"]),
    ("src/cgi", &["tokio", "hyper", "wasmtime"]),
    ("src/config", &["tokio", "hyper", "wasmtime"]),
    ("src/cache", &["tokio", "hyper", "wasmtime"]),
    ("src/net", &["wasmtime", "clap"]),
    ("src/bindle", &["wasmtime", "clap"]),
    ("src/registry", &["wasmtime", "clap"]),
    ("src/fetch", &["wasmtime", "clap"]),
    ("src/outbound", &["wasmtime"]),
    ("src/runtime", &["hyper"]),
    ("src/observe", &["hyper", "wasmtime"]),
    ("src/server", &["wasmtime"]),
    ("src/gateway", &["hyper", "wasmtime"]),
    ("src/startup", &["hyper", "wasmtime", "clap"]),
];

/// Other things that the files below a path must never name.
const WORDS: [(&str, &[&str]); 6] = [
    ("src/cgi", &["async fn"]),
    ("src/gateway", &["std::fs", "TcpStream"]),
    // Components that are asked over HTTP speak of requests and heads, which is below `src/runtime/component`.
    ("src/runtime/engine", &["use http::"]),
    ("src/runtime/instance", &["use http::"]),
    ("src/runtime/wasi", &["use http::"]),
    ("src/runtime/code", &["use http::"]),
];

/// Only these may talk to the terminal, end the process or look at its environment.
const ENTRANCE: [&str; 2] = ["src/main.rs", "src/cli"];
const ENTRANCE_ONLY: [&str; 5] = ["println!", "eprintln!", "process::exit", "env::var", "env::args"];

/// The room of a file or of a path such as `crate::config::Limits`.
fn room(path: &Path) -> String {
    let first = path.strip_prefix("src").unwrap_or(path).components().next().expect("a room");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// A path that begins at the crate, and the line it stands on.
pub struct Import {
    pub path: Vec<String>,
    line: usize,
    /// Whether it only gives an item of its own room another place.
    pub is_export: bool,
}

/// The paths that a source names, those in braces one by one.
pub fn imports(source: &Source) -> Vec<Import> {
    let mut imports = Vec::new();
    for start in ["crate::", "wagi::"] {
        for (at, _) in source.code.match_indices(start) {
            if source.code[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
                continue;
            }
            let line = source.code[..at].matches('\n').count() + 1;
            let statement = source.code[..at].rsplit([';', '}', '{']).next().unwrap_or_default().trim_start();
            let is_export = statement.starts_with("pub") && statement.contains("use ");
            let paths = paths(&source.code[at + start.len()..]);
            imports.extend(paths.into_iter().map(|path| Import { path, line, is_export }));
        }
    }
    imports
}

/// What `a::{b, c::D}` stands for: `a::b` and `a::c::D`.
fn paths(text: &str) -> Vec<Vec<String>> {
    if let Some(list) = text.strip_prefix('{') {
        return parts(list).into_iter().flat_map(paths).collect();
    }
    let length = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(length);
    let Some(below) = rest.strip_prefix("::") else { return vec![vec![name.to_owned()]] };
    paths(below).into_iter().map(|path| [vec![name.to_owned()], path].concat()).collect()
}

/// The parts of a list in braces.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(list[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

/// The file of a module, such as `src/config/mod.rs` or `src/config/limits.rs` of `config` and `config::limits`.
pub fn module_of(source: &Source) -> Vec<String> {
    let path = source.path.strip_prefix("src").expect("a source of the program").with_extension("");
    let parts = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    parts.filter(|part| part != "mod").collect()
}

/// What leads from names that a module exports to where they are defined.
pub type Exports = BTreeMap<Vec<String>, Vec<String>>;

pub fn exports(sources: &[Source]) -> Exports {
    let of_source = |source: &Source| {
        let module = module_of(source);
        let exports = imports(source).into_iter().filter(|import| import.is_export);
        let named = exports.filter_map(move |import| {
            let name = import.path.last()?.clone();
            Some(([module.clone(), vec![name]].concat(), import.path))
        });
        named.collect::<Vec<_>>()
    };
    sources.iter().flat_map(of_source).collect()
}

#[test]
fn lists_of_imports_are_taken_apart() {
    let found: Vec<String> = paths("a::{b, c::{D, e}, self}; x").iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a::b", "a::c::D", "a::c::e", "a::self"]);
    assert_eq!(paths("a::b(c)"), [["a", "b"]]);
    assert_eq!(paths("{a, b}"), [["a"], ["b"]]);
}

#[test]
fn the_list_of_rooms_is_in_order() {
    for (at, (room, known)) in ROOMS.iter().enumerate() {
        let lower: Vec<&str> = ROOMS[..at].iter().map(|(room, _)| *room).collect();
        for name in *known {
            assert!(lower.contains(name), "{room} is not above {name}");
        }
    }
}

#[test]
fn every_room_names_only_rooms_below_it() {
    let sources = program();
    let exports = exports(&sources);
    let mut crossings = Vec::new();
    for source in &sources {
        let own = room(&source.path);
        if ["lib", "main"].contains(&own.as_str()) {
            continue;
        }
        let Some((_, known)) = ROOMS.iter().find(|(room, _)| *room == own) else {
            panic!("{own} is not in the list of rooms");
        };
        for import in imports(source) {
            // What the library itself exports is of a room as well.
            let item = ["lib".to_owned(), import.path[0].clone()];
            let to = &exports.get(&item[..]).unwrap_or(&import.path)[0];
            if *to != own && !known.contains(&to.as_str()) {
                crossings.push(format!("{}: {to}", source.at(import.line)));
            }
        }
    }
    assert!(crossings.is_empty(), "{crossings:#?}");
}

/// Whether a line of code names a crate, and not something that is only called like it.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let before = &line[..at];
        // A crate of the same family, such as `hyper_util`, counts as well.
        let behind = line[at + name.len()..].trim_start_matches(is_part);
        !before.ends_with(is_part) && !before.ends_with("::") && behind.starts_with("::")
    })
}

#[test]
fn no_room_names_a_crate_that_is_behind_a_wall() {
    let mut crossings = Vec::new();
    for source in program() {
        let crates = CRATES.iter().filter(|(room, _)| source.path.starts_with(room)).flat_map(|(_, names)| *names);
        let words = WORDS.iter().filter(|(room, _)| source.path.starts_with(room)).flat_map(|(_, words)| *words);
        let (crates, words): (Vec<_>, Vec<_>) = (crates.collect(), words.collect());
        for (number, line) in source.lines() {
            let named = crates.iter().filter(|name| names_crate(line, name));
            let found = named.chain(words.iter().filter(|word| line.contains(**word)));
            crossings.extend(found.map(|name| format!("{}: {name}", source.at(number))));
        }
    }
    assert!(crossings.is_empty(), "{crossings:#?}");
}

#[test]
fn only_the_entrance_prints_exits_and_reads_the_environment() {
    let mut found = Vec::new();
    for source in program().iter().filter(|source| !ENTRANCE.iter().any(|entrance| source.path.starts_with(entrance))) {
        for (number, line) in source.lines() {
            let words = ENTRANCE_ONLY.iter().filter(|word| line.contains(**word));
            found.extend(words.map(|word| format!("{}: {word}", source.at(number))));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
