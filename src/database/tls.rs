//! TLS by libpq's `sslmode`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::DatabaseError;
use crate::settings::{Postgres, SslMode};

/// The connector for the settings' `sslmode`; root certificates are read only where they count.
pub(super) fn connector(settings: &Postgres) -> Result<MakeRustlsConnect, DatabaseError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        trust: trust(settings)?,
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| DatabaseError::TlsSetup { source: Box::new(source) })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn trust(settings: &Postgres) -> Result<Trust, DatabaseError> {
    let rootcert = settings.sslrootcert.as_deref();
    Ok(match (settings.sslmode, rootcert) {
        (SslMode::Disable | SslMode::Prefer, _) | (SslMode::Require, None) => Trust::Any,
        // As in libpq: who names an authority wants it checked.
        (SslMode::Require, Some(path)) => Trust::Signer(roots_from(path)?),
        (SslMode::VerifyCa, _) => Trust::Signer(roots(rootcert)?),
        (SslMode::VerifyFull, _) => Trust::SignerAndName(roots(rootcert)?),
    })
}

fn roots(rootcert: Option<&Path>) -> Result<RootCertStore, DatabaseError> {
    match rootcert {
        Some(path) => roots_from(path),
        None => native_roots(),
    }
}

fn roots_from(path: &Path) -> Result<RootCertStore, DatabaseError> {
    let unreadable = |source| DatabaseError::RootCertificate { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|source| unreadable(Box::new(source)))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|source| unreadable(Box::new(source)))?;
        roots.add(certificate).map_err(|source| unreadable(Box::new(source)))?;
    }
    if roots.is_empty() {
        return Err(DatabaseError::NoRootCertificate { path: path.to_owned() });
    }
    Ok(roots)
}

fn native_roots() -> Result<RootCertStore, DatabaseError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("skipped a root certificate of this system: {error}");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() { Err(DatabaseError::NoNativeRoots) } else { Ok(roots) }
}

/// How much of the server's certificate is checked.
#[derive(Debug)]
enum Trust {
    /// Nothing: encryption only.
    Any,
    /// That a trusted authority signed it.
    Signer(RootCertStore),
    /// That, and that it is for the host connected to.
    SignerAndName(RootCertStore),
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (Trust::Signer(roots) | Trust::SignerAndName(roots)) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        if let Trust::SignerAndName(_) = self.trust {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
