//! How do modules of registries become files?
//!
//! Each reference is pulled once, several side by side, into the store; then the scripts that name it name the file
//! instead. A script whose module cannot be had is reported and left out. The other way, a file becomes an artifact of a
//! registry.
//!
//! | file | question |
//! | --- | --- |
//! | `reference` | which artifact of which registry does a text name? |
//! | `pull` | how does a reference become a file of the store? |
//! | `push`, `artifact` | how does a module get into a registry, and how is it laid out there? |
//! | `line` | what does it take to ask registries? |
//! | `registry`, `download` | how is a registry asked, and what does it give? |
//! | `manifest` | what is in an artifact? |
//! | `auth` | what does a registry want to see before it answers? |
//! | `credentials`, `keychain` | which login does the operator have for it? |
//! | `account`, `docker` | how does the operator log in and out, and where is that kept? |
//! | `error` | why does a registry not do what is asked, and why is a module not here? |

pub(crate) mod api;
pub(crate) mod artifact;
pub(crate) mod client;
pub(crate) mod commands;
pub(crate) mod download;
pub(crate) mod error;
pub(crate) mod login;
pub(crate) mod manifest;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod reference;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::cache::fetched::{FetchedModule, FetchedModules};
use crate::cache::store::Store;
use crate::config::{Diagnostic, EntryConfig, Key, Lock, ModuleRef, Registries, SourceLocation};
use crate::net::progress::Progress;
use crate::parallel;

pub use crate::registry::artifact::Layout;
pub(crate) use crate::registry::artifact::WASM_CONFIG;
pub use crate::registry::login::{LoggedIn, LoggedOut};
pub(crate) use crate::registry::login::{log_in, log_out};
pub(crate) use crate::registry::manifest::LEGACY_LAYER;
pub(crate) use crate::registry::reference::without_scheme;

use crate::registry::client::{RegistryClient, RegistryClientError};
use crate::registry::error::PullError;
use crate::registry::pull::{Pull, Pulled};
use crate::registry::push::Push;
use crate::registry::reference::{Reference, Version};

/// How many modules are pulled at the same time.
const SIDE_BY_SIDE: usize = 4;

/// What became of each reference.
type Outcomes = HashMap<String, Result<Pulled, PullError>>;

/// What pulling takes besides the references.
pub(crate) struct PullOptions {
    /// How registries are asked.
    pub registries: Registries,
    /// How many bytes a module may have.
    pub max_module_size: u64,
    /// Who wants to know how far downloads are.
    pub progress: Arc<dyn Progress>,
    /// What references stood for when somebody last looked.
    pub lock: Option<Lock>,
}

/// A module to pull, and where the configuration names it.
struct Wanted<'a> {
    module: &'a ModuleRef,
    text: &'a str,
    place: Option<SourceLocation>,
}

impl<'a> Wanted<'a> {
    /// `None` for a module that is in no registry.
    fn new(module: &'a ModuleRef, place: Option<SourceLocation>) -> Option<Self> {
        match module {
            ModuleRef::Oci(text) => Some(Self { module, text, place }),
            ModuleRef::File(_) | ModuleRef::Bindle { .. } => None,
        }
    }
}

/// Pulls the modules that `entries` name in registries into `store`. For a thread that may block, with a runtime around it.
pub(crate) fn fetch(entries: &[EntryConfig], store: &Store, options: &PullOptions) -> FetchedModules {
    let wanted = entries.iter().filter_map(|entry| Wanted::new(&entry.module, entry.origin.at(Key::Module)));
    fetch_all(&wanted.collect::<Vec<_>>(), store, options)
}

/// Pulls one module that no entry names, the same way.
pub(crate) fn fetch_one(module: &ModuleRef, store: &Store, options: &PullOptions) -> FetchedModules {
    fetch_all(Wanted::new(module, None).as_slice(), store, options)
}

fn fetch_all(wanted: &[Wanted<'_>], store: &Store, options: &PullOptions) -> FetchedModules {
    let mut fetched = FetchedModules::default();
    let mut texts: Vec<_> = wanted.iter().map(|wanted| wanted.text.to_owned()).collect();
    texts.sort_unstable();
    texts.dedup();
    if texts.is_empty() {
        return fetched;
    }
    let client = match RegistryClient::new(&options.registries) {
        Ok(client) => client,
        Err(error) => {
            fetched.problems.push(no_client(&error));
            return fetched;
        }
    };
    let pull = Pull { store, client: &client, most: options.max_module_size, progress: &*options.progress };
    let outcomes = pull_all(&pull, &texts, options.lock.as_ref());
    for wanted in wanted {
        if let Some(outcome) = outcomes.get(wanted.text) {
            add(&mut fetched, wanted, outcome);
        }
    }
    for pulled in outcomes.values().flatten() {
        store.hold(&pulled.path);
    }
    fetched
}

/// Adds a module, or what is wrong with it.
fn add(fetched: &mut FetchedModules, wanted: &Wanted<'_>, outcome: &Result<Pulled, PullError>) {
    let (module, at) = (wanted.module, wanted.place.clone());
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
        Err(error) => fetched.problems.push(not_pulled(&module.to_string(), error).at(at)),
    }
}

/// The artifact that a text names; the one it named when it was locked, if it was.
fn resolve(text: &str, lock: Option<&Lock>) -> Result<Reference, PullError> {
    let reference = Reference::parse(text)?;
    let locked = lock.and_then(|lock| lock.find((&ModuleRef::Oci(text.to_owned()).to_string(), None)));
    Ok(match locked.and_then(|module| module.manifest.clone()) {
        Some(manifest) => Reference { version: Version::Digest(manifest), ..reference },
        None => reference,
    })
}

fn pull_all(pull: &Pull<'_>, texts: &[String], lock: Option<&Lock>) -> Outcomes {
    let pulled =
        parallel::map(texts, SIDE_BY_SIDE, |text| resolve(text, lock).and_then(|reference| pull.pull(&reference)));
    texts.iter().cloned().zip(pulled).collect()
}

/// A module that was pulled for a command.
#[derive(Debug)]
pub struct PulledModule {
    /// Which it is, by digest.
    pub reference: String,
    /// Where it is in the cache.
    pub path: PathBuf,
    /// Why it may be outdated.
    pub warning: Option<Diagnostic>,
}

/// Pulls what commands name. For a thread that may block, with a runtime around it.
pub(crate) fn pull(
    texts: &[String],
    store: &Store,
    options: &PullOptions,
) -> Vec<Result<PulledModule, Box<Diagnostic>>> {
    let client = match RegistryClient::new(&options.registries) {
        Ok(client) => client,
        Err(error) => return vec![Err(Box::new(no_client(&error)))],
    };
    let mut named: Vec<_> = texts.iter().map(|text| reference::without_scheme(text).to_owned()).collect();
    named.sort_unstable();
    named.dedup();
    let pull = Pull { store, client: &client, most: options.max_module_size, progress: &*options.progress };
    let mut outcomes = pull_all(&pull, &named, None);
    // What is named twice is shown once.
    let outcomes = texts.iter().filter_map(|text| outcomes.remove_entry(reference::without_scheme(text)));
    outcomes
        .map(|(text, outcome)| outcome.map_err(|error| Box::new(not_pulled(&text, &error))).and_then(pulled(&text)))
        .collect()
}

fn pulled(text: &str) -> impl FnOnce(Pulled) -> Result<PulledModule, Box<Diagnostic>> {
    move |pulled| {
        let reference = Reference::parse(text).map_err(|error| Box::new(not_pulled(text, &error.into())))?;
        let warning = pulled.outdated.as_ref().map(|error| {
            Diagnostic::warning(format!("`{text}` is as it was when the registry last answered")).caused_by(error)
        });
        Ok(PulledModule { reference: reference.pinned(&pulled.manifest).to_string(), path: pulled.path, warning })
    }
}

/// Publishes a module or component; the reference by digest. For a thread that may block, with a runtime around it.
pub(crate) fn push(publication: &Publication, options: &PullOptions) -> Result<String, Box<Diagnostic>> {
    let client = RegistryClient::new(&options.registries).map_err(|error| Box::new(no_client(&error)))?;
    let push =
        Push { client: &client, file: &publication.file, layout: publication.layout, progress: &*options.progress };
    let pushed = Reference::parse(reference::without_scheme(&publication.reference)).map_err(push::PushError::from);
    let pushed = pushed.and_then(|reference| push.push(&reference));
    pushed.map(|pinned| pinned.to_string()).map_err(|error| {
        let problem = Diagnostic::error(format!("cannot publish `{}`", publication.reference)).caused_by(&error);
        Box::new(helped(problem, error.help()))
    })
}

/// A module or component to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The file with it, binary or text.
    pub file: PathBuf,
    /// Where to: a name with a tag.
    pub reference: String,
    /// How it is laid out there.
    pub layout: Layout,
}

fn not_pulled(text: &str, error: &PullError) -> Diagnostic {
    helped(Diagnostic::error(format!("cannot pull `{text}`")).caused_by(error), error.help())
}

fn no_client(error: &RegistryClientError) -> Diagnostic {
    Diagnostic::error("cannot ask registries").caused_by(error)
}

fn helped(problem: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}
