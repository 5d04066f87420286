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
pub(crate) mod auth;
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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::config::{Diagnostic, EntryConfig, Fetched, Key, Lock, ModuleRef, Registries};

use crate::cache::store::Store;
use crate::net::progress::Progress;

pub use crate::registry::artifact::Layout;
pub(crate) use crate::registry::artifact::WASM_CONFIG;
pub use crate::registry::login::{LoggedIn, LoggedOut};
pub(crate) use crate::registry::login::{log_in, log_out};
pub(crate) use crate::registry::manifest::LEGACY_LAYER;
pub(crate) use crate::registry::reference::without_scheme;

use crate::registry::client::{Line, LineError};
use crate::registry::error::PullError;
use crate::registry::pull::{Pull, Pulled};
use crate::registry::push::Push;
use crate::registry::reference::{Reference, Version};

/// How many modules are pulled at the same time.
const SIDE_BY_SIDE: usize = 4;

/// What became of each reference.
type Outcomes = HashMap<String, Result<Pulled, PullError>>;

/// What pulling takes besides the references.
pub(crate) struct Means {
    /// How registries are asked.
    pub registries: Registries,
    /// How many bytes a module may have.
    pub largest_module: u64,
    /// Who wants to know how far downloads are.
    pub progress: Arc<dyn Progress>,
    /// What references stood for when somebody last looked.
    pub lock: Option<Lock>,
}

/// Pulls the modules that `scripts` name in registries into `store`, and returns what is wrong. Scripts whose module cannot
/// be had are dropped. For a thread that may block, with a runtime around it.
pub(crate) fn complete(scripts: &mut Vec<EntryConfig>, store: &Store, means: Means) -> Vec<Diagnostic> {
    let mut texts: Vec<_> = scripts.iter().filter_map(|script| named(script).map(str::to_owned)).collect();
    texts.sort_unstable();
    texts.dedup();
    if texts.is_empty() {
        return Vec::new();
    }
    let line = match Line::new(&means.registries) {
        Ok(line) => line,
        Err(error) => {
            scripts.retain(|script| named(script).is_none());
            return vec![no_line(&error)];
        }
    };
    let outcomes = pull_all(
        &Pull { store, line: &line, most: means.largest_module, progress: &*means.progress },
        &texts,
        means.lock.as_ref(),
    );
    let mut problems = Vec::new();
    scripts.retain_mut(|script| place(script, &outcomes, &mut problems));
    for pulled in outcomes.values().flatten() {
        store.hold(&pulled.path);
    }
    problems
}

/// The artifact that a text names; the one it named when it was locked, if it was.
fn meant(text: &str, lock: Option<&Lock>) -> Result<Reference, PullError> {
    let reference = Reference::parse(text)?;
    let locked = lock.and_then(|lock| lock.find((&ModuleRef::Oci(text.to_owned()).to_string(), None)));
    Ok(match locked.and_then(|module| module.manifest.clone()) {
        Some(manifest) => Reference { version: Version::Digest(manifest), ..reference },
        None => reference,
    })
}

/// The reference of a script's module, if that is in a registry.
fn named(script: &EntryConfig) -> Option<&str> {
    match &script.module {
        ModuleRef::Oci(text) => Some(text),
        _ => None,
    }
}

fn pull_all(pull: &Pull<'_>, texts: &[String], lock: Option<&Lock>) -> Outcomes {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Outcomes::new()));
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE.min(texts.len()) {
            scope.spawn(|| {
                while let Some(text) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = meant(text, lock).and_then(|reference| pull.pull(&reference));
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone(), outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a script name the file that its module has become; whether there is one.
fn place(script: &mut EntryConfig, outcomes: &Outcomes, problems: &mut Vec<Diagnostic>) -> bool {
    let Some(outcome) = named(script).and_then(|text| outcomes.get(text)) else { return true };
    let at = script.origin.at(Key::Module);
    match outcome {
        Ok(Pulled { path, manifest, layer, arrival, outdated }) => {
            if let Some(error) = outdated {
                let message = format!("serving `{}` as it was when the registry last answered", script.module);
                problems.push(Diagnostic::warning(message).at(at).caused_by(error));
            }
            script.module = ModuleRef::Fetched(Box::new(Fetched {
                reference: script.module.clone(),
                path: path.clone(),
                sha256: layer.sha256.clone(),
                size: layer.size,
                manifest: Some(manifest.clone()),
                arrival: *arrival,
            }));
            true
        }
        Err(error) => {
            problems.push(not_pulled(&script.module.to_string(), error).at(at));
            false
        }
    }
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
pub(crate) fn pull(texts: &[String], store: &Store, means: &Means) -> Vec<Result<PulledModule, Box<Diagnostic>>> {
    let line = match Line::new(&means.registries) {
        Ok(line) => line,
        Err(error) => return vec![Err(Box::new(no_line(&error)))],
    };
    let mut named: Vec<_> = texts.iter().map(|text| reference::without_scheme(text).to_owned()).collect();
    named.sort_unstable();
    named.dedup();
    let pull = Pull { store, line: &line, most: means.largest_module, progress: &*means.progress };
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
pub(crate) fn push(publication: &Publication, means: &Means) -> Result<String, Box<Diagnostic>> {
    let line = Line::new(&means.registries).map_err(|error| Box::new(no_line(&error)))?;
    let push = Push { line: &line, file: &publication.file, layout: publication.layout, progress: &*means.progress };
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

fn no_line(error: &LineError) -> Diagnostic {
    Diagnostic::error("cannot ask registries").caused_by(error)
}

fn helped(problem: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}
