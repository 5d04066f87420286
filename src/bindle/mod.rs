//! What is fetched for a bindle, and where does it go?
//!
//! Only parcels that a guest runs or sees are fetched. They become files of the store. Beside them, the store has a directory for
//! each set of files that the guests of an entry see, so that these guests see no other files. The layout is that of WAGI 0.8.
//! For threads that may block.
//!
//! | file | question |
//! | --- | --- |
//! | `source` | what does every source of bindles offer? |
//! | `directory` | where is a bindle in a directory of standalone bindles? |
//! | `server` | where is a bindle on a bindle server? |
//! | `stored_invoice` | which stored invoice is used while a bindle server is down? |
//! | `parcels` | how do the parcels of a bindle become files? |
//! | `module` | where is the program of a `bindle:` module? |

mod directory;
pub(crate) mod module;
mod parcels;
mod server;
mod source;
mod stored_invoice;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Instant;

use crate::cache::store::Store;
use crate::config::{BindleConfig, BindleLocation, Diagnostic, MAX_INVOICE_SIZE, read_invoice};
use crate::format::sha256_hex;

pub(crate) use crate::bindle::parcels::BindleModule;

use crate::bindle::directory::BindleDirectory;
use crate::bindle::parcels::{StoredParcels, needed, write_error};
use crate::bindle::server::BindleServer;
use crate::bindle::source::{BindleSource, InvoiceError};

/// A bindle after it was fetched.
#[derive(Default)]
pub(crate) struct FetchedBindle {
    pub entries: Vec<BindleModule>,
    pub problems: Vec<Diagnostic>,
    /// The store with the files of the entries.
    pub store: Option<Store>,
}

/// Fetches a bindle into the store in `directory`, or into a temporary one.
pub(crate) fn fetch(asked: &BindleConfig, directory: Option<&Path>) -> FetchedBindle {
    let mut fetched = FetchedBindle::default();
    let done = match &asked.location {
        BindleLocation::Directory(root) => fetch_from(&BindleDirectory::new(root), asked, directory, &mut fetched),
        BindleLocation::Server { url, login, insecure } => match BindleServer::new(url, login.as_ref(), *insecure) {
            Ok(server) => fetch_from(&server, asked, directory, &mut fetched),
            Err(error) => Err(Box::new(error.report(format!("cannot fetch bindle `{}`", asked.id)))),
        },
    };
    if let Err(problem) = done {
        fetched.problems.push(*problem);
    }
    fetched
}

fn fetch_from(
    source: &dyn BindleSource,
    asked: &BindleConfig,
    directory: Option<&Path>,
    fetched: &mut FetchedBindle,
) -> Result<(), Box<Diagnostic>> {
    let started = Instant::now();
    let Invoice { name, bytes, is_stored } = invoice(source, asked, directory, &mut fetched.problems)?;
    let (entries, problems) = read_invoice(&name, bytes.clone(), asked);
    let is_broken = problems.iter().any(Diagnostic::is_error);
    fetched.problems.extend(problems);
    // A broken invoice may describe something else than its author meant.
    if is_broken {
        return Ok(());
    }
    let store = Store::open(directory)?;
    let hash = sha256_hex(asked.id.to_string().as_bytes());
    if !is_stored {
        let written = stored_invoice::write(&store, &asked.id, source.server(), &bytes);
        written.map_err(|error| write_error(&store.path(stored_invoice::path(&asked.id)), &error))?;
    }
    let parcels = needed(&entries);
    let stored = StoredParcels::fetch(source, &asked.id, &store, &parcels, &mut fetched.problems);
    if stored.len() == parcels.len() {
        for entry in entries {
            fetched.entries.push(stored.entry(entry, &hash, &mut fetched.problems)?);
        }
        let (id, took) = (&asked.id, started.elapsed());
        tracing::info!(bindle = %id, parcels = parcels.len(), ?took, "fetched and checked");
    }
    fetched.store = Some(store);
    Ok(())
}

/// An invoice, and its name for messages.
struct Invoice {
    name: String,
    bytes: Vec<u8>,
    /// Whether it is from the store, because the source is out of order.
    is_stored: bool,
}

fn invoice(
    source: &dyn BindleSource,
    asked: &BindleConfig,
    directory: Option<&Path>,
    problems: &mut Vec<Diagnostic>,
) -> Result<Invoice, Box<Diagnostic>> {
    let (error, warning) = match source.invoice(&asked.id, MAX_INVOICE_SIZE) {
        Ok((name, bytes)) => return Ok(Invoice { name, bytes, is_stored: false }),
        Err(InvoiceError::Failed(error)) => return Err(error),
        Err(InvoiceError::Outage { error, warning }) => (error, warning),
    };
    let (Some(directory), Some(server)) = (directory, source.server()) else { return Err(error) };
    let bytes = stored_invoice::read(directory, &asked.id, server).ok_or(error)?;
    problems.push(*warning);
    let name = directory.join(stored_invoice::path(&asked.id)).display().to_string();
    Ok(Invoice { name, bytes, is_stored: true })
}
