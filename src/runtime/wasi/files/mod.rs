//! How does a guest of preview 0 or 1 use files?
//!
//! wasmtime-wasi does the operations, in place, on threads that they may block. So each call waits first until its guest
//! computes there. Only regular files and directories can be opened: a FIFO would block the thread for as long as no process opens
//! its other end.

pub(in crate::runtime::wasi) mod listing;
pub(in crate::runtime::wasi) mod names;

use std::fs::File;
use std::future::poll_fn;
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView};
use wasmtime_wasi::p0::wasi_unstable as preview0;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Errno, Fd, Filetype, Lookupflags, Subscription, SubscriptionU};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as preview1;
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wasmtime_wasi::p2::bindings::filesystem::types::HostDescriptor as _;
use wiggle::{GuestMemory, GuestPtr};

use crate::runtime::wasi::abi::{ErrnoResult, MODULE, PREVIEW_0, at, error, make_descriptors};
use crate::runtime::wasi::files::listing::ReaddirParameters;
use crate::runtime::wasi::state::{ModuleState, split};

/// Links functions of wasmtime-wasi that may block.
macro_rules! link {
    ($linker:ident, $module:expr, $functions:ident, $($name:ident($($parameter:ident: $ty:ty),*);)*) => {$(
        $linker.func_wrap_async(
            $module,
            stringify!($name),
            |mut caller: Caller<'_, ModuleState>, ($($parameter,)*): ($($ty,)*)| {
                Box::new(async move {
                    let (mut memory, state) = with_files(&mut caller).await?;
                    $functions::$name(state.wasi(), &mut memory, $($parameter),*).await
                })
            },
        )?;
    )*};
}

/// The functions that both previews have with the same parameters and that this crate does not serve itself.
macro_rules! link_all {
    ($linker:ident, $module:expr, $functions:ident) => {
        link! { $linker, $module, $functions,
            fd_advise(fd: i32, offset: i64, length: i64, advice: i32);
            fd_filestat_get(fd: i32, stat: i32);
            fd_pread(fd: i32, buffers: i32, count: i32, offset: i64, read: i32);
            fd_seek(fd: i32, offset: i64, whence: i32, position: i32);
            path_filestat_get(fd: i32, lookup: i32, path: i32, length: i32, stat: i32);
            path_readlink(fd: i32, path: i32, length: i32, buffer: i32, size: i32, used: i32);
        }
    };
}

/// Links the functions that bring a file to the disk, for directories too: wasmtime-wasi says that these are no files. A database
/// that has made or removed its journal wants that in the directory.
macro_rules! link_sync {
    ($linker:ident, $module:expr, $functions:ident, $($name:ident),*) => {$(
        $linker.func_wrap_async($module, stringify!($name), |mut caller: Caller<'_, ModuleState>, (fd,): (i32,)| {
            Box::new(async move {
                let (mut memory, state) = with_files(&mut caller).await?;
                let synced = $functions::$name(state.wasi(), &mut memory, fd).await;
                match synced {
                    Ok(number) if number == i32::from(Errno::Badf as u16) => sync_directory(state, &mut memory, fd).await,
                    synced => synced,
                }
            })
        })?;
    )*};
}

/// Makes the functions for files available to guests.
pub(in crate::runtime::wasi) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    link_all!(linker, MODULE, preview1);
    link_all!(linker, PREVIEW_0, preview0);
    add_listing(linker)?;
    link_sync!(linker, MODULE, preview1, fd_sync, fd_datasync);
    link_sync!(linker, PREVIEW_0, preview0, fd_sync, fd_datasync);
    link! { linker, PREVIEW_0, preview0,
        fd_fdstat_get(fd: i32, stat: i32);
        fd_read(fd: i32, buffers: i32, count: i32, read: i32);
        fd_write(fd: i32, buffers: i32, count: i32, written: i32);
    }
    Ok(())
}

fn add_listing(linker: &mut Linker<ModuleState>) -> Result<()> {
    for module in [MODULE, PREVIEW_0] {
        let is_preview_0 = module == PREVIEW_0;
        linker.func_wrap_async(
            module,
            "fd_readdir",
            move |mut caller: Caller<'_, ModuleState>, parameters: ReaddirParameters| {
                Box::new(async move {
                    let (mut memory, state) = with_files(&mut caller).await?;
                    listing::read(state, &mut memory, is_preview_0, parameters).await
                })
            },
        )?;
    }
    Ok(())
}

/// The memory and the state of a guest that computes where it may use files. A guest without volumes has none.
pub(in crate::runtime::wasi) async fn with_files<'a>(
    caller: &'a mut Caller<'_, ModuleState>,
) -> Result<(GuestMemory<'a>, &'a mut ModuleState)> {
    if caller.data().has_volumes() {
        caller.data().stdio.until_it_may_block().await;
    }
    split(caller)
}

/// Brings a directory to the disk: which names are in it.
async fn sync_directory(state: &mut ModuleState, memory: &mut GuestMemory<'_>, fd: i32) -> ErrnoResult {
    let Some(open) = directory(state, memory, fd).await else { return error(Errno::Badf) };
    let synced = files(state).sync(open.resource()).await;
    error(if synced.is_ok() { Errno::Success } else { Errno::Io })
}

/// A directory that a guest has open.
struct OpenDirectory {
    slot: u32,
    file: Arc<File>,
}

impl OpenDirectory {
    fn resource(&self) -> Resource<Descriptor> {
        Resource::new_borrow(self.slot)
    }
}

/// What does the operations.
fn files(state: &mut ModuleState) -> WasiFilesystemCtxView<'_> {
    let view = state.wasi().ctx();
    WasiFilesystemCtxView { ctx: view.ctx.filesystem(), table: view.table }
}

/// The directory that a descriptor of the guest leads to. It is found by what both say of it.
async fn directory(state: &mut ModuleState, memory: &mut GuestMemory<'_>, fd: i32) -> Option<OpenDirectory> {
    let slots = state.descriptor_slots();
    let stat = state.wasi().fd_filestat_get(memory, Fd::from(fd)).await.ok()?;
    if stat.filetype != Filetype::Directory {
        return None;
    }
    let mut files = files(state);
    for slot in 0..slots {
        let found = || Resource::<Descriptor>::new_borrow(slot);
        if files.metadata_hash(found()).await.is_ok_and(|hash| hash.lower == stat.ino)
            && let Ok(Descriptor::Dir(directory)) = files.table.get(&found())
        {
            return Some(OpenDirectory { slot, file: directory.dir.clone() });
        }
    }
    None
}

/// Whether two directories are on file systems that no file can be moved between. Two mounts of the same one are such, too.
pub(in crate::runtime::wasi) async fn are_on_two_file_systems(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    one: i32,
    other: i32,
) -> bool {
    let (Some(one), Some(other)) = (directory(state, memory, one).await, directory(state, memory, other).await) else {
        return false;
    };
    matches!((mount(&one.file), mount(&other.file)), (Some(one), Some(other)) if one != other)
}

/// The device that a directory is on, and the mount.
fn mount(directory: &File) -> Option<(u64, u64)> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, StatxFlags, statx};
        let found = statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID).ok()?;
        Some((rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_mnt_id))
    }
    #[cfg(not(target_os = "linux"))]
    Some((std::os::unix::fs::MetadataExt::dev(&directory.metadata().ok()?), 0))
}

/// Whether a path leads to a regular file or a directory. Anything else is refused, as on a file system that is mounted with
/// `nodev`. Whatever else is wrong with the path is for wasmtime-wasi to find.
pub(in crate::runtime::wasi) async fn can_be_opened(
    wasi: &mut WasiP1Ctx,
    memory: &mut GuestMemory<'_>,
    fd: i32,
    lookup: i32,
    (path, length): (i32, i32),
) -> bool {
    let path = GuestPtr::<str>::new((path.cast_unsigned(), length.cast_unsigned()));
    let Ok(lookup) = Lookupflags::try_from(lookup) else { return true };
    let stat = wasi.path_filestat_get(memory, Fd::from(fd), lookup, path).await;
    let refused = |filetype| !matches!(filetype, Filetype::RegularFile | Filetype::Directory | Filetype::SymbolicLink);
    !stat.is_ok_and(|stat| refused(stat.filetype))
}

/// Polls whatever a guest can poll.
pub(in crate::runtime::wasi) async fn poll_oneoff(
    caller: &mut Caller<'_, ModuleState>,
    (subscriptions, events, count, stored): (i32, i32, i32, i32),
) -> ErrnoResult {
    if polls_files(caller, subscriptions, count)? {
        with_files_in_background(caller).await?;
    }
    let (mut memory, state) = split(caller)?;
    let files = put_files_away(state.wasi(), &mut memory);
    let polled = preview1::poll_oneoff(state.wasi(), &mut memory, subscriptions, events, count, stored).await;
    *state.wasi().ctx().ctx.filesystem() = files;
    polled
}

/// Whether a subscription is for another descriptor than the standard streams.
pub(in crate::runtime::wasi) fn polls_files(
    caller: &mut Caller<'_, ModuleState>,
    subscriptions: i32,
    count: i32,
) -> Result<bool> {
    let (memory, state) = split(caller)?;
    for subscription in at::<Subscription>(subscriptions).as_array(count.cast_unsigned()).iter() {
        let Ok(subscription) = memory.read(subscription?) else { return Ok(false) };
        if let SubscriptionU::FdRead(stream) | SubscriptionU::FdWrite(stream) = subscription.u
            && !state.is_standard_stream(i32::from(stream.file_descriptor))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The same as [`with_files`], in the background: wasmtime-wasi polls a file by reading from it on a thread of its runtime,
/// of which there are few there, at the lowest priority.
async fn with_files_in_background<'a>(
    caller: &'a mut Caller<'_, ModuleState>,
) -> Result<(GuestMemory<'a>, &'a mut ModuleState)> {
    if caller.data().has_volumes() {
        let stdio = caller.data().stdio.clone();
        stdio.until_it_may_block().await;
        poll_fn(|_| stdio.cpu_timer.poll_background()).await;
    }
    split(caller)
}

/// Takes the volumes out of the context, except for the descriptors that the guest has. wasmtime-wasi would sleep on this
/// thread where it may use files on it.
fn put_files_away(wasi: &mut WasiP1Ctx, memory: &mut GuestMemory<'_>) -> wasmtime_wasi::filesystem::WasiFilesystemCtx {
    make_descriptors(wasi, memory);
    std::mem::take(wasi.ctx().ctx.filesystem())
}
