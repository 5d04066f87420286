//! Which room may know which? Folders right below `src` are rooms; files beside them are tools, which any room may use and
//! which know none. ARCHITECTURE.md says why.

use std::path::Path;

use super::source::{Source, program};

/// Each room with the rooms that it may name, from low to high: it may name none that comes later.
pub const ROOMS: [(&str, &[&str]); 21] = [
    ("route", &[]),
    ("content", &[]),
    ("cgi", &["route"]),
    ("config", &["route"]),
    ("proxy", &["cgi", "config"]),
    ("cache", &["config"]),
    ("net", &["config"]),
    ("bindle", &["config", "cache", "net"]),
    ("signature", &[]),
    ("registry", &["config", "cache", "net", "signature"]),
    ("fetch", &["config", "route", "cache", "net", "bindle", "signature", "registry"]),
    ("outbound", &["config", "net"]),
    ("scratch", &[]),
    ("runtime", &["content", "config", "cache", "outbound", "scratch"]),
    ("observe", &["config", "net", "outbound", "runtime"]),
    ("fastcgi", &[]),
    ("server", &["config", "proxy", "fastcgi"]),
    ("static_files", &["config", "route", "content"]),
    ("gateway", &["config", "route", "content", "cgi", "proxy", "runtime", "observe", "server", "static_files"]),
    (
        "startup",
        &[
            "config",
            "route",
            "cgi",
            "cache",
            "net",
            "fetch",
            "outbound",
            "scratch",
            "runtime",
            "observe",
            "server",
            "static_files",
            "gateway",
        ],
    ),
    ("admin", &["config", "observe", "server", "gateway", "startup"]),
];

/// The program itself is above them all.
const PROGRAM: [&str; 2] = ["main", "cli"];

/// What the files below a path must never name.
pub const CRATES: [(&str, &[&str]); 21] = [
    ("src/route", &["tokio", "hyper", "wasmtime", "http"]),
    ("src/content", &["tokio", "hyper", "wasmtime"]),
    ("src/cgi", &["tokio", "hyper", "wasmtime"]),
    ("src/config", &["tokio", "hyper", "wasmtime"]),
    ("src/proxy", &["tokio", "hyper", "wasmtime"]),
    ("src/cache", &["tokio", "hyper", "wasmtime"]),
    ("src/net", &["wasmtime", "clap"]),
    ("src/bindle", &["wasmtime", "clap"]),
    ("src/signature", &["tokio", "hyper", "wasmtime"]),
    ("src/registry", &["wasmtime", "clap"]),
    ("src/fetch", &["wasmtime", "clap"]),
    ("src/outbound", &["wasmtime"]),
    ("src/scratch", &["tokio", "hyper", "wasmtime"]),
    ("src/runtime", &["hyper"]),
    ("src/observe", &["hyper", "wasmtime"]),
    ("src/fastcgi", &["tokio", "hyper", "wasmtime"]),
    ("src/server", &["wasmtime"]),
    ("src/static_files", &["hyper", "wasmtime"]),
    ("src/gateway", &["hyper", "wasmtime"]),
    ("src/startup", &["hyper", "wasmtime", "clap"]),
    ("src/admin", &["hyper", "wasmtime", "clap"]),
];

/// Other things that the files below a path must never name.
const WORDS: [(&str, &[&str]); 8] = [
    ("src/cgi", &["async fn"]),
    ("src/proxy", &["async fn"]),
    ("src/fastcgi", &["async fn"]),
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

fn is_part_of_a_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
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
    const START: &str = "crate::";
    let mut imports = Vec::new();
    for (at, _) in source.code.match_indices(START) {
        let line = source.code[..at].matches('\n').count() + 1;
        let statement = source.code[..at].rsplit([';', '}', '{']).next().unwrap_or_default().trim_start();
        let is_export = statement.starts_with("pub") && statement.contains("use ");
        let paths = paths(&source.code[at + START.len()..]);
        imports.extend(paths.into_iter().map(|path| Import { path, line, is_export }));
    }
    imports
}

/// What `a::{b, c::D}` stands for: `a::b` and `a::c::D`.
fn paths(text: &str) -> Vec<Vec<String>> {
    if let Some(list) = text.strip_prefix('{') {
        return parts(list).into_iter().flat_map(paths).collect();
    }
    let length = text.find(|letter| !is_part_of_a_name(letter)).unwrap_or(text.len());
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

/// What the files of a room may name: rooms, and files that are tools.
fn named_by(room: &str, tools: &[String]) -> Vec<String> {
    let listed = ROOMS.iter().find(|(name, _)| *name == room).map(|(_, known)| *known);
    let known = match listed {
        Some(known) => known.iter().map(|name| (*name).to_owned()).collect(),
        None if tools.iter().any(|tool| tool == room) => return Vec::new(),
        None => panic!("{room} is not in the list of rooms"),
    };
    [known, tools.to_vec(), vec![room.to_owned()]].concat()
}

#[test]
fn every_room_names_only_rooms_below_it() {
    let sources: Vec<Source> =
        program().into_iter().filter(|source| !PROGRAM.contains(&room(&source.path).as_str())).collect();
    let files = sources.iter().filter(|source| source.path.parent() == Some(Path::new("src")));
    let tools: Vec<String> = files.map(|source| room(&source.path)).filter(|name| name != "lib").collect();
    let mut crossings = Vec::new();
    for source in sources.iter().filter(|source| !source.path.ends_with("lib.rs")) {
        let known = named_by(&room(&source.path), &tools);
        for import in imports(source) {
            let to = &import.path[0];
            if !known.contains(to) {
                crossings.push(format!("{}: {to}", source.at(import.line)));
            }
        }
    }
    assert!(crossings.is_empty(), "{crossings:#?}");
}

/// Whether a line of code names a crate, and not something that is only called like it.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = &line[..at];
        // A crate of the same family, such as `hyper_util`, counts as well.
        let behind = line[at + name.len()..].trim_start_matches(is_part_of_a_name);
        !before.ends_with(is_part_of_a_name) && !before.ends_with("::") && behind.starts_with("::")
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
