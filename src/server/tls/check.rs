//! What is wrong with the TLS files, and what may clients or the operator not want? Asked at a start, by `--check` and at a
//! reload. All files are read, whatever is wrong with one of them.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::CryptoProvider;

use crate::config::{Diagnostic, TlsConfig, TlsFiles};
use crate::server::error::{Error, PemRole};
use crate::server::tls::certificate::Certificate;
use crate::server::tls::client_identity::ClientTrust;
use crate::server::tls::files::{ServerCertificate, certificates};
use crate::server::tls::provider;
use crate::server::tls::server_names::{NameConflict, conflicts};

/// The problems of the TLS files, as [`Server::bind`](crate::server::Server::bind) would find them, and warnings about files
/// that it takes and clients or the operator may not want.
pub fn check_tls(config: &TlsConfig) -> Vec<Diagnostic> {
    let provider = Arc::new(provider());
    let (mut loaded, mut problems) = (Vec::new(), Vec::new());
    for files in config.certificates() {
        let found = check_files(files, &provider, &mut loaded);
        problems.extend(found.into_iter().map(|problem| problem.at(files.location.clone())));
    }
    problems.extend(nameless(&loaded));
    problems.extend(conflicting(&loaded));
    let mut of_clients: Vec<_> = ClientTrust::load(config, &provider).err().iter().map(diagnostic).collect();
    of_clients.extend(config.client_ca.iter().flat_map(|path| outdated(path, PemRole::ClientCa)));
    problems.extend(of_clients.into_iter().map(|problem| problem.at(config.client_ca_location.clone())));
    problems
}

fn check_files(files: &TlsFiles, provider: &CryptoProvider, loaded: &mut Vec<ServerCertificate>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    match ServerCertificate::load(files, provider) {
        Ok(certificate) => loaded.push(certificate),
        Err(error) => problems.push(diagnostic(&error)),
    }
    problems.extend(exposed_key(&files.key));
    problems.extend(outdated(&files.cert, PemRole::Certificate));
    problems
}

fn diagnostic(error: &Error) -> Diagnostic {
    let mut problem = Diagnostic::error(error.to_string());
    problem.help = error.help().map(str::to_owned);
    match std::error::Error::source(error) {
        Some(cause) => problem.caused_by(cause),
        None => problem,
    }
}

/// A warning about a key that other users can read, or replace.
fn exposed_key(key: &Path) -> Option<Diagnostic> {
    const OTHERS: u32 = 0o026;
    let mode = std::fs::metadata(key).ok()?.mode();
    let message = format!("other users can read or change the TLS key `{}`", key.display());
    (mode & OTHERS != 0).then(|| Diagnostic::warning(message).help("take the right from them: `chmod o-rwx,g-w`"))
}

/// Warnings about the certificates of a file that are not valid today.
fn outdated(path: &Path, role: PemRole) -> Vec<Diagnostic> {
    let now = SystemTime::now();
    let mut problems = Vec::new();
    for (number, certificate) in (1..).zip(certificates(path, role).unwrap_or_default()) {
        let Some(reason) = Certificate::parse(&certificate).and_then(|found| found.invalid_at(now)) else { continue };
        let which = if number == 1 { String::new() } else { format!("number {number} in ") };
        let refused = match role {
            PemRole::ClientCa => "clients with certificates of this authority are refused: the certificate",
            _ => "clients will refuse the TLS certificate",
        };
        let message = format!("{refused} {which}`{}`: {reason}", path.display());
        problems.push(Diagnostic::warning(message).help("renew it, and look at the clock of this machine"));
    }
    problems
}

/// Warnings about certificates that no client gets, because they have no name.
fn nameless(certificates: &[ServerCertificate]) -> Vec<Diagnostic> {
    let has_no_name = |own: &&ServerCertificate| own.certificate.as_ref().is_some_and(|own| own.names.is_empty());
    let warning = |own: &ServerCertificate| {
        let message = format!("no client gets the TLS certificate `{}`: it has no DNS name", own.path.display());
        let problem = Diagnostic::warning(message).at(own.location.clone());
        problem.help("issue it again with a `subjectAltName`, or put it first")
    };
    certificates.iter().skip(1).filter(has_no_name).map(warning).collect()
}

/// Warnings about certificates that clients do not get for all of their names.
fn conflicting(certificates: &[ServerCertificate]) -> Vec<Diagnostic> {
    let mut pairs: Vec<(NameConflict<'_>, usize)> = Vec::new();
    for conflict in conflicts(certificates) {
        match pairs.iter_mut().find(|(known, _)| conflict.is_of_the_same_two(known)) {
            Some((_, more)) => *more += 1,
            None => pairs.push((conflict, 0)),
        }
    }
    let warning = |(conflict, more): (NameConflict<'_>, usize)| {
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (name, first, second) = (conflict.name, conflict.first.path.display(), conflict.second.path.display());
        let message = format!("two TLS certificates are for `{name}`{more}: clients get `{first}`, and not `{second}`");
        let problem = Diagnostic::warning(message).at(conflict.second.location.clone());
        problem.help("remove one of them, or change their order")
    };
    pairs.into_iter().map(warning).collect()
}
