//! The rules of the house that can be read off the sources: the walls between rooms, and the head of every file.

use std::fs;
use std::path::{Path, PathBuf};

/// What the files below a path must never name. ARCHITECTURE.md says why.
const WALLS: [(&str, &[&str]); 11] = [
    (
        "src/outbound",
        &[
            "wasmtime",
            "crate::cgi",
            "crate::route",
            "crate::gateway",
            "crate::server",
            "crate::runtime",
            "crate::startup",
        ],
    ),
    (
        "src/cgi",
        &[
            "tokio",
            "hyper",
            "wasmtime",
            "crate::runtime",
            "crate::gateway",
            "crate::config",
            "crate::server",
            "async fn",
        ],
    ),
    (
        "src/route",
        &["tokio", "hyper", "wasmtime", "http::", "crate::runtime", "crate::gateway", "crate::config", "crate::cgi"],
    ),
    (
        "src/config",
        &["tokio", "hyper", "wasmtime::", "crate::runtime", "crate::gateway", "crate::server", "crate::startup"],
    ),
    (
        "src/runtime",
        &["use http", "hyper", "crate::cgi", "crate::route", "crate::gateway", "crate::server", "crate::startup"],
    ),
    ("src/server", &["wasmtime", "crate::cgi", "crate::runtime", "crate::route", "crate::gateway", "crate::startup"]),
    ("src/observe", &["hyper", "wasmtime", "crate::cgi", "crate::route", "crate::gateway", "crate::server"]),
    ("src/gateway", &["hyper", "wasmtime", "crate::startup", "std::fs", "TcpStream"]),
    ("src/startup", &["hyper", "wasmtime", "crate::cli"]),
    (
        "src/cache",
        &["wasmtime", "tokio", "hyper", "crate::fetch", "crate::runtime", "crate::startup", "crate::gateway"],
    ),
    (
        "src/fetch",
        &[
            "wasmtime",
            "crate::cgi",
            "crate::runtime",
            "crate::route",
            "crate::gateway",
            "crate::server",
            "crate::startup",
        ],
    ),
];

/// What may be named behind a wall after all, and where: components that are asked over HTTP speak of requests and heads.
const DOORS: [(&str, &str); 1] = [("src/runtime/component", "use http")];

/// Only these may talk to the terminal, end the process or look at its environment.
const ENTRANCE: [&str; 2] = ["src/main.rs", "src/cli/"];
const ENTRANCE_ONLY: [&str; 5] = ["println!", "eprintln!", "process::exit", "env::var", "env::args"];

/// Words that mean somebody has not finished.
const UNFINISHED: [&str; 4] = ["TODO", "FIXME", "todo!(", "unimplemented!("];

fn sources(below: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut directories = vec![root.join(below)];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() && !entry.ends_with("target") {
                directories.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&entry).expect("a text file");
                files.push((entry.strip_prefix(root).expect("below the root").to_owned(), text));
            }
        }
    }
    files
}

/// The lines of a file that are neither comments nor tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(index, line)| (index + 1, line))
}

fn is_test(path: &Path) -> bool {
    path.to_string_lossy().contains("tests")
}

#[test]
fn no_room_names_what_is_behind_a_wall() {
    let mut crossings = Vec::new();
    for (room, forbidden) in WALLS {
        for (path, text) in sources(room).iter().filter(|(path, _)| !is_test(path)) {
            for (number, line) in code(text) {
                let has_door = |word: &str| DOORS.iter().any(|(room, door)| path.starts_with(room) && *door == word);
                for word in forbidden.iter().filter(|word| line.contains(*word) && !has_door(word)) {
                    crossings.push(format!("{}:{number}: {word}", path.display()));
                }
            }
        }
    }
    assert!(crossings.is_empty(), "{crossings:#?}");
}

#[test]
fn only_the_entrance_prints_exits_and_reads_the_environment() {
    let mut found = Vec::new();
    for (path, text) in sources("src").iter().filter(|(path, _)| !is_test(path)) {
        if ENTRANCE.iter().any(|entrance| path.starts_with(entrance)) {
            continue;
        }
        for (number, line) in code(text) {
            for word in ENTRANCE_ONLY.iter().filter(|word| line.contains(*word)) {
                found.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_file_opens_with_the_question_it_answers() {
    for folder in ["src", "tests/it", "examples"] {
        for (path, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{} has no head", path.display());
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for (path, text) in sources("src") {
        for word in UNFINISHED {
            assert!(!text.contains(word), "{} holds {word}", path.display());
        }
    }
}

#[test]
fn files_stay_short_enough_to_read() {
    for (path, text) in sources("src").iter().filter(|(path, _)| !is_test(path)) {
        let lines = code(text).count();
        assert!(lines <= 400, "{} has {lines} lines of code", path.display());
    }
}
