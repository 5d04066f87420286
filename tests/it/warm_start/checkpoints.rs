//! Where guests have their checkpoint, and where their variables are by then.

use crate::support::process::Wagi;
use crate::support::site::Site;

use crate::warm_start::{asked, guest, guest_at, variables, warm};

const LOOK: &str = "(drop (call $stat (i32.const 3) (i32.const 0) (i32.const 304) (i32.const 8) (i32.const 512)))";
const READ_CLOCK: &str = "(drop (call $clock (i32.const 0) (i64.const 1) (i32.const 400)))";
const DRAW: &str = "(drop (call $random (i32.const 400) (i32.const 8)))";
const SHARED: &str = "warm_start = { shared_random = true }";
const PRINT: &str = "(call $print_letters (i32.const 400))";

/// A guest for the script `file.txt` that does this before it prints what is at 400, and is warm.
fn warm_script(before: &str, keys: &str) -> Wagi {
    let site = Site::new();
    site.file("www/file.txt", "a script");
    let keys = format!("{keys}\nscripts = {{ directory = 'www', extensions = ['txt'] }}");
    let wagi = site.text_module("/a/...", &guest_at("4", before, PRINT), &keys).start(&[]);
    asked(&wagi, "GET /a/file.txt HTTP/1.1", "");
    warm(&wagi, "file.txt, no query");
    wagi
}

/// The first lines of two responses.
fn first_lines(wagi: &Wagi) -> [String; 2] {
    [(); 2].map(|()| {
        let answer = asked(wagi, "GET /a/file.txt HTTP/1.1\r\nCookie: a=1", "");
        assert_eq!(variables(&answer).get("HTTP_COOKIE").map(String::as_str), Some("a=1"));
        answer.text().lines().next().unwrap_or_default().to_owned()
    })
}

#[test]
fn the_last_look_for_a_script_before_it_is_opened_is_the_checkpoint() {
    let wagi = warm_script(&format!("{LOOK} {DRAW} {LOOK} (call $read_file)"), SHARED);
    let [first, second] = first_lines(&wagi);
    // `read_file` writes to 400 what is in the script, which comes after the checkpoint.
    assert_eq!((first.as_str(), second.as_str()), ("tglvkbim", "tglvkbim"));
    let wagi = warm_script(&format!("{LOOK} {DRAW} {LOOK}"), SHARED);
    let [first, second] = first_lines(&wagi);
    assert_eq!(first, second, "drawn before the checkpoint");
}

#[test]
fn an_earlier_look_is_the_checkpoint_if_there_is_no_snapshot_of_the_last_one() {
    let wagi = warm_script(&format!("{LOOK} {DRAW} {LOOK} (call $read_file) {DRAW}"), "warm_start = true");
    let [first, second] = first_lines(&wagi);
    assert_ne!(first, second, "drawn by each request");
}

#[test]
fn a_script_may_name_its_checkpoint_itself() {
    let before = format!("{LOOK} (call $read_file) {DRAW} (call $checkpoint)");
    let wagi = warm_script(&before, SHARED);
    let [first, second] = first_lines(&wagi);
    assert_eq!(first, second, "drawn before the checkpoint");
    std::fs::write(wagi.directory().join("www/file.txt"), "another").expect("writable");
    let [third, _] = first_lines(&wagi);
    assert_ne!(first, third, "the script was read before, so that an edited one is read anew");
}

/// CPython and CRuby: a library in them asks for the variables, and frees what it got.
#[test]
fn a_guest_may_ask_for_its_variables_once_more_in_the_same_place() {
    const ASK: &str = "(drop (call $environ_get (i32.const 4096) (i32.const 65536)))";
    let module = guest("(call $checkpoint)", "");
    let twice = ASK.replace("4096", "3968");
    let module = module.replace(ASK, &format!("{twice} (i32.store (i32.const 3968) (i32.const 7)) {ASK}"));
    let wagi = Site::new().text_module("/a", &module, "warm_start = true").start(&[]);
    warm(&wagi, "no query");
    for cookie in ["a=1", "b=2; c=3"] {
        let answer = asked(&wagi, &format!("GET /a HTTP/1.1\r\nCookie: {cookie}"), "");
        assert_eq!(variables(&answer).get("HTTP_COOKIE").map(String::as_str), Some(cookie));
    }
}

/// CRuby: a time that is kept in another form than it was told.
#[test]
fn what_is_computed_from_the_time_may_be_shared_only_where_random_numbers_may() {
    let before = format!(
        "{READ_CLOCK} (i64.store (i32.const 400) (i64.mul (i64.load (i32.const 400)) (i64.const 3))) (call $checkpoint)"
    );
    let site = Site::new().text_module("/strict", &guest(&before, PRINT), "warm_start = true").text_module(
        "/shared",
        &guest(&before, PRINT),
        "warm_start = { shared_random = true }",
    );
    let wagi = site.start(&[]);
    let line = wagi.logged(&["warm start: served cold", "/strict"]);
    assert!(line.contains("reason=\"differs\""), "{line}");
    wagi.logged(&["warm start: ready", "/shared"]);
    let token = |path: &str| asked(&wagi, &format!("GET {path} HTTP/1.1"), "").text().lines().next().map(str::to_owned);
    assert_eq!(token("/shared"), token("/shared"));
    assert_ne!(token("/strict"), token("/strict"));
}
