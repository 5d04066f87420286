//! What may a guest write into its scratch directories?
//!
//! Whatever makes files longer or more is reserved before wasmtime-wasi does it: writes, lengths, new names. If there is no room, the
//! guest gets ENOSPC. A directory is made when something is first created in it; until then an empty one stands for it, so that a
//! guest which only looks at its descriptors costs nothing.

pub(in crate::runtime::wasi) mod calls;
pub(in crate::runtime::wasi) mod growing;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Fd, Filetype};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::GuestMemory;

use crate::scratch::{ScratchDirectory, ScratchUse};

use crate::runtime::instance::grants::ScratchVolume;
use crate::runtime::wasi::abi::make_descriptors;

/// The scratch directories of a run.
pub(in crate::runtime::wasi) struct ScratchVolumes {
    volumes: Vec<OpenScratch>,
    /// The descriptors that lead into a scratch directory, each with its index.
    descriptors: HashMap<i32, usize>,
}

struct OpenScratch {
    /// `None` until something is created. Dropped before its grant, which keeps the directory of the process.
    directory: Option<ScratchDirectory>,
    /// Whether the directory may hold less than is reserved: something has happened there since it was measured. A guest that goes
    /// on at its limit is refused without measuring again.
    has_changed: bool,
    grant: ScratchVolume,
}

impl ScratchVolumes {
    /// The directories that a guest is granted; `None` if there are none.
    pub fn new(grants: &[ScratchVolume]) -> Option<Box<Self>> {
        if grants.is_empty() {
            return None;
        }
        let volumes =
            grants.iter().map(|grant| OpenScratch { grant: grant.clone(), directory: None, has_changed: true });
        let volumes = volumes.collect();
        let descriptors = grants.iter().enumerate().map(|(index, grant)| (grant.descriptor, index)).collect();
        Some(Box::new(Self { volumes, descriptors }))
    }

    /// The scratch directory that a descriptor leads into.
    pub fn of(&self, descriptor: i32) -> Option<usize> {
        self.descriptors.get(&descriptor).copied()
    }

    /// Notes that what this descriptor leads to may have become less.
    pub fn on_changed(&mut self, descriptor: i32) {
        if let Some(scratch) = self.of(descriptor).and_then(|volume| self.volumes.get_mut(volume)) {
            scratch.has_changed = true;
        }
    }

    /// Notes that a descriptor was opened below another.
    pub fn on_opened(&mut self, parent: i32, opened: i32) {
        self.on_changed(parent);
        match self.of(parent) {
            Some(volume) => self.descriptors.insert(opened, volume),
            None => self.descriptors.remove(&opened),
        };
    }

    /// Notes that a descriptor is closed.
    pub fn on_closed(&mut self, descriptor: i32) {
        self.on_changed(descriptor);
        self.descriptors.remove(&descriptor);
    }

    /// Notes that a descriptor has taken the place of another.
    pub fn on_renumbered(&mut self, from: i32, to: i32) {
        if from != to {
            self.descriptors.remove(&to);
            let volume = self.descriptors.remove(&from);
            self.descriptors.extend(volume.map(|volume| (to, volume)));
        }
    }

    /// Reserves room in a scratch directory, which is made if it is not there.
    pub async fn reserve(
        &mut self,
        wasi: &mut WasiP1Ctx,
        memory: &mut GuestMemory<'_>,
        volume: usize,
        more: ScratchUse,
    ) -> io::Result<bool> {
        let Some(scratch) = self.volumes.get_mut(volume) else { return Ok(true) };
        let directory = match &mut scratch.directory {
            Some(directory) => directory,
            empty => {
                let made = scratch.grant.space.directory(scratch.grant.limits)?;
                make_descriptors(wasi, memory);
                put_in_place(wasi, &scratch.grant, &made)?;
                empty.insert(made)
            }
        };
        if directory.reserve(more) {
            scratch.has_changed = true;
            return Ok(true);
        }
        if !scratch.has_changed {
            return Ok(false);
        }
        let open = self.open_without_name(wasi, memory, volume).await;
        let Some(scratch) = self.volumes.get_mut(volume) else { return Ok(false) };
        let Some(directory) = &mut scratch.directory else { return Ok(false) };
        directory.measure(open)?;
        scratch.has_changed = directory.reserve(more);
        Ok(scratch.has_changed)
    }

    /// What the files of a scratch directory take that are open and have no name any more.
    async fn open_without_name(&self, wasi: &mut WasiP1Ctx, memory: &mut GuestMemory<'_>, volume: usize) -> ScratchUse {
        let (mut found, mut seen) = (ScratchUse::default(), HashSet::new());
        for (&descriptor, _) in self.descriptors.iter().filter(|(_, of)| **of == volume) {
            let Ok(stat) = wasi.fd_filestat_get(memory, Fd::from(descriptor)).await else { continue };
            if stat.filetype == Filetype::RegularFile && stat.nlink == 0 && seen.insert(stat.ino) {
                found.bytes += stat.size;
                found.files += 1;
            }
        }
        found
    }
}

/// Lets the descriptors of the empty directory that stood for a scratch directory lead to the directory itself.
fn put_in_place(wasi: &mut WasiP1Ctx, grant: &ScratchVolume, made: &ScratchDirectory) -> io::Result<()> {
    for entry in wasi.ctx().table.iter_mut() {
        let Some(Descriptor::Dir(directory)) = entry.downcast_mut::<Descriptor>() else { continue };
        let found = directory.dir.metadata()?;
        if (found.dev(), found.ino()) == grant.placeholder {
            directory.dir = Arc::new(made.open()?);
        }
    }
    Ok(())
}
