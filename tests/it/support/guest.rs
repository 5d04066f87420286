//! Guests for tests: tiny modules made from what they should print, and the probe.

use std::fmt::Write;
use std::path::PathBuf;

/// The import every printing guest needs.
const FD_WRITE: &str =
    r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))"#;

/// A module that prints `output` in one write and returns.
pub fn printing(output: impl AsRef<[u8]>) -> String {
    printing_then(output, "")
}

/// A module that answers `hello`.
pub fn hello() -> String {
    printing("Content-Type: text/plain\n\nhello")
}

/// A module that prints `output` in one write and then does `then`, instructions in text form.
pub fn printing_then(output: impl AsRef<[u8]>, then: &str) -> String {
    let output = output.as_ref();
    let pages = output.len() / 65_536 + 1;
    format!(
        r#"(module
            {FD_WRITE}
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") {pages})
            (data (i32.const 0) "\10\00\00\00{}")
            (data (i32.const 16) "{}")
            (func (export "_start")
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                {then}))"#,
        escaped(&u32::try_from(output.len()).unwrap().to_le_bytes()),
        escaped(output),
    )
}

/// Bytes as they stand in a string of the text format.
pub fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}

/// A guest built from source: from `WAGI_GUESTS_DIR` where CI has just built it, else as checked in.
pub fn built(name: &str) -> PathBuf {
    match std::env::var_os("WAGI_GUESTS_DIR") {
        Some(directory) => PathBuf::from(directory).join(name),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name),
    }
}

/// A program that is not checked in. Tests of such programs are ignored unless they are asked for.
#[track_caller]
pub fn built_from_source(name: &str) -> PathBuf {
    let directory = std::env::var_os("WAGI_GUESTS_DIR");
    let directory = directory.expect("WAGI_GUESTS_DIR has to name a directory filled by guests/build.sh");
    let path = PathBuf::from(directory).join(name);
    assert!(path.is_file(), "{} is missing: build it with guests/build.sh", path.display());
    path
}

/// A component for tests: as CI has just built it if it has, else as checked in.
pub fn component(name: &str) -> PathBuf {
    let fresh = built(name);
    if fresh.is_file() { fresh } else { PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name) }
}

/// The program that does what the path tells it.
pub fn probe() -> PathBuf {
    built("probe.wasm")
}
