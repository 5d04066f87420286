//! The pages of `docs/guests` show programs as they are: each is a file, which CI builds and other tests serve.

use std::fs;
use std::path::Path;

/// The programs on a page, each with its path: the blocks below a line with nothing but a link to a file and a colon.
fn programs(page: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = page.lines().collect();
    let mut programs = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((path, _)) = line.strip_prefix("[`").and_then(|rest| rest.split_once("`](")) else { continue };
        if *line == format!("[`{path}`](../../{path}):") {
            // A blank line and the fence lie between.
            let block = lines[index + 3..].iter().take_while(|line| **line != "```");
            programs.push((path.to_owned(), block.map(|line| format!("{line}\n")).collect()));
        }
    }
    programs
}

#[test]
fn programs_in_the_guides_are_the_files_they_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = 0;
    for page in fs::read_dir(root.join("docs/guests")).expect("a directory") {
        let page = page.expect("an entry").path();
        for (path, shown) in programs(&fs::read_to_string(&page).expect("a text file")) {
            let file = fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(shown == file, "{} does not show {path} as it is", page.display());
            found += 1;
        }
    }
    assert!(found >= 10, "only {found} programs are found");
}
