//! Which words of `wagi cgi` are of the operator?
//!
//! Those up to the file. A web server adds the words of a query without `=` behind them (RFC 3875 §4.4), so a client chooses
//! what follows: it never reaches clap.

use std::ffi::OsString;

/// The options of `wagi cgi` that have a value in the next word.
const WITH_VALUE: [&str; 5] = ["--cache", "--access-log", "-e", "--env", "--env-file"];

/// The words of a command line without those of a client.
pub(super) fn of_the_operator(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|command| command == "cgi") {
        words.truncate(length(&words));
    }
    words
}

/// How many words there are up to the file.
fn length(words: &[OsString]) -> usize {
    let mut at = 2;
    while let Some(word) = words.get(at) {
        let text = word.to_string_lossy();
        match &*text {
            // The file is behind it.
            "--" => return words.len().min(at + 2),
            option if WITH_VALUE.contains(&option) => at += 2,
            option if option.starts_with('-') => at += 1,
            _ => return at + 1,
        }
    }
    words.len()
}

#[cfg(test)]
mod tests {
    use crate::cli::args::cgi::*;

    #[test]
    fn words_behind_the_file_are_those_of_a_client() {
        for (line, kept) in [
            ("wagi cgi a.wasm", 3),
            ("wagi cgi a.wasm -s", 3),
            ("wagi cgi a.wasm --help", 3),
            ("wagi cgi a.wasm -c x", 3),
            ("wagi cgi --cache /c a.wasm --cache /tmp", 5),
            ("wagi cgi --cache=/c a.wasm b.wasm", 4),
            ("wagi cgi -e A=1 --env B=2 --env-file f a.wasm -h", 9),
            ("wagi cgi -- a.wasm --help", 4),
            ("wagi cgi --help", 3),
            ("wagi cgi --cache", 3),
            ("wagi cgi", 2),
            ("wagi a.wasm -s", 3),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(of_the_operator(words.clone()), words[..kept], "{line}");
        }
    }
}
