//! What does a log say its tree is?
//!
//! A checkpoint is a signed note: lines with the name of the log, the size of its tree and the hash of it, an empty line, and lines
//! with signatures, each with the first bytes of the id of the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::signature::json::MAX_ELEMENTS;
use crate::signature::trusted_root::TrustedLog;

/// The begin of a line with a signature.
const SIGNATURE: &str = "\u{2014} ";

/// The size and the hash of a tree that its log has signed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::signature) struct SignedTree {
    pub size: u64,
    pub hash: Vec<u8>,
}

/// Reads a checkpoint. `None` if the log has not signed it.
pub(in crate::signature) fn read(note: &str, log: &TrustedLog) -> Option<SignedTree> {
    let (text, signatures) = note.split_once("\n\n")?;
    let text = format!("{text}\n");
    let is_right = |line: &str| {
        let (_, signature) = line.strip_prefix(SIGNATURE)?.rsplit_once(' ')?;
        let signature = STANDARD.decode(signature).ok()?;
        let (hint, signature) = signature.split_at_checked(4)?;
        (log.checkpoint_id.starts_with(hint) && log.key.has_signed(text.as_bytes(), signature)).then_some(())
    };
    signatures.lines().take(MAX_ELEMENTS).find_map(is_right)?;
    let mut lines = text.lines().skip(1);
    Some(SignedTree { size: lines.next()?.parse().ok()?, hash: STANDARD.decode(lines.next()?).ok()? })
}
