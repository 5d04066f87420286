//! Whose signatures do modules need? A `[[module]]` says it, or `[registries."HOST"]` for all that come from there.

pub(in crate::config) mod table;

use std::path::PathBuf;

use crate::config::SourceLocation;

/// The signature that a module needs.
#[derive(Clone, Debug)]
pub struct VerifyConfig {
    /// Where that is written.
    pub location: SourceLocation,
    /// Whose signature it is.
    pub signers: TrustedSigners,
}

/// Compares what is wanted, but not where it is written.
impl PartialEq for VerifyConfig {
    fn eq(&self, other: &Self) -> bool {
        self.signers == other.signers
    }
}

impl Eq for VerifyConfig {}

/// Whose signature a module needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TrustedSigners {
    /// That of one of some keys.
    Keys {
        /// The files with the public keys.
        files: Vec<PathBuf>,
        /// A file with the logs and clocks of which one has to have seen the signature; `None` if none has to.
        trusted_root: Option<PathBuf>,
    },
    /// That of a person or program with a certificate.
    Identity {
        /// An address or URL, in which `*` stands for a part of it, and `**` for several.
        identity: String,
        /// Who has told the authority who it is.
        issuer: String,
        /// The file with the authorities, logs and clocks.
        trusted_root: PathBuf,
    },
}

/// What is set for a registry, or for a part of it.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// `HOST[:PORT]`, and perhaps the begin of names: `HOST/TEAM`.
    pub name: String,
    /// Where it is named.
    pub location: SourceLocation,
    /// The signature that its modules need, unless they say it themselves.
    pub verify: VerifyConfig,
}
