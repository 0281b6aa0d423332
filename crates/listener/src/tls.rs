//! TLS with a certificate that is read again when its files change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
        server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

use crate::clients::{ClientAuthority, ClientAuthorityError};

/// How often the files are looked at. A kubelet replaces those of a Secret within a minute or two anyway.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// A certificate and its key, as they are in their files.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    read: Mutex<Pem>,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
    clients: Option<ClientFile>,
}

/// Whose certificates clients need, in a file.
#[derive(Debug)]
struct ClientFile {
    path: PathBuf,
    read: Mutex<Vec<u8>>,
    authority: Arc<ClientAuthority>,
}

/// The texts of both files.
#[derive(PartialEq, Eq)]
struct Pem {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

/// Why certificate and key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("reading {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} holds no {what} in PEM")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// Certificate and key can't be used together.
    #[error("certificate {certificate} and key {key} do not work together")]
    Pair {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// Clients cannot be judged by what is in the file.
    #[error("{path} holds no authority of clients")]
    Clients {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: ClientAuthorityError,
    },
    /// There is no such version of TLS in this build.
    #[error("setting up TLS")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// Reads a certificate chain and its private key, both in PEM.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Arc<Self>, TlsError> {
        Self::make(certificate, key, None, None).map(Arc::new)
    }

    /// The same, and only clients are let in whose certificate one of the authorities in a PEM file has signed.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load_for_clients_of(
        certificate: PathBuf,
        key: PathBuf,
        authorities: PathBuf,
    ) -> Result<Arc<Self>, TlsError> {
        let authority = ClientAuthority::unknown();
        let text = read_file(&authorities)?;
        trust(&authority, &text, &authorities)?;
        let file = ClientFile {
            path: authorities,
            read: Mutex::new(text),
            authority: Arc::clone(&authority),
        };
        Self::make(certificate, key, Some(authority), Some(file)).map(Arc::new)
    }

    /// The same, with an authority that somebody else keeps true.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn load_for_clients(
        certificate: PathBuf,
        key: PathBuf,
        authority: Arc<ClientAuthority>,
    ) -> Result<Arc<Self>, TlsError> {
        Self::make(certificate, key, Some(authority), None).map(Arc::new)
    }

    fn make(
        certificate: PathBuf,
        key: PathBuf,
        authority: Option<Arc<ClientAuthority>>,
        clients: Option<ClientFile>,
    ) -> Result<Self, TlsError> {
        let read = read(&certificate, &key)?;
        let pair = pair(&read, &certificate, &key)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(pair))));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let judges = authority.is_some();
        let builder = match authority {
            Some(authority) => builder.with_client_cert_verifier(authority),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&current) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if judges {
            // A session that is taken up again would not be judged again.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(Self {
            certificate,
            key,
            read: Mutex::new(read),
            current,
            config: Arc::new(config),
            clients,
        })
    }

    /// Takes what is in the files now, if it is something new; answers whether it is. On an error, such as between the
    /// changes of the two files, the old certificate stays.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self) -> Result<bool, TlsError> {
        // Neither file keeps the other from being read.
        let (renewed, judged) = (self.reload_pair(), self.reload_clients());
        Ok(renewed? | judged?)
    }

    fn reload_clients(&self) -> Result<bool, TlsError> {
        let Some(file) = &self.clients else {
            return Ok(false);
        };
        let now = read_file(&file.path)?;
        let mut before = file.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *before == now {
            return Ok(false);
        }
        trust(&file.authority, &now, &file.path)?;
        *before = now;
        Ok(true)
    }

    fn reload_pair(&self) -> Result<bool, TlsError> {
        let now = read(&self.certificate, &self.key)?;
        let mut before = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *before == now {
            return Ok(false);
        }
        let pair = pair(&now, &self.certificate, &self.key)?;
        let mut current = self
            .current
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(pair);
        *before = now;
        Ok(true)
    }

    /// Looks at the files for as long as it is polled.
    pub(crate) async fn keep_fresh(&self) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => tracing::info!("A new TLS certificate is in use."),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "The TLS certificate can't be renewed; the old one stays."
                    );
                }
            }
        }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Pem, TlsError> {
    Ok(Pem {
        certificate: read_file(certificate)?,
        key: read_file(key)?,
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn trust(authority: &ClientAuthority, text: &[u8], path: &Path) -> Result<(), TlsError> {
    authority.trust(text).map_err(|source| TlsError::Clients {
        path: path.to_owned(),
        source,
    })
}

fn pair(read: &Pem, certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let not_pem = |path: &Path, what, source| TlsError::Pem {
        path: path.to_owned(),
        what,
        source,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read.certificate)
        .collect::<Result<_, _>>()
        .map_err(|source| not_pem(certificate, "certificate", source))?;
    if chain.is_empty() {
        return Err(not_pem(
            certificate,
            "certificate",
            pem::Error::NoItemsFound,
        ));
    }
    let private = PrivateKeyDer::from_pem_slice(&read.key)
        .map_err(|source| not_pem(key, "private key", source))?;
    let pair = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider());
    pair.map_err(|source| TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

impl std::fmt::Debug for Pem {
    /// Never shows the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pem")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}
