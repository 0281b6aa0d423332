//! The controllers of clusters, with health beside them.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use foreshard_operator::module_store::KubeModules;
use foreshard_server::Hub;
use foreshard_vitess::names::Dns;
use foreshard_vitess::{ClusterOperator, Config, Watching};
use tokio_util::sync::CancellationToken;

use super::{Args, client, serving, settings, stopped};
use crate::bound;

/// Between two looks at a cluster that is as it is wanted; changes are seen at once.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two looks whether everything was read.
const READY_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn operate(args: Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.listen.is_none(),
        "--listen serves what the scaling controllers know: leave it out beside --controllers=cluster"
    );
    let client = client::connect(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let host = bound::host()?;
    let store = Arc::new(KubeModules::new(client.clone(), None, Vec::new()));
    let hub = serving::hub(&args, &client, &host, &store)?;
    let serving = serving::start(&args, &hub).await?;
    let config = Config {
        namespace: args.namespace.clone(),
        identity: args.identity.clone().unwrap_or_else(settings::identity),
        watch_namespace: args.watch_namespace.clone(),
        leader_election: !args.no_leader_election,
        addresses: Arc::new(Dns),
        reach: Arc::new(Dns),
        look_every: LOOK_EVERY,
    };
    let operator = ClusterOperator::new(&config, client);
    let metrics = operator.metrics();
    hub.add_metrics(move || metrics.text());
    let stop = CancellationToken::new();
    let served = serving.serve(&hub, &stop);
    tokio::spawn(readiness(operator.watching(), hub, stop.clone()));
    tokio::spawn(stopped(stop.clone()));
    operator.run(stop).await;
    served.await.context("the server of health")?;
    Ok(ExitCode::SUCCESS)
}

async fn readiness(watching: Watching, hub: Arc<Hub>, stop: CancellationToken) {
    loop {
        let waits = watching.waits_for();
        hub.set_unready(waits.map(|what| format!("{what} were not read yet")));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(READY_EVERY) => {}
        }
    }
}
