//! Encryption by rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::ServeError;
use crate::config::TlsConfig;

/// What takes connections in.
pub(crate) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, ServeError> {
    let refused = |path: &Path, problem: String| ServeError::File { path: path.to_owned(), problem };
    let (certificate, key) = (config.certificate.as_path(), config.key.as_path());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(certificate, format!("no certificate in PEM: {error}")))?;
    if chain.is_empty() {
        return Err(refused(certificate, "has no certificate in PEM".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refused(key, format!("no key in PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| refused(certificate, format!("cannot be used with {}: {error}", key.display())))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
