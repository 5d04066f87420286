//! What do the two programs have in common? How they are asked, and how they answer.

use std::env;
use std::io::{self, Read, Write};

/// A variable, or nothing.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// The body of the request.
pub fn body() -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    Ok(body)
}

/// Prints a response.
pub fn print(status: u16, kind: &str, body: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "Status: {status}\nContent-Type: {kind}\n\n")?;
    out.write_all(body)
}

/// Prints a line of text.
pub fn print_text(status: u16, text: &str) -> io::Result<()> {
    print(status, "text/plain; charset=utf-8", format!("{text}\n").as_bytes())
}
