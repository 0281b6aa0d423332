//! Recommendations for those who act themselves: KEDA and HorizontalPodAutoscalers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use foreshard_external::{Scaler, serve_scaler};
use foreshard_listener::{PlainText, Tls, listen, require_tls};
use foreshard_operator::Operator;
use foreshard_operator::external::{ExternalMetrics, Registration};
use kube::Client;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The port of the external-metrics API's service.
const SERVICE_PORT: u16 = 443;

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Recommendations for KEDA and HorizontalPodAutoscalers")]
pub(super) struct Args {
    /// Where KEDA's external scaler is served, by gRPC [default: nowhere].
    #[arg(long, value_name = "ADDRESS:PORT")]
    external_scaler_address: Option<SocketAddr>,
    /// Its certificate chain, PEM; read again when it changes.
    #[arg(long, value_name = "FILE", requires = "external_scaler_key_file")]
    external_scaler_certificate_file: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(
        long,
        value_name = "FILE",
        requires = "external_scaler_certificate_file"
    )]
    external_scaler_key_file: Option<PathBuf>,
    /// Who signs KEDA's client certificates, PEM; then nobody else may ask [default: whoever reaches the port may].
    #[arg(
        long,
        value_name = "FILE",
        requires = "external_scaler_certificate_file"
    )]
    external_scaler_client_ca_file: Option<PathBuf>,
    /// Serve KEDA in plain text although others than this machine may listen in.
    #[arg(long)]
    external_scaler_insecure: bool,
    /// Where the external-metrics API is served to the API server [default: nowhere].
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        requires = "external_metrics_certificate_file"
    )]
    external_metrics_address: Option<SocketAddr>,
    /// Its certificate chain, PEM; read again when it changes.
    #[arg(long, value_name = "FILE", requires = "external_metrics_key_file")]
    external_metrics_certificate_file: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(
        long,
        value_name = "FILE",
        requires = "external_metrics_certificate_file"
    )]
    external_metrics_key_file: Option<PathBuf>,
    /// Who has signed the certificate, PEM; then an APIService tells the cluster of it, where there is none [default: the
    /// cluster is not told].
    #[arg(long, value_name = "FILE", requires = "external_metrics_address")]
    external_metrics_ca_file: Option<PathBuf>,
    /// Service in the operator's namespace by whose port 443 the API server comes.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "foreshard-external-metrics"
    )]
    external_metrics_service: String,
}

impl Args {
    /// What the cluster is to be told.
    pub(super) fn registration(&self, namespace: &str) -> Option<Registration> {
        Some(Registration {
            namespace: namespace.to_owned(),
            service: self.external_metrics_service.clone(),
            port: SERVICE_PORT,
            authority_file: self.external_metrics_ca_file.clone()?,
        })
    }

    fn scaler_tls(&self) -> anyhow::Result<Option<Arc<Tls>>> {
        let certificate = self.external_scaler_certificate_file.clone();
        let Some((certificate, key)) = certificate.zip(self.external_scaler_key_file.clone())
        else {
            return Ok(None);
        };
        let tls = match &self.external_scaler_client_ca_file {
            Some(clients) => Tls::load_for_clients_of(certificate, key, clients.clone()),
            None => Tls::load(certificate, key),
        };
        tls.map(Some).context("TLS of the external scaler")
    }
}

/// Listeners that are open and not served yet: a port in use is said at once.
pub(super) struct External {
    scaler: Option<(TcpListener, Option<Arc<Tls>>)>,
    metrics: Option<(TcpListener, PathBuf, PathBuf)>,
}

/// Opens the listeners.
pub(super) async fn start(args: &Args) -> anyhow::Result<External> {
    let scaler = match args.external_scaler_address {
        None => None,
        Some(address) => {
            let tls = args.scaler_tls()?;
            let plain = PlainText {
                allowed: args.external_scaler_insecure,
                flag: "--external-scaler-insecure",
            };
            require_tls(address, tls.as_deref(), plain)?;
            tracing::info!(%address, tls = tls.is_some(), "KEDA's external scaler is served");
            Some((listen(address).await?, tls))
        }
    };
    let certificate = args.external_metrics_certificate_file.clone();
    let pair = certificate.zip(args.external_metrics_key_file.clone());
    let metrics = match args.external_metrics_address.zip(pair) {
        Some((address, (certificate, key))) => {
            tracing::info!(%address, "the external-metrics API is served");
            Some((listen(address).await?, certificate, key))
        }
        None => None,
    };
    Ok(External { scaler, metrics })
}

impl External {
    /// Serves what this operator recommends until `stop`.
    pub(super) fn serve(
        self,
        operator: &Operator,
        client: Client,
        stop: &CancellationToken,
    ) -> anyhow::Result<JoinHandle<()>> {
        let answers = operator.metrics().external_answers;
        let scaler = self.scaler.map(|(listener, tls)| {
            let scaler = Scaler::new(operator.advice(), answers.clone(), stop.clone());
            serve_scaler(listener, tls, scaler, stop.clone().cancelled_owned())
        });
        let metrics = match self.metrics {
            None => None,
            Some((listener, certificate, key)) => {
                let advice = operator.advice();
                let api = ExternalMetrics::new(client, advice, answers, certificate, key)
                    .context("TLS of the external-metrics API")?;
                Some(api.serve(listener, stop.clone()))
            }
        };
        Ok(tokio::spawn(async move {
            let scaler = async {
                if let Some(scaler) = scaler {
                    scaler.await;
                }
            };
            let metrics = async {
                if let Some(metrics) = metrics {
                    metrics.await;
                }
            };
            tokio::join!(scaler, metrics);
        }))
    }
}
