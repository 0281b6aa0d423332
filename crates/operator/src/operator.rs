//! All of it, wired together.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use foreshard_api::annotation::KILL_SWITCH;
use foreshard_api::v1alpha1::{PolicyModule, PrometheusSource};
use foreshard_external::Advice;
use foreshard_policy::Host;
use foreshard_server::Hub;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::advice::{Board, KubeAdvice};
use crate::breaker::Slots;
use crate::external::Registration;
use crate::keeper;
use crate::malformed;
use crate::metrics::Metrics;
use crate::module_store::KubeModules;
use crate::modules::Modules;
use crate::publish::Publisher;
use crate::shared::{Indexes, Shared};
use crate::sources::{OperatorSource, Sources};
use crate::status::Drifts;
use crate::store::Store;
use crate::tally::Tally;
use crate::target::Targets;
use crate::worker::Worker;
use foreshard_controller::index::{Index, Key, Watched};
use foreshard_controller::lease::{Claim, Keeper};
use foreshard_controller::supervisor::{Assignment, supervise};
use foreshard_controller::wakes::Wakes;

/// The lease that the scaling controllers share.
pub const LEASE: &str = "foreshard-scaling";

/// How the operator works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its own namespace: lease and kill switch are there.
    pub namespace: String,
    /// This replica's name.
    pub identity: String,
    /// Only objects of this namespace are looked at; none: of all.
    pub watch_namespace: Option<String>,
    /// Whether a lease says who writes; else this process does.
    pub leader_election: bool,
    /// Sources that policies of other namespaces may use.
    pub sources: Vec<OperatorSource>,
    /// Seconds between two live samples.
    pub poll_every: Duration,
    /// Evaluations at the same time.
    pub evaluations_max: usize,
    /// Targets that shrink at the same time.
    pub shrinking_max: usize,
    /// Where what outlives the process is kept; none: nowhere.
    pub state_directory: Option<PathBuf>,
    /// The external-metrics API as the cluster is to know it; none: it is not told.
    pub external_metrics: Option<Registration>,
}

/// Why the operator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The modules that come with it cannot be loaded.
    #[error("failed to load the built-in policies: {0}")]
    Builtin(#[from] foreshard_policy::Refusal),
    /// The state directory cannot be used.
    #[error("failed to use the state directory {directory}")]
    State {
        /// Which.
        directory: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What the operator is given by whoever starts it.
pub struct Parts {
    /// To the API server.
    pub client: Client,
    /// Runs modules.
    pub host: Arc<Host>,
    /// Built-in modules: name and bytes.
    pub builtin: Vec<(&'static str, &'static [u8])>,
    /// Where the bytes of modules are.
    pub store: Arc<KubeModules>,
    /// What is served.
    pub hub: Arc<Hub>,
}

/// The operator, ready to run.
pub struct Operator {
    shared: Arc<Shared>,
    sources: Arc<Index<PrometheusSource>>,
    modules: Arc<Index<PolicyModule>>,
    loader: Arc<KubeModules>,
    keeper: Option<Keeper>,
    watch_namespace: Option<String>,
    external_metrics: Option<Registration>,
}

impl Operator {
    /// Makes everything and starts nothing.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(config: &Config, parts: Parts) -> Result<Self, StartError> {
        let Parts {
            client,
            host,
            builtin,
            store: loader,
            hub,
        } = parts;
        let wakes = Arc::new(Wakes::default());
        let of_namespace = Arc::clone(&wakes);
        let objects = Index::new(
            |old: &PrometheusSource, new| old.spec != new.spec,
            |_| {},
            move |key, _| of_namespace.namespace(&key.0),
        );
        let modules = Index::new(
            |old: &PolicyModule, new| old.spec != new.spec,
            |_| {},
            |_, _| {},
        );
        let (keeper, claim) = if config.leader_election {
            let (keeper, claim) =
                Keeper::new(client.clone(), &config.namespace, LEASE, &config.identity);
            (Some(keeper), claim)
        } else {
            (None, Claim::always())
        };
        let store = match &config.state_directory {
            None => Store::nowhere(),
            Some(directory) => Store::open(directory).map_err(|source| StartError::State {
                directory: directory.clone(),
                source,
            })?,
        };
        let reporter = Reporter {
            controller: crate::FIELD_MANAGER.to_owned(),
            instance: Some(config.identity.clone()),
        };
        let shared = Shared {
            namespace: config.namespace.clone(),
            indexes: Indexes::new(&wakes),
            targets: Targets::new(client.clone()),
            sources: Sources::new(
                client.clone(),
                Arc::clone(&objects),
                config.sources.clone(),
                config.poll_every,
                &wakes,
            ),
            modules: Modules::new(&host, &builtin, &wakes)?,
            claim,
            slots: Slots::new(config.shrinking_max),
            drifts: Drifts::default(),
            evaluations: Arc::new(Semaphore::new(config.evaluations_max.max(1))),
            fits: Arc::new(Semaphore::new((config.evaluations_max / 2).max(1))),
            recorder: Recorder::new(client.clone(), reporter),
            publisher: Publisher::new(hub),
            board: Board::default(),
            store,
            metrics: Metrics::new(),
            wakes,
            client,
        };
        Ok(Self {
            shared: Arc::new(shared),
            sources: objects,
            modules,
            loader,
            keeper,
            watch_namespace: config.watch_namespace.clone(),
            external_metrics: config.external_metrics.clone(),
        })
    }

    /// What is recommended, for those who act themselves.
    #[must_use]
    pub fn advice(&self) -> Arc<dyn Advice> {
        Arc::new(KubeAdvice(Arc::clone(&self.shared)))
    }

    /// Says at any moment whether this replica is the one that writes.
    pub fn leads(&self) -> impl Fn() -> bool + Send + use<> {
        let claim = self.shared.claim.clone();
        move || claim.holds()
    }

    /// Our own metrics.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics.clone()
    }

    /// Runs until `stop`: then workers end first, and the lease is released last.
    pub async fn run(self, stop: CancellationToken) {
        let Self {
            shared,
            sources,
            modules,
            loader,
            keeper,
            watch_namespace,
            external_metrics,
        } = self;
        let mut tasks = JoinSet::new();
        let release = CancellationToken::new();
        let lease = keeper.map(|keeper| tokio::spawn(keeper.run(release.clone())));
        let scope = Scope {
            client: shared.client.clone(),
            namespace: watch_namespace,
        };
        let indexes = &shared.indexes;
        scope.watch(&mut tasks, &indexes.policies, &stop);
        scope.watch(&mut tasks, &indexes.overrides, &stop);
        scope.watch(&mut tasks, &indexes.events, &stop);
        scope.watch(&mut tasks, &indexes.recommendations, &stop);
        scope.watch(&mut tasks, &indexes.autoscalers, &stop);
        scope.watch(&mut tasks, &sources, &stop);
        scope.watch(&mut tasks, &modules, &stop);
        let switch = Api::namespaced(shared.client.clone(), &shared.namespace);
        let only = watcher::Config::default().fields(&format!("metadata.name={KILL_SWITCH}"));
        tasks.spawn(Arc::clone(&indexes.kill_switch).keep(switch, only, stop.clone()));
        let others = malformed::Others {
            sources: Arc::clone(&sources),
            modules: Arc::clone(&modules),
        };
        tasks.spawn(malformed::tell(Arc::clone(&shared), others, stop.clone()));
        let (client, claim) = (shared.client.clone(), shared.claim.clone());
        let of_sources = Arc::clone(&shared.sources);
        tasks.spawn(keeper::sources(
            client.clone(),
            sources,
            of_sources,
            claim.clone(),
            stop.clone(),
        ));
        let of_modules = Arc::clone(&shared.modules);
        tasks.spawn(keeper::modules(
            client,
            modules,
            of_modules,
            loader,
            claim,
            stop.clone(),
        ));
        tasks.spawn(oversee(Arc::clone(&shared), stop.clone()));
        if let Some(registration) = external_metrics {
            let registrar = registration.registrar(&shared);
            tasks.spawn(registrar.keep(stop.clone()));
        }
        let policies = Arc::clone(&shared.indexes.policies);
        let worker = |of: Assignment, stopped| {
            Worker::new(of.key, of.uid, Arc::clone(&shared)).run(of.breaks, stopped)
        };
        let counted = |count| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            shared.metrics.policies.set(count);
        };
        let broke = |(namespace, policy): &Key, error: &JoinError| {
            shared.metrics.workers_broken.inc();
            tracing::error!(namespace, policy, %error, "a worker broke and is started again");
        };
        supervise(policies, stop, worker, counted, broke).await;
        while tasks.join_next().await.is_some() {}
        release.cancel();
        if let Some(lease) = lease
            && let Err(error) = lease.await
        {
            tracing::error!(%error, "the lease's task broke");
        }
    }
}

/// Which objects are looked at.
struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    fn watch<K>(&self, tasks: &mut JoinSet<()>, index: &Arc<Index<K>>, stop: &CancellationToken)
    where
        K: Watched + kube::Resource<Scope = kube::core::NamespaceResourceScope>,
    {
        let client = self.client.clone();
        let api = match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let config = watcher::Config::default().page_size(500);
        tasks.spawn(Arc::clone(index).keep(api, config, stop.clone()));
    }
}

/// Keeps readiness and the metrics of what all share true.
async fn oversee(shared: Arc<Shared>, stop: CancellationToken) {
    const EVERY: Duration = Duration::from_secs(2);
    let mut was_leader = None;
    let mut claim = shared.claim.clone();
    let mut tally = Tally::default();
    loop {
        let waits = shared.indexes.waits_for().map(|wait| wait.to_string());
        shared.publisher.hub().set_unready(waits);
        let leads = shared.claim.holds();
        shared.metrics.leader.set(i64::from(leads));
        if was_leader.replace(leads) == Some(false) && leads {
            // What was decided while another replica wrote is written now; those that have something to write go first.
            for key in shared.board.undone() {
                shared.wakes.ring(&key);
            }
            shared.wakes.all();
        }
        tally.count(&shared.metrics, &shared.sources.all());
        tokio::select! {
            () = stop.cancelled() => return,
            () = claim.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
