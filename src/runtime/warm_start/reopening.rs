//! How does a request get the files that a program had open at its checkpoint?
//!
//! They are opened as the program has opened them: beneath the same volume, with the same checks and limits. They have to be the same
//! files still. Numbers are given away in their order, so each file gets the number that it had. Those that the program had given
//! back are taken by a directory, and given back again, so that they are given away in the same order from then on.

use wasmtime::component::Resource;
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p1::types::{Fd, Fdflags, Lookupflags, Oflags, Rights, Whence};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, GuestPtr};

use crate::runtime::instance::grants::FIRST_VOLUME;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::files::FileIdentity;
use crate::runtime::resume::held_files::{HeldFile, HeldFiles};
use crate::runtime::wasi::abi::make_descriptors;
use crate::runtime::wasi::paths;
use crate::runtime::wasi::state::ModuleState;

/// Why a request cannot begin at its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum StaleSnapshot {
    /// A file has changed that the program had read.
    FilesChanged,
    /// A file could not be opened again.
    NotOpened,
}

impl From<StaleSnapshot> for ColdReason {
    fn from(stale: StaleSnapshot) -> Self {
        match stale {
            StaleSnapshot::FilesChanged => Self::FilesChanged,
            StaleSnapshot::NotOpened => {
                Self::Failed("a file that was open at the checkpoint cannot be opened".to_owned())
            }
        }
    }
}

/// On which files a program goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::warm_start) enum HeldOn<'a> {
    /// Those that it has had open.
    Originals,
    /// Copies of the volumes with these indices, and the originals of all others.
    Copies(&'a [usize]),
}

impl HeldOn<'_> {
    fn is_original(self, volume: i32) -> bool {
        let Self::Copies(copies) = self else { return true };
        !usize::try_from(volume.saturating_sub(FIRST_VOLUME)).is_ok_and(|index| copies.contains(&index))
    }
}

/// Opens files for a program that has not begun, where a guest may use files. After an error, some of them may be open.
pub(in crate::runtime::warm_start) async fn reopen(
    state: &mut ModuleState,
    held: &HeldFiles,
    on: HeldOn<'_>,
) -> Result<(), StaleSnapshot> {
    if held.is_start() {
        return Ok(());
    }
    state.stdio.until_it_may_block().await;
    make_descriptors(state.wasi(), &mut GuestMemory::Unshared(&mut []));
    for (number, file) in held.numbers() {
        let opened = match file {
            Some(file) => reopen_file(state, file, on).await?,
            None => open_directory(state).await?,
        };
        if opened != number {
            return Err(StaleSnapshot::NotOpened);
        }
    }
    for (number, _) in held.numbers().filter(|(_, file)| file.is_none()) {
        let closed = state.wasi().fd_close(&mut GuestMemory::Unshared(&mut []), Fd::from(number)).await;
        closed.map_err(|_| StaleSnapshot::NotOpened)?;
    }
    Ok(())
}

/// Opens a file as `path_open` does, and lets the program read on where it was. Returns its number.
async fn reopen_file(state: &mut ModuleState, file: &HeldFile, on: HeldOn<'_>) -> Result<i32, StaleSnapshot> {
    // A memory with the number and the path, as a guest has it.
    const NUMBER: usize = size_of::<i32>();
    const PATH: i32 = 4;
    let mut buffer = vec![0; NUMBER * 2 + file.path.len()];
    let start = buffer.as_ptr().align_offset(NUMBER);
    let bytes = buffer.get_mut(start..).ok_or(StaleSnapshot::NotOpened)?;
    let path = bytes.get_mut(NUMBER..NUMBER + file.path.len()).ok_or(StaleSnapshot::NotOpened)?;
    path.copy_from_slice(file.path.as_bytes());
    let length = i32::try_from(file.path.len()).map_err(|_| StaleSnapshot::NotOpened)?;
    let before = slots(state);
    let parameters = (file.volume, file.lookup, PATH, length, 0, file.rights, file.rights, i32::from(file.flags), 0);
    let opened = paths::open_from(state, &mut GuestMemory::Unshared(bytes), parameters).await;
    let number = bytes.first_chunk().map(|number| i32::from_le_bytes(*number));
    let (Ok(0), Some(number)) = (opened, number) else { return Err(StaleSnapshot::NotOpened) };
    let identity = new_file(state, &before).ok_or(StaleSnapshot::NotOpened)?;
    if on.is_original(file.volume) && identity != file.identity {
        return Err(StaleSnapshot::FilesChanged);
    }
    let memory = &mut GuestMemory::Unshared(&mut []);
    let seeking = state.wasi().fd_seek(memory, Fd::from(number), file.offset, Whence::Set);
    seeking.await.map_err(|_| StaleSnapshot::NotOpened)?;
    Ok(number)
}

/// Takes the next number for a directory that is always there.
async fn open_directory(state: &mut ModuleState) -> Result<i32, StaleSnapshot> {
    let mut path = *b".";
    let memory = &mut GuestMemory::Unshared(&mut path);
    let opening = state.wasi().path_open(
        memory,
        Fd::from(FIRST_VOLUME),
        Lookupflags::empty(),
        GuestPtr::new((0, 1)),
        Oflags::DIRECTORY,
        Rights::FD_READ,
        Rights::empty(),
        Fdflags::empty(),
    );
    opening.await.map(i32::from).map_err(|_| StaleSnapshot::NotOpened)
}

/// In which places of the table there are files and directories.
fn slots(state: &mut ModuleState) -> Vec<bool> {
    let slots = state.descriptor_slots();
    let table = state.wasi().ctx().table;
    (0..slots).map(|slot| table.get(&Resource::<Descriptor>::new_borrow(slot)).is_ok()).collect()
}

/// What was opened since the places were looked at, if it is a file.
fn new_file(state: &mut ModuleState, before: &[bool]) -> Option<FileIdentity> {
    let after = slots(state);
    let slot = before.iter().zip(&after).position(|(before, after)| !before && *after)?;
    let table = state.wasi().ctx().table;
    match table.get(&Resource::<Descriptor>::new_borrow(u32::try_from(slot).ok()?)).ok()? {
        Descriptor::File(file) => file.file.metadata().ok().map(|found| FileIdentity::new(&found)),
        Descriptor::Dir(_) => None,
    }
}
