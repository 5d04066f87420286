//! Which signature do the modules of a registry need?

use crate::config::{Diagnostic, ModuleRef, RegistryConfig, VerifyConfig};
use crate::registry::signatures::RegistryScope;

/// The registries, and the parts of them, whose modules need a signature.
#[derive(Default)]
pub(super) struct RegistryPolicies<'v>(Vec<(RegistryScope, &'v VerifyConfig)>);

impl<'v> RegistryPolicies<'v> {
    /// Reads the names of the registries. Those that are none, and those that are there already, are problems.
    pub fn read(registries: &'v [RegistryConfig], problems: &mut Vec<Diagnostic>) -> Self {
        let mut read = Vec::<(RegistryScope, &VerifyConfig)>::new();
        for RegistryConfig { name, location, verify } in registries {
            let problem = |message: String| Diagnostic::error(message).at(location.clone());
            match RegistryScope::parse(name) {
                Err(error) => {
                    let meant = error.meant.as_deref().unwrap_or("HOST/TEAM");
                    let problem = problem(format!("no module can be in the registry `{name}`: {error}"));
                    problems.push(problem.help(format!("write `[registries.\"{meant}\"]`")));
                }
                Ok(scope) if read.iter().any(|(other, _)| other.is_same(&scope)) => {
                    let problem = problem(format!("the registry `{name}` is there twice"));
                    problems.push(problem.help("keep one of them; `key` may be a list of files"));
                }
                Ok(scope) => read.push((scope, verify)),
            }
        }
        Self(read)
    }

    /// The signature that a module needs, as the narrowest of the registries in which it is says.
    pub fn of(&self, module: &ModuleRef) -> Option<&'v VerifyConfig> {
        let ModuleRef::Oci(reference) = module else { return None };
        let found = self.0.iter().filter_map(|(scope, verify)| Some((scope.depth(reference)?, *verify)));
        found.max_by_key(|(depth, _)| *depth).map(|(_, verify)| verify)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{SourceFile, SourceLocation, TrustedSigners};
    use crate::fetch::registry_policies::*;

    /// Each registry has a key that is called as it is.
    fn registries(names: &[&str]) -> Vec<RegistryConfig> {
        let location = SourceLocation::new(&SourceFile::new("modules.toml", ""), 0..0);
        let registry = |name: &&str| RegistryConfig {
            name: (*name).to_owned(),
            location: location.clone(),
            verify: VerifyConfig {
                location: location.clone(),
                signers: TrustedSigners::Keys { files: vec![name.into()], trusted_root: None },
            },
        };
        names.iter().map(registry).collect()
    }

    #[test]
    fn the_narrowest_registry_counts_however_long_its_name_is() {
        for (names, reference, expected) in [
            (&["registry-1.docker.io", "docker.io/acme"][..], "acme/app", Some("docker.io/acme")),
            (&["docker.io/acme", "registry-1.docker.io"], "acme/app", Some("docker.io/acme")),
            (&["ghcr.io", "ghcr.io/acme", "ghcr.io/acme/app"], "ghcr.io/acme/app:1", Some("ghcr.io/acme/app")),
            (&["ghcr.io", "ghcr.io/acme", "ghcr.io/acme/app"], "ghcr.io/acme/other:1", Some("ghcr.io/acme")),
            (&["ghcr.io", "ghcr.io/acme"], "ghcr.io/b/app", Some("ghcr.io")),
            (&["ghcr.io/acme"], "ghcr.io/b/app", None),
            (&["docker.io/library", "docker.io/app"], "app", Some("docker.io/app")),
            (&["oci:5000/acme", "docker.io"], "oci:5000/acme/x", Some("oci:5000/acme")),
        ] {
            let (registries, mut problems) = (registries(names), Vec::new());
            let policies = RegistryPolicies::read(&registries, &mut problems);
            assert!(problems.is_empty(), "{names:?}");
            let found = policies.of(&ModuleRef::Oci(reference.to_owned())).map(|verify| verify.signers.clone());
            let expected = expected.map(|name| TrustedSigners::Keys { files: vec![name.into()], trusted_root: None });
            assert_eq!(found, expected, "{names:?} {reference}");
        }
    }

    #[test]
    fn a_registry_that_protects_nothing_or_is_there_twice_is_an_error() {
        for (names, message, help) in [
            (&["https://ghcr.io/acme"][..], "begins with a scheme", "write `[registries.\"ghcr.io/acme\"]`"),
            (&["acme"], "`acme` is not the address of a registry", "write `[registries.\"HOST/TEAM\"]`"),
            (&["GHCR.io/acme", "ghcr.io:443/acme"], "`ghcr.io:443/acme` is there twice", "keep one"),
        ] {
            let mut problems = Vec::new();
            RegistryPolicies::read(&registries(names), &mut problems);
            let [problem] = &problems[..] else { panic!("{names:?}: {problems:?}") };
            assert!(problem.is_error() && problem.message.contains(message), "{names:?}: {}", problem.message);
            assert!(problem.help.as_deref().is_some_and(|found| found.starts_with(help)), "{names:?}");
        }
    }
}
