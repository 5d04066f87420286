//! How much may be in a scratch directory, and how much is there?

/// The most that a directory may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchLimits {
    /// The length of all files.
    pub bytes: u64,
    /// The number of files, directories and links.
    pub files: u64,
}

/// What a directory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScratchUse {
    /// The length of all files.
    pub bytes: u64,
    /// The number of files, directories and links.
    pub files: u64,
}
