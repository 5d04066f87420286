//! Which calls of WASI preview 1 does the program make by itself?
//!
//! Only those the standard library offers in no form, or in one that does more than the bare call.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

/// The clock that shows the time of day.
pub const REALTIME: u32 = 0;
/// The clock that never goes back.
pub const MONOTONIC: u32 = 1;

/// What a file is opened for.
#[derive(Clone, Copy)]
pub enum Access {
    Read,
    Replace,
}

mod raw {
    /// A piece of memory to write from.
    #[repr(C)]
    pub struct Slice {
        pub start: *const u8,
        pub length: usize,
    }

    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub fn fd_write(descriptor: i32, slices: *const Slice, count: usize, written: *mut usize) -> i32;
        pub fn random_get(start: *mut u8, length: usize) -> i32;
        pub fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> i32;
        pub fn path_open(
            directory: i32,
            follow: i32,
            path: *const u8,
            length: usize,
            how: i32,
            rights: u64,
            inherited_rights: u64,
            flags: i32,
            opened: *mut i32,
        ) -> i32;
    }
}

/// Writes once, without any library between; returns how much was taken.
pub fn write(descriptor: i32, bytes: &[u8]) -> io::Result<usize> {
    let slice = raw::Slice { start: bytes.as_ptr(), length: bytes.len() };
    let mut written = 0;
    // SAFETY: one slice is passed and counted as one; both pointers outlive the call.
    check(unsafe { raw::fd_write(descriptor, &slice, 1, &mut written) })?;
    Ok(written)
}

/// Fills `bytes` with randomness.
pub fn random(bytes: &mut [u8]) -> io::Result<()> {
    // SAFETY: pointer and length belong to one slice.
    check(unsafe { raw::random_get(bytes.as_mut_ptr(), bytes.len()) })
}

/// Reads a clock, in nanoseconds.
pub fn clock(clock: u32) -> io::Result<u64> {
    let mut time = 0;
    // SAFETY: the pointer outlives the call.
    check(unsafe { raw::clock_time_get(clock, 1, &mut time) })?;
    Ok(time)
}

/// Opens a path below descriptor 3 whatever that directory is called, as some older programs do.
pub fn open_in_first_volume(path: &str, access: Access) -> io::Result<File> {
    const FIRST_VOLUME: i32 = 3;
    const FOLLOW_LINKS: i32 = 1;
    const CREATE_AND_TRUNCATE: i32 = 1 | 8;
    const READ_SEEK_TELL_STAT: u64 = 1 << 1 | 1 << 2 | 1 << 5 | 1 << 21;
    const WRITE: u64 = 1 << 6;
    let (how, rights) = match access {
        Access::Read => (0, READ_SEEK_TELL_STAT),
        Access::Replace => (CREATE_AND_TRUNCATE, WRITE),
    };
    let mut opened = -1;
    // SAFETY: pointer and length belong to one string, and `opened` outlives the call.
    check(unsafe {
        raw::path_open(FIRST_VOLUME, FOLLOW_LINKS, path.as_ptr(), path.len(), how, rights, 0, 0, &mut opened)
    })?;
    // SAFETY: the call has just opened it, and nobody else knows of it.
    Ok(unsafe { File::from_raw_fd(opened) })
}

fn check(error: i32) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
