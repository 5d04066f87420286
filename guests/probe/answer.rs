//! How does the program print an answer?
//!
//! Nothing is buffered: one call here is one write the gateway sees, so a test knows what was out before a sleep or a
//! trap.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;

const TEXT: &str = "Content-Type: text/plain\n\n";

/// The body as the client sent it.
pub fn stdin() -> impl Read {
    Raw::open(0)
}

/// Where the answer goes.
pub fn stdout() -> impl Write {
    Raw::open(1)
}

/// Where log lines go.
pub fn stderr() -> impl Write {
    Raw::open(2)
}

/// Prints a whole plain-text answer.
pub fn text(body: &str) -> io::Result<()> {
    stdout().write_all(format!("{TEXT}{body}").as_bytes())
}

/// Prints a whole plain-text answer with status 404.
pub fn not_found(body: &str) -> io::Result<()> {
    stdout().write_all(format!("Status: 404 Not Found\n{TEXT}{body}").as_bytes())
}

/// Prints only the head of a plain-text answer.
pub fn text_head() -> io::Result<()> {
    stdout().write_all(TEXT.as_bytes())
}

/// One of the three standard descriptors without the buffers the standard library puts before them.
struct Raw(ManuallyDrop<File>);

impl Raw {
    fn open(descriptor: i32) -> Self {
        // SAFETY: the three standard descriptors are open from start to end, and `ManuallyDrop` never closes them.
        Self(ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) }))
    }
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
