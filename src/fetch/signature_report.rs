//! Who vouches for what is inspected?
//!
//! Without a policy, who says so: nothing of that is verified. With one, whether it is right, as a start would decide. What was right
//! before and is kept counts as well, so that a registry may be down.

use std::path::Path;

use crate::cache::fetched::FetchedModule;
use crate::cache::store::Store;
use crate::config::{Config, Diagnostic, ModuleRef, Registries, TrustedSigners};
use crate::format::sha256_hex;
use crate::registry;
use crate::registry::signatures::{FoundSignatures, SignedArtifact};
use crate::signature::{Evidence, SignatureError, SignedFile, TrustPolicy, claimed_by, verify};

use crate::fetch::kept_signatures::kept;
use crate::fetch::registry_policies::RegistryPolicies;
use crate::fetch::verification::{VerificationError, bundle_beside, explained, read_policy};

/// Who vouches for a file or an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureReport {
    /// Who says to have signed it. Nothing of it is verified. `None` if it is not known.
    pub claimed: Option<Vec<String>>,
    /// Who has signed it, as is verified; or why it has not the signature that is wanted. `None` if none is wanted.
    pub verified: Option<Result<String, String>>,
}

/// Whose signature a module needs, as a configuration says: that of its entry, or else that of its registry. Names of registries
/// that are wrong are added to `problems`.
pub fn wanted_signers(config: &Config, module: &ModuleRef, problems: &mut Vec<Diagnostic>) -> Option<TrustedSigners> {
    let policies = RegistryPolicies::read(&config.signed_registries, problems);
    let entries = config.entries.iter().filter(|entry| is_same(&entry.module, module));
    let own = entries.clone().find_map(|entry| entry.verify.as_ref());
    let wanted = own.or_else(|| policies.of(module));
    if wanted.is_none() && entries.count() == 0 {
        let warning =
            Diagnostic::warning("no entry has this module, so the configuration does not say who has to sign it");
        problems.push(warning.help("write the module as its entry does"));
    }
    wanted.map(|verify| verify.signers.clone())
}

/// Whether both are the same file, or the same name of an artifact, however they are written.
fn is_same(one: &ModuleRef, other: &ModuleRef) -> bool {
    match (one, other) {
        (ModuleRef::File(one), ModuleRef::File(other)) => {
            one == other || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
        }
        (ModuleRef::Oci(one), ModuleRef::Oci(other)) => registry::is_same_reference(one, other),
        _ => one == other,
    }
}

/// Who vouches for a file, as the bundle beside it says. `None` if there is none and none is wanted. It is an error if what is
/// wanted cannot be read.
pub fn file_signature(
    path: &Path,
    bytes: &[u8],
    wanted: Option<&TrustedSigners>,
) -> Result<Option<SignatureReport>, Box<Diagnostic>> {
    let policy = policy(wanted)?;
    let (evidence, problem) = match bundle_beside(path) {
        Ok(evidence) => (vec![evidence], None),
        Err(VerificationError::NoBundle(_)) if policy.is_none() => return Ok(None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let file = SignedFile { bytes, sha256: &sha256_hex(bytes) };
    Ok(Some(SignatureReport::new(file, &evidence, policy.as_ref(), problem)))
}

fn policy(wanted: Option<&TrustedSigners>) -> Result<Option<TrustPolicy>, Box<Diagnostic>> {
    wanted.map(read_policy).transpose().map_err(|error| Box::new(Diagnostic::error(error)))
}

/// Which signature an artifact has to have, and where its signatures are looked for.
pub(super) struct SignatureLookup<'l> {
    store: &'l Store,
    registries: &'l Registries,
    policy: Option<TrustPolicy>,
}

impl<'l> SignatureLookup<'l> {
    /// Reads the files of what is wanted.
    pub fn new(
        store: &'l Store,
        registries: &'l Registries,
        wanted: Option<&TrustedSigners>,
    ) -> Result<Self, Box<Diagnostic>> {
        Ok(Self { store, registries, policy: policy(wanted)? })
    }

    /// Who vouches for an artifact. If it has not the signature that is wanted, and the registry did not show all, `problems` say why.
    pub fn report(
        &self,
        reference: &ModuleRef,
        module: &FetchedModule,
        problems: &mut Vec<Diagnostic>,
    ) -> SignatureReport {
        let unreadable = || self.policy.as_ref().map(|_| Err(VerificationError::NoManifest.to_string()));
        let Some(manifest) = module.manifest.clone() else {
            return SignatureReport { claimed: None, verified: unreadable() };
        };
        let reference = registry::without_scheme(&reference.to_string()).to_owned();
        let artifact = SignedArtifact { reference, manifest };
        let fetched = registry::signatures::fetch(std::slice::from_ref(&artifact), self.registries).pop();
        let FoundSignatures { mut evidence, problem } = fetched.unwrap_or_default();
        for before in kept(self.store, &artifact.manifest) {
            if !evidence.contains(&before) {
                evidence.push(before);
            }
        }
        let Some(bytes) = registry::signatures::manifest_of(self.store, &artifact.manifest, &module.sha256) else {
            return SignatureReport { claimed: Some(claims(&evidence)), verified: unreadable() };
        };
        let file = SignedFile { bytes: &bytes, sha256: artifact.manifest.as_str() };
        let message = problem.as_ref().map(|problem| problem.message.clone());
        let report = SignatureReport::new(file, &evidence, self.policy.as_ref(), message);
        if matches!(report.verified, Some(Err(_))) {
            problems.extend(problem.map(|problem| *problem));
        }
        report
    }
}

impl SignatureReport {
    /// `problem` is why there may be other signatures.
    fn new(file: SignedFile<'_>, evidence: &[Evidence], policy: Option<&TrustPolicy>, problem: Option<String>) -> Self {
        let is_known = problem.is_none() || !evidence.is_empty();
        let verified = policy.map(|policy| match verify(file, evidence, policy) {
            Ok((signer, _)) => Ok(signer.to_string()),
            Err(errors) => Err(reason(&errors, problem)),
        });
        Self { claimed: is_known.then(|| claims(evidence)), verified }
    }
}

fn claims(evidence: &[Evidence]) -> Vec<String> {
    evidence.iter().map(claimed_by).collect()
}

/// Why none of the signatures is the one that is wanted.
fn reason(errors: &[SignatureError], problem: Option<String>) -> String {
    match (errors, problem) {
        ([], Some(problem)) => problem,
        ([], None) => VerificationError::Unsigned.to_string(),
        ([error], _) => error.to_string(),
        (several, _) => explained(several),
    }
}
