//! The key `scripts` of a `[[module]]`: a directory of scripts, which the module interprets.

use std::path::PathBuf;

/// A directory of scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptsConfig {
    /// The directory on the host. A relative path starts from the working directory.
    pub directory: PathBuf,
    /// The extensions of scripts, without their dots.
    pub extensions: Vec<String>,
    /// The names of the files that stand for a directory. Default: `index` with each of the extensions.
    pub index: Vec<String>,
    /// Where the guest sees the directory, without a slash at its end: empty for `/`. Default: `/www`.
    pub mount: String,
    /// What becomes of the other files. Default: they are not sent.
    pub others: OtherFiles,
}

/// What becomes of the files beside scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherFiles {
    /// They are as if they were not there.
    #[default]
    NotSent,
    /// They are sent as those of a `[[static]]`.
    Sent,
}
