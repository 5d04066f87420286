//! What if the file of the access log cannot be written?
//!
//! Its lines wait in memory until it can be, or until it is opened again somewhere else. The log says so, but not for each
//! line. No request waits.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::observe::appended_file::{AfterError, AppendedFile};
use crate::observe::warning_interval::WarningInterval;

/// How long the thread waits before it tries again to write: a disk that is full stays so for a while.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The destination of a writer of lines.
pub(super) struct AccessFile {
    file: Arc<AppendedFile>,
    interval: WarningInterval,
}

impl AccessFile {
    /// A destination that appends to `file`.
    pub fn new(file: Arc<AppendedFile>) -> Self {
        Self { file, interval: WarningInterval::default() }
    }
}

/// Takes all lines that it is given.
impl Write for AccessFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (mut is_reported, path) = (false, self.file.path().display());
        self.file.append(lines, |error| {
            if self.interval.is_over() {
                is_reported = true;
                tracing::warn!(%path, %error, "cannot write the access log: its lines wait, requests do not");
            }
            self.file.wait_for_reopening(RETRY_DELAY);
            AfterError::TryAgain
        });
        if is_reported {
            tracing::info!(%path, "the access log is written again");
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs how many lines did not fit into the memory that they may wait in.
pub(super) fn warn_of_dropped(file: &AppendedFile, lines: u64) {
    let path = file.path().display();
    tracing::warn!(%path, lines, "lines of the access log were dropped: it was not written in time");
}
