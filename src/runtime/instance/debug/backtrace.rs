//! Which functions was a guest running when it trapped, and how are they shown?
//!
//! The names are those of the module, and the places those of its debug information. Both may be anything and of any length, so all
//! of it is bounded.

use wasmtime::{FrameInfo, WasmBacktrace};

use crate::printable;

use crate::runtime::instance::debug::source_lines::SourcePlace;

/// The most functions named in the log when a guest traps, the innermost first.
const MAX_FRAMES: usize = 5;

/// The most functions of a trap whose names are read.
const MAX_LOOKED_AT: usize = 50;

/// The longest name that is demangled as a name of Rust.
const MAX_MANGLED: usize = 4_000;

/// The most characters of a function's name in the log: a module may hold names of any length.
const MAX_NAME_LENGTH: usize = 100;

/// The most bytes of a backtrace.
const MAX_BACKTRACE: usize = 8 * 1024;

/// How many names of directories the log shows before that of a file.
const DIRECTORIES: usize = 1;

/// How the names of functions of the standard libraries of Rust and C begin. A panic is raised there, but its cause is
/// elsewhere.
const LIBRARY: [&str; 12] = [
    "std::",
    "core::",
    "alloc::",
    "<std::",
    "<core::",
    "<alloc::",
    "<alloc[",
    "rust_panic",
    "__rust",
    "_R",
    "panic_abort",
    "abort",
];

/// The places in the source of the functions that were running, as far as they are known: for each, those of the functions that
/// were inlined there, the innermost first, and its own.
#[derive(Debug, Default)]
pub(in crate::runtime) struct FramePlaces(pub Vec<Vec<SourcePlace>>);

impl FramePlaces {
    fn of(&self, frame: usize) -> &[SourcePlace] {
        self.0.get(frame).map_or(&[], Vec::as_slice)
    }
}

fn frames(error: &wasmtime::Error) -> &[FrameInfo] {
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    frames.get(..MAX_LOOKED_AT).unwrap_or(frames)
}

/// Where the functions that were running are in the file of the program, the innermost first.
pub(in crate::runtime) fn offsets(error: &wasmtime::Error) -> Vec<u64> {
    frames(error).iter().map(|frame| frame.module_offset().map_or(u64::MAX, |offset| offset as u64)).collect()
}

/// The functions that were running, line by line, with their places.
pub(in crate::runtime) fn backtrace(error: &wasmtime::Error, places: &FramePlaces) -> String {
    let mut text = String::new();
    for (number, frame) in frames(error).iter().enumerate() {
        let offset = frame.module_offset().map_or_else(String::new, |offset| format!(" @ {offset:#x}"));
        let mut lines = format!("{number:>3}: {}{offset}\n", shortened(&name(frame)));
        let places = places.of(number);
        for (depth, place) in places.iter().enumerate() {
            let inlined = place.function.as_deref().filter(|_| depth + 1 < places.len());
            let inlined = inlined.map_or_else(String::new, |name| format!(", in {}", shortened(&demangled(name))));
            lines.push_str(&format!("       at {}{inlined}\n", shown(place, &shortened(&place.file))));
        }
        if text.len() + lines.len() > MAX_BACKTRACE {
            break;
        }
        text.push_str(&lines);
    }
    text
}

/// The innermost functions of the guest's own, or of its library if there are no others, in one line. The first has its place.
pub(in crate::runtime) fn innermost(error: &wasmtime::Error, places: &FramePlaces) -> String {
    let names: Vec<String> = frames(error).iter().map(name).collect();
    let chosen = chosen(&names);
    let place = chosen.first().and_then(|&frame| own_place(places.of(frame)));
    let mut names = chosen.iter().filter_map(|&frame| names.get(frame)).map(|name| shortened(name));
    let first = names.next().unwrap_or_default();
    let first = match place {
        Some(place) => format!("{first} at {}", shown(place, &end_of_path(&place.file))),
        None => first,
    };
    std::iter::once(first).chain(names).collect::<Vec<_>>().join(" < ")
}

/// The functions that the log names, of all that were running, the innermost first.
fn chosen(names: &[String]) -> Vec<usize> {
    let own: Vec<usize> = (0..names.len()).filter(|&at| names.get(at).is_some_and(|name| !is_library(name))).collect();
    // A guest that is all library is shown as it is.
    let chosen = if own.is_empty() { (0..names.len()).collect() } else { own };
    chosen.into_iter().take(MAX_FRAMES).collect()
}

/// The innermost place that is not in a library.
fn own_place(places: &[SourcePlace]) -> Option<&SourcePlace> {
    let is_own = |place: &&SourcePlace| place.function.as_deref().is_none_or(|name| !is_library(&demangled(name)));
    places.iter().find(is_own).or(places.last())
}

fn is_library(name: &str) -> bool {
    LIBRARY.iter().any(|start| name.starts_with(start))
}

fn shown(place: &SourcePlace, file: &str) -> String {
    let numbers = [place.line, place.column.filter(|column| *column > 0)];
    numbers.iter().flatten().fold(file.to_owned(), |shown, number| format!("{shown}:{number}"))
}

/// The name of a file and of the directory that it is in.
fn end_of_path(file: &str) -> String {
    let start = file.rmatch_indices(['/', '\\']).nth(DIRECTORIES).map_or(0, |(at, separator)| at + separator.len());
    shortened(file.get(start..).unwrap_or(file))
}

fn shortened(name: &str) -> String {
    printable::line(&name.chars().take(MAX_NAME_LENGTH).collect::<String>()).into_owned()
}

fn name(frame: &FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => demangled(name),
        None => format!("function {}", frame.func_index()),
    }
}

fn demangled(name: &str) -> String {
    // A name may have megabytes; those that a compiler makes are shorter.
    match name.len() <= MAX_MANGLED {
        true => format!("{:#}", rustc_demangle::demangle(name)),
        false => name.chars().take(MAX_NAME_LENGTH).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::instance::debug::backtrace::*;

    fn shown_names(names: &[&str]) -> Vec<String> {
        let names: Vec<_> = names.iter().map(|name| demangled(name)).collect();
        chosen(&names).into_iter().map(|at| names[at].clone()).collect()
    }

    fn place(function: &str, file: &str) -> SourcePlace {
        SourcePlace { function: Some(function.to_owned()), file: file.to_owned(), line: Some(7), column: Some(0) }
    }

    #[test]
    fn the_functions_of_the_guest_are_named_and_not_those_of_its_library() {
        let names = [
            "__rust_start_panic",
            "_ZN3std9panicking11begin_panic17h0123456789abcdefE",
            "_ZN5hello6divide17h0123456789abcdefE",
            "_ZN5hello4main17h0123456789abcdefE",
            "_start",
        ];
        assert_eq!(shown_names(&names), ["hello::divide", "hello::main", "_start"]);
        assert_eq!(shown_names(&["inner", "outer"]), ["inner", "outer"]);
        assert_eq!(shown_names(&["abort"]), ["abort"]);
        assert_eq!(shown_names(&["a", "b", "c", "d", "e", "f"]).len(), MAX_FRAMES);
    }

    #[test]
    fn the_place_is_that_of_the_guest_and_its_path_is_short() {
        let places =
            [place("core::option::unwrap", "/rustc/x/option.rs"), place("divide", "/home/a/hello/src/main.rs")];
        let own = own_place(&places).expect("one");
        assert_eq!(shown(own, &end_of_path(&own.file)), "src/main.rs:7");
        assert_eq!(end_of_path("main.c"), "main.c");
        assert_eq!(own_place(&places[..1]), places.first());
    }

    #[test]
    fn names_cannot_forge_lines_and_have_an_end() {
        assert_eq!(shortened("a\n  1: b\u{1b}[2J"), "a\\n  1: b\\u{1b}[2J");
        assert!(shortened(&"a".repeat(1_000_000)).len() <= MAX_NAME_LENGTH);
        assert!(demangled(&"a".repeat(1_000_000)).len() <= MAX_NAME_LENGTH);
    }
}
