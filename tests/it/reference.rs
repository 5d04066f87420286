//! The tables of the pages and the program have the same names: options, variables. Keys are compared in `schema`, metrics in `metrics`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::frozen::{promised, promised_names};
use crate::support::tree::text;

/// All pages for users.
fn pages() -> String {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let pages = paths.filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    pages.map(|path| fs::read_to_string(path).expect("text")).collect()
}

/// What stands in backticks in the first cells of the rows of all tables.
fn first_cells(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// The long option in `text`, without its value.
fn option(text: &str) -> Option<String> {
    let option = &text[text.find("--")?..];
    Some(option.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect())
}

/// The long options of all commands.
fn promised_options() -> BTreeSet<String> {
    let of_command = |command: String| promised(&["commands", &command, "options"]);
    let commands = promised_names(&["commands"]).into_iter().filter(|command| {
        let path = ["commands", command.as_str()];
        promised_names(&path).iter().any(|name| name == "options")
    });
    commands.flat_map(of_command).filter_map(|option| self::option(&option)).collect()
}

#[test]
fn every_option_is_on_a_page_and_the_page_about_the_command_line_has_no_other() {
    let (promised, pages) = (promised_options(), pages());
    assert!(promised.len() > 40, "{promised:?}");
    let is_on_a_page = |option: &&String| {
        pages.match_indices(option.as_str()).any(|(at, _)| {
            let next = pages[at + option.len()..].chars().next();
            !next.is_some_and(|c| c.is_ascii_lowercase() || c == '-')
        })
    };
    let missing: Vec<_> = promised.iter().filter(|option| !is_on_a_page(option)).collect();
    assert!(missing.is_empty(), "no page has {missing:?}");
    let page = text("docs/command-line.md");
    let tables: BTreeSet<_> =
        first_cells(&page).into_iter().filter(|cell| cell.starts_with('-')).filter_map(option).collect();
    let others: Vec<_> = tables.difference(&promised).filter(|option| *option != "--default-host").collect();
    assert!(others.is_empty(), "the program has no {others:?}");
}

#[test]
fn every_variable_that_wagi_reads_is_on_the_page_about_the_command_line() {
    let page = text("docs/command-line.md");
    let read = ["read", "read_by_libraries"].map(|list| promised(&["environment", list])).concat();
    let missing: Vec<_> = read.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_page_about_guests_has_the_variables_that_they_get() {
    let (page, scripts) = (text("docs/environment.md"), text("docs/scripts.md"));
    let is_variable = |cell: &&str| cell.len() > 3 && cell.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let documented: BTreeSet<_> = first_cells(&page).into_iter().filter(is_variable).collect();
    let of_scripts: BTreeSet<_> = first_cells(&scripts).into_iter().filter(is_variable).collect();
    let names = |list: &str| {
        let variables = promised(&["programs", list]).into_iter();
        let names = variables.filter_map(|variable| Some(variable.split_once('=')?.0.to_owned()));
        // Header fields of the request are described by their rule.
        names.filter(|name| !name.starts_with("HTTP_")).collect::<BTreeSet<_>>()
    };
    let lists =
        ["variables", "variables_of_tls", "variables_of_client_certificates", "variables_without_client_certificate"];
    let promised: BTreeSet<_> = lists.into_iter().flat_map(names).collect();
    assert_eq!(documented, promised.iter().map(String::as_str).collect());
    let promised = names("variables_of_scripts");
    assert_eq!(of_scripts, promised.iter().map(String::as_str).collect());
}
