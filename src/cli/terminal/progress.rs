//! How does an operator see how far transfers are?
//!
//! On a terminal as bars on stderr, one for each transfer, gone when it is over; elsewhere as a line when one begins that is
//! worth waiting for. Lines of the log go above the bars: what writes to stderr meanwhile goes through [`Bars::stderr`].

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use wagi::fetch::{Progress, Step};

use crate::cli::commands::{say, size};

/// Shorter transfers are over before their line is read.
const WORTH_A_LINE: u64 = 4 << 20;

/// Name, bar, bytes, speed.
const TEMPLATE: &str = "{msg:30!} {bar:30} {bytes:>11} of {total_bytes:<11} {bytes_per_sec}";

/// Where bars are drawn.
#[derive(Clone)]
pub struct Bars {
    all: MultiProgress,
    is_terminal: bool,
}

impl Bars {
    /// On stderr, if that is a terminal.
    pub fn on_stderr() -> Self {
        let is_terminal = io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), is_terminal }
    }

    /// For the library.
    pub fn shared(&self) -> Arc<dyn Progress> {
        Arc::new(self.clone())
    }

    /// Stderr for others, who write above the bars.
    pub fn stderr(&self) -> impl Write + Send + use<> {
        Above { bars: self.clone() }
    }
}

impl Progress for Bars {
    fn begins(&self, name: &str, bytes: u64) -> Box<dyn Step> {
        if !self.is_terminal {
            if bytes >= WORTH_A_LINE {
                say(format_args!("transferring {name} ({})", size(bytes)));
            }
            return Box::new(Bar(ProgressBar::hidden()));
        }
        let bar = self.all.add(ProgressBar::new(bytes));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        Box::new(Bar(bar))
    }
}

struct Bar(ProgressBar);

impl Step for Bar {
    fn advance(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Stderr, with the bars out of the way while something is written.
struct Above {
    bars: Bars,
}

impl Write for Above {
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
    fn the_template_of_a_bar_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
