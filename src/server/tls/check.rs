//! What is wrong with the TLS files, and what may clients or the operator not want? Asked at a start, by `--check` and at a
//! reload. All files are read, whatever is wrong with one of them.

use std::collections::BTreeMap;
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
        problems.extend(check_files(files, &provider, &mut loaded));
    }
    problems.extend(name_problems(&loaded));
    if let Err(error) = ClientTrust::load(config, &provider) {
        problems.push(diagnostic(&error));
    }
    if let Some(path) = &config.client_ca {
        problems.extend(outdated(path, PemRole::ClientCa));
    }
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

/// Warnings about certificates that clients do not get.
fn name_problems(certificates: &[ServerCertificate]) -> Vec<Diagnostic> {
    let nameless =
        certificates.iter().skip(1).filter(|own| own.certificate.as_ref().is_some_and(|own| own.names.is_empty()));
    let mut problems: Vec<Diagnostic> = nameless
        .map(|own| {
            let message = format!("no client gets the TLS certificate `{}`: it has no DNS name", own.path.display());
            Diagnostic::warning(message).help("issue it again with a `subjectAltName`, or put it first")
        })
        .collect();
    let mut pairs: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for NameConflict { name, first, second } in conflicts(certificates) {
        pairs.entry((second, first)).or_default().push(name);
    }
    for ((second, first), names) in pairs {
        let more = if names.len() > 1 { format!(" and {} more names", names.len() - 1) } else { String::new() };
        let name = names.first().map_or("", String::as_str);
        let message = format!(
            "the TLS certificates `{}` and `{}` are both for `{name}`{more}: clients get the first",
            first.display(),
            second.display()
        );
        problems.push(Diagnostic::warning(message).help("remove one of them, or change their order"));
    }
    problems
}
