//! Commands, options, environment variables, exit codes and the ready line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{are_the_same, fits, promised, promised_names, promised_text, text};
use crate::support::guest::printing;
use crate::support::process::run;
use crate::support::registry::Done;
use crate::support::site::Site;

/// What `-h` says of a command, such as `wagi cache list`.
fn help(command: &str) -> String {
    let mut words: Vec<&str> = command.split(' ').skip(1).collect();
    words.push("-h");
    Done::from(Ok(run(Site::new().path(), &words))).well()
}

/// The lines of a section, such as `Options:`, without its name.
fn section<'h>(help: &'h str, name: &str) -> Vec<&'h str> {
    help.lines().skip_while(|line| *line != name).skip(1).take_while(|line| !line.is_empty()).collect()
}

/// The lines of usage.
fn usage(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| !line.starts_with("Usage: ")).take_while(|line| !line.is_empty());
    lines.map(|line| line.trim_start_matches("Usage: ").trim().to_owned()).collect()
}

/// The names of the sections with options: all but those with commands and arguments.
fn groups(help: &str) -> impl Iterator<Item = &str> {
    let is_heading = |line: &&str| line.ends_with(':') && !line.starts_with(' ');
    help.lines()
        .filter(is_heading)
        .filter(|name| !["Commands:", "Arguments:", "Examples:", "Exit codes:"].contains(name))
}

/// The options, each with what is said of it as one line.
fn options(help: &str) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for line in groups(help).flat_map(|name| section(help, name)) {
        let indent = line.len() - line.trim_start().len();
        match options.last_mut() {
            // Where a description goes on, it is further in than any name.
            Some(option) if indent > 6 => *option += &format!("  {}", line.trim()),
            _ => options.push(line.trim().to_owned()),
        }
    }
    options.iter().map(|option| without_description(option)).collect()
}

/// Name and value of an option, and what stands in brackets behind its description and is no prose.
fn without_description(option: &str) -> String {
    let (name, description) = option.split_once("  ").unwrap_or((option, ""));
    let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut kept = name.to_owned();
    for note in description.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(note, _)| note) {
        let is_prose = note.split_once(": ").is_none_or(|(what, value)| what == "default" && value.contains(' '));
        if !is_prose {
            kept += &format!(" [{note}]");
        }
    }
    kept
}

/// The commands below one, and those below these.
fn commands(above: &str) -> Vec<String> {
    let help = help(above);
    let names =
        section(&help, "Commands:").into_iter().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let below: Vec<String> =
        names.filter_map(|line| Some(format!("{above} {}", line.split_whitespace().next()?))).collect();
    let further: Vec<String> = below.iter().flat_map(|command| commands(command)).collect();
    [vec![above.to_owned()], further].concat()
}

#[test]
fn commands_are_as_promised() {
    are_the_same("commands", &promised_names(&["commands"]), commands("wagi"));
}

#[test]
fn options_and_arguments_are_as_promised() {
    for command in promised_names(&["commands"]) {
        let help = help(&command);
        are_the_same(&format!("usage of {command}"), &promised(&["commands", &command, "usage"]), usage(&help));
        are_the_same(&format!("options of {command}"), &promised(&["commands", &command, "options"]), options(&help));
    }
}

/// Other names of options, which no help shows.
#[test]
fn hidden_names_of_options_are_understood() {
    let site = Site::new().text_module("/", &printing("Content-Type: text/plain\n\nhello"), "");
    for option in promised(&["commands", "wagi", "hidden"]) {
        assert_eq!(site.run(&["--check", &option, "example.com"]).status.code(), Some(0), "{option}");
    }
}

#[test]
fn variables_of_the_environment_are_as_promised() {
    let of_options: BTreeSet<String> = options(&help("wagi")).iter().filter_map(|option| variable(option)).collect();
    let read = promised(&["environment", "read"]);
    assert!(of_options.iter().all(|name| read.contains(name)), "{of_options:?}");
    // Only these files read the environment. What `wagi cgi` reads is a request, `table.rs` has headings, `errno.rs` names of errors.
    let is_other = |file: &PathBuf| {
        let is_test = file.file_name().is_some_and(|name| name.to_string_lossy().ends_with("tests.rs"));
        is_test || file.starts_with("src/cli/commands/cgi") || file.ends_with("table.rs") || file.ends_with("errno.rs")
    };
    let files = files("src/cli").into_iter().filter(|file| !is_other(file));
    are_the_same("environment variables", &read, files.flat_map(|file| names_in(&file)));
}

fn variable(option: &str) -> Option<String> {
    let (_, rest) = option.split_once("[env: ")?;
    Some(rest.split(']').next()?.to_owned())
}

/// The sources in a folder and below, tests excepted.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder");
    let paths = entries.map(|entry| format!("{folder}/{}", entry.expect("an entry").file_name().display()));
    let (sources, folders): (Vec<_>, Vec<_>) = paths.partition(|path| path.ends_with(".rs"));
    let sources = sources.into_iter().filter(|path| !path.ends_with("tests.rs")).map(PathBuf::from);
    sources.chain(folders.iter().flat_map(|folder| files(folder))).collect()
}

/// Words in capitals that are no variables: headings of tables, what stands for a value, a signal.
const OTHER_WORDS: [&str; 14] = [
    "HOST",
    "KIND",
    "LIMITS",
    "ORDER",
    "PATH",
    "PORT",
    "REMARKS",
    "ROUTE",
    "RUST",
    "SIGHUP",
    "SIZE",
    "SPIN_VARIABLE_",
    "UNUSED",
    "WHAT",
];

/// The strings in a source that are nothing but the name of a variable, unless they only name a value or a column.
fn names_in(file: &Path) -> Vec<String> {
    let source = text(&file.display().to_string());
    let lines =
        source.lines().filter(|line| !["value_name", "format_args!", "env!("].iter().any(|other| line.contains(other)));
    let strings = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
    let is_name =
        |text: &&str| text.len() > 3 && text.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    strings.filter(is_name).filter(|text| !OTHER_WORDS.contains(text)).map(str::to_owned).collect()
}

#[test]
fn exit_codes_are_as_promised() {
    let site = Site::new();
    let mut found: BTreeSet<String> = BTreeSet::new();
    for arguments in [&["--version"][..], &["inspect", "missing.wasm"], &["--no-such-option"]] {
        let code = run(site.path(), arguments).status.code().expect("an exit code");
        found.insert(code.to_string());
    }
    // The code of an interrupted question: the test of that needs a terminal.
    for source in files("src/cli").iter().map(|file| text(&file.display().to_string())) {
        let constants = source.lines().filter_map(|line| line.split_once(": u8 = ")).map(|(_, value)| value);
        found.extend(constants.map(|value| value.trim_end_matches(';').to_owned()));
    }
    are_the_same("exit codes", &promised_names(&["exit_codes"]), found);
}

#[test]
fn the_ready_line_is_as_promised() {
    let wagi = Site::probe("").start(&[]);
    let output = wagi.output();
    assert!(fits(&promised_text(&["ready_line"]), output.trim_end()) && output.lines().count() == 1, "{output}");
}
