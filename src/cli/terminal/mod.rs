//! How is somebody asked for a name or a password? On a terminal, a password without showing it; else it is read as it is
//! piped in.

pub(in crate::cli) mod progress;

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::thread;

use anyhow::Context;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

/// The exit code of those who are interrupted: 128 and the number of the signal.
pub const INTERRUPTED: u8 = 130;

/// More than any password has.
const LONGEST: u64 = 64 << 10;

/// Whether what is typed is seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    Shown,
    Hidden,
}

/// Whether there is somebody to ask.
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// What is piped in, without the end of its line.
pub fn piped() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin().take(LONGEST).read_to_string(&mut text).context("cannot read the password from the standard input")?;
    Ok(line(&text))
}

/// Asks, and waits for a line; none if it is interrupted. The terminal is left as it was found either way.
pub async fn ask(question: &str, echo: Echo) -> anyhow::Result<Option<String>> {
    let unshown = (echo == Echo::Hidden).then(Unshown::begin).transpose().context("cannot keep the password unseen")?;
    write!(io::stderr(), "{question}").context("cannot ask on the terminal")?;
    let (sender, receiver) = oneshot::channel();
    // A thread of its own, which nobody has to wait for at the end.
    thread::spawn(move || {
        let mut text = String::new();
        let read = io::stdin().lock().take(LONGEST).read_line(&mut text);
        // Nobody listens any more if it was interrupted.
        let _ = sender.send(read.map(|_| text));
    });
    let answer = tokio::select! {
        answer = receiver => Some(answer),
        _ = tokio::signal::ctrl_c() => None,
    };
    if unshown.is_some() || answer.is_none() {
        // The end of the line was not shown either.
        let _ = writeln!(io::stderr());
    }
    drop(unshown);
    let Some(answer) = answer else { return Ok(None) };
    let text = answer.context("nobody reads the terminal")?.context("cannot read from the terminal")?;
    Ok(Some(line(&text)))
}

fn line(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text).to_owned()
}

/// As long as it lives, the terminal does not show what is typed.
struct Unshown(Termios);

impl Unshown {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut unshown = before.clone();
        unshown.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &unshown)?;
        Ok(Self(before))
    }
}

impl Drop for Unshown {
    fn drop(&mut self) {
        // If that fails there is no terminal any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::terminal::line;

    #[test]
    fn a_line_ends_before_its_end() {
        for (text, expected) in [("pw\n", "pw"), ("pw\r\n", "pw"), ("pw", "pw"), (" p w \n\n", " p w \n"), ("", "")] {
            assert_eq!(line(text), expected);
        }
    }
}
