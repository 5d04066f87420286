//! How do the parcels of a bindle become files?

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::cache;
use crate::cache::fetched::{Arrival, FetchedModule};
use crate::cache::store::{Store, StoreError};
use crate::cache::{ASSETS, VIEWS};
use crate::config::{BindleEntry, BindleId, Diagnostic, EntryConfig, Parcel, Sha256};
use crate::format::sha256_hex;
use crate::net::client::Fetch;
use crate::parallel;

use crate::bindle::source::BindleSource;

/// How many parcels are fetched at the same time.
const CONCURRENCY: usize = 4;

/// An entry of a bindle, and its module.
pub(crate) struct BindleModule {
    pub entry: EntryConfig,
    pub module: FetchedModule,
}

/// The parcels that guests run or see, one for each content.
pub(super) fn needed(entries: &[BindleEntry]) -> Vec<Parcel> {
    let mut seen = HashSet::new();
    let all =
        entries.iter().flat_map(|entry| std::iter::once(&entry.module).chain(entry.assets.iter().map(Arc::as_ref)));
    all.filter(|parcel| seen.insert((&parcel.sha256, parcel.size))).cloned().collect()
}

/// Parcels that are files of the store.
pub(super) struct StoredParcels<'p> {
    store: &'p Store,
    /// By digest and size: the same file may be in several parcels.
    files: HashMap<(Sha256, u64), StoredFile>,
}

struct StoredFile {
    path: PathBuf,
    arrival: Arrival,
}

impl<'p> StoredParcels<'p> {
    /// Fetches the parcels that are not in the store. Those that cannot be fetched are reported and left out.
    pub fn fetch(
        source: &dyn BindleSource,
        id: &BindleId,
        store: &'p Store,
        parcels: &[Parcel],
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let store_file = |parcel: &Parcel| {
            let started = Instant::now();
            let (path, is_new) = match store.find(&parcel.sha256, parcel.size) {
                Some(path) => (path, false),
                None => {
                    let fetch = Fetch::start_sized(parcel.size);
                    let open = || source.parcel(id, &parcel.sha256, fetch);
                    (store.insert_from(&parcel.sha256, parcel.size, open)?, true)
                }
            };
            Ok(StoredFile { path, arrival: Arrival { is_new, took: started.elapsed() } })
        };
        let mut files = HashMap::new();
        for (parcel, stored) in parcels.iter().zip(parallel::map(parcels, CONCURRENCY, store_file)) {
            match stored {
                Ok(file) => {
                    files.insert((parcel.sha256.clone(), parcel.size), file);
                }
                Err(error) => problems.push(store_error(parcel, &error)),
            }
        }
        Self { store, files }
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// The entry with the files of its module and its assets.
    pub fn entry(
        &self,
        entry: BindleEntry,
        hash: &str,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<BindleModule, Box<Diagnostic>> {
        let module = self.module(&entry.module)?;
        let mut view = None;
        if !entry.assets.is_empty() {
            self.link_as_in_wagi_0_8(&entry.assets, hash, problems);
            view = Some(self.view(&entry.assets)?);
        }
        Ok(BindleModule { entry: entry.with_files(view), module })
    }

    fn module(&self, parcel: &Parcel) -> Result<FetchedModule, Box<Diagnostic>> {
        let StoredFile { path, arrival } = self.file(parcel)?;
        self.store.pin(path);
        let sha256 = parcel.sha256.clone();
        Ok(FetchedModule { path: path.clone(), sha256, size: parcel.size, manifest: None, arrival: *arrival })
    }

    fn file(&self, parcel: &Parcel) -> Result<&StoredFile, Box<Diagnostic>> {
        let file = self.files.get(&(parcel.sha256.clone(), parcel.size));
        file.ok_or_else(|| Box::new(Diagnostic::error(format!("parcel `{}` is not in the store", parcel.name))))
    }

    /// The directory with these files and no others. It is named after them, so that nothing in it ever has to change
    /// while a server uses it.
    fn view(&self, assets: &[Arc<Parcel>]) -> Result<PathBuf, Box<Diagnostic>> {
        let mut lines: Vec<String> = assets.iter().map(|asset| format!("{}\0{}\n", asset.name, asset.sha256)).collect();
        lines.sort_unstable();
        lines.dedup();
        let view = Path::new(VIEWS).join(sha256_hex(lines.concat().as_bytes()));
        for asset in assets {
            let link = view.join(&asset.name);
            let linked = self.store.link(&self.file(asset)?.path, &link);
            linked.map_err(|error| write_error(&self.store.path(&link), &error))?;
        }
        let view = self.store.path(view);
        cache::mark_modified(&view);
        self.store.pin(&view);
        Ok(view)
    }

    /// Links all files of a bindle in one directory, where WAGI 0.8 put them. Guests do not look there.
    fn link_as_in_wagi_0_8(&self, assets: &[Arc<Parcel>], hash: &str, problems: &mut Vec<Diagnostic>) {
        for asset in assets {
            let link = Path::new(ASSETS).join(hash).join(&asset.name);
            let Ok(file) = self.file(asset) else { continue };
            if let Err(error) = self.store.link(&file.path, &link) {
                let message = format!("cannot show parcel `{}` as `{}`", asset.name, self.store.path(&link).display());
                let problem = Diagnostic::warning(message).at(asset.digest_location.clone()).caused_by(&error);
                problems.push(problem.help("guests do not look there"));
            }
        }
    }
}

fn store_error(parcel: &Parcel, error: &StoreError) -> Diagnostic {
    let name = &parcel.name;
    let message = match error {
        StoreError::Fetch(error) if error.kind() == io::ErrorKind::NotFound => {
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

pub(super) fn write_error(path: &Path, error: &io::Error) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(format!("cannot write `{}` in the module cache", path.display())).caused_by(error))
}
