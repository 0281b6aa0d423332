//! All of it, wired together.

use std::sync::Arc;
use std::time::Duration;

use foreshard_api::v1alpha1::TopoServer;
use foreshard_controller::index::{Index, Key, Watched};
use foreshard_controller::lease::{Claim, Keeper};
use foreshard_controller::supervisor::{Assignment, supervise};
use kube::core::NamespaceResourceScope;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::TOPO_SERVER_MANAGER;
use crate::apply::Writer;
use crate::names::{self, Addresses};
use crate::shared::{Shared, members};
use crate::topo_server::worker::Worker;
use foreshard_controller::wakes::Wakes;

/// The lease that the controllers of clusters share.
pub const LEASE: &str = "foreshard-cluster";

/// Between two looks at who holds the lease.
const CLAIM_EVERY: Duration = Duration::from_secs(1);

/// How the controllers work.
#[derive(Clone)]
pub struct Config {
    /// Their own namespace: the lease is there.
    pub namespace: String,
    /// This replica's name.
    pub identity: String,
    /// Only objects of this namespace are looked at; none: of all.
    pub watch_namespace: Option<String>,
    /// Whether a lease says who writes; else this process does.
    pub leader_election: bool,
    /// How members are reached.
    pub addresses: Arc<dyn Addresses>,
    /// Time between two looks at a cluster that is as it is wanted.
    pub look_every: Duration,
}

/// The controllers, ready to run.
pub struct ClusterOperator {
    shared: Arc<Shared>,
    keeper: Option<Keeper>,
    watch_namespace: Option<String>,
    look_every: Duration,
}

/// Whether everything was read once.
#[derive(Clone)]
pub struct Watching(Arc<Shared>);

impl Watching {
    /// What was not read yet; none: all was.
    #[must_use]
    pub fn waits_for(&self) -> Option<&'static str> {
        self.0.waits_for()
    }
}

impl ClusterOperator {
    /// Makes everything and starts nothing.
    #[must_use]
    pub fn new(config: &Config, client: Client) -> Self {
        let (keeper, claim) = if config.leader_election {
            let (keeper, claim) =
                Keeper::new(client.clone(), &config.namespace, LEASE, &config.identity);
            (Some(keeper), claim)
        } else {
            (None, Claim::always())
        };
        let reporter = Reporter {
            controller: TOPO_SERVER_MANAGER.to_owned(),
            instance: Some(config.identity.clone()),
        };
        let wakes = Arc::new(Wakes::default());
        let of_objects = Arc::clone(&wakes);
        let topo_servers = Index::new(
            |old: &TopoServer, new: &TopoServer| {
                old.spec != new.spec
                    || old.metadata.annotations != new.metadata.annotations
                    || old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
            },
            |_| {},
            move |key, _| of_objects.ring(key),
        );
        let shared = Shared {
            writer: Writer::new(client.clone(), claim.clone(), TOPO_SERVER_MANAGER),
            recorder: Recorder::new(client.clone(), reporter),
            addresses: Arc::clone(&config.addresses),
            topo_servers,
            pods: members(&wakes, |old, new| old != new),
            claims: members(&wakes, |old, new| old != new),
            services: members(&wakes, |old, new| old != new),
            // Its status counts pods, which are watched themselves.
            budgets: members(&wakes, |old, new| {
                old.spec != new.spec || old.metadata.labels != new.metadata.labels
            }),
            wakes,
            claim,
            client,
        };
        Self {
            shared: Arc::new(shared),
            keeper,
            watch_namespace: config.watch_namespace.clone(),
            look_every: config.look_every,
        }
    }

    /// Tells whether everything was read once.
    #[must_use]
    pub fn watching(&self) -> Watching {
        Watching(Arc::clone(&self.shared))
    }

    /// Runs until `stop`: then workers end first, and the lease is released last.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            shared,
            keeper,
            watch_namespace,
            look_every,
        } = self;
        let release = CancellationToken::new();
        let lease = keeper.map(|keeper| tokio::spawn(keeper.run(release.clone())));
        let mut tasks = JoinSet::new();
        let scope = Scope {
            client: shared.client.clone(),
            namespace: watch_namespace,
        };
        let all = watcher::Config::default().page_size(500);
        let of_members = all.clone().labels(&names::selector());
        scope.watch(&mut tasks, &shared.topo_servers, &all, &stop);
        scope.watch(&mut tasks, &shared.pods, &of_members, &stop);
        scope.watch(&mut tasks, &shared.claims, &of_members, &stop);
        scope.watch(&mut tasks, &shared.services, &of_members, &stop);
        scope.watch(&mut tasks, &shared.budgets, &of_members, &stop);
        tasks.spawn(take_over(Arc::clone(&shared), stop.clone()));
        let topo_servers = Arc::clone(&shared.topo_servers);
        let worker = |of: Assignment, stopped| {
            Worker::new(of.key, Arc::clone(&shared), look_every).run(of.breaks, stopped)
        };
        let broke = |(namespace, name): &Key, error: &JoinError| {
            tracing::error!(namespace, name, %error, "a worker broke and is started again");
        };
        supervise(topo_servers, stop, worker, |_| {}, broke).await;
        while tasks.join_next().await.is_some() {}
        release.cancel();
        if let Some(lease) = lease
            && let Err(error) = lease.await
        {
            tracing::error!(%error, "the lease's task broke");
        }
    }
}

/// Has every cluster looked at as soon as this replica may write.
async fn take_over(shared: Arc<Shared>, stop: CancellationToken) {
    let mut led = shared.claim.holds();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CLAIM_EVERY) => {}
        }
        let leads = shared.claim.holds();
        if leads && !led {
            shared.wakes.all();
        }
        led = leads;
    }
}

/// Which objects are looked at.
struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    fn watch<K>(
        &self,
        tasks: &mut JoinSet<()>,
        index: &Arc<Index<K>>,
        config: &watcher::Config,
        stop: &CancellationToken,
    ) where
        K: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        let client = self.client.clone();
        let api = match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        tasks.spawn(Arc::clone(index).keep(api, config.clone(), stop.clone()));
    }
}
