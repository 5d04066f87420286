//! Which stored invoice is used while a bindle server is down?
//!
//! The last one that this server has sent for the id. Two servers may have different bindles with the same id, so a
//! comment at the end of a stored invoice names the server that it is from. A bindle does not change: the invoice is outdated
//! only if the bindle was yanked after that.

use std::io;
use std::path::{Path, PathBuf};

use crate::cache;
use crate::cache::INVOICES;
use crate::cache::store::Store;
use crate::config::{BindleId, MAX_INVOICE_SIZE};
use crate::format::sha256_hex;
use crate::regular_file;

/// The path of the invoice of a bindle, below the root of the store.
pub(super) fn path(id: &BindleId) -> PathBuf {
    Path::new(INVOICES).join(sha256_hex(id.to_string().as_bytes()))
}

/// Writes an invoice that is from `server`, or from a directory.
pub(super) fn write(store: &Store, id: &BindleId, server: Option<&str>, invoice: &[u8]) -> io::Result<()> {
    let origin = server.map(origin).unwrap_or_default();
    store.write(&path(id), &[invoice, origin.as_bytes()].concat())
}

/// Returns the invoice that `server` has sent last, if it is in the directory of a store.
pub(super) fn read(store: &Path, id: &BindleId, server: &str) -> Option<Vec<u8>> {
    let (path, origin) = (store.join(path(id)), origin(server));
    let mut bytes = regular_file::read(&path, MAX_INVOICE_SIZE.saturating_add(origin.len() as u64)).ok()?;
    bytes.truncate(bytes.strip_suffix(origin.as_bytes())?.len());
    cache::mark_modified(&path);
    Some(bytes)
}

fn origin(server: &str) -> String {
    format!("\n# Sent by {server}\n")
}
