//! Which names does a directory have, from a place on?
//!
//! The system keeps the place in an open directory. It has a number for it, too, which not all file systems understand in another open
//! directory.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use wasmtime_wasi::p1::types::Filetype;

/// The cookie of the first entry behind `..`. Others are the numbers of the system with this one added.
pub(in crate::runtime::wasi) const FIRST: u64 = 2;

/// How many listings of a guest are kept: as deep as it may go down a tree and come back to the same place.
const MAX_LISTINGS: usize = 8;

/// The directories that a guest has listed last, as far as it got.
#[derive(Default)]
pub(in crate::runtime::wasi) struct Listings(VecDeque<Listing>);

/// A directory that a guest lists.
pub(in crate::runtime::wasi) struct Listing {
    /// The place of the directory in the table of descriptors, and its number.
    pub slot: u32,
    inode: u64,
    /// The cookie of the next entry.
    pub cookie: u64,
    pub names: SystemNames,
}

impl Listings {
    /// The listing that goes on at this cookie, if it is kept. One from the beginning is never kept.
    pub fn take(&mut self, slot: u32, inode: u64, cookie: u64) -> Option<Listing> {
        let goes_on = |kept: &Listing| (kept.slot, kept.inode) == (slot, inode) && is_same_cookie(kept.cookie, cookie);
        let index = self.0.iter().position(goes_on)?;
        self.0.remove(index)
    }

    /// Keeps a listing, in place of the oldest if there are too many, and of others of the same directory.
    pub fn keep(&mut self, listing: Listing) {
        self.0.retain(|kept| (kept.slot, kept.inode) != (listing.slot, listing.inode));
        self.0.truncate(MAX_LISTINGS - 1);
        self.0.push_front(listing);
    }

    /// Keeps those whose directory is still open.
    pub fn retain(&mut self, is_open: impl Fn(u32) -> bool) {
        self.0.retain(|kept| is_open(kept.slot));
    }
}

impl Listing {
    /// Begins at the place that the cookie stands for, with the directory in this slot of the table.
    pub fn open(directory: &File, slot: u32, inode: u64, cookie: u64) -> io::Result<Self> {
        let found = if is_short(cookie) && cookie > FIRST { SystemNames::behind(directory, cookie)? } else { None };
        let names = match found {
            Some(names) => names,
            None => SystemNames::open(directory, cookie.saturating_sub(FIRST))?,
        };
        Ok(Self { slot, inode, cookie, names })
    }
}

/// Whether it may be what `telldir` of many programs has left of a cookie: the lower half, as a number with a sign.
fn is_short(cookie: u64) -> bool {
    shortened(cookie) == cookie
}

#[expect(clippy::cast_possible_truncation, reason = "that is what is meant")]
fn shortened(cookie: u64) -> u64 {
    i64::from(cookie as i32).cast_unsigned()
}

fn is_same_cookie(whole: u64, given: u64) -> bool {
    whole == given || (given > FIRST && is_short(given) && shortened(whole) == given)
}

/// A name as the system has it.
pub(in crate::runtime::wasi) struct SystemName {
    /// `None` if it is not UTF-8.
    pub name: Option<String>,
    pub inode: u64,
    pub kind: Filetype,
    /// The place of the next one.
    pub next: u64,
}

/// The names in a directory from a place on, without `.` and `..`.
pub(in crate::runtime::wasi) struct SystemNames {
    #[cfg_attr(not(target_os = "linux"), expect(dead_code))]
    directory: OwnedFd,
    read: VecDeque<SystemName>,
}

impl SystemNames {
    fn open(directory: &File, place: u64) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags, SeekFrom, openat, seek};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // With a place of its own: others may read the same directory.
        let directory = openat(directory, c".", flags, Mode::empty())?;
        if place > 0 {
            seek(&directory, SeekFrom::Start(place))?;
        }
        Ok(Self { directory, read: VecDeque::new() })
    }

    /// The names behind the entry whose cookie for the next one is this, or was it before a program has shortened it.
    fn behind(directory: &File, cookie: u64) -> io::Result<Option<Self>> {
        let mut names = Self::open(directory, 0)?;
        while let Some(name) = names.next() {
            if is_same_cookie(name?.next.saturating_add(FIRST), cookie) {
                return Ok(Some(names));
            }
        }
        Ok(None)
    }

    /// The next name.
    pub fn next(&mut self) -> Option<io::Result<SystemName>> {
        if self.read.is_empty()
            && let Err(error) = self.read_more()
        {
            return Some(Err(error));
        }
        self.read.pop_front().map(Ok)
    }

    /// Puts back a name that was read last.
    pub fn put_back(&mut self, name: SystemName) {
        self.read.push_front(name);
    }

    /// Reads until there is a name, or no more.
    #[cfg(target_os = "linux")]
    fn read_more(&mut self) -> io::Result<()> {
        /// How many bytes are asked for at once.
        const BUFFER: usize = 4096;
        let mut buffer = Vec::with_capacity(BUFFER);
        while self.read.is_empty() {
            let mut entries = rustix::fs::RawDir::new(&self.directory, buffer.spare_capacity_mut());
            let mut is_at_end = true;
            while let Some(entry) = entries.next() {
                let entry = match entry {
                    // The directory is gone, with all that was in it.
                    Err(rustix::io::Errno::NOENT) => break,
                    entry => entry?,
                };
                is_at_end = false;
                let (name, next) = (entry.file_name(), entry.next_entry_cookie());
                if name != c"." && name != c".." {
                    let (kind, inode) = (kind(entry.file_type()), entry.ino());
                    self.read.push_back(SystemName { name: name.to_str().ok().map(str::to_owned), inode, kind, next });
                }
                if entries.is_buffer_empty() {
                    break;
                }
            }
            if is_at_end {
                break;
            }
        }
        Ok(())
    }

    /// Elsewhere wasmtime-wasi lists.
    #[cfg(not(target_os = "linux"))]
    fn read_more(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
fn kind(of: rustix::fs::FileType) -> Filetype {
    use rustix::fs::FileType;
    match of {
        FileType::RegularFile => Filetype::RegularFile,
        FileType::Directory => Filetype::Directory,
        FileType::Symlink => Filetype::SymbolicLink,
        FileType::BlockDevice => Filetype::BlockDevice,
        FileType::CharacterDevice => Filetype::CharacterDevice,
        // As wasmtime-wasi has it.
        FileType::Socket | FileType::Fifo | FileType::Unknown => Filetype::Unknown,
    }
}
