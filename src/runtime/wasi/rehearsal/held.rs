//! Which files does a rehearsal have open at its checkpoint, and can a request get them again?

use std::path::Path;

use wasmtime::{Caller, Result};
use wasmtime_wasi::p1::types::{Fd, Filetype};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::GuestMemory;

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::files::{FileIdentity, SeenFiles};
use crate::runtime::resume::held_files::{HeldFile, HeldFiles};
use crate::runtime::wasi::files::with_files;
use crate::runtime::wasi::rehearsal::paths::OpenedPath;
use crate::runtime::wasi::rehearsal::{Captured, Rehearsal};
use crate::runtime::wasi::state::ModuleState;

/// What it has open, or why a request cannot get it again.
pub(in crate::runtime::wasi::rehearsal) async fn held_files(
    caller: &mut Caller<'_, ModuleState>,
) -> Result<std::result::Result<HeldFiles, ColdReason>> {
    let has_streams = [0, 1, 2].into_iter().all(|fd| caller.data().is_standard_stream(fd));
    let Rehearsal { paths, files, .. } = caller.data().rehearsal.as_deref().ok_or(Captured)?;
    if !has_streams || !paths.has_all_volumes() {
        return Ok(Err(ColdReason::Descriptors("closed a standard stream or a volume")));
    }
    let first = paths.first_opened();
    let opened: Vec<Option<OpenedPath>> = paths.numbers().map(|path| path.cloned()).collect();
    if opened.iter().all(Option::is_none) {
        return Ok(Ok(HeldFiles::new(first, vec![None; opened.len()])));
    }
    let seen = files.clone();
    let (mut memory, state) = with_files(caller).await?;
    let mut numbers = Vec::with_capacity(opened.len());
    for (number, path) in (first..).zip(opened) {
        let held = match path {
            Some(path) => held_file(state, &mut memory, (number, path), &seen).await.map(Some),
            None => Ok(None),
        };
        match held {
            Ok(held) => numbers.push(held),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(HeldFiles::new(first, numbers)))
}

async fn held_file(
    state: &mut ModuleState,
    memory: &mut GuestMemory<'_>,
    (number, opened): (i32, OpenedPath),
    seen: &SeenFiles,
) -> std::result::Result<HeldFile, ColdReason> {
    const NO_FILE: ColdReason = ColdReason::Descriptors("something open that is no file of a volume");
    let OpenedPath { place, lookup, rights } = opened;
    let host = place.host.ok_or(NO_FILE)?;
    let wasi = state.wasi();
    let found = wasi.fd_fdstat_get(memory, Fd::from(number)).await.map_err(|_| NO_FILE)?;
    match found.fs_filetype {
        Filetype::RegularFile => {}
        Filetype::Directory => return Err(ColdReason::Descriptors("a directory open")),
        _ => return Err(NO_FILE),
    }
    let offset = wasi.fd_tell(memory, Fd::from(number)).ok().and_then(|offset| i64::try_from(offset).ok());
    Ok(HeldFile {
        volume: place.volume,
        path: place.below,
        lookup,
        rights,
        flags: found.fs_flags.bits(),
        offset: offset.ok_or(NO_FILE)?,
        identity: identity(&host, seen)?,
    })
}

/// The identity of an open file, if it is the one at its path, before and now.
fn identity(host: &Path, seen: &SeenFiles) -> std::result::Result<FileIdentity, ColdReason> {
    if seen.identity(host) != FileIdentity::of(host) {
        return Err(ColdReason::FilesChanged);
    }
    let found = std::fs::metadata(host).map_err(|_| ColdReason::FilesChanged)?;
    Ok(FileIdentity::new(&found))
}
