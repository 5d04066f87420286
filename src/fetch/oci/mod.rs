//! How do modules of registries become files?
//!
//! Each reference is pulled once, several side by side, into the store; then the scripts that name it name the file
//! instead. A script whose module cannot be had is reported and left out.
//!
//! | file | question |
//! | --- | --- |
//! | `reference` | which artifact of which registry does a text name? |
//! | `pull` | how does a reference become a file of the store? |
//! | `registry` | how is a registry asked? |
//! | `manifest` | what is in an artifact? |
//! | `auth` | what does a registry want to see before it answers? |
//! | `credentials`, `keychain` | which name and password does the operator have for it? |
//! | `error` | why is a module not here? |

mod auth;
mod credentials;
mod error;
mod keychain;
mod manifest;
mod pull;
mod reference;
mod registry;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Handle;

use crate::config::{Diagnostic, Fetched, Key, Lock, ModuleRef, Registries, ScriptConfig};

use super::http::{Http, HttpOptions};
use super::progress::Progress;
use super::store::Store;

use error::PullError;
use pull::{Pull, Pulled};
use reference::{Reference, Version};
use registry::Line;

/// How many modules are pulled at the same time.
const SIDE_BY_SIDE: usize = 4;

/// What became of each reference.
type Outcomes = HashMap<String, Result<Pulled, PullError>>;

/// What pulling takes besides the references.
pub(super) struct Means {
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
pub(super) fn complete(scripts: &mut Vec<ScriptConfig>, store: &Store, means: Means) -> Vec<Diagnostic> {
    let mut texts: Vec<_> = scripts.iter().filter_map(|script| named(script).map(str::to_owned)).collect();
    texts.sort_unstable();
    texts.dedup();
    if texts.is_empty() {
        return Vec::new();
    }
    let http = match Http::new(&HttpOptions::default()) {
        Ok(http) => http,
        Err(error) => {
            scripts.retain(|script| named(script).is_none());
            return vec![Diagnostic::error("cannot ask registries").caused_by(&error)];
        }
    };
    let line = Line { http, runtime: Handle::current(), credentials: means.registries.credentials };
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
fn named(script: &ScriptConfig) -> Option<&str> {
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
fn place(script: &mut ScriptConfig, outcomes: &Outcomes, problems: &mut Vec<Diagnostic>) -> bool {
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
            let problem = Diagnostic::error(format!("cannot pull `{}`", script.module)).at(at).caused_by(error);
            problems.push(match error.help() {
                Some(help) => problem.help(help),
                None => problem,
            });
            false
        }
    }
}
