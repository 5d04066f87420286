//! What does every source of bindles offer?

use std::io::{self, Read};

use crate::config::{BindleId, Diagnostic, Sha256};
use crate::net::client::Fetch;

/// A source of bindles. A new one is one more file with an implementation and an arm in `crate::bindle::fetch`.
///
/// It is called on threads that may block, by several at once. Callers check every byte that they get from it.
pub(super) trait BindleSource: Sync {
    /// The URL of the source, if it is a server.
    fn server(&self) -> Option<&str>;

    /// The invoice of a bindle: its name for messages, and its first bytes, up to one more than `limit`.
    fn invoice(&self, id: &BindleId, limit: u64) -> Result<(String, Vec<u8>), InvoiceError>;

    /// The bytes of a parcel of the bindle, which take no longer than `fetch` allows.
    fn parcel(&self, id: &BindleId, sha256: &Sha256, fetch: Fetch) -> io::Result<Box<dyn Read + '_>>;
}

/// Why a source has no invoice.
pub(super) enum InvoiceError {
    /// The source is out of order. An invoice of an earlier start may stand in, with the warning in place of the error.
    Outage { error: Box<Diagnostic>, warning: Box<Diagnostic> },
    /// Any other problem.
    Failed(Box<Diagnostic>),
}

impl From<Diagnostic> for InvoiceError {
    fn from(problem: Diagnostic) -> Self {
        Self::Failed(Box::new(problem))
    }
}
