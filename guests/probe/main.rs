//! What should this request make the guest do?
//!
//! One program with many behaviours, so that a test needs no guest of its own: PATH_INFO names the behaviour, the query
//! string gives its numbers or text. An empty path lists them all.

mod answer;
mod endings;
mod facts;
mod files;
mod heads;
mod request;
mod streams;
mod wasi;

use request::Request;
use std::io;

type Behaviour = fn(&Request) -> io::Result<()>;

/// Every behaviour: its path, what it takes, and what it does. A path that ends in `/` takes a name behind it.
const BEHAVIOURS: &[(&str, &str, Behaviour)] = &[
    ("/env", "", facts::environment),
    ("/args", "", facts::arguments),
    ("/random", "", facts::random),
    ("/time", "", facts::time),
    ("/echo", "", streams::echo),
    ("/raw", "", streams::raw),
    ("/stdin", "", streams::stdin_at_once),
    ("/count-stdin", "", streams::stdin_in_pieces),
    ("/read-slowly", "?MS", streams::read_slowly),
    ("/never-read", "?MS", streams::never_read),
    ("/sleep", "?MS", streams::sleep),
    ("/slow-lines", "?LINES&MS", streams::slow_lines),
    ("/flood", "?BYTES", streams::flood),
    ("/stderr", "?BYTES&WIDTH", streams::flood_stderr),
    ("/log", "?TEXT", streams::log),
    ("/files/", "NAME", files::read),
    ("/write/", "NAME", files::write),
    ("/list", "?DIR", files::list),
    ("/open-escape", "?PATH", files::open_anything),
    ("/cookies", "", heads::cookies),
    ("/redirect", "?URL", heads::redirect),
    ("/status", "?CODE", heads::status),
    ("/exit", "?CODE", endings::exit),
    ("/exit-after-head", "?CODE", endings::exit_after_head),
    ("/trap", "", endings::trap),
    ("/trap-after-head", "", endings::trap_after_head),
    ("/spin", "", endings::spin),
    ("/spin-after-head", "", endings::spin_after_head),
    ("/recurse", "", endings::recurse),
    ("/grow", "", endings::grow),
];

fn main() -> io::Result<()> {
    let path = std::env::var("PATH_INFO").unwrap_or_default();
    if path.is_empty() || path == "/" {
        let lines: Vec<String> = BEHAVIOURS.iter().map(|(path, takes, _)| format!("{path}{takes}\n")).collect();
        return answer::text(&lines.concat());
    }
    for (known, _, behave) in BEHAVIOURS {
        let name = if known.ends_with('/') { path.strip_prefix(known) } else { (path == *known).then_some("") };
        if let Some(name) = name {
            return behave(&Request::new(name));
        }
    }
    answer::not_found(&format!("no behaviour `{path}`\n"))
}

/// A second entry point, called on a fresh instance in place of `_start`: nothing that `main` sets up is there.
#[unsafe(no_mangle)]
pub extern "C" fn hello() {
    // A failed write has nobody left to be told about it.
    let _ = wasi::write(1, b"Content-Type: text/plain\n\nhello from another entry point\n");
}
