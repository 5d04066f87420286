//! What a program has printed, as text.

use std::process::Output;

/// These bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Its standard output.
pub fn stdout(output: &Output) -> String {
    text(&output.stdout)
}

/// Its standard error.
pub fn stderr(output: &Output) -> String {
    text(&output.stderr)
}

/// Both, one after the other.
pub fn both(output: &Output) -> String {
    stdout(output) + &stderr(output)
}
