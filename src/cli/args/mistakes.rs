//! Command lines of other programs, and what to type instead.
//!
//! clap says what it does not understand; for a word that is usual elsewhere, the operator wants to know the word here.

use std::path::Path;

use clap::CommandFactory as _;

use crate::cli::args::CommandLine;

/// Options of other servers, and what there is here.
const OPTIONS: [(&[&str], &str); 6] = [
    (&["--addr", "--address", "--bind", "--host"], "did you mean `--listen IP:PORT`, such as `--listen 0.0.0.0:3000`?"),
    (
        &["--dir", "--mapdir", "--volume"],
        "directories are granted in a modules.toml: `volumes = { \"/data\" = \"DIR\" }`",
    ),
    (&["--verbose", "-v", "--debug", "--log-level"], "set the environment variable RUST_LOG, such as `RUST_LOG=debug`"),
    (&["--quiet", "-q"], "set the environment variable RUST_LOG, such as `RUST_LOG=error`"),
    (&["--reload"], "did you mean `--watch`? `wagi dev` also builds when sources change"),
    (&["--dry-run", "--validate", "--test"], "did you mean `--check`?"),
];

/// What to type instead of `arguments`, which clap does not understand, if they are a well-known mistake. The first of them
/// is the program.
pub(super) fn cure(arguments: &[String]) -> Option<String> {
    let words = arguments.get(1..)?;
    // The options of the server are understood with its command and without.
    let words = if words.first().is_some_and(|first| first == "serve") { words.get(1..)? } else { words };
    let first = words.first()?;
    if names().contains(first) {
        return None;
    }
    if !Path::new(first).exists()
        && let Some(cure) = of_command(first, words.get(1..).unwrap_or_default())
    {
        return Some(cure);
    }
    of_option(words).or_else(|| behind_dashes(words)).or_else(|| two_files(words))
}

/// The commands of others.
fn of_command(command: &str, rest: &[String]) -> Option<String> {
    let typed = rest.join(" ");
    let source = match rest.first() {
        None => "FILE.wasm".to_owned(),
        Some(file) if file.ends_with(".toml") => format!("--config {typed}"),
        Some(_) => typed.clone(),
    };
    let instead = match command {
        "help" => match rest.first() {
            Some(command) if names().contains(command) => format!("wagi {command} --help"),
            _ => "wagi --help".to_owned(),
        },
        "up" | "start" => format!("wagi {source}"),
        "validate" | "test" => format!("wagi {source} --check"),
        "publish" | "upload" => format!("wagi push {typed}").trim_end().to_owned(),
        "list" | "ls" | "prune" => format!("wagi cache {}", if command == "ls" { "list" } else { command }),
        "init" => format!("wagi new {typed}").trim_end().to_owned(),
        "build" => {
            return Some(format!(
                "there is no command `{command}`: compile a program to a .wasm file, and start `wagi FILE.wasm`"
            ));
        }
        _ => format!("wagi {} {typed}", near(command)?).trim_end().to_owned(),
    };
    Some(format!("there is no command `{command}`: did you mean `{instead}`?"))
}

/// The subcommands.
fn names() -> Vec<String> {
    CommandLine::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// The subcommand of which `word` is a misspelling.
fn near(word: &str) -> Option<String> {
    if word.len() < 3 || word.len() > 12 || word.contains(['.', '/']) {
        return None;
    }
    let distances = names().into_iter().map(|name| (strsim::osa_distance(word, &name), name));
    distances.filter(|(distance, _)| *distance <= 2).min().map(|(_, name)| name)
}

fn of_option(words: &[String]) -> Option<String> {
    let mut words = words.iter().take_while(|word| *word != "--").peekable();
    while let Some(word) = words.next() {
        let (option, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if option == "--port" || option == "-p" {
            let port = value.or_else(|| words.peek().map(|next| next.as_str())).unwrap_or("PORT");
            return Some(format!("there is no option `{option}`: did you mean `--listen 127.0.0.1:{port}`?"));
        }
        if let Some((_, cure)) = OPTIONS.iter().find(|(names, _)| names.contains(&option)) {
            return Some(format!("there is no option `{option}`: {cure}"));
        }
    }
    None
}

/// `wagi -e A=1 -- hello.wasm --check`: behind `--` nothing is an option.
fn behind_dashes(words: &[String]) -> Option<String> {
    let (options, behind) = words.split_at(words.iter().position(|word| word == "--")?);
    let (module, more) = behind.get(1..)?.split_first()?;
    let instead = [&[module.clone()][..], more, options].concat().join(" ");
    (!more.is_empty()).then(|| format!("after `--` only the module may follow: write `wagi {instead}`"))
}

fn two_files(words: &[String]) -> Option<String> {
    let is_module = |word: &&String| word.ends_with(".wasm") || word.ends_with(".wat");
    let modules: Vec<&String> = words.iter().take_while(is_module).collect();
    (modules.len() > 1).then(|| {
        "one module can be given: to serve several, write a modules.toml with their routes, and start \
         `wagi --config modules.toml`"
            .to_owned()
    })
}
