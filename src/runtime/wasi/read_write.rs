//! How does a guest read and write its standard streams in preview 1?
//!
//! `fd_read` and `fd_write` go straight to the standard streams of the run, as long as the descriptors are the original ones. All other
//! descriptors are wasmtime-wasi's.

use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::types::{Errno, Iovec};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as fallback;
use wiggle::{GuestError, GuestMemory, GuestPtr};

use crate::runtime::instance::cpu_time::EpochAction;
use crate::runtime::instance::ending::{CpuTimeUsedUp, OutputLimit, StdinFailed};
use crate::runtime::instance::stdio::WriteError;
use crate::runtime::wasi::abi::{ErrnoResult, MODULE, SUCCESS, at, error, write};
use crate::runtime::wasi::files::with_files;
use crate::runtime::wasi::scratch::calls;
use crate::runtime::wasi::scratch::calls::WriteAt;
use crate::runtime::wasi::state::{ModuleState, split};

/// The most buffers of one call, as on other systems (IOV_MAX). A longer list is served in part.
const BUFFERS_PER_CALL: u32 = 1024;

/// Makes `fd_read` and `fd_write` available to guests.
pub(in crate::runtime::wasi) fn add_to_linker(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap_async(MODULE, "fd_read", |mut caller: Caller<'_, ModuleState>, parameters: IoParameters| {
        Box::new(async move { read(&mut caller, parameters).await })
    })?;
    linker.func_wrap_async(MODULE, "fd_write", write_some)?;
    Ok(())
}

/// The descriptor, where the list of buffers is, how many there are, and where the number of bytes goes.
pub(in crate::runtime::wasi) type IoParameters = (i32, i32, i32, i32);

/// `fd_read`.
pub(in crate::runtime::wasi) async fn read(
    caller: &mut Caller<'_, ModuleState>,
    (fd, buffers, count, read): IoParameters,
) -> ErrnoResult {
    if fd == 0 && caller.data().is_standard_stream(fd) {
        return read_stdin(caller, buffers, count, read).await;
    }
    let (mut memory, state) = with_files(caller).await?;
    fallback::fd_read(state.wasi(), &mut memory, fd, buffers, count, read).await
}

/// `fd_write`.
pub(in crate::runtime::wasi) fn write_some(
    mut caller: Caller<'_, ModuleState>,
    (fd, buffers, count, written): IoParameters,
) -> Box<dyn Future<Output = ErrnoResult> + Send + '_> {
    match fd {
        1 if caller.data().is_standard_stream(fd) => {
            let mut pending = StdoutWrite { buffers, count, written, index: 0, done: 0, total: 0 };
            // Nearly all writes fit, and need no future that could wait.
            match pending.write_available(&mut caller).transpose() {
                Some(Ok(0)) => Box::new(Succeeded),
                Some(result) => Box::new(ready(result)),
                None => Box::new(async move { pending.finish(&mut caller).await }),
            }
        }
        2 if caller.data().is_standard_stream(fd) => {
            Box::new(ready(write_stderr(&mut caller, buffers, count, written)))
        }
        _ => Box::new(async move {
            let (mut memory, state) = with_files(&mut caller).await?;
            let place = WriteAt::Position;
            if let Some(errno) = calls::write(state, &mut memory, fd, place, (buffers, count)).await {
                return error(errno);
            }
            fallback::fd_write(state.wasi(), &mut memory, fd, buffers, count, written).await
        }),
    }
}

/// A call that has succeeded at once. It has no size, so its box takes no memory.
struct Succeeded;

impl Future for Succeeded {
    type Output = ErrnoResult;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<ErrnoResult> {
        Poll::Ready(SUCCESS)
    }
}

fn buffer_list(buffers: i32, count: i32) -> impl Iterator<Item = Result<GuestPtr<Iovec>, GuestError>> {
    (0..count.cast_unsigned().min(BUFFERS_PER_CALL)).map(move |index| at::<Iovec>(buffers).add(index))
}

fn slice<'a>(memory: &'a GuestMemory<'_>, buffer: GuestPtr<Iovec>) -> Result<&'a [u8]> {
    let buffer: Iovec = memory.read(buffer)?;
    // The address of an empty buffer does not matter.
    if buffer.buf_len == 0 {
        return Ok(&[]);
    }
    Ok(memory.as_slice(buffer.buf.as_array(buffer.buf_len))?.unwrap_or_default())
}

async fn read_stdin(caller: &mut Caller<'_, ModuleState>, buffers: i32, count: i32, read: i32) -> ErrnoResult {
    let stdio = caller.data().stdio.clone();
    poll_fn(|cx| stdio.stdin().poll_ready(cx)).await;
    let (mut memory, _) = split(caller)?;
    let mut stdin = stdio.stdin();
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
        let requested = bytes.len();
        let moved = stdin.read(bytes);
        // A buffer is at most as long as the memory, so the sum of what is there fits.
        total += u32::try_from(moved).unwrap_or(0);
        if moved < requested {
            break;
        }
    }
    stdio.cpu_timer.add_moved(total as usize);
    write(&mut memory, read, total)
}

/// A `fd_write` to standard output in progress.
struct StdoutWrite {
    buffers: i32,
    count: i32,
    written: i32,
    /// The current buffer, and how many of its bytes are written.
    index: u32,
    done: usize,
    total: u32,
}

impl StdoutWrite {
    /// Writes what fits. `None` if the rest has to wait.
    fn write_available(&mut self, caller: &mut Caller<'_, ModuleState>) -> Result<Option<i32>> {
        let (mut memory, state) = split(caller)?;
        while self.index < self.count.cast_unsigned().min(BUFFERS_PER_CALL) {
            let buffer = at::<Iovec>(self.buffers).add(self.index)?;
            let bytes = slice(&memory, buffer)?.get(self.done..).unwrap_or_default();
            let moved = if bytes.is_empty() { Ok(0) } else { state.stdio.write_stdout(bytes) };
            match moved {
                Ok(moved) if moved == bytes.len() => {
                    self.total = self.total.wrapping_add(u32::try_from(self.done + moved).unwrap_or(0));
                    (self.index, self.done) = (self.index + 1, 0);
                }
                Ok(0) => return Ok(None),
                Ok(moved) => self.done += moved,
                Err(WriteError::Closed) => return error(Errno::Pipe).map(Some),
                Err(WriteError::LimitReached) => return Err(OutputLimit.into()),
            }
        }
        write(&mut memory, self.written, self.total).map(Some)
    }

    /// Writes the rest, as the reader makes room for it.
    async fn finish(mut self, caller: &mut Caller<'_, ModuleState>) -> ErrnoResult {
        loop {
            let stdio = caller.data().stdio.clone();
            poll_fn(|cx| stdio.stdout().poll_writable(cx)).await;
            // The epoch does not interrupt a host call, so it checks the CPU time itself.
            if stdio.cpu_timer.on_epoch() == EpochAction::Stop {
                return Err(CpuTimeUsedUp.into());
            }
            if let Some(errno) = self.write_available(caller)? {
                return Ok(errno);
            }
        }
    }
}

fn write_stderr(caller: &mut Caller<'_, ModuleState>, buffers: i32, count: i32, written: i32) -> ErrnoResult {
    let (mut memory, state) = split(caller)?;
    let mut total = 0u32;
    let mut stderr = state.stdio.stderr();
    for buffer in buffer_list(buffers, count) {
        let bytes = slice(&memory, buffer?)?;
        stderr.write(bytes);
        total = total.wrapping_add(u32::try_from(bytes.len()).unwrap_or(0));
    }
    write(&mut memory, written, total)
}
