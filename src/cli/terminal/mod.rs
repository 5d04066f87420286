//! The terminal: results on standard output, messages on standard error, prompts for a name or password, and progress bars.
//!
//! Nothing else writes to the terminal, and nothing is written as it came: see [`printable`].

pub mod json_lines;
pub mod progress;

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::thread;

use anyhow::Context;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::Value;
use tokio::sync::oneshot;

use wagi::config::Diagnostic;
use wagi::counted;
use wagi::printable;

/// The exit code after Ctrl-C: 128 plus the number of the signal.
pub const INTERRUPTED: u8 = 130;

/// The longest input in bytes: more than any password has.
const MAX_INPUT: u64 = 64 << 10;

/// The form of the result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    Text,
    /// One document.
    Json,
}

/// Whether the pipe or terminal still takes what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputState {
    Open,
    /// The pipe is closed at its other end.
    Closed,
}

/// Whether the terminal shows what the user types.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    On,
    Off,
}

/// The problems that are printed. A file may have tens of thousands.
const MAX_PROBLEMS: usize = 1_000;

/// Prints a line on standard error. A failure is ignored, because there is no other place to report it.
pub fn print_message(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{}", printable::line(&line.to_string()));
}

/// Prints lines on standard error, whose line feeds are their own. A failure is ignored, as above.
pub fn print_lines(lines: &str) {
    let _ = writeln!(io::stderr(), "{}", printable::lines(lines));
}

/// Prints a usage error on standard error. Its line feeds are those of clap: the arguments in it are escaped.
pub fn print_usage_error(text: &str) {
    let _ = write!(io::stderr(), "{}", printable::lines(text));
}

/// Prints an error and its causes on standard error.
pub fn print_error(error: &anyhow::Error) {
    print_message(format_args!("error: {error}"));
    for cause in error.chain().skip(1) {
        print_message(format_args!("  caused by: {}", printable::one_line(&cause.to_string())));
    }
}

/// Prints problems on standard error.
pub fn print_problems(problems: &[Diagnostic]) {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for problem in problems.iter().take(MAX_PROBLEMS) {
        // Rendering escapes what the problem quotes, and adds colours.
        let _ = writeln!(io::stderr(), "{}\n", problem.render(color));
    }
    if let Some(more) = problems.len().checked_sub(MAX_PROBLEMS).filter(|more| *more > 0) {
        let more = counted(more, "more problem is", "more problems are");
        print_message(format_args!("{more} not shown"));
    }
}

/// Prints the result of a command on standard output. Line feeds and tabs of `text` are its own: those of names in it must
/// be escaped before, with [`printable::line`]. That the reader has gone is no failure.
pub fn print_result(text: &str) -> anyhow::Result<()> {
    print_part(text).map(drop)
}

/// Prints a part of a result as [`print_result`] does. Returns whether more of it can be printed.
pub fn print_part(text: &str) -> anyhow::Result<OutputState> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(printable::lines(text).as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(OutputState::Open),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(OutputState::Closed),
        Err(error) => Err(error).context("cannot print the result"),
    }
}

/// Prints a JSON document as the result of a command.
pub fn print_json(document: &Value) -> anyhow::Result<()> {
    print_result(&printable::json(&format!("{document:#}\n")))
}

/// Prints a text as [`print_part`] does, in place of what the terminal shows.
pub fn print_screen(text: &str) -> anyhow::Result<OutputState> {
    /// To the upper left, and what is below it is removed.
    const CLEAR: &str = "\u{1b}[H\u{1b}[2J";
    let mut stdout = io::stdout().lock();
    stdout.write_all(CLEAR.as_bytes()).context("cannot print the result")?;
    drop(stdout);
    print_part(text)
}

/// Returns whether standard input is a terminal.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Reads a password from standard input, without its line end.
pub fn read_password() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .context("cannot read the password from the standard input")?;
    Ok(without_line_end(&text))
}

/// Prints `prompt` and reads a line. Returns `None` after Ctrl-C. The state of the terminal is restored in any case.
pub async fn prompt(prompt: &str, echo: Echo) -> anyhow::Result<Option<String>> {
    let echo_off = (echo == Echo::Off).then(EchoOff::new).transpose().context("cannot hide the password")?;
    write!(io::stderr(), "{prompt}").context("cannot write to the terminal")?;
    let (sender, receiver) = oneshot::channel();
    // In a thread of its own: after Ctrl-C the process can end while the thread still reads.
    thread::spawn(move || {
        let mut text = String::new();
        let read = io::stdin().lock().take(MAX_INPUT).read_line(&mut text);
        // After Ctrl-C the receiver is gone.
        let _ = sender.send(read.map(|_| text));
    });
    let input = tokio::select! {
        input = receiver => Some(input),
        _ = tokio::signal::ctrl_c() => None,
    };
    if echo_off.is_some() || input.is_none() {
        // The terminal has not shown the line end either.
        let _ = writeln!(io::stderr());
    }
    drop(echo_off);
    let Some(input) = input else { return Ok(None) };
    let text =
        input.context("the thread that reads the terminal has ended")?.context("cannot read from the terminal")?;
    Ok(Some(without_line_end(&text)))
}

fn without_line_end(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text).to_owned()
}

/// Switches the echo of the terminal off until it is dropped.
struct EchoOff(Termios);

impl EchoOff {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut without_echo = before.clone();
        without_echo.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &without_echo)?;
        Ok(Self(before))
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        // A failure means that the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::terminal::without_line_end;

    #[test]
    fn one_line_end_is_removed() {
        for (text, expected) in [("pw\n", "pw"), ("pw\r\n", "pw"), ("pw", "pw"), (" p w \n\n", " p w \n"), ("", "")] {
            assert_eq!(without_line_end(text), expected);
        }
    }
}
