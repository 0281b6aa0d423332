//! Clients known by their certificate, judged by an authority that may change.

use std::sync::{Arc, PoisonError, RwLock};

use crate::subject::common_names;
use tokio_rustls::rustls::{
    self, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime, pem, pem::PemObject as _},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

/// The certificate that a client has shown and that its authority has signed: an extension of its requests.
#[derive(Clone, Debug)]
pub struct ClientCertificate(pub CertificateDer<'static>);

impl ClientCertificate {
    /// The common names of its subject; none: it has none, or cannot be read.
    #[must_use]
    pub fn common_names(&self) -> Vec<String> {
        // Only to find the subject: nothing is trusted by this store.
        let mut store = RootCertStore::empty();
        if store.add(self.0.clone()).is_err() {
            return Vec::new();
        }
        let names = store.roots.iter().map(|it| common_names(&it.subject));
        names.flatten().collect()
    }
}

/// Why an authority cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthorityError {
    /// It is not PEM.
    #[error("no certificate in PEM")]
    Pem(#[source] pem::Error),
    /// There is nothing in it.
    #[error("no certificate in it")]
    Empty,
    /// A certificate in it cannot be one of an authority.
    #[error("not the certificate of an authority")]
    Certificate(#[source] rustls::Error),
    /// See the source.
    #[error("not usable for judging clients")]
    Verifier(#[source] VerifierBuilderError),
}

/// Lets in clients whose certificate an authority has signed, and nobody else. Whoever that is may change at any time;
/// until it is known, nobody is let in.
#[derive(Debug)]
pub struct ClientAuthority {
    provider: Arc<CryptoProvider>,
    current: RwLock<Option<Arc<dyn ClientCertVerifier>>>,
}

impl ClientAuthority {
    /// Nobody is let in as yet.
    #[must_use]
    pub fn unknown() -> Arc<Self> {
        Arc::new(Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            current: RwLock::new(None),
        })
    }

    /// From now on these authorities are trusted, and none of before.
    ///
    /// # Errors
    /// [`ClientAuthorityError`]; then those of before stay.
    pub fn trust(&self, authorities_pem: &[u8]) -> Result<(), ClientAuthorityError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authorities_pem) {
            let certificate = certificate.map_err(ClientAuthorityError::Pem)?;
            roots
                .add(certificate)
                .map_err(ClientAuthorityError::Certificate)?;
        }
        if roots.is_empty() {
            return Err(ClientAuthorityError::Empty);
        }
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(ClientAuthorityError::Verifier)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(verifier);
        Ok(())
    }
}

impl ClientCertVerifier for ClientAuthority {
    /// None: they would outlive a change, and a client with one certificate needs none.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let Some(verifier) = current.clone() else {
            return Err(rustls::Error::General(
                "the authority of clients is not known yet".to_owned(),
            ));
        };
        drop(current);
        verifier.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
