//! Progress of transfers.
//!
//! On a terminal each transfer has a bar on standard error, which disappears at the end. Elsewhere a line is printed
//! when a large transfer begins. Lines of the log must appear above the bars, so they are written to [`Bars::stderr`].

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use wagi::fetch::{Progress, Transfer};
use wagi::printable;

use crate::cli::commands::size;
use crate::cli::terminal::print_message;

/// The smallest transfer in bytes that is announced. A smaller one takes too little time.
const MIN_ANNOUNCED: u64 = 4 << 20;

/// Name, bar, bytes, speed.
const TEMPLATE: &str = "{msg:30!} {bar:30} {bytes:>11} of {total_bytes:<11} {bytes_per_sec}";

/// The progress bars of all transfers.
#[derive(Clone)]
pub struct Bars {
    all: MultiProgress,
    is_terminal: bool,
}

impl Bars {
    /// Creates progress bars on standard error, which are hidden if it is not a terminal.
    pub fn on_stderr() -> Self {
        let is_terminal = io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), is_terminal }
    }

    /// Returns the progress bars for the library.
    pub fn progress(&self) -> Arc<dyn Progress> {
        Arc::new(self.clone())
    }

    /// Returns a writer to standard error that writes above the bars.
    pub fn stderr(&self) -> impl Write + Send + use<> {
        StderrAboveBars { bars: self.clone() }
    }
}

impl Progress for Bars {
    fn begin(&self, name: &str, bytes: u64) -> Box<dyn Transfer> {
        if !self.is_terminal {
            if bytes >= MIN_ANNOUNCED {
                print_message(format_args!("transferring {name} ({})", size(bytes)));
            }
            return Box::new(TransferBar(ProgressBar::hidden()));
        }
        let bar = self.all.add(ProgressBar::new(bytes));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.set_message(printable::line(name).into_owned());
        Box::new(TransferBar(bar))
    }
}

struct TransferBar(ProgressBar);

impl Transfer for TransferBar {
    fn advance(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for TransferBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Standard error. The bars are hidden during a write.
struct StderrAboveBars {
    bars: Bars,
}

impl Write for StderrAboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bars.is_terminal {
            return self.bars.all.suspend(|| io::stderr().write(bytes));
        }
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::terminal::progress::*;

    #[test]
    fn the_template_of_a_bar_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
