//! What a newcomer is told works as it is printed: the README's `curl` lines, the examples, and the program that embeds a
//! gateway.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::http1::Connection;
use crate::support::process::{Wagi, command};
use crate::support::tree::root;

/// The server as the README starts it, but on a port of its own.
fn examples() -> Wagi {
    Wagi::spawn(command(root()).args(["-c", "examples/modules.toml", "-l", "127.0.0.1:0"]))
}

/// The fenced blocks of a text: what is written behind the first fence, the content, and whether nothing but blank lines
/// lies between this one and the next.
pub fn blocks(text: &str) -> Vec<(&str, String, bool)> {
    let mut blocks: Vec<(&str, String, bool)> = Vec::new();
    let mut open: Option<(&str, String)> = None;
    let mut between = String::new();
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => {
                let (kind, content) = open.take().expect("it is open");
                blocks.push((kind, content, false));
                between.clear();
            }
            (Some((_, content)), _) => *content += &format!("{line}\n"),
            (None, Some(kind)) => {
                if let Some(before) = blocks.last_mut() {
                    before.2 = between.trim().is_empty();
                }
                open = Some((kind, String::new()));
            }
            (None, None) => between += line,
        }
    }
    blocks
}

/// The `sh` blocks that start with curl, each with the `text` block that follows at once.
fn curl_lines(readme: &str) -> Vec<(String, String)> {
    let blocks = blocks(readme);
    let pairs = blocks.windows(2).filter(|pair| {
        let [(kind, command, adjacent), (next, _, _)] = pair else { return false };
        *kind == "sh" && *next == "text" && *adjacent && command.starts_with("curl")
    });
    pairs.map(|pair| (pair[0].1.clone(), pair[1].1.clone())).collect()
}

/// Runs the `curl` lines of a text, of which there are a few, and compares what they print.
pub fn curl_lines_answer_as_printed(text: &str, wagi: &Wagi) {
    let lines = curl_lines(text);
    assert!(lines.len() >= 3, "{lines:#?}");
    for (line, expected) in lines {
        assert!(line.contains("http://127.0.0.1:3000/"), "{line}");
        let line = line.replace("http://127.0.0.1:3000", wagi.url());
        let output = Command::new("bash").args(["-c", &line]).env("no_proxy", "*").output().expect("there is a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{line}");
    }
}

#[test]
fn the_curl_lines_of_the_readme_answer_as_printed() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    curl_lines_answer_as_printed(&readme, &examples());
}

#[test]
fn the_readme_names_the_commands_that_start_and_test_it() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    for line in ["cargo run --release -- -c examples/modules.toml", "cargo test"] {
        assert!(readme.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn every_example_answers() {
    let wagi = examples();
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/").text(), "Hello from WebAssembly\n");
    assert!(connection.get("/env/a?b=c").text().contains("GREETING=hello\n"));
    assert_eq!(connection.post("/echo", "anything").text(), "anything");
    assert_eq!(connection.get("/greet").text(), "Try hello or goodbye below this path\n");
    assert_eq!(connection.get("/greet/hello").text(), "Hello\n");
    assert_eq!(connection.get("/greet/goodbye/for/now").text(), "Goodbye\n");
    assert_eq!(connection.get("/primes").text(), "148933 primes below 2000000\n");
    let count = connection.get("/count");
    assert_eq!(count.header("content-type"), Some("text/event-stream"));
    assert_eq!(count.text(), "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n");

    let manifest = std::fs::read_to_string(root().join("examples/modules.toml")).expect("it is there");
    assert_eq!(manifest.matches("\n[[module]]").count(), 6, "an example was added: ask for it here as well");
    assert!(!wagi.log().contains("warning"), "{}", wagi.log());
}

/// `cargo test` builds examples beside the program.
fn example(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_wagi"));
    program.parent().expect("it is in a directory").join("examples").join(name)
}

#[test]
fn a_gateway_answers_inside_another_application() {
    let embed = example("embed");
    assert!(embed.is_file(), "{} is missing: `cargo test` builds it, `cargo test --test it` does not", embed.display());
    let mut command = Command::new(embed);
    let embedded = Wagi::spawn_saying(command.current_dir(root()), "Listening on ");
    let mut connection = Connection::open(embedded.address());
    assert_eq!(connection.get("/about").text(), "An application with WebAssembly inside\n");
    assert_eq!(connection.get("/greet/hello").text(), "Hello\n");
    assert_eq!(connection.post("/echo", "anything").text(), "anything");
    let environment = connection.get("/env/some/path").text();
    assert!(environment.contains("PATH_INFO=/some/path\n"), "{environment}");
    assert!(environment.contains("REMOTE_ADDR=127.0.0.1\n"), "{environment}");
    assert_eq!(connection.get("/nothing").status, 404);
}
