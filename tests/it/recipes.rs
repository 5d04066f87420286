//! The page of recipes: the scripts are the files, and the commands print what the page says.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::guest::built_from_source;
use crate::support::process::{Wagi, command};
use crate::support::registry::Done;
use crate::support::site::Site;
use crate::support::tree::root;

fn page() -> String {
    fs::read_to_string(root().join("docs/recipes.md")).expect("there is a page")
}

#[test]
fn the_page_of_recipes_shows_the_files_of_the_example() {
    let page = page();
    let scripts = fs::read_dir(root().join("examples/recipes/www")).expect("a directory");
    let scripts = scripts.map(|entry| format!("www/{}", entry.expect("an entry").file_name().display()));
    for file in scripts.chain(["modules.toml", "timer.toml", "timer/cleanup.py"].map(str::to_owned)) {
        let path = format!("examples/recipes/{file}");
        let content = fs::read_to_string(root().join(&path)).expect("readable");
        let (_, below) = page.split_once(&format!("[`{path}`](../{path}):\n\n```")).expect(&path);
        let shown = below.split_once('\n').expect("a block").1;
        assert!(shown.starts_with(&format!("{content}```\n")), "{path}");
    }
}

/// The commands of the page, each with what it prints.
fn commands(page: &str) -> Vec<(String, String)> {
    let mut commands = Vec::new();
    for block in page.split("```console\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block) {
        for command in format!("\n{block}").split("\n$ ").skip(1) {
            let (line, printed) = command.split_once('\n').expect("it prints something");
            commands.push((line.to_owned(), printed.trim_end_matches('\n').to_owned()));
        }
    }
    commands
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: interpreters"]
fn the_commands_of_the_recipes_print_what_the_page_says() {
    let site = Site::new();
    let bash = |script: &str| {
        let own = Path::new(env!("CARGO_BIN_EXE_wagi")).parent().expect("it is in a directory").display().to_string();
        let path = format!("{own}:{}", std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("bash");
        shell.current_dir(site.path()).env("PATH", path).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        Done::from(shell.args(["-eo", "pipefail", "-c", script]).output())
    };
    let python = built_from_source("python.wasm");
    // In place of what the script fetches.
    let fetch = format!(
        "cp -r '{root}/README.md' . && mkdir -p examples/python && cp -r '{root}/examples/recipes' examples/ \\
         && ln -s '{}' examples/python/python.wasm && ln -s '{}' examples/python/usr",
        python.display(),
        python.with_file_name("python-usr").display(),
        root = root().display()
    );
    let page = page();
    let prepare = page.split("```sh\n").nth(1).and_then(|rest| rest.split_once("```")).expect("a block").0;
    bash(&prepare.replace("sh examples/python/fetch.sh", &fetch)).well();
    let mut serve = command(site.path());
    serve.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let wagi = Wagi::spawn(serve.args(["-c", "examples/recipes/modules.toml", "-l", "127.0.0.1:0"]));
    let commands = commands(&page);
    assert!(commands.len() >= 12, "{commands:?}");
    for (line, expected) in commands {
        let printed = bash(&line.replace("127.0.0.1:3000", &wagi.address().to_string())).well();
        assert_eq!(printed.trim_end_matches('\n'), expected, "{line}\n{}", wagi.log());
    }
}
