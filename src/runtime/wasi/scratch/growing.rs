//! The calls of both previews that let a scratch directory grow or shrink: those of wasmtime-wasi, when there is room.

use std::future::ready;

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p0::wasi_unstable as preview0;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as preview1;

use crate::runtime::wasi::abi::{MODULE, PREVIEW_0, error};
use crate::runtime::wasi::files::with_files;
use crate::runtime::wasi::scratch::calls;
use crate::runtime::wasi::scratch::calls::WriteAt;
use crate::runtime::wasi::state::ModuleState;

/// Links a function of wasmtime-wasi behind a question, which may have an error for an answer.
macro_rules! link {
    ($linker:ident, $module:expr, $functions:ident, $name:ident($($parameter:ident: $ty:ty),*), $state:ident, $memory:ident, $asked:expr) => {
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
                    $functions::$name($state.wasi(), $memory, $($parameter),*).await
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
        link!($linker, $module, $functions, path_create_directory(fd: i32, path: i32, length: i32), state, memory,
            calls::create(state, memory, fd));
        link!($linker, $module, $functions,
            path_link(fd: i32, lookup: i32, path: i32, length: i32, to: i32, new_path: i32, new_length: i32), state, memory,
            calls::link(state, memory, fd, to));
        link!($linker, $module, $functions,
            path_rename(fd: i32, path: i32, length: i32, to: i32, new_path: i32, new_length: i32), state, memory,
            ready(calls::rename(state, fd, to)));
        link!($linker, $module, $functions, path_unlink_file(fd: i32, path: i32, length: i32), state, memory,
            ready(calls::shrink(state, fd)));
        link!($linker, $module, $functions,
            path_symlink(target: i32, target_length: i32, fd: i32, path: i32, length: i32), state, memory,
            calls::create(state, memory, fd));
    };
}

/// Makes these functions available to guests. Linked behind those of `files`, which they replace.
pub(in crate::runtime::wasi) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    link_all!(linker, MODULE, preview1);
    link_all!(linker, PREVIEW_0, preview0);
    link!(linker, PREVIEW_0, preview0, fd_write(fd: i32, buffers: i32, count: i32, written: i32), state, memory,
        calls::write(state, memory, fd, WriteAt::Position, (buffers, count)));
    Ok(())
}
