//! How does a guest list a directory?
//!
//! A listing goes on behind the entry that was listed last, whatever names are made or removed meanwhile. Some file systems keep that place
//! only in an open directory, so the directories that were listed last stay open. Otherwise the cookie is the place that the system gave for
//! the entry. wasmtime-wasi counts entries instead, so that a program which removes what it has listed misses others, and it fails if one is
//! removed meanwhile.
//!
//! Names that are not UTF-8 are left out: WASI has no paths for them.

use std::io;

use wasmtime::Result;
use wasmtime_wasi::p0::wasi_unstable as preview0;
use wasmtime_wasi::p1::types::{Errno, Filetype};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as preview1;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, ErrorCode, HostDescriptor as _, PathFlags};
use wiggle::GuestMemory;

use crate::runtime::wasi::abi::{ErrnoResult, at, error, write};
use crate::runtime::wasi::files::names::{FIRST, Listing, SystemName};
use crate::runtime::wasi::files::{OpenDirectory, directory, files};
use crate::runtime::wasi::state::ModuleState;

/// The parameters of `fd_readdir`.
pub(in crate::runtime::wasi) type ReaddirParameters = (i32, i32, i32, i64, i32);

/// The cookie of `..`.
const PARENT: u64 = 1;

/// The size of an entry without its name, which is the same in both previews.
const HEAD: usize = 24;

/// `fd_readdir`, where a guest may use files.
pub(in crate::runtime::wasi) async fn read(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    is_preview_0: bool,
    (fd, buffer, length, cookie, used): ReaddirParameters,
) -> ErrnoResult {
    let found = if cfg!(target_os = "linux") { directory(state, memory, fd).await } else { None };
    let Some(open) = found else {
        let wasi = state.wasi();
        return match is_preview_0 {
            true => preview0::fd_readdir(wasi, memory, fd, buffer, length, cookie, used).await,
            false => preview1::fd_readdir(wasi, memory, fd, buffer, length, cookie, used).await,
        };
    };
    let length = length.cast_unsigned();
    let mut listed = ListedEntries { memory, at: buffer.cast_unsigned(), left: length };
    match list(state, &open, &mut listed, cookie.cast_unsigned()).await? {
        Ok(()) => {
            let written = length - listed.left;
            write(memory, used, written)
        }
        Err(errno) => error(errno),
    }
}

/// Lists from a cookie on, until the buffer is full.
async fn list(
    state: &mut ModuleState,
    open: &OpenDirectory,
    listed: &mut ListedEntries<'_, '_>,
    cookie: u64,
) -> Result<std::result::Result<(), Errno>> {
    // The parent is the host's.
    let inode = files(state).metadata_hash(open.resource()).await.map_or(0, |hash| hash.lower);
    let kept = state.listings.as_mut().and_then(|kept| kept.take(open.slot, inode, cookie));
    let mut listing = match kept.map_or_else(|| Listing::open(&open.file, open.slot, inode, cookie.max(FIRST)), Ok) {
        Ok(listing) => listing,
        Err(error) => return Ok(Err(errno(&error))),
    };
    for (name, next) in [(".", PARENT), ("..", FIRST)] {
        let entry = DirectoryEntry { next, inode, kind: Filetype::Directory, name };
        if cookie < next && listed.add(&entry)? != Added::Whole {
            return Ok(Ok(()));
        }
    }
    loop {
        let found = match listing.names.next() {
            None => return Ok(Ok(())),
            Some(Ok(found)) => found,
            Some(Err(error)) => return Ok(Err(errno(&error))),
        };
        let Some(name) = &found.name else { continue };
        let Some(known) = KnownFile::of(state, open, &found).await else { continue };
        let next = found.next.saturating_add(FIRST);
        match listed.add(&DirectoryEntry { next, inode: known.inode, kind: known.kind, name })? {
            Added::Whole if listed.left > 0 => listing.cookie = next,
            Added::Whole => {
                listing.cookie = next;
                break;
            }
            Added::Part => {
                // The guest asks for it again.
                listing.names.put_back(found);
                break;
            }
        }
    }
    state.listings.get_or_insert_default().keep(listing);
    Ok(Ok(()))
}

/// What a guest gets to know of a file that is listed.
struct KnownFile {
    inode: u64,
    kind: Filetype,
}

impl KnownFile {
    /// `None` for one that was removed.
    async fn of(state: &mut ModuleState, open: &OpenDirectory, found: &SystemName) -> Option<Self> {
        let (mut files, name) = (files(state), found.name.as_ref()?);
        let hash = files.metadata_hash_at(open.resource(), PathFlags::empty(), name.clone()).await;
        let inode = match hash {
            Ok(hash) => hash.lower,
            Err(error) if matches!(error.downcast_ref(), Some(ErrorCode::NoEntry)) => return None,
            Err(_) => found.inode,
        };
        if found.kind != Filetype::Unknown {
            return Some(Self { inode, kind: found.kind });
        }
        // Not all file systems say it in a listing.
        let kind = match files.stat_at(open.resource(), PathFlags::empty(), name.clone()).await.map(|stat| stat.type_) {
            Ok(DescriptorType::Directory) => Filetype::Directory,
            Ok(DescriptorType::RegularFile) => Filetype::RegularFile,
            Ok(DescriptorType::SymbolicLink) => Filetype::SymbolicLink,
            Ok(DescriptorType::BlockDevice) => Filetype::BlockDevice,
            Ok(DescriptorType::CharacterDevice) => Filetype::CharacterDevice,
            _ => Filetype::Unknown,
        };
        Some(Self { inode, kind })
    }
}

/// The error number of a directory that cannot be listed.
fn errno(error: &io::Error) -> Errno {
    use rustix::io::Errno as Host;
    match Host::from_io_error(error) {
        Some(Host::ACCESS) => Errno::Acces,
        Some(Host::PERM) => Errno::Perm,
        Some(Host::NOENT) => Errno::Noent,
        Some(Host::NOTDIR) => Errno::Notdir,
        Some(Host::INVAL) => Errno::Inval,
        Some(Host::NOMEM) => Errno::Nomem,
        Some(Host::MFILE) => Errno::Mfile,
        Some(Host::NFILE) => Errno::Nfile,
        _ => Errno::Io,
    }
}

/// An entry as a guest gets it.
struct DirectoryEntry<'a> {
    next: u64,
    inode: u64,
    kind: Filetype,
    name: &'a str,
}

/// The buffer of a guest, as far as it is free.
struct ListedEntries<'a, 'm> {
    memory: &'a mut GuestMemory<'m>,
    at: u32,
    left: u32,
}

impl ListedEntries<'_, '_> {
    /// Adds an entry, or the part of it that there is room for.
    fn add(&mut self, entry: &DirectoryEntry<'_>) -> Result<Added> {
        let mut bytes = Vec::with_capacity(HEAD + entry.name.len());
        bytes.extend_from_slice(&entry.next.to_le_bytes());
        bytes.extend_from_slice(&entry.inode.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(entry.name.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&[entry.kind as u8, 0, 0, 0]);
        bytes.extend_from_slice(entry.name.as_bytes());
        let whole = bytes.len();
        bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = u32::try_from(bytes.len()).unwrap_or(self.left);
        self.memory.copy_from_slice(&bytes, at::<u8>(self.at.cast_signed()).as_array(length))?;
        self.at = self.at.wrapping_add(length);
        self.left -= length;
        Ok(if bytes.len() == whole { Added::Whole } else { Added::Part })
    }
}

/// How much of an entry there was room for.
#[derive(PartialEq, Eq)]
enum Added {
    Whole,
    Part,
}
