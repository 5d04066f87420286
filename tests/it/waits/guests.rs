//! Guests that look at their standard input, before or behind their head, and then do something else for ever: modules and
//! commands as text.

use crate::support::guest::escaped;

const COMMAND_2: &str = include_str!("command_2.wat");
const COMMAND_3: &str = include_str!("command_3.wat");

/// How a command of WASI 0.2 leaves its standard input, with a name.
const WAYS_2: [(&str, &str); 3] = [
    ("poll", "(call $look (local.get $input) (i32.const 2))"),
    (
        "read",
        "(call $read (local.get $input) (i64.const 1) (i32.const 2048))
        (call $look (local.get $input) (i32.const 1))",
    ),
    ("drop", "(call $drop-input (local.get $input))"),
];

/// The same of WASI 0.3.
const WAYS_3: [(&str, &str); 3] = [
    ("read", "(call $look (local.get $input))"),
    ("cancel", "(call $look (local.get $input)) (drop (call $cancel (local.get $input)))"),
    ("drop", "(call $drop (local.get $input))"),
];

/// Where preview 1 has what it is about in a list of a clock and a read, and the size of the first; and where preview 0.
struct Layout {
    module: &'static str,
    clock: usize,
    timeout: usize,
    tag_of_second: usize,
}

const PREVIEW_1: Layout = Layout { module: "wasi_snapshot_preview1", clock: 16, timeout: 24, tag_of_second: 56 };
const PREVIEW_0: Layout = Layout { module: "wasi_unstable", clock: 24, timeout: 32, tag_of_second: 64 };

/// A guest, its route, and whether it prints a head first.
pub struct Leaving {
    pub route: String,
    pub text: String,
    pub is_behind: bool,
}

/// A module that looks at its stdin and at a timer, and then does something else. `url` is called without an answer.
fn module(layout: &Layout, what: &str, is_behind: bool, url: &str) -> String {
    let Layout { module, clock, timeout, tag_of_second } = layout;
    let head = if is_behind { "Content-Type: text/plain\n\nbegun\n" } else { "" };
    let instead = match what {
        "sleep" => "(call $wait (i64.const 600000000000) (i32.const 1))".to_owned(),
        "spin" => "(loop $again (br $again))".to_owned(),
        _ => format!(
            "(drop (call $req (i32.const 1024) (i32.const {}) (i32.const 2048) (i32.const 3)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512) (i32.const 516)))",
            url.len()
        ),
    };
    format!(
        r#"(module
            (import "{module}" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "{module}" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_experimental_http" "req"
                (func $req (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 1024) "{}")
            (data (i32.const 2048) "GET")
            (data (i32.const 3072) "{}")
            (func $wait (param $time i64) (param $subscriptions i32)
                (i32.store (i32.const {clock}) (i32.const 1))
                (i64.store (i32.const {timeout}) (local.get $time))
                (i32.store8 (i32.const {tag_of_second}) (i32.const 1))
                (drop (call $poll (i32.const 0) (i32.const 256) (local.get $subscriptions) (i32.const 500))))
            (func (export "_start")
                (i32.store (i32.const 400) (i32.const 3072))
                (i32.store (i32.const 404) (i32.const {}))
                (drop (call $write (i32.const 1) (i32.const 400) (i32.const 1) (i32.const 500)))
                (call $wait (i64.const 50000000) (i32.const 2))
                {instead}))"#,
        escaped(url.as_bytes()),
        escaped(head.as_bytes()),
        head.len(),
    )
}

fn command(text: &str, leave: &str, what: &str, is_behind: bool) -> String {
    let print = if is_behind { "(call $head)" } else { "" };
    text.replace("PRINT", print).replace("LEAVE", leave).replace("INSTEAD", &format!("(call ${what})"))
}

/// Every kind of guest, way to leave standard input, thing to do instead, before and behind the head.
pub fn all(url: &str) -> Vec<Leaving> {
    let mut all = Vec::new();
    for is_behind in [false, true] {
        let when = if is_behind { "behind" } else { "before" };
        let mut add = |route: String, text: String| all.push(Leaving { route, text, is_behind });
        for what in ["sleep", "spin", "call"] {
            add(format!("/module/{what}/{when}"), module(&PREVIEW_1, what, is_behind, url));
        }
        for what in ["sleep", "spin"] {
            add(format!("/preview0/{what}/{when}"), module(&PREVIEW_0, what, is_behind, url));
            for (way, leave) in WAYS_2 {
                add(format!("/command2/{way}/{what}/{when}"), command(COMMAND_2, leave, what, is_behind));
            }
            for (way, leave) in WAYS_3 {
                add(format!("/command3/{way}/{what}/{when}"), command(COMMAND_3, leave, what, is_behind));
            }
        }
    }
    all
}
