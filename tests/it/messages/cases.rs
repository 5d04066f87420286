//! Mistakes with their messages, as a Markdown file has them: a heading, what is wrong, and the message.

use std::fmt;
use std::path::Path;

/// A mistake and its message.
pub struct Case {
    pub name: String,
    /// The language that the input has in the file; that of `bytes` has bytes as `\x7f`.
    language: String,
    pub input: String,
    pub message: String,
}

/// The mistakes of a file, after the text that begins it.
pub struct Cases(pub Vec<Case>, String);

impl Cases {
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut parts = text.split("\n## ");
        let begin = parts.next().unwrap_or_default().to_owned();
        Self(parts.map(|part| Case::read(part).unwrap_or_else(|| panic!("no mistake: {part}"))).collect(), begin)
    }

    /// The same with other messages.
    pub fn with(&self, message: impl Fn(&Case) -> String) -> Self {
        let changed = |case: &Case| Case {
            name: case.name.clone(),
            language: case.language.clone(),
            input: case.input.clone(),
            message: message(case),
        };
        Self(self.0.iter().map(changed).collect(), self.1.clone())
    }
}

impl Case {
    fn read(part: &str) -> Option<Self> {
        let (name, rest) = part.split_once("\n\n```")?;
        let (language, rest) = rest.split_once('\n')?;
        let (input, rest) = rest.split_once("```\n\n```text\n")?;
        let message = rest.split_once("\n```").map(|(message, _)| message).unwrap_or_default();
        let [name, language, input, message] = [name, language, input, message].map(str::to_owned);
        Some(Self { name, language, input, message })
    }

    /// The input as the bytes of a file.
    pub fn bytes(&self) -> Vec<u8> {
        if self.language != "bytes" {
            return self.input.clone().into();
        }
        let mut parts = self.input.trim_end().split("\\x");
        let mut bytes: Vec<u8> = parts.next().unwrap_or_default().into();
        for part in parts {
            let (digits, text) = part.split_at(2);
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            bytes.extend(text.as_bytes());
        }
        bytes
    }
}

impl fmt::Display for Cases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(cases, begin) = self;
        f.write_str(begin.trim_end())?;
        for Case { name, language, input, message } in cases {
            write!(f, "\n\n## {name}\n\n```{language}\n{input}```\n\n```text\n{message}\n```")?;
        }
        f.write_str("\n")
    }
}
