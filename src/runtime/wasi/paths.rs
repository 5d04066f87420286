//! What do the calls of preview 0 and 1 on paths return?
//!
//! What wasmtime-wasi returns, with four differences. Only regular files and directories can be opened, rights are ignored, a guest with as many descriptors as it may have gets
//! an error number instead of a trap, and a path that ends in a slash names a directory, as POSIX has it.

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p0::wasi_unstable as preview0;
use wasmtime_wasi::p1::types::{Errno, Filetype, Lookupflags, Rights};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as fallback;
use wiggle::GuestMemory;

use crate::runtime::wasi::abi::{ErrnoResult, MODULE, PREVIEW_0, SUCCESS, at, error};
use crate::runtime::wasi::files::{can_be_opened, with_files};
use crate::runtime::wasi::scratch::calls;
use crate::runtime::wasi::state::ModuleState;

/// The longest path of most systems (PATH_MAX); a longer one would only take time.
const MAX_PATH: u32 = 4096;

/// Where the type of a file is in what `path_filestat_get` of either preview returns.
const FILETYPE_OFFSET: i32 = 16;

/// Makes the functions for paths available to guests.
pub(in crate::runtime::wasi) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    for module in [MODULE, PREVIEW_0] {
        add_open(linker, module)?;
        add_remove_directory(linker, module)?;
        add_stat(linker, module)?;
    }
    Ok(())
}

/// The parameters of `path_open`.
pub(in crate::runtime) type OpenParameters = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

/// WASI has given up rights, and they are ignored. A guest that asks for unknown ones must not trap.
fn add_open(linker: &mut Linker<ModuleState>, module: &str) -> Result<()> {
    linker.func_wrap_async(
        module,
        "path_open",
        |mut caller: Caller<'_, ModuleState>, parameters: OpenParameters| {
            Box::new(async move { open(&mut caller, parameters).await })
        },
    )?;
    Ok(())
}

/// `path_open`.
pub(in crate::runtime::wasi) async fn open(
    caller: &mut Caller<'_, ModuleState>,
    parameters: OpenParameters,
) -> ErrnoResult {
    let (mut memory, state) = with_files(caller).await?;
    open_from(state, &mut memory, parameters).await
}

/// `path_open` with a path in this memory, where a guest may use files.
pub(in crate::runtime) async fn open_from(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    (fd, lookup, path, length, create, base, inheriting, flags, opened): OpenParameters,
) -> ErrnoResult {
    let known = i64::try_from(Rights::all().bits()).unwrap_or(i64::MAX);
    if length.cast_unsigned() > MAX_PATH {
        return error(Errno::Nametoolong);
    }
    // Before the file is opened, which may create it.
    if !state.may_open() {
        return error(Errno::Mfile);
    }
    if !can_be_opened(state.wasi(), memory, fd, lookup, (path, length)).await {
        return error(Errno::Acces);
    }
    if let Some(errno) = calls::open(state, memory, fd, create, (lookup, path, length)).await {
        return error(errno);
    }
    let (base, inheriting, wasi) = (base & known, inheriting & known, state.wasi());
    let opening = fallback::path_open(wasi, memory, fd, lookup, path, length, create, base, inheriting, flags, opened);
    let result = opening.await;
    if let (Ok(0), Some(scratch)) = (&result, &mut state.scratch) {
        scratch.on_opened(fd, memory.read(at(opened))?);
    }
    result
}

/// The length of a path without the slashes at its end, if it has any. `None` for other paths, and for `/`.
fn without_slashes(memory: &GuestMemory<'_>, path: i32, length: i32) -> Option<i32> {
    let bytes = memory.as_slice(at::<u8>(path).as_array(length.cast_unsigned())).ok()??;
    let slashes = bytes.iter().rev().take_while(|&&byte| byte == b'/').count();
    let rest = bytes.len() - slashes;
    i32::try_from(rest).ok().filter(|_| slashes > 0 && rest > 0)
}

fn add_stat(linker: &mut Linker<ModuleState>, module: &str) -> Result<()> {
    // The two previews write what they find in layouts of their own.
    let is_preview_0 = module == PREVIEW_0;
    linker.func_wrap_async(
        module,
        "path_filestat_get",
        move |mut caller: Caller<'_, ModuleState>, parameters: StatParameters| {
            Box::new(async move { stat(&mut caller, is_preview_0, parameters).await })
        },
    )?;
    Ok(())
}

/// The parameters of `path_filestat_get`.
pub(in crate::runtime::wasi) type StatParameters = (i32, i32, i32, i32, i32);

/// `path_filestat_get`. POSIX: a slash at the end stands for the directory that a link leads to, and is an error for anything else.
/// wasmtime-wasi has it so from version 50 on.
pub(in crate::runtime::wasi) async fn stat(
    caller: &mut Caller<'_, ModuleState>,
    is_preview_0: bool,
    (fd, flags, path, length, stat): StatParameters,
) -> ErrnoResult {
    let (mut memory, state) = with_files(caller).await?;
    let names_directory = without_slashes(&memory, path, length).is_some();
    let follow = Lookupflags::SYMLINK_FOLLOW.bits().cast_signed();
    let flags = if names_directory { flags | follow } else { flags };
    let wasi = state.wasi();
    let found = if is_preview_0 {
        preview0::path_filestat_get(wasi, &mut memory, fd, flags, path, length, stat).await?
    } else {
        fallback::path_filestat_get(wasi, &mut memory, fd, flags, path, length, stat).await?
    };
    if names_directory && found == 0 {
        return must_be_directory(&memory, stat);
    }
    Ok(found)
}

fn must_be_directory(memory: &GuestMemory<'_>, stat: i32) -> ErrnoResult {
    let found: u8 = memory.read(at(stat.wrapping_add(FILETYPE_OFFSET)))?;
    if found == Filetype::Directory as u8 { SUCCESS } else { error(Errno::Notdir) }
}

/// A slash at the end means nothing, where only a directory can be meant.
fn add_remove_directory(linker: &mut Linker<ModuleState>, module: &str) -> Result<()> {
    linker.func_wrap_async(
        module,
        "path_remove_directory",
        |mut caller: Caller<'_, ModuleState>, (fd, path, length): (i32, i32, i32)| {
            Box::new(async move {
                let (mut memory, state) = with_files(&mut caller).await?;
                let length = without_slashes(&memory, path, length).unwrap_or(length);
                calls::shrink(state, fd);
                fallback::path_remove_directory(state.wasi(), &mut memory, fd, path, length).await
            })
        },
    )?;
    Ok(())
}
