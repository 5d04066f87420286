//! What may a guest use?

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::config::Limits;
use crate::outbound::Client;
use crate::scratch::{ScratchLimits, ScratchSpace};

use crate::runtime::engine::watch::VolumeThreads;
use crate::runtime::instance::cpu_time::CpuTimer;
use crate::runtime::instance::debug::profiler::{GuestSampler, ProfiledCode};
use crate::runtime::instance::memory::MemoryBudget;
use crate::runtime::instance::stderr::{Stderr, StderrSink};
use crate::runtime::instance::stdio::{InputStream, Stdio};
use crate::runtime::run_watcher::RunWatcher;

/// What a guest may use and what it is given, the same for each of its runs.
#[derive(Clone, Default)]
pub struct Grants {
    /// The directories it sees.
    pub volumes: Volumes,
    /// The client for its requests to upstreams; `None` for a guest without `allowed_hosts`.
    pub outbound: Option<Outbound>,
    /// The operator's variables, for components of `wasi:http`. All other guests get their variables with each invocation.
    pub environment: Arc<[(String, String)]>,
    /// Where its stderr goes; `None` to discard it.
    pub log: Option<Arc<dyn StderrSink>>,
    /// Who watches its runs; `None` in a server.
    pub watcher: Option<Arc<dyn RunWatcher>>,
    /// What one run may use. The gateway enforces the time to the head, the time between outputs, and the number of runs.
    pub limits: Limits,
}

impl Grants {
    /// For the initializer of a component: nothing but memory.
    pub(in crate::runtime) fn of_initializer(memory: usize, table_elements: usize) -> Self {
        Self { limits: Limits { memory, table_elements, ..Limits::default() }, ..Self::default() }
    }

    /// The standard streams of a run that the log knows by the number `request`.
    pub(in crate::runtime) fn stdio(&self, stdin: Option<InputStream>, request: u64) -> Stdio {
        let limits = &self.limits;
        let output = limits.response_body.map(|body| body.saturating_add(limits.response_head as u64));
        let stderr = Stderr::new(self.log.clone(), request, limits.stderr);
        let stdio = Stdio::new(stdin, output, stderr, CpuTimer::new(limits.cpu_time));
        match &self.watcher {
            Some(watcher) => stdio.watched_by(watcher.clone()),
            None => stdio,
        }
    }

    /// Looks at the guest of a request, if it computes for long and the operator wants that.
    pub(in crate::runtime) fn sampler(
        &self,
        request: u64,
        code: impl FnOnce() -> ProfiledCode,
    ) -> Option<GuestSampler> {
        let profiling = self.log.as_ref()?.debugging()?.profiling.as_ref()?;
        Some(GuestSampler::new(profiling, request, code()))
    }

    /// The memory and table elements that one run may use.
    pub(in crate::runtime) fn memory_budget(&self) -> MemoryBudget {
        MemoryBudget::new(self.limits.memory, self.limits.table_elements)
    }
}

/// The directories of a guest, opened once at start and shared by all its runs.
#[derive(Clone, Default)]
pub struct Volumes {
    opened: WasiFilesystemCtx,
    /// The path of each in the guest, and on the host.
    paths: Arc<[(String, PathBuf)]>,
    /// Device and inode of each when it was opened.
    identities: Arc<[Option<(u64, u64)>]>,
    /// Which of them the guest may write to.
    writable: Vec<usize>,
    scratch: Vec<ScratchVolume>,
    /// `None` without directories.
    threads: Option<Arc<VolumeThreads>>,
}

impl Volumes {
    /// Opens host directories in order, so that descriptor 3 is the first of them. Each is guest path, host path, and
    /// whether it is read-only. The error names the index of the one that cannot be opened.
    pub fn open<'a>(
        directories: impl IntoIterator<Item = (&'a str, &'a PathBuf, bool)>,
    ) -> Result<Self, (usize, std::io::Error)> {
        let mut builder = WasiCtxBuilder::new();
        // A guest that uses files computes on threads that it may block: see `engine::executors`.
        builder.allow_blocking_current_thread(true);
        let (mut paths, mut identities, mut writable) = (Vec::new(), Vec::new(), Vec::new());
        for (guest_path, host_path, read_only) in directories {
            let permissions = if read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
            // Before it is opened: one that is replaced meanwhile is never taken for the one that is open.
            identities.push(identity(host_path));
            builder
                .preopened_dir(host_path, guest_path, permissions)
                .map_err(|error| (paths.len(), error.downcast().unwrap_or_else(std::io::Error::other)))?;
            if !read_only {
                writable.push(paths.len());
            }
            paths.push((guest_path.to_owned(), host_path.clone()));
        }
        let threads = (!paths.is_empty()).then(Arc::default);
        let (opened, paths) = (builder.build().filesystem().clone(), paths.into());
        Ok(Self { opened, paths, identities: identities.into(), writable, scratch: Vec::new(), threads })
    }

    /// These volumes, of which those at `scratch` are scratch directories: each is its index, its path and its limits.
    pub fn with_scratch<'a>(
        self,
        space: &Arc<ScratchSpace>,
        scratch: impl IntoIterator<Item = (usize, &'a PathBuf, ScratchLimits)>,
    ) -> std::io::Result<Self> {
        let scratch = scratch.into_iter().map(|(index, path, limits)| {
            let found = std::fs::metadata(path)?;
            let descriptor = i32::try_from(index).unwrap_or(i32::MAX).saturating_add(FIRST_VOLUME);
            Ok(ScratchVolume { descriptor, placeholder: (found.dev(), found.ino()), space: space.clone(), limits })
        });
        Ok(Self { scratch: scratch.collect::<std::io::Result<_>>()?, ..self })
    }

    /// The scratch directories among them.
    pub(in crate::runtime) fn scratch(&self) -> &[ScratchVolume] {
        &self.scratch
    }

    /// The indices of the scratch directories.
    pub(in crate::runtime) fn scratch_indices(&self) -> Vec<usize> {
        let index = |scratch: &ScratchVolume| usize::try_from(scratch.descriptor.saturating_sub(FIRST_VOLUME)).ok();
        self.scratch.iter().filter_map(index).collect()
    }

    /// The open directories in wasmtime-wasi's form.
    pub(in crate::runtime) fn opened(&self) -> WasiFilesystemCtx {
        self.opened.clone()
    }

    /// The threads that operations on these directories may block; `None` without directories.
    pub(in crate::runtime) fn threads(&self) -> Option<Arc<VolumeThreads>> {
        self.threads.clone()
    }

    /// The number of directories.
    pub(in crate::runtime) fn count(&self) -> usize {
        self.paths.len()
    }

    /// Whether each is still what is at its path, but for those with the indices `except`. A deployment may replace a directory, or a
    /// symbolic link to it.
    pub(in crate::runtime) fn are_in_place(&self, except: &[usize]) -> bool {
        let mut directories = self.paths.iter().zip(self.identities.iter()).enumerate();
        directories.all(|(index, ((_, host), opened))| {
            except.contains(&index) || (opened.is_some() && identity(host) == *opened)
        })
    }

    /// The path of each directory in the guest, and on the host.
    pub(in crate::runtime) fn paths(&self) -> &[(String, PathBuf)] {
        &self.paths
    }

    /// The indices of those in which a guest may change what other guests see.
    pub(in crate::runtime) fn writable(&self) -> Vec<usize> {
        let scratch = self.scratch_indices();
        self.writable.iter().copied().filter(|index| !scratch.contains(index)).collect()
    }

    /// The same volumes, with other directories in place of some, and `empty` in place of one that is gone.
    pub(in crate::runtime) fn with_replaced(
        &self,
        replaced: &BTreeMap<usize, PathBuf>,
        empty: &PathBuf,
    ) -> std::io::Result<Self> {
        let directories = self.paths.iter().enumerate().map(|(index, (guest, host))| {
            let host = replaced.get(&index).unwrap_or(if host.exists() { host } else { empty });
            (guest.as_str(), host, !self.writable.contains(&index))
        });
        let opened = Self::open(directories).map_err(|(_, error)| error)?;
        Ok(Self { scratch: self.scratch.clone(), threads: self.threads.clone(), ..opened })
    }
}

/// Device and inode of what is at a path.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// The descriptor of the first volume.
pub(in crate::runtime) const FIRST_VOLUME: i32 = 3;

/// A volume that is a scratch directory.
#[derive(Clone)]
pub(in crate::runtime) struct ScratchVolume {
    /// Its descriptor at the start of a guest.
    pub descriptor: i32,
    /// Device and inode of the empty directory that stands for it.
    pub placeholder: (u64, u64),
    pub space: Arc<ScratchSpace>,
    pub limits: ScratchLimits,
}

/// Access to upstreams.
#[derive(Clone)]
pub struct Outbound {
    /// The client, which knows the allowed hosts and keeps the connections.
    pub client: Client,
    /// How many responses a run may hold open; `None` for no limit.
    pub max_open: Option<u32>,
}
