//! What do the WASI preview 1 calls that every guest makes answer?
//!
//! Arguments, environment, clocks, random numbers, exit and the three standard streams are answered here, straight from
//! the request; for everything else, files above all, wasmtime-wasi stays behind, and its context is built only when a
//! guest first needs it. The answers, down to what traps, are those of wasmtime-wasi, except that reads and writes of the
//! standard streams serve all buffers of a call and not only the first.

use std::future::{poll_fn, ready};

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p1::types::{Clockid, Errno, Fdflags, Fdstat, Filetype, Iovec, Rights};
use wasmtime_wasi::p1::{self, wasi_snapshot_preview1 as fallback};
use wiggle::{GuestError, GuestMemory, GuestPtr};

use crate::strings::StringBlock;

use crate::runtime::instance::cpu_time::EpochAction;
use crate::runtime::instance::ending::{CpuTimeUsedUp, OutputLimit, StdinFailed};
use crate::runtime::instance::stdio::WriteError;
use crate::runtime::wasi::abi::{ErrnoResult, MODULE, SUCCESS, at, error, write};
use crate::runtime::wasi::state::{State, split};
use crate::runtime::wasi::timers;
use crate::runtime::wasi::timers::clock_time;

/// As many buffers as one call looks at, as on other systems (IOV_MAX); a longer list is served in part.
const BUFFERS_PER_CALL: u32 = 1024;

/// The most random bytes one call hands out: the call cannot be interrupted.
const RANDOM_PER_CALL: u32 = 1 << 20;

/// As long as paths may be on most systems (PATH_MAX); looking at a longer one would only take time.
const LONGEST_PATH: u32 = 4096;

/// Makes every function of preview 1 (and of preview 0, `wasi_unstable`) available to guests.
pub(in crate::runtime) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    p1::add_to_linker_async(linker, State::wasi)?;
    wasmtime_wasi::p0::add_to_linker_async(linker, State::wasi)?;
    linker.allow_shadowing(true);
    add_strings(linker)?;
    add_clocks(linker)?;
    timers::add_to_linker(linker)?;
    add_descriptors(linker)?;
    add_open(linker)?;
    add_streams(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn add_strings(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "args_sizes_get", |mut caller: Caller<'_, State>, count: i32, size: i32| {
        let (mut memory, state) = split(&mut caller)?;
        write_sizes(&mut memory, &state.arguments, count, size)
    })?;
    linker.func_wrap(MODULE, "args_get", |mut caller: Caller<'_, State>, pointers: i32, buffer: i32| {
        let (mut memory, state) = split(&mut caller)?;
        write_strings(&mut memory, &state.arguments, pointers, buffer)
    })?;
    linker.func_wrap(MODULE, "environ_sizes_get", |mut caller: Caller<'_, State>, count: i32, size: i32| {
        let (mut memory, state) = split(&mut caller)?;
        write_sizes(&mut memory, &state.environment, count, size)
    })?;
    linker.func_wrap(MODULE, "environ_get", |mut caller: Caller<'_, State>, pointers: i32, buffer: i32| {
        let (mut memory, state) = split(&mut caller)?;
        write_strings(&mut memory, &state.environment, pointers, buffer)
    })?;
    Ok(())
}

fn write_sizes(memory: &mut GuestMemory<'_>, strings: &StringBlock, count: i32, size: i32) -> ErrnoResult {
    let (Ok(strings_len), Ok(bytes_len)) = (u32::try_from(strings.len()), u32::try_from(strings.bytes().len())) else {
        return error(Errno::Overflow);
    };
    memory.write(at(size), bytes_len)?;
    memory.write(at(count), strings_len)?;
    SUCCESS
}

fn write_strings(memory: &mut GuestMemory<'_>, strings: &StringBlock, pointers: i32, buffer: i32) -> ErrnoResult {
    let Ok(length) = u32::try_from(strings.bytes().len()) else { return error(Errno::Overflow) };
    memory.copy_from_slice(strings.bytes(), at::<u8>(buffer).as_array(length))?;
    let mut pointer = at::<u32>(pointers);
    for start in strings.starts() {
        memory.write(pointer, buffer.cast_unsigned().wrapping_add(*start))?;
        pointer = pointer.add(1)?;
    }
    SUCCESS
}

fn add_clocks(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, State>, clock: i32, _precision: i64, time: i32| {
            let (mut memory, state) = split(&mut caller)?;
            match clock_time(Clockid::try_from(clock)?, state) {
                Ok(now) => write(&mut memory, time, now),
                Err(errno) => error(errno),
            }
        },
    )?;
    linker.func_wrap(MODULE, "random_get", |mut caller: Caller<'_, State>, buffer: i32, length: i32| {
        let (mut memory, _) = split(&mut caller)?;
        let length = length.cast_unsigned();
        if length == 0 {
            return SUCCESS;
        }
        match memory.as_slice_mut(at::<u8>(buffer).as_array(length))? {
            Some(_) if length > RANDOM_PER_CALL => error(Errno::Nomem),
            Some(bytes) => getrandom::fill(bytes).map_or(error(Errno::Io), |()| SUCCESS),
            None => error(Errno::Io),
        }
    })?;
    linker.func_wrap(MODULE, "sched_yield", |_: Caller<'_, State>| -> ErrnoResult { SUCCESS })?;
    linker.func_wrap(MODULE, "proc_exit", |_: Caller<'_, State>, code: i32| -> Result<()> {
        // Codes from 126 on have no meaning in WASI; the log still wants to know which it was.
        Err(I32Exit(code).into())
    })?;
    Ok(())
}

fn add_descriptors(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap_async(MODULE, "fd_fdstat_get", |mut caller: Caller<'_, State>, (fd, stat): (i32, i32)| {
        if let Some(answer) = stat_of_stream(&mut caller, fd, stat).transpose() {
            return Box::new(ready(answer));
        }
        Box::new(async move {
            let (mut memory, state) = split(&mut caller)?;
            fallback::fd_fdstat_get(state.wasi(), &mut memory, fd, stat).await
        })
    })?;
    linker.func_wrap(MODULE, "fd_prestat_get", |mut caller: Caller<'_, State>, fd: i32, stat: i32| {
        let (mut memory, state) = split(&mut caller)?;
        if state.has_no_files() {
            return error(Errno::Badf);
        }
        fallback::fd_prestat_get(state.wasi(), &mut memory, fd, stat)
    })?;
    linker.func_wrap_async(MODULE, "fd_close", |mut caller: Caller<'_, State>, (fd,): (i32,)| {
        Box::new(async move {
            let (mut memory, state) = split(&mut caller)?;
            state.hand_over(fd);
            fallback::fd_close(state.wasi(), &mut memory, fd).await
        })
    })?;
    linker.func_wrap_async(MODULE, "fd_renumber", |mut caller: Caller<'_, State>, (from, to): (i32, i32)| {
        Box::new(async move {
            let (mut memory, state) = split(&mut caller)?;
            state.hand_over(from);
            state.hand_over(to);
            fallback::fd_renumber(state.wasi(), &mut memory, from, to).await
        })
    })?;
    Ok(())
}

/// What `fd_fdstat_get` answers without wasmtime-wasi, if it does.
fn stat_of_stream(caller: &mut Caller<'_, State>, fd: i32, stat: i32) -> Result<Option<i32>> {
    let (mut memory, state) = split(caller)?;
    if state.is_original(fd) {
        return write(&mut memory, stat, stream_stat(fd)).map(Some);
    }
    if state.has_no_files() { error(Errno::Badf).map(Some) } else { Ok(None) }
}

/// Rights were given up by WASI and are ignored, but asking for more than there ever were must not end a guest.
fn add_open(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "path_open",
        |mut caller: Caller<'_, State>,
         (fd, lookup, path, length, create, base, inheriting, flags, opened): OpenParameters| {
            Box::new(async move {
                let known = i64::try_from(Rights::all().bits()).unwrap_or(i64::MAX);
                let (mut memory, state) = split(&mut caller)?;
                if length.cast_unsigned() > LONGEST_PATH {
                    return error(Errno::Nametoolong);
                }
                let (base, inheriting) = (base & known, inheriting & known);
                let wasi = state.wasi();
                fallback::path_open(
                    wasi,
                    &mut memory,
                    fd,
                    lookup,
                    path,
                    length,
                    create,
                    base,
                    inheriting,
                    flags,
                    opened,
                )
                .await
            })
        },
    )?;
    Ok(())
}

type OpenParameters = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

fn stream_stat(fd: i32) -> Fdstat {
    let rights = if fd == 0 { Rights::FD_READ } else { Rights::FD_WRITE };
    Fdstat {
        fs_filetype: Filetype::Unknown,
        fs_flags: Fdflags::empty(),
        fs_rights_base: rights,
        fs_rights_inheriting: rights,
    }
}

fn add_streams(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "fd_read",
        |mut caller: Caller<'_, State>, (fd, buffers, count, read): (i32, i32, i32, i32)| {
            Box::new(async move {
                if fd == 0 && caller.data().is_original(fd) {
                    return read_stdin(&mut caller, buffers, count, read).await;
                }
                let (mut memory, state) = split(&mut caller)?;
                fallback::fd_read(state.wasi(), &mut memory, fd, buffers, count, read).await
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, State>, (fd, buffers, count, written): (i32, i32, i32, i32)| match fd {
            1 if caller.data().is_original(fd) => {
                let mut printing = Printing { buffers, count, written, index: 0, done: 0, total: 0 };
                // What fits, as nearly everything does, takes no future that could wait.
                match printing.go_on(&mut caller).transpose() {
                    Some(answer) => Box::new(ready(answer)),
                    None => Box::new(async move { printing.come_to_end(&mut caller).await }),
                }
            }
            2 if caller.data().is_original(fd) => Box::new(ready(write_stderr(&mut caller, buffers, count, written))),
            _ => Box::new(async move {
                let (mut memory, state) = split(&mut caller)?;
                fallback::fd_write(state.wasi(), &mut memory, fd, buffers, count, written).await
            }),
        },
    )?;
    Ok(())
}

fn buffer_list(buffers: i32, count: i32) -> impl Iterator<Item = Result<GuestPtr<Iovec>, GuestError>> {
    (0..count.cast_unsigned().min(BUFFERS_PER_CALL)).map(move |index| at::<Iovec>(buffers).add(index))
}

fn slice<'a>(memory: &'a GuestMemory<'_>, buffer: GuestPtr<Iovec>) -> Result<&'a [u8]> {
    let buffer: Iovec = memory.read(buffer)?;
    // Where there is nothing to look at, it does not matter where that is.
    if buffer.buf_len == 0 {
        return Ok(&[]);
    }
    Ok(memory.as_slice(buffer.buf.as_array(buffer.buf_len))?.unwrap_or_default())
}

async fn read_stdin(caller: &mut Caller<'_, State>, buffers: i32, count: i32, read: i32) -> ErrnoResult {
    let pipes = caller.data().pipes.clone();
    poll_fn(|cx| pipes.stdin().poll_ready(cx)).await;
    let (mut memory, _) = split(caller)?;
    let mut stdin = pipes.stdin();
    if let Some(failure) = stdin.take_failure() {
        return Err(StdinFailed(failure).into());
    }
    let mut total = 0u32;
    for buffer in buffer_list(buffers, count) {
        let buffer: Iovec = memory.read(buffer?)?;
        if buffer.buf_len == 0 {
            continue;
        }
        let Some(bytes) = memory.as_slice_mut(buffer.buf.as_array(buffer.buf_len))? else { break };
        let asked = bytes.len();
        let moved = stdin.read(bytes);
        // A buffer is at most as long as the memory, so the sum of what is there fits.
        total += u32::try_from(moved).unwrap_or(0);
        if moved < asked {
            break;
        }
    }
    write(&mut memory, read, total)
}

/// A `fd_write` to standard output, and how far it has come.
struct Printing {
    buffers: i32,
    count: i32,
    written: i32,
    /// The buffer that is next, and how much of it is printed.
    index: u32,
    done: usize,
    total: u32,
}

impl Printing {
    /// Prints what fits. The answer when that is all, or `None` when it has to wait.
    fn go_on(&mut self, caller: &mut Caller<'_, State>) -> Result<Option<i32>> {
        let (mut memory, state) = split(caller)?;
        while self.index < self.count.cast_unsigned().min(BUFFERS_PER_CALL) {
            let buffer = at::<Iovec>(self.buffers).add(self.index)?;
            let bytes = slice(&memory, buffer)?.get(self.done..).unwrap_or_default();
            if bytes.is_empty() {
                self.total = self.total.wrapping_add(u32::try_from(self.done).unwrap_or(0));
                (self.index, self.done) = (self.index + 1, 0);
                continue;
            }
            match state.pipes.write_stdout(bytes) {
                Ok(0) => return Ok(None),
                Ok(moved) => self.done += moved,
                Err(WriteError::Closed) => return error(Errno::Pipe).map(Some),
                Err(WriteError::LimitReached) => return Err(OutputLimit.into()),
            }
        }
        write(&mut memory, self.written, self.total).map(Some)
    }

    /// Prints the rest as whoever reads makes room for it.
    async fn come_to_end(mut self, caller: &mut Caller<'_, State>) -> ErrnoResult {
        loop {
            let pipes = caller.data().pipes.clone();
            poll_fn(|cx| pipes.stdout().poll_writable(cx)).await;
            // A call that moves this much is not interrupted by the epoch and has to look at the time itself.
            if pipes.cpu_timer.on_epoch() == EpochAction::Stop {
                return Err(CpuTimeUsedUp.into());
            }
            if let Some(answer) = self.go_on(caller)? {
                return Ok(answer);
            }
        }
    }
}

fn write_stderr(caller: &mut Caller<'_, State>, buffers: i32, count: i32, written: i32) -> ErrnoResult {
    let (mut memory, state) = split(caller)?;
    let mut total = 0u32;
    let mut stderr = state.pipes.stderr();
    for buffer in buffer_list(buffers, count) {
        let bytes = slice(&memory, buffer?)?;
        stderr.write(bytes);
        total = total.wrapping_add(u32::try_from(bytes.len()).unwrap_or(0));
    }
    write(&mut memory, written, total)
}
