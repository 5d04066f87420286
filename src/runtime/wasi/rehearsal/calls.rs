//! What do the calls of preview 1 do in a rehearsal?
//!
//! What they do otherwise, but for clocks, random numbers, variables and arguments. Files and checkpoints are noted. What would not be there behind
//! the checkpoint ends a rehearsal that is captured: see [`forbid`].

use wasmtime::{Caller, ExternType, Linker, Module, Result, Val};
use wasmtime_wasi::p1::types::{Clockid, Errno, Fdflags, Oflags};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as fallback;

use crate::runtime::resume::capture;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::wasi::abi::{ErrnoResult, MODULE, SUCCESS, at, error, write};
use crate::runtime::wasi::files::listing::ReaddirParameters;
use crate::runtime::wasi::files::{listing, with_files};
use crate::runtime::wasi::rehearsal::held::held_files;
use crate::runtime::wasi::rehearsal::paths::{OpenedPath, SeenPath};
use crate::runtime::wasi::rehearsal::strings;
use crate::runtime::wasi::rehearsal::{Captured, Checkpoint, Rehearsal, RehearsalStage};
use crate::runtime::wasi::state::{ModuleState, RANDOM_PER_CALL, split};
use crate::runtime::wasi::{descriptors, paths, read_write};

/// The functions of preview 1 that a program may call before its checkpoint. They change nothing that it would find changed behind
/// it, or what they change is captured.
const ALLOWED: [&str; 27] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_close",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_filestat_get",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_read",
    "fd_readdir",
    "fd_seek",
    "fd_tell",
    "fd_write",
    "path_filestat_get",
    "path_open",
    "path_readlink",
    "proc_exit",
    "random_get",
    "sched_yield",
    "fd_fdstat_set_rights",
    "proc_raise",
];

/// Replaces the functions that differ in a rehearsal.
pub(in crate::runtime) fn replace(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.allow_shadowing(true);
    strings::add_to_linker(linker)?;
    add_numbers(linker)?;
    add_looking(linker)?;
    add_directories(linker)?;
    add_streams(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Lets each import of `module` end the rehearsal that is not allowed before a checkpoint.
pub(in crate::runtime) fn forbid(linker: &mut Linker<ModuleState>, module: &Module) -> Result<()> {
    linker.allow_shadowing(true);
    for import in module.imports() {
        let ExternType::Func(ty) = import.ty() else { continue };
        if import.module() == MODULE && ALLOWED.contains(&import.name()) {
            continue;
        }
        let name = format!("{}.{}", import.module(), import.name());
        let end = move |mut caller: Caller<'_, ModuleState>, _: &[Val], _: &mut [Val]| -> Result<()> {
            let refusal = ColdReason::Call(name.clone());
            Err(caller.data_mut().rehearsal.as_mut().map_or(Captured.into(), |rehearsal| rehearsal.refuse(refusal)))
        };
        linker.func_new(import.module(), import.name(), ty, end)?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn rehearsal<'a>(caller: &'a mut Caller<'_, ModuleState>) -> Result<&'a mut Rehearsal> {
    caller.data_mut().rehearsal.as_deref_mut().ok_or_else(|| Captured.into())
}

fn add_numbers(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Caller<'_, ModuleState>, clock: i32, _precision: i64, time: i32| {
            let numbers = rehearsal(&mut caller)?.numbers();
            let now = match Clockid::try_from(clock)? {
                Clockid::Realtime => numbers.realtime(),
                Clockid::Monotonic => numbers.monotonic(),
                Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => return error(Errno::Badf),
            };
            write(&mut split(&mut caller)?.0, time, now)
        },
    )?;
    linker.func_wrap(MODULE, "random_get", |mut caller: Caller<'_, ModuleState>, buffer: i32, length: i32| {
        let (mut memory, state) = split(&mut caller)?;
        let length = length.cast_unsigned();
        match memory.as_slice_mut(at::<u8>(buffer).as_array(length))? {
            Some(_) if u64::from(length) > RANDOM_PER_CALL => return error(Errno::Nomem),
            Some(bytes) => {
                if let Some(rehearsal) = state.rehearsal.as_deref_mut() {
                    rehearsal.numbers().fill(bytes);
                }
            }
            None => return error(Errno::Io),
        }
        SUCCESS
    })?;
    Ok(())
}

/// The calls that look for files.
fn add_looking(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "path_filestat_get",
        |mut caller: Caller<'_, ModuleState>, parameters: paths::StatParameters| {
            Box::new(async move {
                look_for(&mut caller, (parameters.0, parameters.2, parameters.3), false).await?;
                paths::stat(&mut caller, false, parameters).await
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "path_readlink",
        |mut caller: Caller<'_, ModuleState>,
         (fd, path, length, buffer, size, used): (i32, i32, i32, i32, i32, i32)| {
            Box::new(async move {
                look_for(&mut caller, (fd, path, length), false).await?;
                let (mut memory, state) = with_files(&mut caller).await?;
                fallback::path_readlink(state.wasi(), &mut memory, fd, path, length, buffer, size, used).await
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "path_open",
        |mut caller: Caller<'_, ModuleState>, parameters: paths::OpenParameters| {
            Box::new(async move { open(&mut caller, parameters).await })
        },
    )?;
    Ok(())
}

/// The calls that look at what is open, which may be a volume that the program has not looked for.
fn add_directories(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "fd_readdir",
        |mut caller: Caller<'_, ModuleState>, parameters: ReaddirParameters| {
            Box::new(async move {
                look_at(&mut caller, parameters.0)?;
                let (mut memory, state) = with_files(&mut caller).await?;
                listing::read(state, &mut memory, false, parameters).await
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "fd_filestat_get",
        |mut caller: Caller<'_, ModuleState>, (fd, stat): (i32, i32)| {
            Box::new(async move {
                look_at(&mut caller, fd)?;
                let (mut memory, state) = with_files(&mut caller).await?;
                fallback::fd_filestat_get(state.wasi(), &mut memory, fd, stat).await
            })
        },
    )?;
    Ok(())
}

/// The calls that read, write and close.
fn add_streams(linker: &mut Linker<ModuleState>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "fd_read",
        |mut caller: Caller<'_, ModuleState>, parameters: read_write::IoParameters| {
            Box::new(async move {
                if parameters.0 == 0 {
                    checkpoint(&mut caller, Checkpoint::StandardInput).await?;
                }
                read_write::read(&mut caller, parameters).await
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, ModuleState>, parameters: read_write::IoParameters| match before_write(
            &mut caller,
            parameters.0,
        ) {
            Ok(()) => read_write::write_some(caller, parameters),
            Err(error) => Box::new(std::future::ready(Err(error))),
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "fd_fdstat_set_flags",
        |mut caller: Caller<'_, ModuleState>, (fd, flags): (i32, i32)| {
            Box::new(async move {
                before_flags(&mut caller, fd)?;
                let (mut memory, state) = with_files(&mut caller).await?;
                fallback::fd_fdstat_set_flags(state.wasi(), &mut memory, fd, flags)
            })
        },
    )?;
    linker.func_wrap_async(MODULE, "fd_close", |mut caller: Caller<'_, ModuleState>, (fd,): (i32,)| {
        Box::new(async move {
            let closed = descriptors::close(&mut caller, fd).await?;
            if closed == 0 {
                rehearsal(&mut caller)?.paths.closed(fd);
            }
            Ok(closed)
        })
    })?;
    Ok(())
}

/// Only what goes to the log is not missed behind the checkpoint.
fn before_write(caller: &mut Caller<'_, ModuleState>, fd: i32) -> Result<()> {
    let rehearsal = rehearsal(caller)?;
    if rehearsal.is_ahead() && fd != 2 {
        return Err(rehearsal.refuse(ColdReason::Output));
    }
    Ok(())
}

/// Flags of a file are gone with its descriptor. Those of others would not be there behind the checkpoint.
fn before_flags(caller: &mut Caller<'_, ModuleState>, fd: i32) -> Result<()> {
    let rehearsal = rehearsal(caller)?;
    if rehearsal.is_ahead() && !rehearsal.paths.has_opened(fd) {
        return Err(rehearsal.refuse(ColdReason::Call(format!("{MODULE}.fd_fdstat_set_flags"))));
    }
    Ok(())
}

async fn open(caller: &mut Caller<'_, ModuleState>, parameters: paths::OpenParameters) -> ErrnoResult {
    let (fd, lookup, path, length, create, rights, _, flags, opened) = parameters;
    let place = look_for(caller, (fd, path, length), true).await?;
    // FD_WRITE and FD_ALLOCATE in the rights that preview 1 has.
    const WRITES: i64 = 1 << 6 | 1 << 8;
    let creates = i32::from((Oflags::CREAT | Oflags::TRUNC | Oflags::EXCL).bits());
    let changes = i32::from((Fdflags::APPEND | Fdflags::SYNC | Fdflags::DSYNC | Fdflags::RSYNC).bits());
    let rehearsal = rehearsal(caller)?;
    let is_read_only = create & creates == 0 && flags & changes == 0 && rights & WRITES == 0;
    if rehearsal.is_ahead() && !is_read_only {
        return Err(rehearsal.refuse(ColdReason::OpenForWriting));
    }
    let result = paths::open(caller, parameters).await?;
    if result == 0 {
        let descriptor = split(caller)?.0.read(at::<i32>(opened))?;
        let rehearsal = self::rehearsal(caller)?;
        match place {
            Some(place) => rehearsal.paths.opened(descriptor, OpenedPath { place, lookup, rights }),
            None if rehearsal.is_ahead() => {
                return Err(rehearsal.refuse(ColdReason::Descriptors("something open whose path is not known")));
            }
            None => {}
        }
    }
    Ok(result)
}

/// Notes that the program looks at what a descriptor is of.
fn look_at(caller: &mut Caller<'_, ModuleState>, fd: i32) -> Result<()> {
    let rehearsal = rehearsal(caller)?;
    let host = rehearsal.paths.host(fd);
    if !rehearsal.watch(host) {
        return Err(rehearsal.refuse(ColdReason::ManyFiles));
    }
    Ok(())
}

/// Notes that the program looks for a file, which may be its checkpoint.
async fn look_for(
    caller: &mut Caller<'_, ModuleState>,
    (fd, path, length): (i32, i32, i32),
    opens: bool,
) -> Result<Option<SeenPath>> {
    let (memory, state) = split(caller)?;
    let bytes = memory.as_slice(at::<u8>(path).as_array(length.cast_unsigned()))?;
    let path = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned);
    let rehearsal = state.rehearsal.as_deref_mut().ok_or(Captured)?;
    let Some(place) = path.and_then(|path| rehearsal.paths.place(fd, &path)) else { return Ok(None) };
    if let Some(reached) = rehearsal.checkpoint_at(&place, opens) {
        checkpoint(caller, reached).await?;
    } else if !rehearsal.watch(place.host.clone()) {
        return Err(rehearsal.refuse(ColdReason::ManyFiles));
    }
    Ok(Some(place))
}

/// The program has reached a checkpoint: it is captured, or goes on with other numbers.
async fn checkpoint(caller: &mut Caller<'_, ModuleState>, reached: Checkpoint) -> Result<()> {
    let rehearsal = rehearsal(caller)?;
    match rehearsal.stage {
        RehearsalStage::Behind => return Ok(()),
        RehearsalStage::Passing => {
            (rehearsal.stage, rehearsal.reached) = (RehearsalStage::Behind, Some(reached));
            return Ok(());
        }
        RehearsalStage::Instantiating => return Err(rehearsal.refuse(ColdReason::EntryPoint)),
        RehearsalStage::Captured => {}
    }
    let held = held_files(caller).await?;
    let rehearsal = self::rehearsal(caller)?;
    match held {
        Ok(held) => (rehearsal.held, rehearsal.reached) = (held, Some(reached)),
        Err(reason) => return Err(rehearsal.refuse(reason)),
    }
    let imported = rehearsal.imported_functions;
    let captured = capture::stopped(caller, imported);
    self::rehearsal(caller)?.captured = Some(captured);
    Err(Captured.into())
}
