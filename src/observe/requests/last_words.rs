//! What did a program say when it gave up, and in which line of its source was that?
//!
//! Each language has its own form for panics and uncaught exceptions. Those that are met in the field are recognized in the end of
//! standard error.

/// What a program said at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::observe) struct LastWords {
    /// The message, in one line.
    pub message: String,
    /// The file and the line, if they are known.
    pub place: Option<String>,
}

/// The most characters of a message and of a place.
const MAX_MESSAGE: usize = 160;

/// What is found in the lines of a standard error: a message, and its place.
type LastWordsForm = fn(&[&str]) -> Option<(String, Option<String>)>;

/// The first form that is found.
const FORMS: [LastWordsForm; 9] = [rust, python, php, assertion, zig, go, ruby, assembly_script, javascript];

impl LastWords {
    /// What is said in this end of standard error, if it has a known form.
    pub fn of(stderr: &str) -> Option<Self> {
        let lines: Vec<&str> = stderr.lines().map(str::trim_end).collect();
        let (message, place) = FORMS.iter().find_map(|form| form(&lines))?;
        let cut = |text: &str| text.chars().take(MAX_MESSAGE).collect::<String>().trim().to_owned();
        Some(Self { message: cut(&message), place: place.map(|place| cut(&place)) })
    }
}

/// The number of the last line for which this holds.
fn last(lines: &[&str], is: impl Fn(&str) -> bool) -> Option<usize> {
    lines.iter().rposition(|line| is(line))
}

fn next<'a>(lines: &[&'a str], at: usize) -> Option<&'a str> {
    lines.get(at + 1..)?.iter().find(|line| !line.is_empty()).copied()
}

/// `thread 'main' panicked at src/main.rs:3:5:`, and the message in the next line.
fn rust(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| line.starts_with("thread '") && line.contains(" panicked at "))?;
    let (_, rest) = lines.get(at)?.split_once(" panicked at ")?;
    // Before Rust 1.73: 'message', src/main.rs:3:5
    if let Some((message, place)) = rest.strip_prefix('\'').and_then(|rest| rest.rsplit_once("', ")) {
        return Some((message.to_owned(), Some(place.to_owned())));
    }
    let message = next(lines, at).unwrap_or("it panicked");
    Some((message.to_owned(), Some(rest.trim_end_matches(':').to_owned())))
}

/// `Traceback (most recent call last):`, places, and the exception.
fn python(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| line.trim_start().starts_with("Traceback (most recent call last)"))?;
    let after = lines.get(at + 1..)?;
    let place = after.iter().rfind(|line| line.trim_start().starts_with("File \"")).and_then(|line| {
        let (file, rest) = line.trim_start().strip_prefix("File \"")?.split_once("\", line ")?;
        let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("{file}:{number}"))
    });
    let message = after.iter().rfind(|line| !line.is_empty() && !line.starts_with([' ', '[']))?;
    Some(((*message).to_owned(), place))
}

/// `PHP Fatal error:  Uncaught Error: ... in /app/index.php on line 3`, or `... in /app/index.php:3` for exceptions.
fn php(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| line.contains("Fatal error: ") || line.contains("Parse error: "))?;
    let line = lines.get(at)?;
    let (_, message) = line.split_once("error: ")?;
    if let Some((message, place)) = message.rsplit_once(" in ") {
        return Some((message.trim().to_owned(), Some(place.replace(" on line ", ":"))));
    }
    Some((message.trim().to_owned(), None))
}

/// `Assertion failed: x > 0 (main.c: main: 5)` of the C library.
fn assertion(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| line.starts_with("Assertion failed: "))?;
    let line = lines.get(at)?;
    let inner = line.rsplit_once(" (").and_then(|(message, place)| {
        let mut parts = place.trim_end_matches(')').split(": ");
        let (file, number) = (parts.next()?, parts.last()?);
        Some(((*message).to_owned(), Some(format!("{file}:{number}"))))
    });
    inner.or_else(|| Some(((*line).to_owned(), None)))
}

/// `thread 1 panic: integer overflow`, and `main.zig:3:5: 0x...` in a line behind it.
fn zig(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| line.starts_with("thread ") && line.contains(" panic: "))?;
    let (_, message) = lines.get(at)?.split_once(" panic: ")?;
    let place = lines.get(at + 1..)?.iter().find_map(|line| line.split_once(": 0x").map(|(place, _)| place.to_owned()));
    Some((message.to_owned(), place))
}

/// `panic: message`, and places of goroutines: a tab, the file, and ` +0x1d` behind the line.
fn go(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| line.starts_with("panic: ") || line.starts_with("fatal error: "))?;
    let message = lines.get(at)?;
    let is_own = |line: &&&str| line.starts_with('\t') && line.contains(".go:") && !line.contains("/runtime/");
    let place = lines.get(at + 1..)?.iter().find(is_own).map(|line| {
        let line = line.trim();
        line.split_once(" +0x").map_or(line, |(place, _)| place).to_owned()
    });
    Some(((*message).to_owned(), place))
}

/// `app.rb:3:in 'Object#divide': divided by 0 (ZeroDivisionError)`.
fn ruby(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| !line.starts_with([' ', '\t']) && line.contains(":in ") && line.ends_with(')'))?;
    let (place, rest) = lines.get(at)?.split_once(":in ")?;
    let (_, message) = rest.split_once(": ")?;
    place.contains(':').then(|| (message.to_owned(), Some(place.to_owned())))
}

/// `abort: message in assembly/index.ts(3:5)`.
fn assembly_script(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| line.starts_with("abort: "))?;
    let line = lines.get(at)?.strip_prefix("abort: ")?;
    match line.rsplit_once(" in ") {
        Some((message, place)) => Some((message.to_owned(), Some(place.replace('(', ":").replace(')', "")))),
        None => Some((line.to_owned(), None)),
    }
}

/// `TypeError: x is not a function`, and `    at main (app.js:3:5)` in the next line.
fn javascript(lines: &[&str]) -> Option<(String, Option<String>)> {
    let at = last(lines, |line| line.trim_start().starts_with("at ") && line.contains(':'))?;
    let first = lines.get(..at)?.iter().rposition(|line| !line.trim_start().starts_with("at "))?;
    let message = lines.get(first)?;
    let place = next(lines, first)?.trim_start().strip_prefix("at ")?;
    let place = place.rsplit_once('(').map_or(place, |(_, place)| place.trim_end_matches(')'));
    Some(((*message).to_owned(), Some(place.to_owned())))
}

#[cfg(test)]
mod tests {
    use crate::observe::requests::last_words::*;

    #[test]
    fn panics_and_exceptions_of_many_languages_are_recognized() {
        for (stderr, message, place) in [
            (
                "starts\n\nthread 'main' (1) panicked at src/main.rs:3:5:\nindex out of bounds\nnote: run with\n",
                "index out of bounds",
                "src/main.rs:3:5",
            ),
            ("thread 'main' panicked at 'oh no', src/main.rs:4:9\n", "oh no", "src/main.rs:4:9"),
            (
                "Traceback (most recent call last):\n  File \"/app/a.py\", line 7, in <module>\n    1 / 0\nZeroDivisionError: division by zero\n",
                "ZeroDivisionError: division by zero",
                "/app/a.py:7",
            ),
            (
                "PHP Fatal error:  Uncaught Error: Call to undefined function f() in /www/index.php:3\nStack trace:\n#0 {main}\n",
                "Uncaught Error: Call to undefined function f()",
                "/www/index.php:3",
            ),
            (
                "PHP Parse error: syntax error, unexpected token in /www/a.php on line 9\n",
                "syntax error, unexpected token",
                "/www/a.php:9",
            ),
            ("Assertion failed: x > 0 (main.c: main: 5)\n", "Assertion failed: x > 0", "main.c:5"),
            ("thread 1 panic: integer overflow\nmain.zig:3:5: 0x10 in main\n", "integer overflow", "main.zig:3:5"),
            (
                "panic: oh no\n\ngoroutine 1 [running]:\nmain.main()\n\t/home/a/main.go:9 +0x2\n",
                "panic: oh no",
                "/home/a/main.go:9",
            ),
            (
                "app.rb:3:in 'Integer#/': divided by 0 (ZeroDivisionError)\n\tfrom app.rb:3:in '<main>'\n",
                "divided by 0 (ZeroDivisionError)",
                "app.rb:3",
            ),
            ("abort: Index out of range in assembly/index.ts(12:3)\n", "Index out of range", "assembly/index.ts:12:3"),
            (
                "TypeError: not a function\n    at f (app.js:3:7)\n    at <eval> (app.js:9)\n",
                "TypeError: not a function",
                "app.js:3:7",
            ),
        ] {
            let found = LastWords::of(stderr).unwrap_or_else(|| panic!("{stderr}"));
            assert_eq!((found.message.as_str(), found.place.as_deref()), (message, Some(place)));
        }
    }

    #[test]
    fn other_words_are_no_reason() {
        for stderr in ["", "hello\n", "at 3:5\n", "thread 'main' is here\n", "panicked at\n", "in (\n", ":in : )"] {
            assert_eq!(LastWords::of(stderr), None, "{stderr}");
        }
        let long = format!("panic: {}\n", "é".repeat(100_000));
        assert!(LastWords::of(&long).is_some_and(|found| found.message.chars().count() <= MAX_MESSAGE));
    }
}
