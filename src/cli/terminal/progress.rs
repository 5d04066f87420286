//! Progress of transfers, and of modules that are compiled.
//!
//! On a terminal each has a bar on standard error, which disappears at the end. Elsewhere a line is printed
//! when a large transfer begins, and the log says what is compiled for long. Lines of the log must appear above the bars, so they are written to [`Bars::stderr`].

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::style::TemplateError;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use wagi::counted;
use wagi::fetch::{ModuleCompilation, Progress, Silent, Transfer};
use wagi::printable;

use crate::cli::commands::size;
use crate::cli::terminal::print_message;

/// The smallest transfer in bytes that is announced. A smaller one takes too little time.
const MIN_ANNOUNCED: u64 = 4 << 20;

/// Name, bar, bytes, speed.
const TEMPLATE: &str = "{msg:30!} {bar:30} {bytes:>11} of {total_bytes:<11} {bytes_per_sec}";

/// Name, bar, time left.
const COMPILE_TEMPLATE: &str = "{msg:30!} {share} compiling, {left}";

/// How many bytes of a module are compiled in a second, if nothing was compiled yet. A compiler says nothing of how far it is, so the
/// time left is estimated: first with this number, and then with that of the last module.
const COMPILE_SPEED: u64 = 1 << 20;

/// The width of a bar.
const WIDTH: usize = 30;

/// How often a bar moves that moves by itself.
const TICK: Duration = Duration::from_millis(200);

/// The progress bars of all transfers and compilations.
#[derive(Clone)]
pub struct Bars {
    all: MultiProgress,
    is_terminal: bool,
    /// In bytes a second.
    compile_speed: Arc<AtomicU64>,
}

impl Bars {
    /// Creates progress bars on standard error, which are hidden if it is not a terminal.
    pub fn on_stderr() -> Self {
        let is_terminal = io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let compile_speed = Arc::new(AtomicU64::new(COMPILE_SPEED));
        Self { all: MultiProgress::with_draw_target(target), is_terminal, compile_speed }
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

    fn compile(&self, name: &str, bytes: u64, took: Duration) -> Box<dyn ModuleCompilation> {
        if !self.is_terminal {
            return Box::new(Silent);
        }
        let speed = self.compile_speed.load(Ordering::Relaxed).max(1);
        let bar = self.all.add(ProgressBar::new_spinner().with_elapsed(took));
        if let Ok(style) = compile_style(Duration::from_secs_f64(bytes as f64 / speed as f64)) {
            bar.set_style(style);
        }
        bar.set_message(printable::line(name).into_owned());
        bar.enable_steady_tick(TICK);
        Box::new(CompileBar { bar, bytes, speed: self.compile_speed.clone() })
    }
}

/// How a module is shown that is compiled within an expected time.
fn compile_style(expected: Duration) -> Result<ProgressStyle, TemplateError> {
    let share = move |state: &ProgressState, out: &mut dyn fmt::Write| {
        let full = (share(state.elapsed(), expected) * WIDTH as f64) as usize;
        // A failure is one of the terminal, which has no other place.
        let _ = write!(out, "{}{}", "█".repeat(full.min(WIDTH)), "░".repeat(WIDTH.saturating_sub(full)));
    };
    let left = move |state: &ProgressState, out: &mut dyn fmt::Write| {
        let _ = out.write_str(&left(state.elapsed(), expected));
    };
    Ok(ProgressStyle::with_template(COMPILE_TEMPLATE)?.with_key("share", share).with_key("left", left))
}

/// Which part of the work is done; never all of it.
fn share(took: Duration, expected: Duration) -> f64 {
    let ratio = took.as_secs_f64() / expected.as_secs_f64().max(0.001);
    if ratio < 1.0 { 0.9 * ratio } else { 1.0 - 0.1 / ratio }
}

fn left(took: Duration, expected: Duration) -> String {
    match expected.checked_sub(took).map(|left| left.as_secs() + 1) {
        Some(1) => "about a second left".to_owned(),
        Some(seconds) => format!("about {seconds} seconds left"),
        None => format!("for {}", counted(took.as_secs(), "second", "seconds")),
    }
}

struct CompileBar {
    bar: ProgressBar,
    bytes: u64,
    speed: Arc<AtomicU64>,
}

impl ModuleCompilation for CompileBar {}

impl Drop for CompileBar {
    fn drop(&mut self) {
        let speed = self.bytes as f64 / self.bar.elapsed().as_secs_f64().max(0.001);
        self.speed.store((speed as u64).max(1), Ordering::Relaxed);
        self.bar.finish_and_clear();
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
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok() && compile_style(Duration::ZERO).is_ok());
    }

    #[test]
    fn a_bar_of_a_module_goes_on_and_never_ends_by_itself() {
        let second = Duration::from_secs(1);
        let shares = [0, 1, 5, 9, 10, 11, 100, 10_000].map(|took| share(took * second, 10 * second));
        assert!(shares.is_sorted() && shares[0] == 0.0 && shares[7] < 1.0, "{shares:?}");
        assert!(share(second, Duration::ZERO) < 1.0);
        let shown = [0, 8, 9, 10, 12].map(|took| left(took * second, 10 * second));
        let expected = [
            "about 11 seconds left",
            "about 3 seconds left",
            "about 2 seconds left",
            "about a second left",
            "for 12 seconds",
        ];
        assert_eq!(shown, expected);
    }
}
