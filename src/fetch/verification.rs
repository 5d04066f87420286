//! Have the modules the signatures that they need?
//!
//! A module without the right one is dropped, with the reason, so that it never starts. A signature that was right is kept beside the
//! module in the cache: the registry is not asked again, and may be down.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::store::Store;
use crate::config::{
    BUNDLE_EXTENSION, Diagnostic, EntryConfig, MAX_MODULE_SIZE, ModuleRef, Registries, RegistryConfig, TrustedSigners,
    VerifyConfig,
};
use crate::format::sha256_hex;
use crate::registry;
use crate::registry::signatures::{FoundSignatures, SignedArtifact};
use crate::regular_file;
use crate::signature::{
    ContentError, Evidence, PublicKey, SignatureError, SignedFile, Signer, TrustPolicy, TrustedRoot, verify,
};

use crate::fetch::kept_signatures::{keep, kept};
use crate::fetch::registry_policies::RegistryPolicies;
use crate::fetch::resolved::{ModuleFile, ResolvedEntry};

/// The most bytes of a file with a key, a trusted root, or a signature. Sigstore's own trusted root has 10 KiB.
const MAX_FILE: u64 = 1 << 20;

/// How many signatures a message explains.
const MAX_EXPLAINED: usize = 3;

/// Who has to sign, and where signatures are asked for and kept.
pub(super) struct Verification<'v> {
    pub registries: &'v [RegistryConfig],
    pub options: &'v Registries,
    /// Where fetched modules are; `None` if all modules are files.
    pub store: Option<&'v Store>,
    policies: HashMap<TrustedSigners, Result<Arc<TrustPolicy>, String>>,
}

/// Why a module has not the signature that it needs.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerificationError {
    #[error("it has no signature")]
    Unsigned,
    #[error("there is no `{}` with its signature", .0.display())]
    NoBundle(PathBuf),
    #[error("{}", explained(.0))]
    Refused(Vec<SignatureError>),
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("its manifest is not in the cache, or does not lead to it")]
    NoManifest,
    #[error("it is from no registry")]
    NoRegistry,
}

/// A module, and what is to be signed of it.
struct SignedModule {
    index: usize,
    verify: VerifyConfig,
    policy: Arc<TrustPolicy>,
    bytes: Vec<u8>,
    sha256: String,
    source: SignatureSource,
}

/// Where the signatures of a module are.
enum SignatureSource {
    /// In a file beside it.
    Beside(Evidence),
    /// In a registry. `kept` were right before.
    Registry { artifact: SignedArtifact, kept: Vec<Evidence> },
}

impl<'v> Verification<'v> {
    pub fn new(registries: &'v [RegistryConfig], options: &'v Registries, store: Option<&'v Store>) -> Self {
        Self { registries, options, store, policies: HashMap::new() }
    }

    /// Drops the entries whose keys or trusted roots cannot be read, and returns the reasons: no registry is asked for a module that
    /// cannot be verified.
    pub fn check_signers(&mut self, entries: &mut Vec<EntryConfig>) -> Vec<Diagnostic> {
        // What is wrong with the names of registries is said when the modules are there.
        let policies = RegistryPolicies::read(self.registries, &mut Vec::new());
        let mut problems = Vec::new();
        entries.retain(|entry| {
            let wanted = entry.verify.as_ref().or_else(|| policies.of(&entry.module));
            let Some(problem) = wanted.and_then(|verify| self.policy(verify).err()) else { return true };
            let problem = problem.help(
                "`key` names a file with a public key in PEM, `trusted_root` one of Sigstore in JSON; relative paths start from \
                 the current directory",
            );
            problems.push(Diagnostic { route: Some(entry.route.to_string()), ..problem });
            false
        });
        problems
    }

    /// Drops the entries whose modules have not the signature that they need, and returns the reasons.
    pub fn verify(mut self, entries: &mut Vec<ResolvedEntry>) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let policies = RegistryPolicies::read(self.registries, &mut problems);
        let mut refused: Vec<usize> = Vec::new();
        let mut candidates = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let wanted = entry.config.verify.as_ref().or_else(|| policies.of(&entry.config.module));
            match wanted.map(|verify| self.candidate(index, entry, verify.clone())) {
                None => {}
                Some(Ok(candidate)) => candidates.push(candidate),
                Some(Err(problem)) => {
                    problems.push(named(*problem, entry));
                    refused.push(index);
                }
            }
        }
        let fetched = self.fetch(&candidates);
        for candidate in candidates {
            match self.decide(&candidate, &fetched, &entries[candidate.index]) {
                Ok(signer) => accept(&mut entries[candidate.index], signer, &candidate.sha256),
                Err(problem) => {
                    problems.push(named(*problem, &entries[candidate.index]));
                    refused.push(candidate.index);
                }
            }
        }
        let mut index = 0..;
        entries.retain(|_| index.next().is_some_and(|index| !refused.contains(&index)));
        problems
    }

    fn candidate(
        &mut self,
        index: usize,
        entry: &ResolvedEntry,
        verify: VerifyConfig,
    ) -> Result<SignedModule, Box<Diagnostic>> {
        let policy = self.policy(&verify)?;
        let unverified = |error: VerificationError| refusal(entry, &verify, &error);
        match &entry.file {
            ModuleFile::Local { path, .. } => {
                let bytes = read(path, MAX_MODULE_SIZE).map_err(unverified)?;
                let source = SignatureSource::Beside(bundle_beside(path).map_err(unverified)?);
                let sha256 = sha256_hex(&bytes);
                Ok(SignedModule { index, policy, sha256, source, bytes, verify })
            }
            ModuleFile::Fetched(module) => {
                let (Some(manifest), Some(store), ModuleRef::Oci(reference)) =
                    (&module.manifest, self.store, &entry.config.module)
                else {
                    return Err(unverified(VerificationError::NoRegistry));
                };
                let bytes = registry::signatures::manifest_of(store, manifest, &module.sha256);
                let bytes = bytes.ok_or(VerificationError::NoManifest).map_err(unverified)?;
                let artifact = SignedArtifact { reference: reference.clone(), manifest: manifest.clone() };
                let source = SignatureSource::Registry { artifact, kept: kept(store, manifest) };
                Ok(SignedModule { index, policy, sha256: manifest.to_string(), source, bytes, verify })
            }
        }
    }

    /// Asks for the signatures of those that have none that is kept and right.
    fn fetch(&self, candidates: &[SignedModule]) -> HashMap<SignedArtifact, FoundSignatures> {
        let unknown = candidates.iter().filter_map(|candidate| match &candidate.source {
            SignatureSource::Registry { artifact, kept } if candidate.check(kept).is_err() => Some(artifact.clone()),
            _ => None,
        });
        let mut artifacts: Vec<_> = unknown.collect();
        artifacts
            .sort_unstable_by(|one, other| (&one.reference, &one.manifest).cmp(&(&other.reference, &other.manifest)));
        artifacts.dedup();
        if artifacts.is_empty() {
            return HashMap::new();
        }
        let found = registry::signatures::fetch(&artifacts, self.options);
        artifacts.into_iter().zip(found).collect()
    }

    fn decide(
        &self,
        candidate: &SignedModule,
        fetched: &HashMap<SignedArtifact, FoundSignatures>,
        entry: &ResolvedEntry,
    ) -> Result<Signer, Box<Diagnostic>> {
        let refused = |errors: Vec<SignatureError>| {
            let error =
                if errors.is_empty() { VerificationError::Unsigned } else { VerificationError::Refused(errors) };
            refusal(entry, &candidate.verify, &error)
        };
        let (artifact, kept) = match &candidate.source {
            SignatureSource::Beside(evidence) => {
                return candidate.check(std::slice::from_ref(evidence)).map(|(signer, _)| signer).map_err(refused);
            }
            SignatureSource::Registry { artifact, kept } => (artifact, kept),
        };
        // What was fetched for another entry is no reason against what is kept for this one.
        if let Ok((signer, _)) = candidate.check(kept) {
            return Ok(signer);
        }
        let Some(FoundSignatures { evidence, problem }) = fetched.get(artifact) else {
            return Err(refused(Vec::new()));
        };
        match (candidate.check(evidence), problem) {
            (Ok((signer, right)), _) => {
                if let Some(store) = self.store {
                    keep(store, &artifact.manifest, right);
                }
                Ok(signer)
            }
            // The right one may be among those that the registry did not give.
            (Err(_), Some(problem)) => Err(Box::new(Diagnostic::clone(problem).at(candidate.verify.location.clone()))),
            (Err(errors), None) => Err(refused(errors)),
        }
    }

    /// What is written in the files that say whose signature is wanted. Each is read once.
    fn policy(&mut self, verify: &VerifyConfig) -> Result<Arc<TrustPolicy>, Box<Diagnostic>> {
        let policy = match self.policies.entry(verify.signers.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(read_policy(&verify.signers).map(Arc::new)),
        };
        policy.clone().map_err(|error| Box::new(Diagnostic::error(error).at(verify.location.clone())))
    }
}

impl SignedModule {
    fn check<'e>(&self, evidence: &'e [Evidence]) -> Result<(Signer, &'e Evidence), Vec<SignatureError>> {
        verify(SignedFile { bytes: &self.bytes, sha256: &self.sha256 }, evidence, &self.policy)
    }
}

/// Notes who has signed a module. A file must not be another one when it is loaded.
fn accept(entry: &mut ResolvedEntry, signer: Signer, digest: &str) {
    if let ModuleFile::Local { sha256, .. } = &mut entry.file {
        *sha256 = digest.parse().ok();
    }
    tracing::info!(module = %entry.config.module, %signer, "the signature is right");
    entry.signer = Some(signer);
}

fn named(problem: Diagnostic, entry: &ResolvedEntry) -> Diagnostic {
    Diagnostic { route: Some(entry.config.route.to_string()), ..problem }
}

fn refusal(entry: &ResolvedEntry, verify: &VerifyConfig, error: &VerificationError) -> Box<Diagnostic> {
    let module = &entry.config.module;
    let problem = Diagnostic::error(format!("`{module}` does not have the signature that it needs"));
    let problem = problem.at(verify.location.clone()).caused_by(error);
    let digest = match &entry.file {
        ModuleFile::Fetched(fetched) => fetched.manifest.as_ref().map(|manifest| format!("@sha256:{manifest}")),
        ModuleFile::Local { .. } => None,
    };
    Box::new(problem.help(error.help(module, &digest.unwrap_or_default(), &verify.signers)))
}

impl VerificationError {
    /// What the operator can do about it. `digest` is that of the manifest, as references end.
    fn help(&self, module: &ModuleRef, digest: &str, signers: &TrustedSigners) -> String {
        let sign = match (module, signers) {
            (ModuleRef::File(path), TrustedSigners::Keys { .. }) => {
                let shown = path.display();
                format!("sign it: `cosign sign-blob --key cosign.key --bundle {shown}{BUNDLE_EXTENSION} {shown}`")
            }
            (ModuleRef::File(path), TrustedSigners::Identity { .. }) => {
                let shown = path.display();
                format!("sign it: `cosign sign-blob --bundle {shown}{BUNDLE_EXTENSION} {shown}`")
            }
            (_, TrustedSigners::Keys { .. }) => {
                format!("sign it: `cosign sign --key cosign.key {}{digest}`", name(module))
            }
            (_, TrustedSigners::Identity { .. }) => format!("sign it: `cosign sign {}{digest}`", name(module)),
        };
        match self {
            Self::Refused(errors) => match errors.first() {
                Some(SignatureError::OtherKey { .. }) => {
                    format!("if it is to be trusted, {sign}; if the key has changed, name the new one in `key`")
                }
                Some(SignatureError::OtherIdentity { .. } | SignatureError::OtherIssuer { .. }) => {
                    "if that one is to be trusted, write it in `verify`".to_owned()
                }
                Some(SignatureError::Prehashed) => {
                    "sign with an ECDSA key, as `cosign generate-key-pair` makes it, and \
                     name its public key in `key`"
                        .to_owned()
                }
                Some(SignatureError::NoCertificate) => "name the key: `verify = { key = \"cosign.pub\" }`".to_owned(),
                Some(SignatureError::Content(ContentError::OtherFile(_))) => {
                    format!("the module has changed since it was signed; if it is the right one, {sign}")
                }
                _ => format!("if it is to be trusted, {sign}"),
            },
            _ => sign,
        }
    }
}

/// The name of an artifact, without tag and digest.
fn name(module: &ModuleRef) -> String {
    let text = module.to_string();
    let text = registry::without_scheme(&text).split('@').next().unwrap_or_default();
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name.to_owned(),
        _ => text.to_owned(),
    }
}

/// Why none of some signatures is right.
pub(super) fn explained(errors: &[SignatureError]) -> String {
    if let [error] = errors {
        return format!("of its signature: {error}");
    }
    let mut text = format!("it has {} signatures, and none is right", errors.len());
    for error in errors.iter().take(MAX_EXPLAINED) {
        // Writing to a string cannot fail.
        let _ = write!(text, "; {error}");
    }
    text
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, VerificationError> {
    let unreadable = |source| VerificationError::Read { path: path.to_owned(), source };
    let bytes = regular_file::read(path, limit).map_err(unreadable)?;
    match bytes.len() as u64 > limit {
        true => Err(unreadable(std::io::Error::other(format!("it has more than {limit} bytes")))),
        false => Ok(bytes),
    }
}

/// The signature of a local module, in the file beside it.
pub(super) fn bundle_beside(path: &Path) -> Result<Evidence, VerificationError> {
    let mut name = path.as_os_str().to_owned();
    name.push(BUNDLE_EXTENSION);
    let bundle = PathBuf::from(name);
    if !bundle.exists() {
        return Err(VerificationError::NoBundle(bundle));
    }
    read(&bundle, MAX_FILE).map(Evidence::Bundle)
}

/// What is written in the files that say whose signature is wanted.
pub(super) fn read_policy(signers: &TrustedSigners) -> Result<TrustPolicy, String> {
    let file = |path: &Path| {
        read(path, MAX_FILE).map_err(|error| match error {
            VerificationError::Read { source, .. } => format!("cannot read `{}`: {source}", path.display()),
            other => other.to_string(),
        })
    };
    let root = |path: &Path| {
        let parsed = TrustedRoot::parse(&file(path)?);
        parsed.map_err(|error| format!("`{}` cannot be used: {error}", path.display()))
    };
    let key = |path: &PathBuf| {
        let parsed = PublicKey::from_pem(&file(path)?);
        parsed.map_err(|error| format!("`{}` cannot be used: {error}", path.display()))
    };
    Ok(match signers {
        TrustedSigners::Keys { files, trusted_root } => TrustPolicy::Keys {
            keys: files.iter().map(key).collect::<Result<_, _>>()?,
            root: trusted_root.as_deref().map(root).transpose()?,
        },
        TrustedSigners::Identity { identity, issuer, trusted_root } => {
            TrustPolicy::Identity { identity: identity.clone(), issuer: issuer.clone(), root: root(trusted_root)? }
        }
    })
}
