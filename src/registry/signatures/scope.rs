//! Of which registry, or of which part of it, does an operator speak?
//!
//! A name that no artifact can have would protect nothing, so that it is an error.

use crate::registry::reference::{Reference, Registry, is_name, is_registry};

/// `HOST[:PORT]`, and perhaps the begin of the names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegistryScope {
    registry: Registry,
    /// The begin of the names; empty for the whole registry.
    names: String,
}

/// Why a text names no registry, and no part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct RegistryScopeError {
    reason: String,
    /// What the operator may have meant.
    pub meant: Option<String>,
}

impl RegistryScope {
    /// Reads `HOST[:PORT]` or `HOST[:PORT]/NAMES`.
    pub fn parse(text: &str) -> Result<Self, RegistryScopeError> {
        // A host may be called `oci`, and a port follows it then.
        let after_oci =
            text.strip_prefix("oci:").filter(|rest| !rest.starts_with(|first: char| first.is_ascii_digit()));
        let after_scheme = text.split_once("://").map(|(_, rest)| rest).or(after_oci);
        if let Some(rest) = after_scheme {
            return Err(error("it begins with a scheme, and names of registries begin with the host", rest));
        }
        let (host, names) = text.split_once('/').unwrap_or((text, ""));
        let names = names.strip_suffix('/').unwrap_or(names);
        let registry = is_registry(host).then(|| Registry::parse(host).ok()).flatten();
        let Some(registry) = registry else {
            return Err(error(&format!("`{host}` is not the address of a registry"), ""));
        };
        if let Some((before, _)) = names.split_once('*') {
            let whole = before.rsplit_once('/').map_or("", |(whole, _)| whole);
            return Err(error("it has a `*`, and a name stands for all that is below it anyway", &joined(host, whole)));
        }
        if let Some((name, _)) = names.split_once([':', '@']) {
            return Err(error(
                "it ends with a tag or a digest, and a name stands for all versions",
                &joined(host, name),
            ));
        }
        if ["v1", "v2"].contains(&names) {
            return Err(error(&format!("`{names}` is a version of the API of registries, and no name"), host));
        }
        if !names.is_empty() && !is_name(names) {
            let parts: Vec<_> = names.split('/').filter(|part| !part.is_empty()).collect();
            let reason = format!(
                "`{names}` is not the begin of a name: names have lower-case letters, digits and `.`, `_`, `-`, `/`"
            );
            let meant = joined(host, &parts.join("/").to_lowercase());
            return Err(error(&reason, if meant == text { "" } else { &meant }));
        }
        Ok(Self { registry, names: names.to_owned() })
    }

    /// How many parts of the name of an artifact it names: the more, the narrower it is. `None` if it is not in it.
    pub fn depth(&self, reference: &str) -> Option<usize> {
        let reference = Reference::parse(reference).ok().filter(|found| found.registry.is_same(&self.registry))?;
        let name = reference.name();
        let parts = self.names.split('/').filter(|part| !part.is_empty()).count();
        if is_below(&name, &self.names) {
            return Some(parts);
        }
        // `docker.io/app` is `docker.io/library/app`.
        let official = name.strip_prefix("library/").filter(|_| self.registry.is_docker_hub())?;
        is_below(official, &self.names).then_some(parts + 1)
    }

    /// Whether it is the same part of the same registry.
    pub fn is_same(&self, other: &Self) -> bool {
        self.registry.is_same(&other.registry) && self.names == other.names
    }
}

fn is_below(name: &str, begin: &str) -> bool {
    let rest = name.strip_prefix(begin);
    rest.is_some_and(|rest| begin.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

fn joined(host: &str, names: &str) -> String {
    if names.is_empty() { host.to_owned() } else { format!("{host}/{names}") }
}

fn error(reason: &str, meant: &str) -> RegistryScopeError {
    let meant = (!meant.is_empty() && RegistryScope::parse(meant).is_ok()).then(|| meant.to_owned());
    RegistryScopeError { reason: reason.to_owned(), meant }
}

#[cfg(test)]
mod tests {
    use crate::registry::signatures::scope::*;

    #[test]
    fn a_registry_or_a_part_of_it_has_what_is_below_it_and_is_the_narrower_the_more_parts_it_names() {
        for (reference, scope, expected) in [
            ("ghcr.io/acme/app:1", "ghcr.io", Some(0)),
            ("ghcr.io/acme/app:1", "ghcr.io/", Some(0)),
            ("ghcr.io/acme/app:1", "GHCR.io/acme", Some(1)),
            ("ghcr.io/acme/app:1", "ghcr.io/acme/", Some(1)),
            ("ghcr.io/acme/app:1", "ghcr.io/acme/app", Some(2)),
            ("ghcr.io/acme-evil/app:1", "ghcr.io/acme", None),
            ("ghcr.io/acme/app:1", "ghcr.io/acme/app/x", None),
            ("ghcr.io.evil.example/acme/app:1", "ghcr.io", None),
            ("localhost:5000/app", "localhost:5000", Some(0)),
            ("localhost:5000/app", "localhost", None),
            ("app", "docker.io/library", Some(1)),
            ("app", "index.docker.io", Some(0)),
            ("app", "registry-1.docker.io/library/app", Some(2)),
            // A name without a team.
            ("app", "docker.io/app", Some(2)),
            ("library/app", "docker.io/app", Some(2)),
            ("app/x", "docker.io/app", Some(1)),
            ("registry-1.docker.io:443/library/app", "docker.io/app", Some(2)),
            ("localhost/library/app", "localhost/app", None),
            // A host that has the name of the scheme.
            ("oci:5000/acme/x", "oci:5000/acme", Some(1)),
            ("oci:5000/acme/x", "docker.io", None),
        ] {
            let found = RegistryScope::parse(scope).expect(scope).depth(reference);
            assert_eq!(found, expected, "{reference} {scope}");
        }
    }

    #[test]
    fn a_registry_is_the_same_by_each_of_its_names() {
        for (reference, scope) in [
            ("ghcr.io:443/acme/app", "ghcr.io/acme"),
            ("ghcr.io/acme/app", "ghcr.io:443/acme"),
            ("ghcr.io./acme/app", "ghcr.io/acme"),
            ("ghcr.io/acme/app", "ghcr.io.:443/acme"),
            ("localhost:80/acme/app", "localhost/acme"),
            ("registry-1.docker.io:443/acme/app", "docker.io/acme"),
            ("127.1/acme/app", "127.0.0.1/acme"),
            ("[0::1]:5000/acme/app", "[::1]:5000/acme"),
            ("[::ffff:127.0.0.1]:5000/acme/app", "127.0.0.1:5000/acme"),
        ] {
            assert_eq!(RegistryScope::parse(scope).expect(scope).depth(reference), Some(1), "{reference} {scope}");
        }
        let scope = |text: &str| RegistryScope::parse(text).expect(text);
        assert!(scope("GHCR.io/acme").is_same(&scope("ghcr.io:443/acme/")));
        assert!(!scope("ghcr.io/acme").is_same(&scope("ghcr.io")));
    }

    #[test]
    fn what_no_artifact_can_be_below_is_refused_with_what_may_be_meant() {
        for (text, part, meant) in [
            ("https://ghcr.io/acme", "a scheme", Some("ghcr.io/acme")),
            ("oci://ghcr.io/acme", "a scheme", Some("ghcr.io/acme")),
            ("oci:ghcr.io/acme", "a scheme", Some("ghcr.io/acme")),
            ("ghcr.io/Acme", "lower-case", Some("ghcr.io/acme")),
            ("ghcr.io/acme/*", "`*`", Some("ghcr.io/acme")),
            ("ghcr.io/*", "`*`", Some("ghcr.io")),
            ("ghcr.io/ac*", "`*`", Some("ghcr.io")),
            ("*.example.com/acme", "not the address", None),
            ("ghcr.io/acme/app:1", "a tag", Some("ghcr.io/acme/app")),
            ("ghcr.io/acme/app@sha256:00", "a digest", Some("ghcr.io/acme/app")),
            ("ghcr.io//acme", "lower-case", Some("ghcr.io/acme")),
            ("ghcr.io/acme//", "lower-case", Some("ghcr.io/acme")),
            ("ghcr.io/v2", "version of the API", Some("ghcr.io")),
            ("ghcr.io/-x", "lower-case", None),
            ("acme", "not the address", None),
            ("acme/app", "not the address", None),
            ("", "not the address", None),
        ] {
            let error = RegistryScope::parse(text).expect_err(text);
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert_eq!(error.meant.as_deref(), meant, "{text}");
        }
    }
}
