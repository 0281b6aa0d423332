//! `foreshard operator`.

mod client;
mod cluster;
mod external;
mod serving;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use foreshard_operator::module_store::{KubeModules, LargeStore};
use foreshard_operator::{Operator, Parts};
use tokio_util::sync::CancellationToken;

use super::backtest::parse;
use crate::bound;
use crate::telemetry::{LogFormat, Telemetry};

const EXAMPLES: &str = "\
What it does:
  It watches the objects of foreshard.dev, asks Prometheus for the load that each ScalingPolicy names, forecasts it, asks \
the policies, and does what the mode of each action allows: Observe (nothing), Approve, or Auto. Every replica observes \
and decides; the holder of the lease writes.

To stop all acting within seconds:
  kubectl create configmap foreshard-kill-switch -n foreshard-system --from-literal=paused=true
To leave one target or policy alone:
  kubectl annotate scalingpolicy web foreshard.dev/paused=true

Examples:
  In a cluster (deploy/kustomize/base does this):
    foreshard operator --controllers=scaling
  The controllers of clusters, beside it (deploy/kustomize/overlays/clusters does this):
    foreshard operator --controllers=cluster
  From outside, with your own rights, looking at one namespace:
    foreshard operator --kubeconfig ~/.kube/config --watch-namespace shop --no-leader-election";

/// Run the controllers: scale what ScalingPolicies name, ahead of its load, or keep clusters of Vitess.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which controllers run.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "scaling")]
    controllers: Vec<Controller>,
    /// A kubeconfig [default: `KUBECONFIG`, then ~/.kube/config, then the pod's service account].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig [default: its current one].
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The operator's own namespace: lease and kill switch are there.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAME",
        default_value = "foreshard-system"
    )]
    namespace: String,
    /// Name of this replica in the lease [default: the host's name and the process's number].
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    identity: Option<String>,
    /// Look only at objects of this namespace [default: of all].
    #[arg(long, value_name = "NAME")]
    watch_namespace: Option<String>,
    /// Write without holding a lease: only when there is one process.
    #[arg(long)]
    no_leader_election: bool,
    /// Settings that are more than flags, in YAML: `sources` that policies of several namespaces may use.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where is kept what was learned, and the last decisions of each policy [default: nowhere].
    #[arg(long, value_name = "DIRECTORY")]
    state_directory: Option<PathBuf>,
    /// Time between two live samples of a signal, at least 1s, where the budget of queries allows.
    #[arg(long, value_name = "SPAN", value_parser = some_span, default_value = "5s")]
    poll_every: i64,
    /// Evaluations at the same time.
    #[arg(long, value_name = "N", default_value_t = 2)]
    evaluations_max: usize,
    /// Targets that shrink at the same time.
    #[arg(long, value_name = "N", default_value_t = 10)]
    shrinking_max: usize,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    health_listen: SocketAddr,
    /// Where the HTTP API and the console are served [default: nowhere].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Certificate chain for the HTTP API, PEM; read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key_file")]
    tls_certificate_file: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate_file")]
    tls_key_file: Option<PathBuf>,
    /// Serve plain HTTP although others than this machine may listen in: only behind something that encrypts.
    #[arg(long)]
    insecure: bool,
    /// Audience that tokens of callers must be made for: `kubectl create token NAME -n NS --audience foreshard`.
    #[arg(long, value_name = "NAME", default_value = "foreshard")]
    audience: String,
    /// Where modules too large for the cluster are kept: `s3://BUCKET/PREFIX` or `file:///SHARED/FOLDER`.
    #[arg(long, value_name = "URL")]
    module_store: Option<String>,
    /// Where traces go: base address of a collector of OpenTelemetry, by OTLP over HTTP, such as
    /// `http://otel-collector:4318` [default: nowhere].
    ///
    /// `OTEL_TRACES_SAMPLER` and its `_ARG` say how many, `OTEL_SERVICE_NAME` under which name,
    /// `OTEL_EXPORTER_OTLP_HEADERS` with which headers.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// How logs look.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(flatten)]
    external: external::Args,
}

impl Args {
    pub(crate) fn telemetry(&self) -> Telemetry<'_> {
        Telemetry {
            usual: "info",
            format: self.log_format,
            otlp_endpoint: self.otlp_endpoint.as_deref(),
        }
    }
}

/// Asking without a pause would be no schedule.
fn some_span(text: &str) -> Result<i64, String> {
    match parse::span(text)? {
        0 => Err("give a span of at least 1s".to_owned()),
        seconds => Ok(seconds),
    }
}

/// Groups of controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Controller {
    /// ScalingPolicy, PolicyModule, PrometheusSource.
    Scaling,
    /// Vitess and what is made of it, TopoServer.
    Cluster,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let [controllers] = args.controllers[..] else {
        anyhow::bail!(
            "--controllers names one group: each runs as a process of its own, with rights of its own"
        );
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the threads")?;
    runtime.block_on(async {
        match controllers {
            Controller::Scaling => operate(args).await,
            Controller::Cluster => cluster::operate(args).await,
        }
    })
}

async fn operate(args: Args) -> anyhow::Result<ExitCode> {
    let config = settings::config(&args).await?;
    let client = client::connect(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let host = bound::host()?;
    let large = args.module_store.as_deref().map(LargeStore::open);
    let large = large.transpose().context("--module-store")?;
    let store = Arc::new(KubeModules::new(
        client.clone(),
        large,
        serving::builtin(&host)?,
    ));
    let hub = serving::hub(&args, &client, &host, &store)?;
    let serving = serving::start(&args, &hub).await?;
    let external = external::start(&args.external).await?;
    let builtin: Vec<_> = foreshard_builtin::names()
        .filter_map(|name| Some((name, foreshard_builtin::component(name)?)))
        .collect();
    let modules = KubeModules::clone(&store);
    let parts = Parts {
        store,
        client: client.clone(),
        host,
        builtin,
        hub: Arc::clone(&hub),
    };
    let operator = tokio::task::spawn_blocking({
        let config = config.clone();
        move || Operator::new(&config, parts)
    })
    .await
    .context("making the operator")??;
    let stop = CancellationToken::new();
    let metrics = operator.metrics();
    hub.add_metrics(move || metrics.text());
    let served = serving.serve(&hub, &stop);
    let external = external.serve(&operator, client, &stop)?;
    // Uploads need the API, and so do the rights to remove what is left of them.
    if args.listen.is_some() {
        let (only, leads) = (args.watch_namespace.clone(), operator.leads());
        tokio::spawn(modules.collect_hourly(only, leads, stop.clone()));
    }
    tokio::spawn(stopped(stop.clone()));
    operator.run(stop).await;
    served.await.context("the server")?;
    external.await.context("the server of recommendations")?;
    Ok(ExitCode::SUCCESS)
}

/// Ends with SIGTERM or Ctrl-C.
async fn stopped(stop: CancellationToken) {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM can't be noticed");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
    tracing::info!("stopping");
    stop.cancel();
}
