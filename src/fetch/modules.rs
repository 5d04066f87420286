//! How are the modules of the entries fetched and verified?

use std::path::PathBuf;
use std::sync::Arc;

use crate::bindle;
use crate::cache::fetched::FetchedModules;
use crate::cache::store::Store;
use crate::config::{Config, Diagnostic, EntryConfig, Key, ModuleRef, RegistryConfig};
use crate::net::progress::Progress;
use crate::registry;

use crate::fetch::lock_check::Comparison;
use crate::fetch::module_cache::module_cache;
use crate::fetch::resolved::{ResolvedEntry, with_files};
use crate::fetch::verification::Verification;

/// Entries whose modules are files, and the store that has the files.
#[derive(Default)]
pub(super) struct Modules {
    pub entries: Vec<ResolvedEntry>,
    pub store: Option<Store>,
}

/// Fetches the modules of `config`, and takes its entries. Entries whose module cannot be fetched are reported and
/// dropped.
pub(super) async fn fetch(
    config: &mut Config,
    store: Option<Store>,
    problems: &mut Vec<Diagnostic>,
    progress: Arc<dyn Progress>,
) -> Modules {
    let mut entries = std::mem::take(&mut config.entries);
    if config.locked && config.lock.is_none() {
        // The missing lock file is reported already. Without it, it is not known what the modules have to be.
        entries.retain(|entry| !is_elsewhere(entry));
    }
    let any_elsewhere = entries.iter().any(is_elsewhere);
    let any_verified = entries.iter().any(|entry| entry.verify.is_some());
    if !any_elsewhere && !any_verified && config.lock.is_none() {
        return Modules { entries: with_files(entries, &FetchedModules::default()), store };
    }
    let store = match store {
        Some(store) => StoreState::Open(store),
        None if any_elsewhere => StoreState::Closed(module_cache(config, problems)),
        None => StoreState::NotNeeded,
    };
    let options = registry::PullOptions {
        registries: config.registries.clone(),
        max_module_size: config.limits.module_size,
        progress,
        lock: config.lock.clone(),
    };
    let signed_registries = config.signed_registries.clone();
    let fetching = ModuleFetcher { store, options, signed_registries, is_lock_required: config.locked };
    let Ok((modules, found)) = tokio::task::spawn_blocking(move || fetching.fetch(entries)).await else {
        problems.push(Diagnostic::error("fetching the modules failed: this is a defect of the server"));
        return Modules::default();
    };
    problems.extend(found);
    modules
}

fn is_elsewhere(entry: &EntryConfig) -> bool {
    matches!(entry.module, ModuleRef::Bindle { .. } | ModuleRef::Oci(_))
}

/// Adds to each problem the route of the first entry that it points at.
fn name_routes(problems: &mut [Diagnostic], entries: &[EntryConfig]) {
    // No more are shown.
    for problem in
        problems.iter_mut().take(1_000).filter(|problem| problem.route.is_none() && problem.location.is_some())
    {
        let entry = entries.iter().find(|entry| entry.origin.at(Key::Module) == problem.location);
        problem.route = entry.map(|entry| entry.route.to_string());
    }
}

/// The store before modules are fetched.
enum StoreState {
    /// No module has to be fetched.
    NotNeeded,
    /// In this directory, or in a temporary one.
    Closed(Option<PathBuf>),
    Open(Store),
}

impl StoreState {
    fn open(self) -> Result<Option<Store>, Box<Diagnostic>> {
        match self {
            Self::NotNeeded => Ok(None),
            Self::Closed(directory) => Ok(Some(Store::open(directory.as_deref())?)),
            Self::Open(store) => Ok(Some(store)),
        }
    }
}

struct ModuleFetcher {
    store: StoreState,
    options: registry::PullOptions,
    signed_registries: Vec<RegistryConfig>,
    is_lock_required: bool,
}

impl ModuleFetcher {
    fn fetch(self, mut entries: Vec<EntryConfig>) -> (Modules, Vec<Diagnostic>) {
        let Self { store, options, signed_registries, is_lock_required } = self;
        let mut problems = Vec::new();
        let comparison = options.lock.as_ref().map(|lock| Comparison { lock, is_required: is_lock_required });
        problems.extend(comparison.iter().flat_map(|comparison| comparison.compare(&mut entries)));
        let store = match store.open() {
            Ok(store) => store,
            Err(problem) => {
                problems.push(*problem);
                return (Modules::default(), problems);
            }
        };
        let mut verification = Verification::new(&signed_registries, &options.registries, store.as_ref());
        problems.extend(verification.check_signers(&mut entries));
        let mut fetched = FetchedModules::default();
        if let Some(store) = &store {
            fetched = registry::fetch(&entries, store, &options);
            let programs = bindle::module::fetch(&entries, store, options.max_module_size, options.lock.as_ref());
            fetched.by_reference.extend(programs.by_reference);
            fetched.problems.extend(programs.problems);
        }
        name_routes(&mut fetched.problems, &entries);
        let mut entries = with_files(entries, &fetched);
        problems.extend(fetched.problems);
        problems.extend(verification.verify(&mut entries));
        problems.extend(comparison.iter().flat_map(|comparison| comparison.verify(&mut entries)));
        (Modules { entries, store }, problems)
    }
}
