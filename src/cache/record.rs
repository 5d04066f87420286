//! What is recorded of a reference?
//!
//! For the reference `example.com/app:1`:
//!
//! ```text
//! sha256:<digest of the module> <its size in bytes>
//! example.com/app:1
//! sha256:<digest of the manifest, or of the index>
//! sha256:<digest of the manifest that the index lists; only if there is an index>
//! ```
//!
//! A record is written when a module is pulled, and read when its registry is down and
//! when the caches are listed.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::cache::RECORDS;
use crate::config::Sha256;
use crate::format::sha256_hex;
use crate::regular_file;

/// The limit on the size of a record, in bytes.
const MAX_SIZE: u64 = 2048;

/// What a reference stood for when it was last pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReferenceRecord {
    pub module: Sha256,
    pub size: u64,
    pub reference: String,
    /// The manifest of the reference. If that is an index, the manifest that it lists comes second.
    pub manifests: Vec<Sha256>,
}

impl ReferenceRecord {
    /// The path of the record of a reference, below the root of the store.
    pub fn path(reference: &str) -> PathBuf {
        Path::new(RECORDS).join(sha256_hex(reference.as_bytes()))
    }

    /// Reads the record in a file, if it is one.
    pub fn read(path: &Path) -> Option<Self> {
        Self::parse(&String::from_utf8(regular_file::read(path, MAX_SIZE).ok()?).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let digest = |text: &str| text.strip_prefix("sha256:")?.parse().ok();
        let mut lines = text.lines();
        let (module, size) = lines.next()?.split_once(' ')?;
        let reference = lines.next()?.to_owned();
        let manifests = lines.map(digest).collect::<Option<Vec<_>>>().filter(|digests| !digests.is_empty())?;
        Some(Self { module: digest(module)?, size: size.parse().ok()?, reference, manifests })
    }
}

impl fmt::Display for ReferenceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { module, size, reference, manifests } = self;
        write!(f, "sha256:{module} {size}\n{reference}\n")?;
        manifests.iter().try_for_each(|digest| writeln!(f, "sha256:{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::cache::record::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_nothing_else_is() {
        let digest = |digit: &str| digit.repeat(64).parse().expect("a digest");
        let record = ReferenceRecord {
            module: digest("a"),
            size: 7,
            reference: "h/app:1".to_owned(),
            manifests: vec![digest("b")],
        };
        let text = record.to_string();
        assert_eq!(ReferenceRecord::parse(&text), Some(record));
        for damaged in
            ["", "sha256:aa 7\n", &text.replace('7', "x"), &text[..text.len() - 4], &text.replace("sha256:b", "b")]
        {
            assert_eq!(ReferenceRecord::parse(damaged), None, "{damaged}");
        }
    }
}
