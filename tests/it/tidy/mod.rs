//! The rules of the house that can be read off the sources.
//!
//! | file | rule |
//! | --- | --- |
//! | `source` | how a source is read |
//! | `walls` | which room may know which, and which libraries |
//! | `map` | whether ARCHITECTURE.md and CONTRIBUTING.md say what the tree is |
//! | `circles` | whether anything knows what knows it |
//! | `size` | how long functions, files and folders are |
//! | `words` | which words are not ours |

mod circles;
mod map;
mod size;
mod source;
mod walls;
mod words;

use std::path::Path;

use source::sources;

/// What means that something is not finished, in comments and in code.
const UNFINISHED: [&str; 2] = ["TODO", "FIXME"];
const UNFINISHED_CODE: [&str; 2] = ["todo!(", "unimplemented!("];

#[test]
fn every_file_opens_with_a_head() {
    for folder in ["src", "tests/it", "examples"] {
        for source in sources(folder) {
            assert!(source.text.starts_with("//!"), "{} has no head", source.path.display());
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    for source in sources("src") {
        let comments = UNFINISHED.iter().filter(|word| source.comments.contains(**word));
        let found: Vec<_> =
            comments.chain(UNFINISHED_CODE.iter().filter(|word| source.code.contains(**word))).collect();
        assert!(found.is_empty(), "{} holds {found:?}", source.path.display());
    }
}

/// A file that no other declares is not compiled, and its tests do not run.
#[test]
fn every_file_is_declared_as_a_module() {
    let sources = [sources("src"), sources("tests/it")].concat();
    for source in &sources {
        let path = &source.path;
        let (folder, name) = (path.parent().expect("a folder"), path.file_stem().expect("a name").to_string_lossy());
        let (folder, name) = match &*name {
            "main" | "lib" => continue,
            "mod" => (folder.parent().expect("a folder"), folder.file_name().expect("a name").to_string_lossy()),
            _ => (folder, name),
        };
        let is_declaration =
            |line: &str| line.split(';').next().is_some_and(|line| line.ends_with(&format!("mod {name}")));
        // Some modules of tests are declared by what they test.
        let is_named = |line: &str| {
            let named = line.split_once("#[path = \"").and_then(|(_, rest)| rest.strip_suffix("\"]"));
            named.is_some_and(|named| named.split('/').next_back() == Some(&format!("{name}.rs")))
        };
        let near = [Some(folder), folder.parent()];
        let is_declared = sources.iter().any(|other| {
            let is_near = near.contains(&other.path.parent());
            other.text.lines().any(|line| (is_near && is_declaration(line)) || is_named(line))
        });
        assert!(is_declared, "no `mod {name};`: {}", path.display());
    }
}

/// Why a test is ignored says what it needs, as `cargo test` prints it.
#[test]
fn every_test_that_is_ignored_says_what_it_needs() {
    for source in [sources("src"), sources("tests/it")].concat() {
        let ignored = source.text.lines().filter(|line| line.trim_start().starts_with("#[ignore"));
        for line in ignored {
            assert!(line.trim_start().starts_with("#[ignore = \"needs "), "{}: {line}", source.path.display());
        }
    }
}

/// All other files are compiled with `unsafe_code` denied: see Cargo.toml.
#[test]
fn one_file_holds_unsafe_code() {
    let allowing = source::program().into_iter().filter(|source| source.code.contains("unsafe_code"));
    let files: Vec<_> = allowing.map(|source| source.path).collect();
    assert_eq!(files, [Path::new("src/runtime/code/deserialize.rs")]);
}
