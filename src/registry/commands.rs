//! What can be done with registries besides fetching the modules of a configuration? Each command waits here for a
//! thread that may block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::store::Store;
use crate::config::{Diagnostic, Login, MAX_MODULE_SIZE, Registries};
use crate::net::progress::Progress;

use crate::regular_file;
use crate::signature::SigningKey;

use crate::registry::artifact::Layout;
use crate::registry::client::{PullOptions, RegistryClient};
use crate::registry::error::{PullError, with_help};
use crate::registry::login;
use crate::registry::pull::{Pull, Pulled};
use crate::registry::push::{Push, PushError};
use crate::registry::reference::{Reference, without_scheme};
use crate::registry::signatures::attach::attach;

pub use crate::registry::login::{LoggedIn, LoggedOut};

/// The most bytes of a file with a key.
const MAX_KEY_FILE: u64 = 64 << 10;

/// A module that was pulled for a command.
#[derive(Debug)]
pub struct PulledModule {
    /// Its reference by digest.
    pub reference: String,
    /// Its file in the cache.
    pub path: PathBuf,
    /// Why it may be outdated.
    pub warning: Option<Diagnostic>,
}

/// A module or component to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The file with it, binary or text.
    pub file: PathBuf,
    /// Where to publish it: a name with a tag.
    pub reference: String,
    /// How it is laid out there.
    pub layout: Layout,
    /// The file with the private key that signs it.
    pub sign_key: Option<PathBuf>,
}

/// Pulls modules into a module cache, side by side. `references` are `[HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST]`, with
/// or without `oci:` before them. The results are in their order; an error that concerns all of them is reported once.
pub async fn pull(
    references: Vec<String>,
    module_cache: PathBuf,
    registries: Registries,
    progress: Arc<dyn Progress>,
) -> Vec<Result<PulledModule, Box<Diagnostic>>> {
    let options = PullOptions { registries, max_module_size: MAX_MODULE_SIZE, progress, lock: None };
    let pulling = blocking(move || match Store::open(Some(&module_cache)) {
        Ok(store) => pull_into(&store, &references, &options),
        Err(error) => vec![Err(error.into())],
    });
    pulling.await.unwrap_or_else(|problem| vec![Err(problem)])
}

fn pull_into(
    store: &Store,
    references: &[String],
    options: &PullOptions,
) -> Vec<Result<PulledModule, Box<Diagnostic>>> {
    let client = match RegistryClient::new(&options.registries) {
        Ok(client) => client,
        Err(error) => return vec![Err(Box::new(error.report()))],
    };
    let mut distinct: Vec<_> = references.iter().map(|reference| without_scheme(reference).to_owned()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut outcomes = Pull { store, client: &client, options }.pull_all(&distinct);
    // A reference that is named twice is shown once.
    let outcomes = references.iter().filter_map(|reference| outcomes.remove_entry(without_scheme(reference)));
    let to_module = |(reference, outcome): (String, Result<Pulled, PullError>)| match outcome {
        Ok(pulled) => PulledModule::new(&reference, pulled),
        Err(error) => Err(Box::new(error.report(&reference))),
    };
    outcomes.map(to_module).collect()
}

impl PulledModule {
    fn new(text: &str, pulled: Pulled) -> Result<Self, Box<Diagnostic>> {
        let reference = Reference::parse(text).map_err(|error| Box::new(PullError::from(error).report(text)))?;
        let warning = pulled.outdated.as_ref().map(|error| {
            Diagnostic::warning(format!("`{text}` is as it was when the registry last answered")).caused_by(error)
        });
        Ok(Self { reference: reference.pinned(&pulled.manifest).to_string(), path: pulled.path, warning })
    }
}

/// Publishes a module or component, and returns its reference by digest.
pub async fn push(
    publication: Publication,
    registries: Registries,
    progress: Arc<dyn Progress>,
) -> Result<String, Box<Diagnostic>> {
    blocking(move || push_file(&publication, &registries, &*progress)).await?
}

fn push_file(
    publication: &Publication,
    registries: &Registries,
    progress: &dyn Progress,
) -> Result<String, Box<Diagnostic>> {
    let client = RegistryClient::new(registries).map_err(|error| Box::new(error.report()))?;
    let push = Push { client: &client, file: &publication.file, layout: publication.layout, progress };
    let publish = || {
        let reference = Reference::parse(without_scheme(&publication.reference))?;
        let key = publication.sign_key.as_deref().map(read_key).transpose()?;
        push.push(&reference, |session, manifest| match &key {
            Some((path, key)) => {
                let version = format!("sha256:{}", manifest.sha256);
                session.put_manifest(&version, manifest)?;
                let bundle = key.sign(manifest.sha256.as_str());
                let bundle = bundle.map_err(|source| PushError::SigningKey { path: (*path).to_owned(), source })?;
                attach(&client, &reference, manifest, bundle)
            }
            None => Ok(()),
        })
    };
    let pushed = publish();
    pushed.map(|pinned| pinned.to_string()).map_err(|error| {
        let problem = Diagnostic::error(format!("cannot publish `{}`", publication.reference)).caused_by(&error);
        Box::new(with_help(problem, error.help()))
    })
}

fn read_key(path: &Path) -> Result<(&Path, SigningKey), PushError> {
    let text =
        regular_file::read(path, MAX_KEY_FILE).map_err(|source| PushError::Read { path: path.to_owned(), source })?;
    let key = SigningKey::from_pem(&text).map_err(|source| PushError::SigningKey { path: path.to_owned(), source })?;
    Ok((path, key))
}

/// Stores name and password for the registry `HOST[:PORT]`, after the registry has accepted them, in the first of the
/// files of credentials or with the credential helper that it names.
pub async fn log_in(registry: String, login: Login, registries: Registries) -> Result<LoggedIn, Box<Diagnostic>> {
    blocking(move || login::log_in(&registry, &login, &registries)).await?
}

/// Removes name and password for the registry `HOST[:PORT]` from the first of the files of credentials, and from the
/// credential helper that it names.
pub async fn log_out(registry: String, credentials: Vec<PathBuf>) -> Result<LoggedOut, Box<Diagnostic>> {
    blocking(move || login::log_out(&registry, &credentials)).await?
}

async fn blocking<T: Send + 'static>(command: impl FnOnce() -> T + Send + 'static) -> Result<T, Box<Diagnostic>> {
    let done = tokio::task::spawn_blocking(command).await;
    done.map_err(|_| Box::new(Diagnostic::error("asking the registry failed: this is a defect of the program")))
}
