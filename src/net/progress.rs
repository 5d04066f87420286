//! How far is a transfer, and what is being compiled?
//!
//! What is fetched or published is reported to a [`Transfer`], piece by piece. The caller decides what happens with it: the
//! binary draws bars, a test counts, [`Silent`] does nothing.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

/// Follows transfers and compilations.
pub trait Progress: Send + Sync {
    /// A transfer of `bytes` begins, shown as `name`. It is over when the returned value is dropped, complete or not.
    fn begin(&self, name: &str, bytes: u64) -> Box<dyn Transfer>;

    /// A module of `bytes`, shown as `name`, is being compiled, and has been for some time. It is over when the returned value is
    /// dropped.
    fn compile(&self, _name: &str, _bytes: u64, _took: Duration) -> Box<dyn ModuleCompilation> {
        Box::new(Silent)
    }
}

/// A module that is being compiled.
pub trait ModuleCompilation: Send {}

/// A transfer under way.
pub trait Transfer: Send {
    /// Adds `bytes` to those that have passed.
    fn advance(&mut self, bytes: u64);
}

/// Does nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) -> Box<dyn Transfer> {
        Box::new(Self)
    }
}

impl Transfer for Silent {
    fn advance(&mut self, _: u64) {}
}

impl ModuleCompilation for Silent {}

impl fmt::Debug for dyn Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Bytes that are counted as they are read.
pub(crate) struct Counted<R> {
    pub from: R,
    pub step: Box<dyn Transfer>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.step.advance(read as u64);
        Ok(read)
    }
}
