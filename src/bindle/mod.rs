//! What has to be fetched for a bindle, and where does it go?
//!
//! Only what a script runs or sees is fetched. In the store, next to the parcels themselves, each set of files that a
//! script sees is a directory of its own, so that it sees no other; and everything is also where WAGI has always put it.
//! Called by the parent, on a thread that may block.

mod directory;
pub(crate) mod module;
mod server;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::cache;
use crate::cache::{ASSETS, INVOICES, VIEWS};
use crate::config::{
    BindleConfig, BindleEntry, BindleId, BindleLocation, Diagnostic, EntryConfig, MAX_INVOICE_SIZE, Parcel, Sha256,
    read_invoice,
};

use crate::bindle::directory::Directory;
use crate::bindle::server::Server;
use crate::cache::fetched::{Arrival, FetchedModule};
use crate::cache::store::{Store, StoreError};
use crate::format::sha256_hex;
use crate::parallel;

/// Somewhere bindles are to be had. A new one is one more file with an implementation and an arm in `crate::bindle::fetch`.
///
/// It is asked on threads that may block, by several at once, and trusted in nothing: who asks looks at every byte.
trait Source: Sync {
    /// The invoice of a bindle: the name to speak of it by, and its bytes, of which there may be `most` and one more.
    fn invoice(&self, id: &BindleId, most: u64) -> Result<(String, Vec<u8>), Box<Diagnostic>>;

    /// The bytes of a parcel of the bindle.
    fn parcel(&self, id: &BindleId, sha256: &Sha256) -> io::Result<Box<dyn Read + '_>>;
}

/// How many parcels are fetched at the same time.
const SIDE_BY_SIDE: usize = 4;

/// A bindle after it was fetched.
#[derive(Default)]
pub(crate) struct FetchedBindle {
    pub entries: Vec<BindleModule>,
    pub problems: Vec<Diagnostic>,
    /// The store with the files of the entries.
    pub store: Option<Store>,
}

/// An entry of a bindle, and its module.
pub(crate) struct BindleModule {
    pub entry: EntryConfig,
    pub module: FetchedModule,
}

/// Fetches a bindle into the store in `directory`, or into a temporary one.
pub(crate) fn fetch(asked: &BindleConfig, directory: Option<&Path>) -> FetchedBindle {
    let mut fetched = FetchedBindle::default();
    let done = match &asked.location {
        BindleLocation::Directory(root) => fetch_from(&Directory::new(root), asked, directory, &mut fetched),
        BindleLocation::Server { url, login, insecure } => match Server::new(url, login.as_ref(), *insecure) {
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
    source: &dyn Source,
    asked: &BindleConfig,
    directory: Option<&Path>,
    fetched: &mut FetchedBindle,
) -> Result<(), Box<Diagnostic>> {
    let started = Instant::now();
    let (name, bytes) = source.invoice(&asked.id, MAX_INVOICE_SIZE)?;
    let (scripts, problems) = read_invoice(&name, bytes.clone(), asked);
    let is_broken = problems.iter().any(Diagnostic::is_error);
    fetched.problems.extend(problems);
    // What a broken invoice asks for is not what its author meant.
    if is_broken {
        return Ok(());
    }
    let store = Store::open(directory)?;
    let hash = sha256_hex(asked.id.to_string().as_bytes());
    let invoice = Path::new(INVOICES).join(&hash);
    store.write(&invoice, &bytes).map_err(|error| unwritable(&store.path(&invoice), &error))?;
    let parcels = needed(&scripts);
    let files = place_all(source, asked, &store, &parcels, &mut fetched.problems);
    if files.len() == parcels.len() {
        let bindle = Placed { store: &store, files };
        for script in scripts {
            fetched.entries.push(bindle.script(script, &hash, &mut fetched.problems)?);
        }
        let (id, took) = (&asked.id, started.elapsed());
        tracing::info!(bindle = %id, parcels = parcels.len(), ?took, "fetched and checked");
    }
    fetched.store = Some(store);
    Ok(())
}

/// Where parcels are and how they came, by their contents: the same file may be in several parcels.
type Files = HashMap<(Sha256, u64), (PathBuf, Arrival)>;

/// The parcels that scripts run or see, one for each content.
fn needed(scripts: &[BindleEntry]) -> Vec<Parcel> {
    let mut seen = HashSet::new();
    let all =
        scripts.iter().flat_map(|script| std::iter::once(&script.module).chain(script.assets.iter().map(Arc::as_ref)));
    all.filter(|parcel| seen.insert((&parcel.sha256, parcel.size))).cloned().collect()
}

/// Sees to it that all parcels are in the store. Those that cannot be are reported and left out.
fn place_all(
    source: &dyn Source,
    asked: &BindleConfig,
    store: &Store,
    parcels: &[Parcel],
    problems: &mut Vec<Diagnostic>,
) -> Files {
    let place = |parcel: &Parcel| {
        let started = Instant::now();
        let (path, is_new) = match store.find(&parcel.sha256, parcel.size) {
            Some(path) => (path, false),
            None => {
                let open = || source.parcel(&asked.id, &parcel.sha256);
                (store.insert_from(&parcel.sha256, parcel.size, open)?, true)
            }
        };
        Ok((path, Arrival { is_new, took: started.elapsed() }))
    };
    let mut files = Files::new();
    for (parcel, placed) in parcels.iter().zip(parallel::map(parcels, SIDE_BY_SIDE, place)) {
        match placed {
            Ok(placed) => {
                files.insert((parcel.sha256.clone(), parcel.size), placed);
            }
            Err(error) => problems.push(not_placed(parcel, &error)),
        }
    }
    files
}

/// Parcels that are in the store.
struct Placed<'p> {
    store: &'p Store,
    files: Files,
}

impl Placed<'_> {
    fn script(
        &self,
        script: BindleEntry,
        hash: &str,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<BindleModule, Box<Diagnostic>> {
        let module = self.module(&script.module)?;
        let mut view = None;
        if !script.assets.is_empty() {
            self.show_where_wagi_did(&script.assets, hash, problems);
            view = Some(self.view(&script.assets)?);
        }
        Ok(BindleModule { entry: script.with_files(view), module })
    }

    /// The program that a parcel is.
    fn module(&self, parcel: &Parcel) -> Result<FetchedModule, Box<Diagnostic>> {
        let (path, arrival) = self.placed(parcel)?;
        self.store.pin(path);
        let sha256 = parcel.sha256.clone();
        Ok(FetchedModule { path: path.clone(), sha256, size: parcel.size, manifest: None, arrival: *arrival })
    }

    fn file(&self, parcel: &Parcel) -> Result<&Path, Box<Diagnostic>> {
        self.placed(parcel).map(|(path, _)| path.as_path())
    }

    fn placed(&self, parcel: &Parcel) -> Result<&(PathBuf, Arrival), Box<Diagnostic>> {
        let placed = self.files.get(&(parcel.sha256.clone(), parcel.size));
        placed.ok_or_else(|| Box::new(Diagnostic::error(format!("parcel `{}` is not in the store", parcel.name))))
    }

    /// The directory with these files and no others. It is named after them, so that nothing in it ever has to change
    /// while a server uses it.
    fn view(&self, assets: &[Arc<Parcel>]) -> Result<PathBuf, Box<Diagnostic>> {
        let mut lines: Vec<String> = assets.iter().map(|asset| format!("{}\0{}\n", asset.name, asset.sha256)).collect();
        lines.sort_unstable();
        lines.dedup();
        let view = Path::new(VIEWS).join(sha256_hex(lines.concat().as_bytes()));
        for asset in assets {
            let shown = view.join(&asset.name);
            let done = self.store.link(self.file(asset)?, &shown);
            done.map_err(|error| unwritable(&self.store.path(&shown), &error))?;
        }
        let view = self.store.path(view);
        cache::mark_modified(&view);
        self.store.pin(&view);
        Ok(view)
    }

    /// All files of a bindle in one directory, for those who look for them there; guests do not.
    fn show_where_wagi_did(&self, assets: &[Arc<Parcel>], hash: &str, problems: &mut Vec<Diagnostic>) {
        for asset in assets {
            let shown = Path::new(ASSETS).join(hash).join(&asset.name);
            let Ok(file) = self.file(asset) else { continue };
            if let Err(error) = self.store.link(file, &shown) {
                let message = format!("cannot show parcel `{}` as `{}`", asset.name, self.store.path(&shown).display());
                let problem = Diagnostic::warning(message).at(asset.digest_location.clone()).caused_by(&error);
                problems.push(problem.help("scripts do not look there"));
            }
        }
    }
}

fn not_placed(parcel: &Parcel, error: &StoreError) -> Diagnostic {
    let name = &parcel.name;
    let message = match error {
        StoreError::Fetch(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("parcel `{name}` is not in the bindle, but needed")
        }
        StoreError::Fetch(_) => format!("cannot fetch parcel `{name}`"),
        StoreError::Write { .. } => format!("cannot keep parcel `{name}`"),
        StoreError::Digest { .. } | StoreError::Size { .. } | StoreError::TooLarge(_) => {
            format!("parcel `{name}` is not what the invoice says")
        }
    };
    Diagnostic::error(message).at(parcel.digest_location.clone()).caused_by(error)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(format!("cannot write `{}` in the module cache", path.display())).caused_by(error))
}
