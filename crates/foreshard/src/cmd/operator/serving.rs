//! What the operator serves: the HTTP API with the console, and, on a port of its own, health and metrics.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use foreshard_operator::access::{AccessSettings, KubeAccess};
use foreshard_operator::api::KubeOrders;
use foreshard_operator::module_store::{BuiltinModule, KubeModules};
use foreshard_policy::Host;
use foreshard_server::{
    ActivationBy, Hosted, Hub, Limits, PlainText, Policies as _, Ports, Refused, Retention, Tls,
    listen, require_tls, serve, serve_health, view,
};
use kube::Client;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Args;
use crate::cmd::backtest::job::Runner;

/// Before the names of modules that come with the operator.
const BUILTIN_PREFIX: &str = "builtin-";

/// The modules that come with the operator, as the API lists them.
pub(super) fn builtin(host: &Arc<Host>) -> anyhow::Result<Vec<BuiltinModule>> {
    let hosted = Hosted(Arc::clone(host));
    let one = |name: &str| {
        let component = foreshard_builtin::component(name).unwrap_or_default();
        let policy = hosted.admit(component).map_err(|refused| match refused {
            Refused::Bad { detail, .. } | Refused::Unavailable(detail) => {
                anyhow::anyhow!("the built-in policy {name}: {detail}")
            }
        })?;
        Ok(BuiltinModule {
            module: view::PolicyModule {
                name: format!("{BUILTIN_PREFIX}{name}"),
                digest: policy.digest().to_owned(),
                bytes: component.len(),
                builtin: true,
                descriptor: policy.descriptor().clone().into(),
                acceptance: None,
            },
            component: Bytes::from_static(component),
        })
    };
    foreshard_builtin::names().map(one).collect()
}

/// All that is served.
pub(super) fn hub(
    args: &Args,
    client: &Client,
    host: &Arc<Host>,
    store: &Arc<KubeModules>,
) -> anyhow::Result<Arc<Hub>> {
    let limits = Limits {
        // Six hours of minutes for each target: there may be a thousand.
        points_max: 361,
        retention: Retention {
            changed_max: 500,
            unchanged_max: 100,
            records_max: 20,
        },
        ..Limits::DEFAULT
    };
    let access = AccessSettings {
        audience: args.audience.clone(),
        ..AccessSettings::default()
    };
    let backtests = Some(Runner::this_program()? as _);
    let ports = Ports {
        access: Arc::new(KubeAccess::new(client.clone(), access)),
        policies: Arc::new(Hosted(Arc::clone(host))),
        modules: Arc::clone(store) as _,
        activation: ActivationBy::Patch,
        orders: Some(Arc::new(KubeOrders::new(client.clone()))),
        backtests,
        host_names: Vec::new(),
    };
    Ok(Hub::new(ports, [], limits))
}

/// Listeners that are open and not served yet: a port in use is said at once.
pub(super) struct Serving {
    health: TcpListener,
    api: Option<(TcpListener, Option<Arc<Tls>>)>,
}

/// Opens the listeners.
pub(super) async fn start(args: &Args, hub: &Arc<Hub>) -> anyhow::Result<Serving> {
    hub.set_unready(Some("the operator starts".to_owned()));
    let health = listen(args.health_listen).await?;
    tracing::info!(address = %args.health_listen, "health and metrics are served");
    let api = match args.listen {
        None => None,
        Some(address) => {
            let files = args
                .tls_certificate_file
                .clone()
                .zip(args.tls_key_file.clone());
            let tls = files.map(|(certificate, key)| Tls::load(certificate, key));
            let tls = tls.transpose().context("TLS of the HTTP API")?;
            let plain = PlainText {
                allowed: args.insecure,
                flag: "--insecure",
            };
            require_tls(address, tls.as_deref(), plain)?;
            tracing::info!(%address, tls = tls.is_some(), "the HTTP API is served");
            Some((listen(address).await?, tls))
        }
    };
    Ok(Serving { health, api })
}

impl Serving {
    /// Serves until `stop`.
    pub(super) fn serve(self, hub: &Arc<Hub>, stop: &CancellationToken) -> JoinHandle<()> {
        let stopped = |stop: &CancellationToken| stop.clone().cancelled_owned();
        let health = serve_health(self.health, Arc::clone(hub), stopped(stop));
        let api = self
            .api
            .map(|(listener, tls)| serve(listener, tls, Arc::clone(hub), stopped(stop)));
        tokio::spawn(async move {
            match api {
                Some(api) => {
                    tokio::join!(health, api);
                }
                None => health.await,
            }
        })
    }
}
