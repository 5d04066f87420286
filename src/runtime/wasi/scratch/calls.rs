//! Which calls let a scratch directory grow?
//!
//! Each function here is asked before the call that it is named for, and returns the error that the guest gets instead, if it gets
//! one. For other volumes there is none, but for the times of what is neither a file nor a directory.

use wasmtime_wasi::p1::types::{Errno, Fd, Fdflags, Iovec, Lookupflags, Oflags};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, GuestPtr};

use crate::scratch::ScratchUse;

use crate::runtime::wasi::abi::at;
use crate::runtime::wasi::files::can_be_opened;
use crate::runtime::wasi::state::ModuleState;

/// One more name.
const ONE_FILE: ScratchUse = ScratchUse { bytes: 0, files: 1 };

/// Where a write begins.
#[derive(Clone, Copy)]
pub(in crate::runtime::wasi) enum WriteAt {
    /// Where the descriptor is.
    Position,
    Offset(u64),
}

/// The error of a write.
pub(in crate::runtime::wasi) async fn write(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    place: WriteAt,
    (buffers, count): (i32, i32),
) -> Option<Errno> {
    state.scratch.as_ref()?.of(fd)?;
    let length = first_length(memory, buffers, count)?;
    let wasi = state.wasi();
    let appends = wasi.fd_fdstat_get(memory, Fd::from(fd)).await.ok()?.fs_flags.contains(Fdflags::APPEND);
    let begin = match place {
        // At any offset, as on Linux.
        _ if appends => wasi.fd_filestat_get(memory, Fd::from(fd)).await.ok()?.size,
        WriteAt::Offset(offset) => offset,
        WriteAt::Position => wasi.fd_tell(memory, Fd::from(fd)).ok()?,
    };
    set_size(state, memory, fd, begin.saturating_add(length)).await
}

/// The length of the first buffer that is not empty: wasmtime-wasi writes only that.
fn first_length(memory: &GuestMemory<'_>, buffers: i32, count: i32) -> Option<u64> {
    for index in 0..count.cast_unsigned() {
        let buffer: Iovec = memory.read(at::<Iovec>(buffers).add(index).ok()?).ok()?;
        if buffer.buf_len > 0 {
            return Some(buffer.buf_len.into());
        }
    }
    None
}

/// The error of a file that becomes at least so long.
pub(in crate::runtime::wasi) async fn set_size(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    size: u64,
) -> Option<Errno> {
    state.scratch.as_ref()?.of(fd)?;
    let now = state.wasi().fd_filestat_get(memory, Fd::from(fd)).await.ok()?.size;
    let more = size.saturating_sub(now);
    if more == 0 {
        shrink(state, fd);
        return None;
    }
    reserve(state, memory, fd, ScratchUse { bytes: more, files: 0 }).await
}

/// The error of a new name in the directory `fd`. A name that is there already is for wasmtime-wasi to find: nothing is created.
pub(in crate::runtime::wasi) async fn create(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    (path, length): (i32, i32),
) -> Option<Errno> {
    let refused = reserve(state, memory, fd, ONE_FILE).await?;
    let path = GuestPtr::<str>::new((path.cast_unsigned(), length.cast_unsigned()));
    let found = state.wasi().path_filestat_get(memory, Fd::from(fd), Lookupflags::empty(), path).await;
    found.is_err().then_some(refused)
}

/// The error of other times of the file at a path. wasmtime-wasi opens the file for it, which a FIFO would not let happen.
pub(in crate::runtime::wasi) async fn set_times_at(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    (fd, lookup): (i32, i32),
    path: (i32, i32),
) -> Option<Errno> {
    match can_be_opened(state.wasi(), memory, fd, lookup, path).await {
        true => set_times(state, memory, fd).await,
        false => Some(Errno::Acces),
    }
}

/// The error of other times. The directory has to be the guest's own: an empty one stands for those of all requests.
pub(in crate::runtime::wasi) async fn set_times(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    fd: i32,
) -> Option<Errno> {
    reserve(state, memory, fd, ScratchUse::default()).await
}

/// The error of opening a file, with the flags for it.
pub(in crate::runtime::wasi) async fn open(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    flags: i32,
    (lookup, path, length): (i32, i32, i32),
) -> Option<Errno> {
    state.scratch.as_ref()?.of(fd)?;
    if !Oflags::try_from(flags).is_ok_and(|flags| flags.contains(Oflags::CREAT)) {
        return None;
    }
    let name = GuestPtr::<str>::new((path.cast_unsigned(), length.cast_unsigned()));
    let lookup = Lookupflags::try_from(lookup).ok()?;
    match state.wasi().path_filestat_get(memory, Fd::from(fd), lookup, name).await {
        Ok(_) => None,
        Err(_) => reserve(state, memory, fd, ONE_FILE).await,
    }
}

/// The error of a second name for a file, in the directory `to`: a scratch directory is a file system of its own.
pub(in crate::runtime::wasi) async fn link(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    to: i32,
    path: (i32, i32),
) -> Option<Errno> {
    match rename(state, fd, to) {
        None => create(state, memory, to, path).await,
        refused => refused,
    }
}

/// The error of another name for a file, in the directory `to`.
pub(in crate::runtime::wasi) fn rename(state: &mut ModuleState, fd: i32, to: i32) -> Option<Errno> {
    let scratch = state.scratch.as_mut()?;
    // It may take the place of a file.
    scratch.on_changed(to);
    (scratch.of(fd) != scratch.of(to)).then_some(Errno::Xdev)
}

/// Notes a call that may make room. It has no error.
pub(in crate::runtime::wasi) fn shrink(state: &mut ModuleState, fd: i32) -> Option<Errno> {
    state.scratch.as_mut()?.on_changed(fd);
    None
}

async fn reserve(state: &mut ModuleState, memory: &mut GuestMemory<'_>, fd: i32, more: ScratchUse) -> Option<Errno> {
    let volume = state.scratch.as_ref()?.of(fd)?;
    // Taken out, since it is asked together with the context of wasmtime-wasi.
    let mut scratch = state.scratch.take()?;
    let reserved = scratch.reserve(state.wasi(), memory, volume, more).await;
    state.scratch = Some(scratch);
    match reserved {
        Ok(true) => None,
        Ok(false) => Some(Errno::Nospc),
        Err(_) => Some(Errno::Io),
    }
}
