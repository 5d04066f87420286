//! What pages link to is there: files, directories and headings. And every page is linked to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::support::tree::root;

/// The pages of a directory and, for those of the documentation, below it.
fn pages(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).expect("a directory");
    let paths = entries.map(|entry| Path::new(directory).join(entry.expect("an entry").file_name()));
    // The list of the pages in the book has a test of its own.
    let paths = paths.filter(|path| !path.ends_with("SUMMARY.md"));
    let (pages, others): (Vec<_>, Vec<_>) = paths.partition(|path| path.extension().is_some_and(|kind| kind == "md"));
    let below = others.iter().filter(|path| path.starts_with("docs") && root().join(path).is_dir());
    pages.into_iter().chain(below.flat_map(|path| self::pages(path.to_str().expect("a plain name")))).collect()
}

fn all_pages() -> BTreeSet<PathBuf> {
    ["", "docs", "examples/azure-blob", "examples/azure-cosmos", "examples/azure-event-grid", "examples/sqlite"]
        .into_iter()
        .flat_map(pages)
        .collect()
}

/// The lines that are no code.
fn prose(page: &str) -> Vec<&str> {
    let mut is_code = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect()
}

/// Under which names the headings of a page can be linked to, as code forges make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(page) {
        let Some(heading) = line.strip_prefix('#') else { continue };
        let name: String = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = name.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let number = (1..).find(|number| !anchors.contains(&numbered(&anchor, *number))).expect("a free number");
        anchors.insert(numbered(&anchor, number));
    }
    anchors
}

fn numbered(anchor: &str, number: usize) -> String {
    if number == 1 { anchor.to_owned() } else { format!("{anchor}-{}", number - 1) }
}

/// Where the links of a page lead. A link may be broken over two lines, its target is in one.
pub fn links(page: &str) -> Vec<String> {
    let text = prose(page).join("\n");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// A path without `..`.
pub fn resolved(page: &Path, target: &str) -> PathBuf {
    let mut path = page.parent().expect("a directory").to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{}: {target} leads out", page.display()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let (mut found, mut broken) = (0, Vec::new());
    for page in all_pages() {
        let text = fs::read_to_string(root().join(&page)).expect("a text file");
        for link in links(&text) {
            found += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = if file.is_empty() { page.clone() } else { resolved(&page, file) };
            let is_there = if anchor.is_empty() {
                root().join(&path).exists()
            } else {
                fs::read_to_string(root().join(&path)).is_ok_and(|text| anchors(&text).contains(anchor))
            };
            if !is_there {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(found > 150, "only {found} links are found");
}

#[test]
fn every_page_is_linked_to_from_another() {
    let pages = all_pages();
    let mut linked = BTreeSet::from([PathBuf::from("README.md")]);
    for page in &pages {
        let text = fs::read_to_string(root().join(page)).expect("a text file");
        let targets = links(&text).into_iter().map(|link| resolved(page, link.split('#').next().expect("a file")));
        linked.extend(targets.filter(|target| target != page));
        // A link to a directory leads to all of it.
        linked.extend(
            pages
                .iter()
                .filter(|other| other.parent().is_some_and(|dir| linked.contains(dir)))
                .cloned()
                .collect::<Vec<_>>(),
        );
    }
    let alone: Vec<_> = pages.difference(&linked).collect();
    assert!(alone.is_empty(), "{alone:?}");
}

#[test]
fn headings_are_named_as_forges_name_them() {
    let page = "# `a_b` and C's\n```\n# not this\n```\n## Twice\n## Twice\n";
    assert_eq!(anchors(page), ["a_b-and-cs", "twice", "twice-1"].map(str::to_owned).into());
}
