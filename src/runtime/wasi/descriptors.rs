//! What do the preview 1 calls that describe and close descriptors return?
//!
//! The standard streams are described here, as long as they are the original ones; files are wasmtime-wasi's.

use std::future::ready;

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::types::{Errno, Fdflags, Fdstat, Filetype, Rights};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as fallback;

use crate::runtime::wasi::abi::{ErrnoResult, MODULE, PREVIEW_0, error, write};
use crate::runtime::wasi::files::with_files;
use crate::runtime::wasi::state::{ModuleState, split};

/// Makes the functions for descriptors available to guests.
pub(in crate::runtime::wasi) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    add_descriptors(linker)?;
    add_closing(linker, MODULE)?;
    add_closing(linker, PREVIEW_0)
}

fn add_descriptors(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "fd_fdstat_get",
        |mut caller: Caller<'_, ModuleState>, (fd, stat): (i32, i32)| {
            if let Some(result) = standard_stream_stat(&mut caller, fd, stat).transpose() {
                return Box::new(ready(result));
            }
            Box::new(async move {
                let (mut memory, state) = with_files(&mut caller).await?;
                fallback::fd_fdstat_get(state.wasi(), &mut memory, fd, stat).await
            })
        },
    )?;
    linker.func_wrap(MODULE, "fd_prestat_get", |mut caller: Caller<'_, ModuleState>, fd: i32, stat: i32| {
        let (mut memory, state) = split(&mut caller)?;
        if state.has_no_files() {
            return error(Errno::Badf);
        }
        fallback::fd_prestat_get(state.wasi(), &mut memory, fd, stat)
    })?;
    Ok(())
}

/// The calls that close descriptors: a guest without standard output has printed its whole response.
fn add_closing(linker: &mut Linker<ModuleState>, module: &str) -> Result<()> {
    linker.func_wrap_async(module, "fd_close", |mut caller: Caller<'_, ModuleState>, (fd,): (i32,)| {
        Box::new(async move { close(&mut caller, fd).await })
    })?;
    linker.func_wrap_async(module, "fd_renumber", |mut caller: Caller<'_, ModuleState>, (from, to): (i32, i32)| {
        Box::new(async move {
            let (mut memory, state) = with_files(&mut caller).await?;
            state.delegate(from);
            state.delegate(to);
            let renumbered = fallback::fd_renumber(state.wasi(), &mut memory, from, to).await;
            if matches!(renumbered, Ok(0)) {
                state.on_renumbered(from, to);
            }
            renumbered
        })
    })?;
    Ok(())
}

/// `fd_close`.
pub(in crate::runtime::wasi) async fn close(caller: &mut Caller<'_, ModuleState>, fd: i32) -> ErrnoResult {
    // Closing a standard stream blocks no thread.
    let is_file = !caller.data().is_standard_stream(fd);
    let (mut memory, state) = if is_file { with_files(caller).await? } else { split(caller)? };
    state.delegate(fd);
    let closed = fallback::fd_close(state.wasi(), &mut memory, fd).await;
    if matches!(closed, Ok(0)) {
        state.on_closed(fd);
    }
    closed
}

/// The result of `fd_fdstat_get` for a standard stream, or for a guest without files. `None` if wasmtime-wasi has it.
fn standard_stream_stat(caller: &mut Caller<'_, ModuleState>, fd: i32, stat: i32) -> Result<Option<i32>> {
    let (mut memory, state) = split(caller)?;
    if state.is_standard_stream(fd) {
        return write(&mut memory, stat, stream_stat(fd)).map(Some);
    }
    if state.has_no_files() { error(Errno::Badf).map(Some) } else { Ok(None) }
}

fn stream_stat(fd: i32) -> Fdstat {
    let rights = if fd == 0 { Rights::FD_READ } else { Rights::FD_WRITE };
    Fdstat {
        fs_filetype: Filetype::Unknown,
        fs_flags: Fdflags::empty(),
        fs_rights_base: rights,
        fs_rights_inheriting: rights,
    }
}
