//! The calls of both previews that let a scratch directory grow or shrink, or change it: those of wasmtime-wasi, when there is room.

use std::future::ready;

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p0::wasi_unstable as preview0;
use wasmtime_wasi::p1::types::Errno;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as preview1;
use wiggle::GuestMemory;

use crate::runtime::wasi::abi::{ErrnoResult, MODULE, PREVIEW_0, error};
use crate::runtime::wasi::files::{are_on_two_file_systems, with_files};
use crate::runtime::wasi::scratch::calls;
use crate::runtime::wasi::scratch::calls::WriteAt;
use crate::runtime::wasi::state::ModuleState;

/// Links a function of wasmtime-wasi behind a question, which may have an error for an answer. What the function returns may be changed.
macro_rules! link {
    ($linker:ident, $module:expr, $functions:ident, $name:ident($($parameter:ident: $ty:ty),*), $state:ident, $memory:ident, $asked:expr) => {
        link!($linker, $module, $functions, $name($($parameter: $ty),*), $state, $memory, $asked, result => ready(result));
    };
    ($linker:ident, $module:expr, $functions:ident, $name:ident($($parameter:ident: $ty:ty),*), $state:ident, $memory:ident, $asked:expr,
        $result:ident => $returned:expr) => {
        $linker.func_wrap_async(
            $module,
            stringify!($name),
            |mut caller: Caller<'_, ModuleState>, ($($parameter,)*): ($($ty,)*)| {
                Box::new(async move {
                    let (mut memory, $state) = with_files(&mut caller).await?;
                    let $memory = &mut memory;
                    if let Some(errno) = $asked.await {
                        return error(errno);
                    }
                    let $result = $functions::$name($state.wasi(), $memory, $($parameter),*).await;
                    $returned.await
                })
            },
        )?;
    };
}

macro_rules! link_all {
    ($linker:ident, $module:expr, $functions:ident) => {
        link!($linker, $module, $functions, fd_filestat_set_size(fd: i32, size: i64), state, memory,
            calls::set_size(state, memory, fd, size.cast_unsigned()));
        link!($linker, $module, $functions,
            fd_pwrite(fd: i32, buffers: i32, count: i32, offset: i64, written: i32), state, memory,
            calls::write(state, memory, fd, WriteAt::Offset(offset.cast_unsigned()), (buffers, count)));
        link!($linker, $module, $functions,
            fd_filestat_set_times(fd: i32, accessed: i64, modified: i64, flags: i32), state, memory,
            calls::set_times(state, memory, fd));
        link!($linker, $module, $functions,
            path_filestat_set_times(
                fd: i32, lookup: i32, path: i32, length: i32, accessed: i64, modified: i64, flags: i32
            ), state, memory,
            calls::set_times_at(state, memory, (fd, lookup), (path, length)));
        link!($linker, $module, $functions, path_create_directory(fd: i32, path: i32, length: i32), state, memory,
            calls::create(state, memory, fd, (path, length)));
        link!($linker, $module, $functions,
            path_link(fd: i32, lookup: i32, path: i32, length: i32, to: i32, new_path: i32, new_length: i32), state, memory,
            calls::link(state, memory, fd, to, (new_path, new_length)), result =>
            between(state, memory, (fd, to), result));
        link!($linker, $module, $functions,
            path_rename(fd: i32, path: i32, length: i32, to: i32, new_path: i32, new_length: i32), state, memory,
            ready(calls::rename(state, fd, to)), result =>
            between(state, memory, (fd, to), result));
        link!($linker, $module, $functions, path_unlink_file(fd: i32, path: i32, length: i32), state, memory,
            ready(calls::shrink(state, fd)));
        link!($linker, $module, $functions,
            path_symlink(target: i32, target_length: i32, fd: i32, path: i32, length: i32), state, memory,
            calls::create(state, memory, fd, (path, length)));
    };
}

/// Makes these functions available to guests. Linked behind those of `files`: `fd_write` of preview 0 replaces the one that is linked there.
pub(in crate::runtime::wasi) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    link_all!(linker, MODULE, preview1);
    link_all!(linker, PREVIEW_0, preview0);
    link!(linker, PREVIEW_0, preview0, fd_write(fd: i32, buffers: i32, count: i32, written: i32), state, memory,
        calls::write(state, memory, fd, WriteAt::Position, (buffers, count)));
    Ok(())
}

/// What a call between two directories returns: EXDEV between two file systems (POSIX), which wasmtime-wasi does not know. Many programs
/// copy a file then.
async fn between(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    (from, to): (i32, i32),
    result: ErrnoResult,
) -> ErrnoResult {
    let is_unknown = matches!(result, Ok(number) if number == i32::from(Errno::Io as u16));
    match is_unknown && are_on_two_file_systems(state, memory, from, to).await {
        true => error(Errno::Xdev),
        false => result,
    }
}
