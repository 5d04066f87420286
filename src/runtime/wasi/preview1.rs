//! What do the WASI preview 1 calls that every guest makes return?
//!
//! Arguments, environment, clocks, random numbers, exit and the three standard streams are served by this crate, straight
//! from the request. wasmtime-wasi serves everything else, files above all; its context is built only when a guest first
//! needs it. Results and traps are those of wasmtime-wasi, except that reads and writes of the standard streams serve all
//! buffers of a call and not only the first, and that a limit which a program can handle is an error number and no trap.
//! Descriptors are in `descriptors`, paths in `paths`, reads and writes in `read_write`.

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p1;
use wasmtime_wasi::p1::types::{Clockid, Errno};
use wiggle::GuestMemory;

use crate::strings::StringBlock;

use crate::runtime::wasi::abi::{ErrnoResult, MODULE, SUCCESS, at, error, write};
use crate::runtime::wasi::scratch::growing;
use crate::runtime::wasi::state::{ModuleState, RANDOM_PER_CALL, clock_time, split};
use crate::runtime::wasi::{descriptors, files, paths, read_write, timers};

/// Makes every function of preview 1 (and of preview 0, `wasi_unstable`) available to guests.
pub(in crate::runtime) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    p1::add_to_linker_async(linker, ModuleState::wasi)?;
    wasmtime_wasi::p0::add_to_linker_async(linker, ModuleState::wasi)?;
    linker.allow_shadowing(true);
    add_strings(linker)?;
    add_clocks(linker)?;
    files::add_to_linker(linker)?;
    timers::add_to_linker(linker)?;
    descriptors::add_to_linker(linker)?;
    paths::add_to_linker(linker)?;
    read_write::add_to_linker(linker)?;
    growing::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn add_strings(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap(MODULE, "args_sizes_get", |mut caller: Caller<'_, ModuleState>, count: i32, size: i32| {
        let (mut memory, state) = split(&mut caller)?;
        write_sizes(&mut memory, &state.arguments, count, size)
    })?;
    linker.func_wrap(MODULE, "args_get", |mut caller: Caller<'_, ModuleState>, pointers: i32, buffer: i32| {
        let (mut memory, state) = split(&mut caller)?;
        write_strings(&mut memory, &state.arguments, pointers, buffer)
    })?;
    linker.func_wrap(MODULE, "environ_sizes_get", |mut caller: Caller<'_, ModuleState>, count: i32, size: i32| {
        let (mut memory, state) = split(&mut caller)?;
        write_sizes(&mut memory, &state.environment, count, size)
    })?;
    linker.func_wrap(MODULE, "environ_get", |mut caller: Caller<'_, ModuleState>, pointers: i32, buffer: i32| {
        let (mut memory, state) = split(&mut caller)?;
        write_strings(&mut memory, &state.environment, pointers, buffer)
    })?;
    Ok(())
}

/// Writes the number of strings, and that of their bytes.
pub(in crate::runtime::wasi) fn write_sizes(
    memory: &mut GuestMemory<'_>,
    strings: &StringBlock,
    count: i32,
    size: i32,
) -> ErrnoResult {
    let (Ok(strings_len), Ok(bytes_len)) = (u32::try_from(strings.len()), u32::try_from(strings.bytes().len())) else {
        return error(Errno::Overflow);
    };
    memory.write(at(size), bytes_len)?;
    memory.write(at(count), strings_len)?;
    SUCCESS
}

/// Writes strings, and a pointer to each of them.
pub(in crate::runtime::wasi) fn write_strings(
    memory: &mut GuestMemory<'_>,
    strings: &StringBlock,
    pointers: i32,
    buffer: i32,
) -> ErrnoResult {
    let Ok(length) = u32::try_from(strings.bytes().len()) else { return error(Errno::Overflow) };
    memory.copy_from_slice(strings.bytes(), at::<u8>(buffer).as_array(length))?;
    let mut pointer = at::<u32>(pointers);
    for start in strings.starts() {
        memory.write(pointer, buffer.cast_unsigned().wrapping_add(start))?;
        pointer = pointer.add(1)?;
    }
    SUCCESS
}

fn add_clocks(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, ModuleState>, clock: i32, _precision: i64, time: i32| {
            let (mut memory, state) = split(&mut caller)?;
            match clock_time(Clockid::try_from(clock)?, state) {
                Ok(now) => write(&mut memory, time, now),
                Err(errno) => error(errno),
            }
        },
    )?;
    linker.func_wrap(MODULE, "random_get", |mut caller: Caller<'_, ModuleState>, buffer: i32, length: i32| {
        let (mut memory, _) = split(&mut caller)?;
        let length = length.cast_unsigned();
        if length == 0 {
            return SUCCESS;
        }
        match memory.as_slice_mut(at::<u8>(buffer).as_array(length))? {
            Some(_) if u64::from(length) > RANDOM_PER_CALL => error(Errno::Nomem),
            Some(bytes) => getrandom::fill(bytes).map_or(error(Errno::Io), |()| SUCCESS),
            None => error(Errno::Io),
        }
    })?;
    linker.func_wrap(MODULE, "sched_yield", |_: Caller<'_, ModuleState>| -> ErrnoResult { SUCCESS })?;
    linker.func_wrap(MODULE, "proc_exit", |_: Caller<'_, ModuleState>, code: i32| -> Result<()> {
        // Codes from 126 on have no meaning in WASI, but the log names the code.
        Err(I32Exit(code).into())
    })?;
    Ok(())
}
