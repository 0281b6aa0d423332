//! API and console beside the simulation.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use foreshard_policy::Host;
use foreshard_server::{
    ActivationBy, Everybody, Hosted, Hub, Limits, MemoryStore, Name, Namespace, Ports, Refused,
    listen, serve,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::stage::NAMESPACE;
use crate::cmd::backtest::job::Runner;

/// A server that runs.
pub(crate) struct Serving {
    address: SocketAddr,
    namespace: Arc<Namespace>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Starts to serve; the built-in policies are there to be activated.
    pub(crate) async fn start(address: SocketAddr, host: &Arc<Host>) -> anyhow::Result<Self> {
        let listener = listen(address).await?;
        let address = listener.local_addr().context("asking for the port")?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                "Everybody who reaches {address} can upload policies: nothing asks who they are."
            );
        }
        let hosted = Arc::new(Hosted(Arc::clone(host)));
        let name: Name = NAMESPACE.parse()?;
        let store = MemoryStore::new([name.clone()], Limits::DEFAULT);
        let backtests = Some(Runner::this_program()? as _);
        let ports = Ports {
            access: Arc::new(Everybody),
            policies: Arc::clone(&hosted) as _,
            modules: Arc::clone(&store) as _,
            activation: ActivationBy::Route(Arc::clone(&store)),
            orders: None,
            backtests,
            host_names: Vec::new(),
        };
        let hub = Hub::new(ports, [name.clone()], Limits::DEFAULT);
        let namespace = hub
            .namespace(&name)
            .context("the namespace that was just made")?;
        tokio::task::spawn_blocking(move || install(&store, &name, &hosted)).await??;
        let (stop, stopped) = oneshot::channel();
        // A sender that is gone means the same.
        let task = tokio::spawn(serve(listener, None, hub, async {
            let _ = stopped.await;
        }));
        Ok(Self {
            address,
            namespace,
            stop,
            task,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn namespace(&self) -> Arc<Namespace> {
        Arc::clone(&self.namespace)
    }

    /// Lets open requests end, and stops.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        // The receiver is gone when the server has ended by itself; the task then says why.
        let _ = self.stop.send(());
        self.task.await.context("the server")
    }
}

fn install(store: &MemoryStore, namespace: &Name, hosted: &Hosted) -> anyhow::Result<()> {
    for name in foreshard_builtin::names() {
        let component = foreshard_builtin::component(name).unwrap_or_default();
        let installed = store.install(
            namespace,
            &name.parse()?,
            Bytes::from_static(component),
            hosted,
        );
        installed.map_err(|refused| match refused {
            Refused::Bad { detail, .. } | Refused::Unavailable(detail) => {
                anyhow::anyhow!("the built-in policy {name}: {detail}")
            }
        })?;
    }
    Ok(())
}
