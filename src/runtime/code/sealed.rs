//! Which files with machine code did wagi itself write, undamaged?
//!
//! A file holds the code and then a checksum: a SHA-256 over its name and the code. The checksum finds damage, and code in a
//! file with the name of another file. It is no signature: any process that can write to the file could write a valid checksum.
//! So only this user and root may be able to write to the file.
//!
//! A file may also hold a description, and the length of it, between the code and the checksum.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};

use crate::cache;

/// The length of the checksum, at the end of the file.
pub(in crate::runtime::code) const CHECKSUM_LENGTH: usize = 32;

/// The longest description that is read: ten thousand paths have room.
const MAX_DESCRIPTION: u64 = 16 << 20;

/// Code is read in pieces of this size to be checked.
const PIECE: usize = 64 << 10;

/// An open file whose owner, mode and checksum are verified, positioned at its start. Made by
/// [`verify`](Self::verify) only.
#[derive(Debug)]
pub(in crate::runtime::code) struct SealedFile(File);

impl SealedFile {
    /// Verifies a file that was opened under `name`.
    pub fn verify(file: File, name: &str) -> io::Result<Self> {
        let length = private_length(&file)?;
        let mut reader = &file;
        verify_checksum(reader, length, name)?;
        reader.rewind()?;
        Ok(Self(file))
    }

    /// The description in a file that was written with one.
    pub fn description(&self) -> io::Result<Vec<u8>> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it has no description");
        let end = self.0.metadata()?.len().checked_sub(CHECKSUM_LENGTH as u64 + 8).ok_or_else(damaged)?;
        let mut length = [0; 8];
        self.0.read_exact_at(&mut length, end)?;
        let length = u64::from_le_bytes(length);
        let start = end.checked_sub(length).filter(|_| length <= MAX_DESCRIPTION).ok_or_else(damaged)?;
        let mut description = vec![0; usize::try_from(length).map_err(|_| damaged())?];
        self.0.read_exact_at(&mut description, start)?;
        Ok(description)
    }

    /// The file, to be mapped.
    pub fn into_file(self) -> File {
        self.0
    }
}

/// Code with a description behind it, as it is written to a file.
pub(in crate::runtime::code) fn described<'a>(code: impl Read + 'a, description: &'a [u8]) -> impl Read + 'a {
    code.chain(description).chain(Cursor::new((description.len() as u64).to_le_bytes()))
}

/// Writes code with its checksum to a file that is to be called `name`.
pub(in crate::runtime::code) fn write(mut file: &File, name: &str, mut code: impl Read) -> io::Result<()> {
    let mut hasher = Sha256::new_with_prefix(name);
    let mut buffer = vec![0; PIECE];
    loop {
        let read = code.read(&mut buffer)?;
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return file.write_all(&hasher.finalize());
        }
        hasher.update(piece);
        file.write_all(piece)?;
    }
}

/// The bytes of such a file in memory, verified after they were read. Made by [`read`](Self::read) only.
pub(in crate::runtime::code) struct SealedCode(Vec<u8>);

impl SealedCode {
    /// Reads and verifies a file that was opened under `name`.
    pub fn read(mut file: File, name: &str) -> io::Result<Self> {
        private_length(&file)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        verify_checksum(bytes.as_slice(), bytes.len() as u64, name)?;
        Ok(Self(bytes))
    }

    /// The code, with the checksum behind it, which the engine ignores.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Returns the length of a file that only this user and root can have written. Looks at the open file rather than at its
/// name, which may stand for another file a moment later.
fn private_length(file: &File) -> io::Result<u64> {
    let found = file.metadata()?;
    match found.is_file() && cache::only_ours_to_write(&found) {
        true => Ok(found.len()),
        false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may write to it")),
    }
}

/// Verifies the checksum at the end of a file of this length and name.
fn verify_checksum(mut reader: impl Read, length: u64, name: &str) -> io::Result<()> {
    let code = length.checked_sub(CHECKSUM_LENGTH as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut hasher = Sha256::new_with_prefix(name);
    let mut buffer = vec![0; PIECE];
    let mut left = code;
    while left > 0 {
        let read = reader.by_ref().take(left).read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        left = left.saturating_sub(read as u64);
    }
    let mut found = [0; CHECKSUM_LENGTH];
    reader.read_exact(&mut found)?;
    if found != <[u8; CHECKSUM_LENGTH]>::from(hasher.finalize()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong"));
    }
    Ok(())
}
