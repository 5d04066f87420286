//! Are the manual pages and completions in `packaging/` those of the command line?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::args::CommandLine;
use crate::cli::args::shells::completions;

/// What the manual page of the server has behind its options.
const SERVER: &str = include_str!("../../../packaging/man/wagi.end");

/// The manual pages of a command and its subcommands, by file name.
fn manual_pages(command: &Command, name: &str, pages: &mut BTreeMap<String, String>) {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        manual_pages(subcommand, &format!("{name}-{}", subcommand.get_name()), pages);
    }
    let version = env!("CARGO_PKG_VERSION");
    let page = Man::new(command.clone()).title(name).source(format!("wagi {version}")).manual("wagi");
    let mut text = Vec::new();
    page.render(&mut text).expect("memory can be written");
    let mut text = String::from_utf8(text).expect("a page is text");
    match name {
        "wagi" => text.push_str(SERVER),
        _ => text.push_str(".SH \"SEE ALSO\"\n\\fBwagi\\fR(1)\n"),
    }
    pages.insert(format!("{name}.1"), text);
}

/// Fails unless the files of a folder are these. With `WAGI_BLESS`, writes them.
#[track_caller]
fn are_current(folder: &str, expected: &BTreeMap<String, String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let is_made = |name: &str| Path::new(name).extension().is_none_or(|extension| extension != "end");
    let names = || {
        let entries = fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("an entry"));
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| is_made(name))
    };
    if std::env::var_os("WAGI_BLESS").is_some() {
        names().for_each(|name| fs::remove_file(folder.join(name)).expect("a file can be removed"));
        expected.iter().for_each(|(name, text)| fs::write(folder.join(name), text).expect("writable"));
    }
    let found: BTreeMap<String, String> =
        names().map(|name| (name.clone(), fs::read_to_string(folder.join(name)).expect("text"))).collect();
    let differ = |name: &&String| found.get(*name) != expected.get(*name);
    let stale: Vec<_> = expected.keys().chain(found.keys()).filter(differ).collect();
    assert!(stale.is_empty(), "not current, `WAGI_BLESS=1 cargo test shells` writes them anew: {stale:?}");
}

#[test]
fn packaged_manual_pages_are_current() {
    let mut command = CommandLine::command().display_name("wagi");
    command.build();
    let mut pages = BTreeMap::new();
    manual_pages(&command, "wagi", &mut pages);
    assert!(pages.contains_key("wagi-cache-prune.1") && !pages.contains_key("wagi-compiler.1"));
    are_current("packaging/man", &pages);
}

#[test]
fn packaged_completions_are_current() {
    let scripts = [(Shell::Bash, "wagi.bash"), (Shell::Zsh, "_wagi"), (Shell::Fish, "wagi.fish")];
    let scripts = scripts.map(|(shell, name)| (name.to_owned(), completions(shell)));
    are_current("packaging/completions", &BTreeMap::from(scripts));
}

#[test]
fn completions_offer_options_and_subcommands_and_no_hidden_ones() {
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        let script = completions(shell);
        for offered in ["config", "inspect", "prune", "unused-for", "if-not-present"] {
            // Some scripts leave the values of options to the shell.
            let is_value = offered == "if-not-present" && matches!(shell, Shell::Elvish | Shell::PowerShell);
            assert!(is_value || script.contains(offered), "{shell}: {offered}");
        }
        assert!(!script.contains("compiler"), "{shell}");
    }
}
