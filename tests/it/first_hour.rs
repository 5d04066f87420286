//! The page "The first hour": its commands do what it says, in its order.

use std::path::Path;

use crate::readme::blocks;
use crate::support::eventually;
use crate::support::http1::Connection;
use crate::support::output::stderr;
use crate::support::process::{Wagi, command, run};
use crate::support::site::Site;
use crate::support::tree::text;

/// A command of the page, without the name of the program, and what it prints.
fn command_line(block: &str) -> (Vec<&str>, &str) {
    let (line, printed) = block.split_once('\n').expect("it prints something");
    let words = line.strip_prefix("$ wagi ").unwrap_or_else(|| panic!("no command: {line}"));
    (words.split(' ').collect(), printed)
}

/// A server as the page starts it, but on a port of its own.
fn started(site: &Site, block: &str) -> Wagi {
    let (words, printed) = command_line(block);
    assert_eq!(printed, "Ready: serving on http://127.0.0.1:3000\n");
    Wagi::spawn(command(site.path()).args(words).args(["-l", "127.0.0.1:0"]))
}

/// A line in which all numbers are the same.
fn shape(line: &str) -> String {
    let is_number = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_digit());
    line.split(' ').map(|word| if is_number(&word) { "0" } else { word }).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_hour_goes_as_the_page_says() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/first-hour.md"));
    let page = page.expect("there is a page");
    let of_kind = |kind: &str| {
        let found = blocks(&page).into_iter().filter(|(found, ..)| *found == kind);
        found.map(|(_, content, _)| content).collect::<Vec<_>>()
    };
    let (programs, manifests, shown) = (of_kind("wat"), of_kind("toml"), of_kind("text"));
    let ([program], [manifest], [ran, dev, lines, serve]) = (&programs[..], &manifests[..], &shown[..]) else {
        panic!("other blocks than this test knows: {programs:?} {manifests:?} {shown:?}")
    };
    assert_eq!(*manifest, text("templates/rust/modules.toml"), "what `wagi new` makes");
    let site = Site::new();
    site.file("hello.wat", program);

    let (words, printed) = command_line(ran);
    let output = run(site.path(), &words);
    assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{}", stderr(&output));

    let wagi = started(&site, dev);
    let get = || Connection::open(wagi.address()).get("/").text();
    assert!(get().starts_with("<h1>Hello</h1> World\n<script>"), "{}", get());
    site.file("hello.wat", program.replace("World", "to all of you"));
    eventually(|| get().starts_with("<h1>Hello</h1> to all of you\n<script>").then_some(()));
    for line in lines.lines() {
        eventually(|| wagi.log().lines().any(|said| shape(said) == shape(line)).then_some(()));
    }
    drop(wagi);

    let typed = of_kind("console").concat();
    let new = typed.lines().find(|line| line.starts_with("$ wagi new ")).expect("a project");
    assert!(run(site.path(), &command_line(&format!("{new}\n")).0).status.success(), "{new}");
    let checked = stderr(&run(&site.path().join("hello"), &["check"]));
    assert!(checked.contains("build it with `cargo build --release --target wasm32-wasip1`"), "{checked}");
    site.file("modules.toml", manifest.replace("target/wasm32-wasip1/release/app.wasm", "hello.wat"));
    let wagi = started(&site, serve);
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "<h1>Hello</h1> to all of you\n");
}
