//! Which certificate does a client get (SNI, RFC 6066 §3)?
//!
//! One for the very name comes before one for `*.x`, which stands for one label. Of several certificates for a name the first
//! counts. A client that names no server, or an unknown one, gets the first certificate.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::server::tls::files::ServerCertificate;

/// The certificates of the server by the names in them.
#[derive(Debug)]
pub(super) struct ServerNames {
    default: Arc<CertifiedKey>,
    /// By name, and by `*.x`.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

/// A certificate that clients do not get although it is for the name that they ask for.
pub(super) struct NameConflict<'c> {
    pub name: &'c str,
    /// The certificate that they get.
    pub first: &'c ServerCertificate,
    pub second: &'c ServerCertificate,
}

impl NameConflict<'_> {
    /// Whether the other conflict is between the same certificates.
    pub fn is_of_the_same_two(&self, other: &Self) -> bool {
        std::ptr::eq(self.first, other.first) && std::ptr::eq(self.second, other.second)
    }
}

impl ServerNames {
    /// Sorts certificates by name.
    pub fn new(default: &ServerCertificate, others: &[ServerCertificate]) -> Self {
        let mut by_name = HashMap::new();
        for (certificate, name) in named(std::iter::once(default).chain(others)) {
            by_name.entry(name.to_owned()).or_insert_with(|| Arc::clone(&certificate.key));
        }
        Self { default: Arc::clone(&default.key), by_name }
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let wildcard = || {
            let (_, rest) = name.split_once('.')?;
            self.by_name.get(&format!("*.{rest}"))
        };
        self.by_name.get(name).or_else(wildcard)
    }
}

impl ResolvesServerCert for ServerNames {
    /// The TLS library gives the name in lower case.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.find(name));
        Some(Arc::clone(found.unwrap_or(&self.default)))
    }
}

/// The names that a later certificate has as well.
pub(super) fn conflicts(certificates: &[ServerCertificate]) -> Vec<NameConflict<'_>> {
    let mut first: HashMap<&str, &ServerCertificate> = HashMap::new();
    let mut conflicts = Vec::new();
    for (certificate, name) in named(certificates) {
        match first.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(certificate);
            }
            // A certificate may have a name twice.
            Entry::Occupied(entry) if std::ptr::eq(*entry.get(), certificate) => {}
            Entry::Occupied(entry) => conflicts.push(NameConflict { name, first: entry.get(), second: certificate }),
        }
    }
    conflicts
}

/// Each name with its certificate, in order.
fn named<'c>(
    certificates: impl IntoIterator<Item = &'c ServerCertificate>,
) -> impl Iterator<Item = (&'c ServerCertificate, &'c str)> {
    let names = |certificate: &'c ServerCertificate| certificate.certificate.iter().flat_map(|own| &own.names);
    certificates.into_iter().flat_map(move |own| names(own).map(move |name| (own, name.as_str())))
}
