//! How is TLS spoken when a script calls out? Asked once, by `Network::new`.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::trust::TrustError;

/// The name under which a client and a server agree on HTTP/2.
pub(super) const ALPN_H2: &[u8] = b"h2";

/// How TLS is spoken with those who show one of these.
pub(super) fn tls(roots: RootCertStore) -> Result<ClientConfig, TrustError> {
    // Named, because a second provider compiled in by some dependency would make the default ambiguous.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
