//! What may a module call while it is being initialized, and what do the calls return?
//!
//! Everything an initializer learns becomes part of the module: of every response, and of a file on the disk. So it learns
//! nothing from outside. It has no arguments, environment, input or files; time starts at 1970 and moves by a millisecond
//! per call; random numbers are computed from the digest of the module. So the same module always gives the same preinitialized
//! module. What it prints is shown to the operator. A call of any other import is an error.

use wasmtime::{Caller, Linker, Module, Result, Trap, bail};

use sha2::{Digest as _, Sha256};

use crate::runtime::instance::memory::MemoryBudget;
use crate::runtime::wasi::abi::MODULE;

/// The most bytes that are kept of what it prints.
const MAX_PRINTED: usize = 4096;

/// As many buffers as one call looks at, as on other systems (IOV_MAX).
const BUFFERS_PER_CALL: u32 = 1024;

/// Error numbers of WASI.
const BADF: i32 = 8;
const SPIPE: i32 = 70;
const SUCCESS: i32 = 0;

/// The rights to read and to write.
const FD_READ: u64 = 1 << 1;
const FD_WRITE: u64 = 1 << 6;

/// A millisecond in nanoseconds.
const CLOCK_STEP: u64 = 1_000_000;

/// It called `proc_exit`.
#[derive(Debug, thiserror::Error)]
#[error("exited with code {0}")]
pub(in crate::runtime) struct Exited(pub i32);

/// What the host keeps for an initializer while it runs.
pub(in crate::runtime::code) struct InitializerState {
    pub budget: MemoryBudget,
    pub printed: Vec<u8>,
    time: u64,
    seed: Sha256,
    blocks_drawn: u64,
}

impl InitializerState {
    /// For the module with this digest.
    pub fn new(digest: &str, budget: MemoryBudget) -> Self {
        Self { budget, printed: Vec::new(), time: 0, seed: Sha256::new_with_prefix(digest), blocks_drawn: 0 }
    }

    fn now(&mut self) -> u64 {
        self.time = self.time.saturating_add(CLOCK_STEP);
        self.time
    }

    fn random(&mut self) -> [u8; 32] {
        self.blocks_drawn = self.blocks_drawn.saturating_add(1);
        self.seed.clone().chain_update(self.blocks_drawn.to_le_bytes()).finalize().into()
    }
}

type InitCaller<'a> = Caller<'a, InitializerState>;

/// Returns a linker with the functions that `module` may call.
pub(in crate::runtime) fn linker(module: &Module) -> Result<Linker<InitializerState>> {
    let mut linker = Linker::new(module.engine());
    for name in ["args_sizes_get", "environ_sizes_get"] {
        linker.func_wrap(MODULE, name, |mut host: InitCaller<'_>, count: i32, size: i32| {
            write(&mut host, count, &0_u32.to_le_bytes())?;
            write(&mut host, size, &0_u32.to_le_bytes())
        })?;
    }
    for name in ["args_get", "environ_get"] {
        linker.func_wrap(MODULE, name, |_: InitCaller<'_>, _: i32, _: i32| SUCCESS)?;
    }
    linker.func_wrap(MODULE, "sched_yield", |_: InitCaller<'_>| SUCCESS)?;
    linker.func_wrap(MODULE, "proc_exit", |_: InitCaller<'_>, code: i32| -> Result<()> { Err(Exited(code).into()) })?;
    linker.func_wrap(MODULE, "clock_res_get", |mut host: InitCaller<'_>, _: i32, resolution: i32| {
        write(&mut host, resolution, &CLOCK_STEP.to_le_bytes())
    })?;
    linker.func_wrap(MODULE, "clock_time_get", |mut host: InitCaller<'_>, _: i32, _: i64, time: i32| {
        let now = host.data_mut().now();
        write(&mut host, time, &now.to_le_bytes())
    })?;
    linker.func_wrap(MODULE, "random_get", random_get)?;
    add_streams(&mut linker)?;
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

fn add_streams(linker: &mut Linker<InitializerState>) -> Result<()> {
    linker.func_wrap(MODULE, "fd_prestat_get", |_: InitCaller<'_>, _: i32, _: i32| BADF)?;
    linker.func_wrap(MODULE, "fd_prestat_dir_name", |_: InitCaller<'_>, _: i32, _: i32, _: i32| BADF)?;
    linker.func_wrap(MODULE, "fd_close", |_: InitCaller<'_>, fd: i32| if is_standard(fd) { SUCCESS } else { BADF })?;
    linker.func_wrap(
        MODULE,
        "fd_seek",
        |_: InitCaller<'_>, fd: i32, _: i64, _: i32, _: i32| {
            if is_standard(fd) { SPIPE } else { BADF }
        },
    )?;
    linker.func_wrap(MODULE, "fd_fdstat_get", |mut host: InitCaller<'_>, fd: i32, stat: i32| {
        if is_standard(fd) { write(&mut host, stat, &stream_stat(fd)) } else { Ok(BADF) }
    })?;
    linker.func_wrap(MODULE, "fd_read", |mut host: InitCaller<'_>, fd: i32, _: i32, _: i32, read: i32| {
        if fd == 0 { write(&mut host, read, &0_u32.to_le_bytes()) } else { Ok(BADF) }
    })?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    Ok(())
}

/// The same as for a run of a guest: C libraries choose by it how they buffer, for as long as the module lives.
fn stream_stat(fd: i32) -> [u8; 24] {
    let rights = if fd == 0 { FD_READ } else { FD_WRITE }.to_le_bytes();
    let mut stat = [0; 24];
    stat[8..16].copy_from_slice(&rights);
    stat[16..].copy_from_slice(&rights);
    stat
}

fn is_standard(fd: i32) -> bool {
    (0..=2).contains(&fd)
}

/// All of its memory. Modules that import functions of WASI export it.
fn memory<'a>(host: &'a mut InitCaller<'_>) -> Result<(&'a mut [u8], &'a mut InitializerState)> {
    let Some(memory) = host.get_export("memory").and_then(wasmtime::Extern::into_memory) else {
        bail!("the module exports no memory");
    };
    Ok(memory.data_and_store_mut(host))
}

fn slice(memory: &mut [u8], address: i32, length: u32) -> Result<&mut [u8]> {
    let start = usize::try_from(address.cast_unsigned())?;
    let end = start.saturating_add(usize::try_from(length)?);
    Ok(memory.get_mut(start..end).ok_or(Trap::MemoryOutOfBounds)?)
}

fn write(host: &mut InitCaller<'_>, address: i32, bytes: &[u8]) -> Result<i32> {
    let (memory, _) = memory(host)?;
    slice(memory, address, u32::try_from(bytes.len())?)?.copy_from_slice(bytes);
    Ok(SUCCESS)
}

fn random_get(mut host: InitCaller<'_>, address: i32, length: i32) -> Result<i32> {
    let (memory, state) = memory(&mut host)?;
    for piece in slice(memory, address, length.cast_unsigned())?.chunks_mut(32) {
        let random = state.random();
        piece.iter_mut().zip(random).for_each(|(byte, random)| *byte = random);
    }
    Ok(SUCCESS)
}

fn fd_write(mut host: InitCaller<'_>, fd: i32, buffers: i32, count: i32, written: i32) -> Result<i32> {
    if fd != 1 && fd != 2 {
        return Ok(BADF);
    }
    let (memory, state) = memory(&mut host)?;
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
    let mut total: u32 = 0;
    let listed = count.cast_unsigned().min(BUFFERS_PER_CALL);
    let list = slice(memory, buffers, listed.saturating_mul(8))?.to_vec();
    for buffer in list.chunks_exact(8) {
        let (address, length) = buffer.split_at(4);
        let (address, length) = (number(address), number(length));
        let text = slice(memory, address.cast_signed(), length)?;
        let room = MAX_PRINTED.saturating_sub(state.printed.len());
        state.printed.extend(text.iter().take(room));
        total = total.saturating_add(length);
    }
    write(&mut host, written, &total.to_le_bytes())
}
