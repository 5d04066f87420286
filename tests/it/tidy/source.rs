//! How is a source read? As what the compiler makes of it: comments, strings and what is compiled for tests only are told
//! apart from the rest, line by line.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of Rust.
#[derive(Clone)]
pub struct Source {
    /// Its path below the root of the package.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
    /// The same, with blanks in place of comments, of what is in strings, and of items that only tests have.
    pub code: String,
    /// The same, with blanks in place of all but comments.
    pub comments: String,
}

impl Source {
    fn read(root: &Path, file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a text file");
        let path = file.strip_prefix(root).expect("below the root").to_owned();
        let (code, comments) = split(&text);
        Self { path, code: without_tests(&code), comments, text }
    }

    /// Whether it is compiled for tests only.
    pub fn is_test(&self) -> bool {
        let name = self.path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"));
        name || self.path.components().any(|part| part.as_os_str() == "tests")
    }

    /// The lines with code, numbered.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim().is_empty())
    }

    /// Where something is, for a message.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

/// The sources below a folder.
pub fn sources(below: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(below)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() && !entry.ends_with("target") {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                sources.push(Source::read(root, &entry));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// The sources of the program and its library, without tests.
pub fn program() -> Vec<Source> {
    sources("src").into_iter().filter(|source| !source.is_test()).collect()
}

/// What a piece of a source is.
#[derive(Clone, Copy, PartialEq)]
enum Piece {
    Code,
    Text,
    Comment,
}

/// Code without comments and without what is in strings, and comments without code. Lines stay where they are.
fn split(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, length) = next(rest);
        let (taken, behind) = rest.split_at(length);
        code += &if piece == Piece::Code { taken.to_owned() } else { blank(taken) };
        comments += &if piece == Piece::Comment { taken.to_owned() } else { blank(taken) };
        rest = behind;
    }
    (code, comments)
}

/// A blank for every letter, and the ends of lines.
fn blank(text: &str) -> String {
    text.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect()
}

/// What a text begins with, and how long that is.
fn next(text: &str) -> (Piece, usize) {
    if text.starts_with("//") {
        return (Piece::Comment, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Piece::Comment, text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if let Some(length) = raw_string(text) {
        return (Piece::Text, length);
    }
    if text.starts_with('"') {
        return (Piece::Text, string(text));
    }
    if let Some(length) = character(text) {
        return (Piece::Text, length);
    }
    // A word at once, so that the end of one such as `for` is not taken for the beginning of a raw string.
    let word = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (Piece::Code, if word > 0 { word } else { text.chars().next().map_or(1, char::len_utf8) })
}

/// The length of `r"..."`, `r#"..."#` and the like, with a `b` before them or not.
fn raw_string(text: &str) -> Option<usize> {
    let start = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = start.len() - start.trim_start_matches('#').len();
    let content = start[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end)? + end.len();
    Some(text.len() - content.len() + length)
}

fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `'x'` or `'\n'`. A lifetime has no second quote that soon.
fn character(text: &str) -> Option<usize> {
    let mut letters = text.strip_prefix('\'')?.char_indices();
    match letters.next()? {
        (_, '\\') => letters.skip(1).find(|(_, letter)| *letter == '\'').map(|(at, _)| at + 2),
        _ => letters.next().filter(|(_, letter)| *letter == '\'').map(|(at, _)| at + 2),
    }
}

const FOR_TESTS: &str = "#[cfg(test)]";

/// Blanks in place of each item that `#[cfg(test)]` is on, and of nothing behind it.
fn without_tests(code: &str) -> String {
    let Some(start) = code.find(FOR_TESTS) else { return code.to_owned() };
    let (before, rest) = code.split_at(start);
    let (item, behind) = rest.split_at(item_length(rest));
    before.to_owned() + &blank(item) + &without_tests(behind)
}

/// How long an item is: up to a semicolon, or to the brace that closes its first.
pub fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_strings_and_code_are_told_apart() {
    let text = "let a = \"// no { comment\"; // a {\nlet b = '{'; let c: &'a str = r#\"\"}\"#;\n/* } */ for x in \"\\\"{\" {}\n";
    let (code, comments) = split(text);
    assert_eq!(code.split_whitespace().collect::<Vec<_>>().concat(), "leta=;letb=;letc:&'astr=;forxin{}");
    assert_eq!(comments.split_whitespace().collect::<Vec<_>>().concat(), "//a{/*}*/");
    assert_eq!((code.lines().count(), comments.lines().count()), (3, 3));
}

#[test]
fn only_the_item_that_is_for_tests_is_left_out() {
    let code =
        "a();\n#[cfg(test)]\nmod tests;\nb();\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests { fn c() {} }\nd();\n";
    assert_eq!(without_tests(code).split_whitespace().collect::<Vec<_>>(), ["a();", "b();", "d();"]);
}
