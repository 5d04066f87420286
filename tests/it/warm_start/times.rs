//! Times that a guest has read before its checkpoint: they are those of its request, or it begins cold.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::admin::Administered;
use crate::support::site::Site;

use crate::warm_start::{asked, guest, ready, warm_requests};

/// Reads the clock of this number to 400.
fn read_clock(clock: u32) -> String {
    format!("(drop (call $clock (i32.const {clock}) (i64.const 1) (i32.const 400)))")
}

const PRINT: &str = "(call $print_letters (i32.const 400))";

/// The first lines of warm responses, after a snapshot is ready.
fn first_lines(module: &str, count: u64) -> Vec<String> {
    let served = Administered::start(Site::new().text_module("/a", module, "warm_start = true"), &[]);
    ready(&served, "/a", 1);
    let line = |_| asked(&served.wagi, "GET /a HTTP/1.1", "").text().lines().next().unwrap_or_default().to_owned();
    let lines = (0..count).map(line).collect();
    assert_eq!(warm_requests(&served, "/a"), count);
    lines
}

/// QuickJS: the state of its random numbers is the time in microseconds at which it began, and it draws no random numbers.
#[test]
fn random_numbers_that_come_from_the_time_are_others_in_each_request() {
    const MIX: &str = "(i64.store (i32.const 400) \
        (i64.mul (i64.load (i32.const 400)) (i64.const 0x2545f4914f6cdd1d)))";
    for (clock, unit) in [(0, 1_000), (0, 1), (1, 1)] {
        let keep = format!("(i64.store (i32.const 400) (i64.div_u (i64.load (i32.const 400)) (i64.const {unit})))");
        let module = guest(&format!("{} {keep} (call $checkpoint)", read_clock(clock)), &format!("{MIX} {PRINT}"));
        let drawn = first_lines(&module, 8);
        let different: HashSet<&String> = drawn.iter().collect();
        assert_eq!(different.len(), drawn.len(), "clock {clock}, in units of {unit} ns: {drawn:?}");
    }
}

#[test]
fn the_time_at_which_a_guest_began_is_that_of_its_request() {
    // Seconds, as 20 digits.
    let seconds = "(i64.store (i32.const 400) (i64.div_u (i64.load (i32.const 400)) (i64.const 1000000000)))";
    let digits = "(local.set $at (i32.const 620)) (loop $next
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (i32.store8 (local.get $at) (i32.add (i32.const 48)
          (i32.wrap_i64 (i64.rem_u (i64.load (i32.const 400)) (i64.const 10)))))
        (i64.store (i32.const 400) (i64.div_u (i64.load (i32.const 400)) (i64.const 10)))
        (br_if $next (i32.gt_u (local.get $at) (i32.const 600))))
        (call $print (i32.const 600) (i32.const 20)) (call $print (i32.const 320) (i32.const 1))";
    let module = guest(&format!("{} {seconds} (call $checkpoint)", read_clock(0)), digits);
    let module = module.replacen("(func (export \"_start\")", "(func (export \"_start\") (local $at i32)", 1);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let served = Administered::start(Site::new().text_module("/a", &module, "warm_start = true"), &[]);
    ready(&served, "/a", 1);
    let before = now();
    let text = asked(&served.wagi, "GET /a HTTP/1.1", "").text();
    let told: u64 = text.lines().next().and_then(|line| line.parse().ok()).expect("a number");
    assert!((before..=now()).contains(&told), "{before}: {text}");
    assert_eq!(warm_requests(&served, "/a"), 1);
}

#[test]
fn a_time_in_a_local_at_a_checkpoint_that_a_guest_names_begins_cold_unless_random_numbers_may_be_shared() {
    let keep = format!(
        "{} (local.set $time (i64.load (i32.const 400))) (i64.store (i32.const 400) (i64.const 0)) (call $checkpoint)",
        read_clock(0)
    );
    let module = guest(&keep, &format!("(i64.store (i32.const 400) (local.get $time)) {PRINT}"));
    let module = module.replacen("(func (export \"_start\")", "(func (export \"_start\") (local $time i64)", 1);
    let site = Site::new().text_module("/strict", &module, "warm_start = true").text_module(
        "/shared",
        &module,
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
