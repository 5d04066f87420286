//! How does wagi work with OCI registries?
//!
//! Each reference is pulled into the store once, and several at the same time. A file can also be published as an artifact.
//!
//! | file | question |
//! | --- | --- |
//! | `reference` | which artifact of which registry does a text name? |
//! | `pull`, `download` | how does a reference become a file of the store? |
//! | `push`, `artifact` | how does a module get into a registry, and how is it laid out there? |
//! | `signatures` | which signatures does an artifact have, and how does it get one? |
//! | `login` | how does the operator log in to a registry, and out? |
//! | `commands` | what can be done with registries besides fetching the modules of a configuration? |
//! | `api`, `client` | how is a request sent to a registry? |
//! | `manifest` | what is in an artifact? |
//! | `credentials` | which credentials does a registry ask for, and which does the operator have? |
//! | `error` | why does a request fail, and why was a module not pulled? |

mod api;
mod artifact;
mod client;
pub(crate) mod commands;
mod credentials;
mod download;
mod error;
mod login;
mod manifest;
mod pull;
mod push;
mod reference;
pub(crate) mod signatures;

use crate::cache::fetched::{FetchedModule, FetchedModules};
use crate::cache::store::Store;
use crate::config::{Diagnostic, EntryConfig, Key, ModuleRef, SourceLocation};

pub use crate::registry::artifact::Layout;
pub(crate) use crate::registry::artifact::WASM_CONFIG;
pub(crate) use crate::registry::client::PullOptions;
pub(crate) use crate::registry::manifest::LEGACY_LAYER;
pub(crate) use crate::registry::reference::{is_same_reference, without_scheme};

use crate::registry::client::RegistryClient;
use crate::registry::error::PullError;
use crate::registry::pull::{Pull, Pulled};

/// A module to pull, and where the configuration names it.
struct RequestedModule<'a> {
    module: &'a ModuleRef,
    reference: &'a str,
    location: Option<SourceLocation>,
}

impl<'a> RequestedModule<'a> {
    /// `None` for a module that is in no registry.
    fn new(module: &'a ModuleRef, location: Option<SourceLocation>) -> Option<Self> {
        match module {
            ModuleRef::Oci(reference) => Some(Self { module, reference, location }),
            ModuleRef::File(_) | ModuleRef::Bindle { .. } => None,
        }
    }
}

/// Pulls the modules that `entries` name in registries into `store`. For a thread that may block, with a runtime around
/// it.
pub(crate) fn fetch(entries: &[EntryConfig], store: &Store, options: &PullOptions) -> FetchedModules {
    let requested =
        entries.iter().filter_map(|entry| RequestedModule::new(&entry.module, entry.origin.at(Key::Module)));
    fetch_all(&requested.collect::<Vec<_>>(), store, options)
}

/// Pulls one module that no entry names, the same way.
pub(crate) fn fetch_one(module: &ModuleRef, store: &Store, options: &PullOptions) -> FetchedModules {
    fetch_all(RequestedModule::new(module, None).as_slice(), store, options)
}

fn fetch_all(requested: &[RequestedModule<'_>], store: &Store, options: &PullOptions) -> FetchedModules {
    let mut fetched = FetchedModules::default();
    let mut references: Vec<_> = requested.iter().map(|requested| requested.reference.to_owned()).collect();
    references.sort_unstable();
    references.dedup();
    if references.is_empty() {
        return fetched;
    }
    let client = match RegistryClient::new(&options.registries) {
        Ok(client) => client,
        Err(error) => {
            fetched.problems.push(error.report());
            return fetched;
        }
    };
    let outcomes = Pull { store, client: &client, options }.pull_all(&references);
    for requested in requested {
        if let Some(outcome) = outcomes.get(requested.reference) {
            add(&mut fetched, requested, outcome);
        }
    }
    for pulled in outcomes.values().flatten() {
        store.pin(&pulled.path);
    }
    fetched
}

/// Adds a module, or what is wrong with it.
fn add(fetched: &mut FetchedModules, requested: &RequestedModule<'_>, outcome: &Result<Pulled, PullError>) {
    let (module, at) = (requested.module, requested.location.clone());
    match outcome {
        Ok(Pulled { path, manifest, layer, arrival, outdated }) => {
            if let Some(error) = outdated {
                let message = format!("serving `{module}` as it was when the registry last answered");
                fetched.problems.push(Diagnostic::warning(message).at(at).caused_by(error));
            }
            let pulled = FetchedModule {
                path: path.clone(),
                sha256: layer.sha256.clone(),
                size: layer.size,
                manifest: Some(manifest.clone()),
                arrival: *arrival,
            };
            fetched.by_reference.insert(module.clone(), pulled);
        }
        Err(error) => fetched.problems.push(error.report(&module.to_string()).at(at)),
    }
}
