//! All of it, wired together.

use std::sync::Arc;
use std::time::Duration;

use foreshard_controller::index::{Index, Key, Watched};
use foreshard_controller::lease::{Claim, Keeper};
use foreshard_controller::supervisor::{Assignment, supervise};
use foreshard_controller::wakes::Wakes;
use kube::core::NamespaceResourceScope;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::apply::Writer;
use crate::cluster::reach::{Reach, Ways};
use crate::metrics::Metrics;
use crate::names::{self, Addresses};
use crate::shared::{Shared, Turns, Writers};
use crate::worker::{Pass, Rounds};
use crate::{
    CLUSTER_MANAGER, GATE_POOL_MANAGER, INITIAL_MANAGER, SHARD_MANAGER, TABLET_POOL_MANAGER,
    TOPO_SERVER_MANAGER,
};
use crate::{cluster, gate_pool, shard, tablet_pool, topo_server};

mod indexes;

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
    /// How members of etcd are reached.
    pub addresses: Arc<dyn Addresses>,
    /// How vtctlds and gateways are reached.
    pub reach: Arc<dyn Reach>,
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
            controller: CLUSTER_MANAGER.to_owned(),
            instance: Some(config.identity.clone()),
        };
        let metrics = Metrics::new();
        let writer = |manager| Writer::new(client.clone(), claim.clone(), manager, metrics.clone());
        let writers = Writers {
            cluster: writer(CLUSTER_MANAGER),
            shard: writer(SHARD_MANAGER),
            tablet_pool: writer(TABLET_POOL_MANAGER),
            gate_pool: writer(GATE_POOL_MANAGER),
            initial: writer(INITIAL_MANAGER),
        };
        let indexes = indexes::Indexes::default();
        let shared = Shared {
            writer: writer(TOPO_SERVER_MANAGER),
            writers,
            recorder: Recorder::new(client.clone(), reporter),
            addresses: Arc::clone(&config.addresses),
            ways: Ways::new(Arc::clone(&config.reach)),
            turns: Turns::default(),
            topo_servers: indexes.topo_servers(),
            clusters: indexes.clusters(),
            shards: indexes.shards(),
            tablet_pools: indexes.tablet_pools(),
            gate_pools: indexes.gate_pools(),
            pods: indexes.members(|old, new| old != new),
            claims: indexes.members(|old, new| old != new),
            deployments: indexes.parts(|old, new| old != new),
            jobs: indexes.jobs(),
            services: indexes.members(|old, new| old != new),
            // Its status counts pods, which are watched themselves.
            budgets: indexes.members(|old, new| {
                old.spec != new.spec || old.metadata.labels != new.metadata.labels
            }),
            policies: indexes.parts(|old, new| old != new),
            wakes: indexes.wakes,
            metrics,
            namespace: config.namespace.clone(),
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

    /// Its metrics.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics.clone()
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
        let ours = all.clone().labels(&names::selector());
        scope.watch(&mut tasks, &shared.topo_servers, &all, &stop);
        scope.watch(&mut tasks, &shared.clusters, &all, &stop);
        scope.watch(&mut tasks, &shared.shards, &all, &stop);
        scope.watch(&mut tasks, &shared.tablet_pools, &all, &stop);
        scope.watch(&mut tasks, &shared.gate_pools, &all, &stop);
        scope.watch(&mut tasks, &shared.pods, &ours, &stop);
        scope.watch(&mut tasks, &shared.claims, &ours, &stop);
        scope.watch(&mut tasks, &shared.deployments, &ours, &stop);
        scope.watch(&mut tasks, &shared.jobs, &ours, &stop);
        scope.watch(&mut tasks, &shared.services, &ours, &stop);
        scope.watch(&mut tasks, &shared.budgets, &ours, &stop);
        scope.watch(&mut tasks, &shared.policies, &ours, &stop);
        tasks.spawn(take_over(Arc::clone(&shared), stop.clone()));
        let crew = Crew {
            shared: &shared,
            look_every,
            stop: &stop,
        };
        let (wakes, index) = (&shared.wakes, &shared);
        tokio::join!(
            crew.work(
                &index.topo_servers,
                &wakes.topo_servers,
                topo_server::worker::Worker::new
            ),
            crew.work(
                &index.clusters,
                &wakes.clusters,
                cluster::worker::Worker::new
            ),
            crew.work(&index.shards, &wakes.shards, shard::worker::Worker::new),
            crew.work(
                &index.tablet_pools,
                &wakes.tablet_pools,
                tablet_pool::worker::Worker::new
            ),
            crew.work(
                &index.gate_pools,
                &wakes.gate_pools,
                gate_pool::worker::Worker::new
            ),
        );
        while tasks.join_next().await.is_some() {}
        release.cancel();
        if let Some(lease) = lease
            && let Err(error) = lease.await
        {
            tracing::error!(%error, "the lease's task broke");
        }
    }
}

/// Keeps one worker for each object.
struct Crew<'a> {
    shared: &'a Arc<Shared>,
    look_every: Duration,
    stop: &'a CancellationToken,
}

impl Crew<'_> {
    async fn work<K: Watched, P: Pass + 'static>(
        &self,
        index: &Arc<Index<K>>,
        wakes: &Arc<Wakes>,
        worker: fn(Key, Arc<Shared>) -> P,
    ) {
        let work = |of: Assignment, stopped| {
            let rounds = Rounds {
                key: of.key.clone(),
                shared: Arc::clone(self.shared),
                wakes: Arc::clone(wakes),
                look_every: self.look_every,
                kind: K::kind(&()),
            };
            rounds.run(worker(of.key, Arc::clone(self.shared)), of.breaks, stopped)
        };
        let broke = |(namespace, name): &Key, error: &JoinError| {
            let kind = K::kind(&());
            tracing::error!(namespace, name, %kind, %error, "a worker broke and is started again");
        };
        supervise(Arc::clone(index), self.stop.clone(), work, |_| {}, broke).await;
    }
}

/// Has every object looked at as soon as this replica may write.
async fn take_over(shared: Arc<Shared>, stop: CancellationToken) {
    let mut led = shared.claim.holds();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CLAIM_EVERY) => {}
        }
        let leads = shared.claim.holds();
        shared.metrics.leader.set(i64::from(leads));
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
