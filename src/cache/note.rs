//! What is remembered of a reference?
//!
//! A line each: digest and size of the module it stood for, the reference, the digest of its manifest, and if that was an
//! index, of the one it led to. Written by `fetch` when a module is pulled, read when its registry is down, and when the
//! caches are listed.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::config::Sha256;

/// No note is longer than this many bytes.
const LONGEST: u64 = 2048;

/// What a reference stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub module: Sha256,
    pub size: u64,
    pub reference: String,
    /// The first is what the reference stood for; it may have led to another.
    pub manifests: Vec<Sha256>,
}

impl Note {
    /// The note in a file, if it is one.
    pub fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Option<Self> {
        let digest = |text: &str| text.strip_prefix("sha256:")?.parse().ok();
        let mut lines = text.lines();
        let (module, size) = lines.next()?.split_once(' ')?;
        let reference = lines.next()?.to_owned();
        let manifests = lines.map(digest).collect::<Option<Vec<_>>>().filter(|digests| !digests.is_empty())?;
        Some(Self { module: digest(module)?, size: size.parse().ok()?, reference, manifests })
    }

    /// As it is written.
    pub fn text(&self) -> String {
        let Self { module, size, reference, manifests } = self;
        let manifests: String = manifests.iter().map(|digest| format!("sha256:{digest}\n")).collect();
        format!("sha256:{module} {size}\n{reference}\n{manifests}")
    }
}

#[cfg(test)]
mod tests {
    use crate::cache::note::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_nothing_else_is() {
        let digest = |digit: &str| digit.repeat(64).parse().expect("a digest");
        let note = Note { module: digest("a"), size: 7, reference: "h/app:1".to_owned(), manifests: vec![digest("b")] };
        let text = note.text();
        assert_eq!(Note::parse(&text), Some(note));
        for damaged in
            ["", "sha256:aa 7\n", &text.replace('7', "x"), &text[..text.len() - 4], &text.replace("sha256:b", "b")]
        {
            assert_eq!(Note::parse(damaged), None, "{damaged}");
        }
    }
}
