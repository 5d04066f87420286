//! What is kept of guests that trap or compute for long, so that a developer can look into them?
//!
//! `manifest` reads the table `[debug]`. Without it nothing is kept but what the log says.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::SourceLocation;

/// What the operator wants to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugConfig {
    /// Where traps are kept; `None` for nowhere.
    pub coredumps: Option<CoredumpConfig>,
    /// Which guests are sampled; `None` for none.
    pub profile: Option<ProfileConfig>,
}

/// Core dumps of guests that trap.
#[derive(Clone, Debug, Eq)]
pub struct CoredumpConfig {
    /// Their directory.
    pub directory: PathBuf,
    /// Where it is named.
    pub location: SourceLocation,
    /// How many there may be in the directory.
    pub files: u64,
    /// How much memory a guest may have of which one is written, in bytes.
    pub size: u64,
}

impl PartialEq for CoredumpConfig {
    fn eq(&self, other: &Self) -> bool {
        // Without `..`, so that no setting is left out.
        let Self { directory, location: _, files, size } = self;
        (directory, files, size) == (&other.directory, &other.files, &other.size)
    }
}

/// Profiles of guests that compute for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileConfig {
    /// The CPU time from which on a guest is sampled.
    pub slower_than: Duration,
    /// How many profiles are kept, the newest.
    pub kept: usize,
}
