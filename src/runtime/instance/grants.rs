//! What may a guest use?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::outbound::Client;

use crate::runtime::instance::stdio::ErrorLog;

/// What a guest may use and what it is given, the same for each of its runs.
#[derive(Clone)]
pub struct Grants {
    /// The directories it sees.
    pub volumes: Volumes,
    /// Whom it may call; nobody without.
    pub outbound: Option<Outbound>,
    /// The operator's variables, for those that are asked over HTTP; all others get theirs with each invocation.
    pub environment: Arc<[(String, String)]>,
    /// Where its stderr goes; dropped without.
    pub log: Option<Arc<dyn ErrorLog>>,
    /// CPU time.
    pub cpu_time: Duration,
    /// Bytes in all its memories together.
    pub memory: usize,
    /// Elements in all its tables together.
    pub table_elements: usize,
    /// Bytes it may print, head included; unlimited without.
    pub output: Option<u64>,
    /// Bytes of stderr that are kept per run.
    pub stderr: usize,
}

/// The directories a script may see, opened once at start and shared by all its guests.
#[derive(Clone, Default)]
pub struct Volumes {
    opened: WasiFilesystemCtx,
    count: usize,
}

impl Volumes {
    /// Opens host directories in order, so that descriptor 3 is the first of them. Each is guest path, host path, and
    /// whether it is read-only. The error names the index of the one that cannot be opened.
    pub fn open<'a>(
        directories: impl IntoIterator<Item = (&'a str, &'a PathBuf, bool)>,
    ) -> Result<Self, (usize, std::io::Error)> {
        let mut builder = WasiCtxBuilder::new();
        let mut count = 0;
        for (guest_path, host_path, read_only) in directories {
            let permissions = if read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
            builder
                .preopened_dir(host_path, guest_path, permissions)
                .map_err(|error| (count, error.downcast().unwrap_or_else(std::io::Error::other)))?;
            count += 1;
        }
        Ok(Self { opened: builder.build().filesystem().clone(), count })
    }

    /// As wasmtime-wasi has them.
    pub(in crate::runtime) fn opened(&self) -> WasiFilesystemCtx {
        self.opened.clone()
    }

    /// How many there are.
    pub(in crate::runtime) fn count(&self) -> usize {
        self.count
    }
}

/// The way out of a script that may call others.
#[derive(Clone)]
pub struct Outbound {
    /// Whom it may call, and the connections to them.
    pub client: Client,
    /// How many answers a guest may hold open; any number without.
    pub most_open: Option<u32>,
}
