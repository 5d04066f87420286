//! What is a file that is to be WebAssembly, binary or text?
//!
//! What operators give in place of a module is nearly always one of a few things: an archive, a page of a web server, source
//! code, a program for this machine. Each is recognized by its first bytes, and the message says what it is and what to do.

use std::borrow::Cow;
use std::fmt;

/// The first bytes of a binary module or component.
pub const MAGIC: &[u8] = b"\0asm";

/// The bytes of a binary module or component: of a text, what it is in binary form.
pub fn to_binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, NotWasm> {
    if bytes.starts_with(MAGIC) {
        return Ok(Cow::Borrowed(bytes));
    }
    if let Some(kind) = FileKind::of(bytes) {
        return Err(NotWasm::Other(kind));
    }
    wat::parse_bytes(bytes).map_err(|error| NotWasm::of_text(TextError::from(&error), bytes))
}

/// Why a file is not WebAssembly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWasm {
    /// It is something else.
    #[error("{0}, not a WebAssembly module")]
    Other(FileKind),
    /// It is a text that cannot be parsed.
    #[error("{0}")]
    Text(TextError),
    /// It is a text with exceptions of the first proposal, which the parser no longer knows.
    #[error("{USES_LEGACY_EXCEPTIONS}: {}", .0.place())]
    LegacyExceptions(TextError),
}

/// Why a text with exceptions of the first proposal cannot be parsed.
const USES_LEGACY_EXCEPTIONS: &str = "it uses legacy exceptions, those of the first proposal, which are not supported";

/// What the operator can do about a program with exceptions of the first proposal.
pub const LEGACY_EXCEPTIONS_HELP: &str = "run `wasm-opt --translate-to-exnref -all` of binaryen on it, or build it with \
                                          `-mllvm -wasm-use-legacy-eh=false`";

/// The instructions of the first proposal for exceptions.
const LEGACY_EXCEPTIONS: [&str; 6] = ["try", "do", "catch", "catch_all", "delegate", "rethrow"];

impl NotWasm {
    /// What the first bytes say that the file is instead; `None` if it can be WebAssembly.
    pub fn by_first_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(MAGIC) { None } else { FileKind::of(bytes).map(Self::Other) }
    }

    /// A text that another process could not parse, in its words.
    pub fn text(message: impl Into<String>) -> Self {
        let message = message.into();
        let legacy = message.strip_prefix(USES_LEGACY_EXCEPTIONS).and_then(|rest| rest.strip_prefix(": line "));
        match legacy.map(|place| place.replacen(", column ", ":", 1)) {
            Some(position) => Self::LegacyExceptions(TextError { message, position: Some(position) }),
            None => Self::Text(TextError { message, position: None }),
        }
    }

    /// Why a text cannot be parsed.
    fn of_text(error: TextError, text: &[u8]) -> Self {
        match error.word(text) {
            Some(word) if LEGACY_EXCEPTIONS.contains(&word) => Self::LegacyExceptions(error),
            _ => Self::Text(error),
        }
    }

    /// What the operator can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Other(kind) => Some(kind.help),
            Self::LegacyExceptions(_) => Some(LEGACY_EXCEPTIONS_HELP),
            Self::Text(_) => Some("mend the text there; if it is to be no text of WebAssembly, name the `.wasm` file"),
        }
    }
}

/// Why a text is not a module or component, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    message: String,
    /// Line and column, as `LINE:COLUMN`.
    position: Option<String>,
}

impl From<&wat::Error> for TextError {
    /// The first line of the error, and its position. The other lines quote the text.
    fn from(error: &wat::Error) -> Self {
        let text = error.to_string();
        let mut lines = text.lines();
        let message = lines.next().unwrap_or_default().to_owned();
        let position = lines.next().and_then(|line| Some(line.rsplit_once("<anon>:")?.1.to_owned()));
        Self { message, position }
    }
}

impl TextError {
    /// The position, in words.
    fn place(&self) -> String {
        let position = self.position.as_deref().and_then(|position| position.split_once(':'));
        position.map(|(line, column)| format!("line {line}, column {column}")).unwrap_or_default()
    }

    /// The word of the text at the position.
    fn word<'a>(&self, text: &'a [u8]) -> Option<&'a str> {
        let (line, column) = self.position.as_deref()?.split_once(':')?;
        let (line, column) = (line.parse::<usize>().ok()?, column.parse::<usize>().ok()?);
        let line = std::str::from_utf8(text).ok()?.lines().nth(line.checked_sub(1)?)?;
        let rest = line.get(column.checked_sub(1)?..)?;
        rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(_) => write!(f, "the text is wrong at {}: {}", self.place(), self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// What a file is that is not WebAssembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKind {
    /// As the end of a sentence: `a gzip archive`.
    name: &'static str,
    /// What the operator can do about it.
    help: &'static str,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file is {}", self.name)
    }
}

const UNPACK: &str = "unpack it, and name the `.wasm` file that is in it";
const BUILD: &str = "compile the program for `wasm32-wasip1`, and name the `.wasm` file that the compiler writes";
const SOURCE: &str = "compile it first, and name the `.wasm` file that the compiler writes";
const INTERPRET: &str =
    "name the `.wasm` file of an interpreter, and give it the script in a volume; or compile the script to a component";
const LOOK: &str = "is this the right file? A module begins with the bytes `\\0asm`, or with `(module` as text";

/// Beginnings of binary files.
const BINARY: [(&[u8], &str, &str); 16] = [
    (
        b"\x1f\x8b",
        "compressed with gzip",
        "unpack it with `gunzip` or `tar -xz`, and name the `.wasm` file that is in it",
    ),
    (b"BZh", "compressed with bzip2", UNPACK),
    (b"\xfd7zXZ\0", "compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK),
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"!<arch>", "an archive of object files", BUILD),
    (b"\x7fELF", "an ELF program or library, compiled for a machine", BUILD),
    (b"\xfe\xed\xfa\xce", "a Mach-O program, compiled for macOS", BUILD),
    (b"\xfe\xed\xfa\xcf", "a Mach-O program, compiled for macOS", BUILD),
    (b"\xce\xfa\xed\xfe", "a Mach-O program, compiled for macOS", BUILD),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program, compiled for macOS", BUILD),
    (b"\xca\xfe\xba\xbe", "a Mach-O program or a Java class", BUILD),
    (b"MZ", "a program for Windows", BUILD),
    (b"BC\xc0\xde", "LLVM bitcode", "link it: `clang` and `rustc` write a `.wasm` file without `-emit-llvm`"),
    (b"%PDF", "a PDF document", LOOK),
    (b"\x89PNG", "an image", LOOK),
];

/// Beginnings of texts, in lower case, behind white space and comments. The first that fits counts.
const TEXT: [(&[&str], &str, &str); 11] = [
    (
        &["version https://git-lfs.github.com/spec/"],
        "a Git LFS pointer, which stands for a file that was not downloaded",
        "run `git lfs pull`",
    ),
    (
        &["<!doctype html", "<html", "<head", "<body"],
        "an HTML page, such as an error page of a web server",
        "download the module again, and look at what the server sends: `curl --fail --location`",
    ),
    (&["<?php"], "a PHP script", INTERPRET),
    (&["<?xml", "<svg", "<error"], "an XML document, such as an error of a web server", "download the module again"),
    (&["#include", "#define", "#ifndef", "#pragma", "int main", "void ", "static "], "source code in C or C++", SOURCE),
    (
        &["#![", "#[", "fn ", "pub ", "use ", "mod ", "extern crate", "//!"],
        "source code in Rust",
        "compile it with `cargo build --target wasm32-wasip1`, and name the `.wasm` file below `target/wasm32-wasip1`",
    ),
    (
        &["package "],
        "source code in Go or a WIT package",
        "compile a program with `GOOS=wasip1 GOARCH=wasm go build`, and name the file that this writes",
    ),
    (&["def ", "from ", "class ", "import sys", "import os", "print("], "source code in Python", INTERPRET),
    (
        &[
            "import ",
            "export ",
            "const ",
            "let ",
            "var ",
            "function ",
            "async ",
            "\"use strict\"",
            "'use strict'",
            "console.",
        ],
        "source code in JavaScript or TypeScript",
        "compile it to a component first, and name the `.wasm` file that the compiler writes",
    ),
    (
        &["{"],
        "JSON",
        "is this the right file? For a manifest of a registry, write `oci:` and the reference as the module",
    ),
    (&["["], "a TOML or JSON file", "if it is a configuration, start with `wagi --config FILE`"),
];

impl FileKind {
    /// What a file with these bytes is, if they do not look like WebAssembly as text either.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let kind = |name, help| Some(Self { name, help });
        if bytes.trim_ascii().is_empty() {
            return kind("empty", "build or download the module again");
        }
        if MAGIC.starts_with(bytes) {
            return kind("cut off after its first bytes", "build or download the module again");
        }
        if let Some((_, name, help)) = BINARY.iter().find(|(start, ..)| bytes.starts_with(start)) {
            return kind(name, help);
        }
        if bytes.get(257..262) == Some(b"ustar") {
            return kind("a tar archive", UNPACK);
        }
        // A character may be cut at the end.
        let start = bytes.get(..4096).unwrap_or(bytes);
        let text = match std::str::from_utf8(start) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() && start.len() < bytes.len() => {
                start.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok())?
            }
            Err(_) => return kind("neither binary WebAssembly nor text", LOOK),
        };
        Self::of_text(text)
    }

    fn of_text(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with(['(', ';']) {
            return None;
        }
        if text.starts_with("#!") && !text.starts_with("#![") {
            return Some(Self { name: "a script", help: INTERPRET });
        }
        let lower = without_comments(text).to_ascii_lowercase();
        let known = TEXT.iter().find(|(starts, ..)| starts.iter().any(|start| lower.starts_with(start)));
        if let Some((_, name, help)) = known {
            return Some(Self { name, help });
        }
        let first = lower.lines().next().unwrap_or_default();
        let is_assignment = first.split_once('=').is_some_and(|(key, _)| {
            !key.trim().is_empty()
                && key.trim().chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter))
        });
        Some(match is_assignment {
            true => Self { name: "a TOML file", help: "if it is a configuration, start with `wagi --config FILE`" },
            false => Self { name: "a text that is not WebAssembly", help: LOOK },
        })
    }
}

/// The text behind comments of C, and behind lines that begin with `# `.
fn without_comments(text: &str) -> &str {
    let mut text = text;
    loop {
        text = text.trim_start();
        let end = match text {
            line if line.starts_with("//") && !line.starts_with("//!") => line.find('\n'),
            line if line.starts_with("# ") => line.find('\n'),
            block if block.starts_with("/*") => block.find("*/").map(|end| end + 1),
            _ => return text,
        };
        let Some(rest) = end.and_then(|end| text.get(end + 1..)) else { return text };
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use crate::wasm_bytes::*;

    #[test]
    fn what_is_not_webassembly_is_recognised_and_has_a_cure() {
        let mut tar = vec![b'a'; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let cases: [(&[u8], &str, &str); 31] = [
            (b"", "is empty", "again"),
            (b" \n", "is empty", "again"),
            (b"\0as", "cut off", "again"),
            (b"\x1f\x8b\x08\0", "gzip", "gunzip"),
            (&tar, "tar archive", "unpack"),
            (b"PK\x03\x04..", "zip archive", "unpack"),
            (b"\x28\xb5\x2f\xfd", "zstd", "unpack"),
            (b"\x7fELF\x02\x01", "ELF", "wasm32-wasip1"),
            (b"\xcf\xfa\xed\xfe\x07", "Mach-O", "wasm32-wasip1"),
            (b"MZ\x90", "Windows", "wasm32-wasip1"),
            (b"\xff\xfe\0\x01", "neither binary", "right file"),
            (b"<!DOCTYPE html>\n<html>", "HTML", "download"),
            (b"\n\n<HTML lang=en>", "HTML", "download"),
            (b"<?xml version='1.0'?>", "XML", "download"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS", "git lfs pull"),
            (b"#!/bin/sh\necho", "a script", "interpreter"),
            (b"<?php echo 1;", "PHP", "interpreter"),
            (b"{ \"schemaVersion\": 2 }", "JSON", "oci:"),
            (b"[[module]]\nroute = '/'", "TOML", "--config"),
            (b"# modules\n[[module]]", "TOML", "--config"),
            (b"default_host = 'a'\n", "TOML", "--config"),
            (b"fn main() {}", "Rust", "cargo build --target wasm32-wasip1"),
            (b"// hello\n//! doc\nuse std::io;", "Rust", "cargo build"),
            (b"#![no_std]\nfn main", "Rust", "cargo build"),
            (b"/* a\n * b */\n#include <stdio.h>", "in C", "compile it"),
            (b"package main\n\nimport \"fmt\"", "Go", "GOOS=wasip1"),
            (b"import { x } from 'y'", "JavaScript", "component"),
            (b"'use strict';\nconst a = 1", "JavaScript", "component"),
            (b"import sys\nprint(1)", "Python", "interpreter"),
            ("\u{feff}hello".as_bytes(), "a text that is not", "right file"),
            (b"# only a comment", "a text that is not", "right file"),
        ];
        for (bytes, name, help) in cases {
            let error = to_binary(bytes).expect_err("no module");
            let shown = error.to_string();
            assert!(shown.starts_with("the file is ") && shown.contains(name), "{bytes:?}: {shown}");
            assert!(error.help().is_some_and(|found| found.contains(help)), "{bytes:?}: {:?}", error.help());
        }
    }

    #[test]
    fn a_wrong_text_is_shown_in_one_line_with_its_position() {
        for (text, message) in [
            ("(module", "expected `)`"),
            ("(modul)", "the text is wrong at line 1, column 2: "),
            (";; comment\n(module (func (i32.nope)))", "line 2, column 16"),
        ] {
            let shown = to_binary(text.as_bytes()).expect_err(text).to_string();
            assert!(shown.contains(message), "{shown}");
            assert!(!shown.contains("<anon>") && !shown.contains('\n'), "{shown}");
        }
    }

    #[test]
    fn exceptions_of_the_first_proposal_are_told_apart_in_a_text_too() {
        for text in ["(module (func (try (do) (catch_all))))", "(module\n  (func\n    (try (do))))"] {
            let error = to_binary(text.as_bytes()).expect_err(text);
            assert!(error.to_string().contains("legacy exceptions"), "{text}: {error}");
            assert!(error.help().is_some_and(|help| help.contains("wasm-opt")), "{text}: {error:?}");
        }
        for text in ["(module (func (try_tab)))", "(module (func (nope)))"] {
            assert!(matches!(to_binary(text.as_bytes()), Err(NotWasm::Text(_))), "{text}");
        }
    }

    #[test]
    fn webassembly_is_what_it_is() {
        let binary = to_binary(b"(module)").expect("a module").into_owned();
        assert!(binary.starts_with(MAGIC));
        assert!(matches!(to_binary(&binary), Ok(Cow::Borrowed(_))));
        for text in [" (module)", ";; a\n(module)", "(; a ;)(component)", "\n(module $\"é\")"] {
            assert!(to_binary(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn every_beginning_of_every_file_is_looked_at_without_a_panic() {
        let text = "é".repeat(3_000);
        for end in 0..text.len() {
            let _ = FileKind::of(&text.as_bytes()[..end]);
        }
    }
}
