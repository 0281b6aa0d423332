//! The external-metrics API on a cluster: who may read, how the API server shows itself, and telling the cluster of it.

mod front_proxy;
mod readers;
mod registration;

use std::path::PathBuf;
use std::sync::Arc;

use foreshard_external::{Advice, Answers, MetricsApi, serve_metrics};
use foreshard_listener::{ClientAuthority, Tls, TlsError};
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use readers::KubeReaders;
pub use registration::Registration;

/// The external-metrics API, ready to be served.
pub struct ExternalMetrics {
    client: Client,
    advice: Arc<dyn Advice>,
    answers: Answers,
    authority: Arc<ClientAuthority>,
    tls: Arc<Tls>,
}

impl ExternalMetrics {
    /// Serves with this certificate and key, which are read again when they change.
    ///
    /// # Errors
    /// [`TlsError`], which names the file.
    pub fn new(
        client: Client,
        advice: Arc<dyn Advice>,
        answers: Answers,
        certificate: PathBuf,
        key: PathBuf,
    ) -> Result<Self, TlsError> {
        let authority = ClientAuthority::unknown();
        let tls = Tls::load_for_clients(certificate, key, Arc::clone(&authority))?;
        Ok(Self {
            client,
            advice,
            answers,
            authority,
            tls,
        })
    }

    /// Serves until `stop`. Until it is known how the API server shows itself, nobody is let in.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let (known, front_proxy) = watch::channel(None);
        let readers = Arc::new(KubeReaders::new(self.client.clone()));
        let api = MetricsApi::new(self.advice, readers, front_proxy, self.answers);
        let keeping = front_proxy::keep(self.client, self.authority, known, stop.clone());
        let serving = serve_metrics(listener, self.tls, api, stop.cancelled());
        tokio::join!(keeping, serving);
    }
}
