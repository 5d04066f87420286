//! What does the guest see of its surroundings?

use crate::{answer, request::Request, wasi};
use std::io;

/// Every variable as `NAME=VALUE`, sorted by name.
pub fn environment(_: &Request) -> io::Result<()> {
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    let lines: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy()))
        .collect();
    answer::text(&lines.concat())
}

/// Every argument on a line, quoted so that empty ones and blanks can be told apart.
pub fn arguments(_: &Request) -> io::Result<()> {
    let lines: Vec<String> =
        std::env::args_os().map(|argument| format!("{:?}\n", argument.to_string_lossy())).collect();
    answer::text(&lines.concat())
}

/// Sixteen random bytes in hexadecimal.
pub fn random(_: &Request) -> io::Result<()> {
    let mut bytes = [0; 16];
    wasi::random(&mut bytes)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    answer::text(&format!("{digits}\n"))
}

/// Both clocks, in nanoseconds.
pub fn time(_: &Request) -> io::Result<()> {
    let (realtime, monotonic) = (wasi::clock(wasi::REALTIME)?, wasi::clock(wasi::MONOTONIC)?);
    answer::text(&format!("realtime {realtime}\nmonotonic {monotonic}\n"))
}
