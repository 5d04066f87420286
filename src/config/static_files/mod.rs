//! Files at a route: one `[[static]]` of the configuration, or the `scripts` of a `[[module]]`.

mod scripts;

use std::path::PathBuf;

use http::HeaderMap;

pub use crate::config::static_files::scripts::{OtherFiles, ScriptsConfig};
use crate::config::{HostPattern, Origin};
use crate::route::RoutePattern;

/// Files at a route.
#[derive(Clone, Debug)]
pub struct StaticConfig {
    /// Where it is configured.
    pub origin: Origin,
    /// The paths that it serves.
    pub route: RoutePattern,
    /// The names that it answers. Default: none, so that it answers every name.
    pub hosts: Vec<HostPattern>,
    /// How many entries with modules come before it in the file.
    pub modules_before: usize,
    /// What it serves.
    pub content: StaticContent,
    /// Whether a compressed file beside a file is sent in its place. Default: yes.
    pub precompressed: bool,
    /// Whether responses are compressed. Default: as `[server]` has it, else no.
    pub compress: bool,
    /// What its responses carry, `cache_control` among it.
    pub headers: HeaderMap,
}

/// What a `[[static]]` serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaticContent {
    /// One file.
    File(PathBuf),
    /// The files of a directory.
    Directory {
        /// The directory.
        path: PathBuf,
        /// The names of the files that stand for a directory. Default: `index.html`.
        index: Vec<String>,
        /// The file for paths that do not exist.
        fallback: Option<PathBuf>,
    },
}

impl StaticContent {
    /// The path that the configuration names.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::File(path) | Self::Directory { path, .. } => path,
        }
    }
}

/// Compares all settings, but not where they are written.
impl PartialEq for StaticConfig {
    fn eq(&self, other: &Self) -> bool {
        // Without `..`, so that no setting is left out.
        let Self { origin: _, route, hosts, modules_before, content, precompressed, compress, headers } = self;
        (route, hosts, modules_before) == (&other.route, &other.hosts, &other.modules_before)
            && (content, precompressed) == (&other.content, &other.precompressed)
            && (compress, headers) == (&other.compress, &other.headers)
    }
}

impl Eq for StaticConfig {}
