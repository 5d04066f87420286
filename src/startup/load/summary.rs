//! What does the log say about where modules and their code are from?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::fetch::{Arrival, ModuleFile};
use crate::runtime::CodeOrigin;

/// Counts of the modules that a start has loaded.
#[derive(Default)]
pub(super) struct LoadSummary {
    modules: AtomicUsize,
    fetched: AtomicUsize,
    compiled: AtomicUsize,
}

impl LoadSummary {
    /// Counts a module.
    pub fn add(&self, file: &ModuleFile, code: CodeSource) {
        let is_fetched = file.arrival().is_some_and(|arrival| arrival.is_new);
        self.modules.fetch_add(1, Ordering::Relaxed);
        self.fetched.fetch_add(usize::from(is_fetched), Ordering::Relaxed);
        self.compiled.fetch_add(usize::from(code == CodeSource::Code(CodeOrigin::Compiled)), Ordering::Relaxed);
    }

    /// The number of modules that were compiled.
    pub fn compiled(&self) -> usize {
        self.compiled.load(Ordering::Relaxed)
    }

    /// Logs the counts, if there are any.
    pub fn log(&self, took: Duration) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (modules, fetched, compiled) = (count(&self.modules), count(&self.fetched), count(&self.compiled));
        if modules > 0 {
            tracing::info!(modules, fetched, compiled, ?took, "all modules are loaded");
        }
    }
}

/// Where the code of a module is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeSource {
    /// Another module has the same content.
    Shared,
    /// The configuration before has it.
    Kept,
    Code(CodeOrigin),
}

/// Where a file is from, as the log says it.
pub(super) fn file_origin(file: &ModuleFile) -> &'static str {
    match file.arrival() {
        None => "file",
        Some(Arrival { is_new: true, .. }) => "fetched",
        Some(Arrival { is_new: false, .. }) => "cache",
    }
}

/// Where machine code is from, as the log says it.
pub(super) fn code_origin(origin: CodeSource) -> &'static str {
    match origin {
        CodeSource::Code(CodeOrigin::Compiled) => "compiled",
        CodeSource::Code(CodeOrigin::Cached) => "cached",
        CodeSource::Code(CodeOrigin::Precompiled) => "precompiled",
        CodeSource::Shared => "shared",
        CodeSource::Kept => "kept",
    }
}
