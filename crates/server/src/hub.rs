//! All that the API serves, and how it is fed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    },
    time::Instant,
};

use foreshard_decide::{DecisionRecord, contract};
use foreshard_listener::Places;
use tokio::sync::{Semaphore, watch};

use crate::{
    access::Access,
    backtests::Backtests,
    board::{Activation, Board},
    decisions::{Decisions, Filter, Kept},
    events::Events,
    ids::Id,
    jobs::Jobs,
    limits::Limits,
    memory_store::MemoryStore,
    metrics::Metrics,
    name::Name,
    orders::Orders,
    policies::Policies,
    rates::Rates,
    store::ModuleStore,
    strangers::Strangers,
    view::{
        ActivePolicy, Point, PolicyModule, PolicyState, Recommendation, RecommendationObject,
        Target,
    },
};

/// Every namespace, the ports, and what they share.
pub struct Hub {
    namespaces: RwLock<BTreeMap<Name, Arc<Namespace>>>,
    awaited: BTreeSet<Name>,
    unready: Mutex<Option<String>>,
    pub(crate) ports: Ports,
    pub(crate) limits: Limits,
    /// By user.
    pub(crate) uploads: Places<String>,
    pub(crate) checks: Arc<Semaphore>,
    pub(crate) questions: Arc<Semaphore>,
    /// By user.
    pub(crate) listeners: Places<String>,
    pub(crate) metrics: Metrics,
    /// None: callers are not told apart.
    pub(crate) rates: Option<Rates>,
    pub(crate) strangers: Strangers,
    /// None: no backtests are run here.
    pub(crate) jobs: Option<Jobs>,
    closing: watch::Sender<bool>,
    more_metrics: OnceLock<MoreMetrics>,
}

type MoreMetrics = Box<dyn Fn() -> String + Send + Sync>;

/// What the server needs of the world around it.
pub struct Ports {
    /// Who calls, and what they may do.
    pub access: Arc<dyn Access>,
    /// The policy host.
    pub policies: Arc<dyn Policies>,
    /// Where modules are kept.
    pub modules: Arc<dyn ModuleStore>,
    /// How a target comes to follow another policy.
    pub activation: ActivationBy,
    /// Where approvals and overrides go; none: there are none here.
    pub orders: Option<Arc<dyn Orders>>,
    /// Who runs backtests; none: nobody does.
    pub backtests: Option<Arc<dyn Backtests>>,
    /// The names, besides IP addresses and `localhost`, under which browsers may call a server that asks for no token.
    pub host_names: Vec<String>,
}

/// How a target comes to follow another policy.
#[derive(Clone)]
pub enum ActivationBy {
    /// By the route, with a module of this store.
    Route(Arc<MemoryStore>),
    /// By a change of its ScalingPolicy, which the route only spells out.
    Patch,
}

impl Hub {
    /// A server that knows these namespaces from the beginning: it is not ready before each has a target, and they
    /// stay when they have none. Others come with their first target and go with their last.
    #[must_use]
    pub fn new(
        ports: Ports,
        namespaces: impl IntoIterator<Item = Name>,
        limits: Limits,
    ) -> Arc<Self> {
        let metrics = Metrics::new();
        let awaited: BTreeSet<Name> = namespaces.into_iter().collect();
        let namespace = |name: &Name| {
            let namespace = Namespace::new(name.clone(), limits, metrics.clone());
            (name.clone(), namespace)
        };
        // Where callers are not told apart, all are one user.
        let told_apart = ports.access.asks_for_token();
        let places = |all, of_user| Places::new(all, if told_apart { of_user } else { all });
        let open = limits.backtests;
        let open = if told_apart {
            open.open_of_user_max
        } else {
            open.open_max
        };
        let runner = ports.backtests.clone();
        let jobs = runner.map(|runner| Jobs::new(runner, limits.backtests, open));
        Arc::new(Self {
            namespaces: RwLock::new(awaited.iter().map(namespace).collect()),
            awaited,
            unready: Mutex::default(),
            rates: told_apart.then(|| Rates::new(limits.requests, limits.changes)),
            strangers: Strangers::new(&limits),
            jobs,
            ports,
            limits,
            uploads: places(limits.uploads_max, limits.uploads_of_user_max),
            checks: Arc::new(Semaphore::new(limits.checks_max)),
            questions: Arc::new(Semaphore::new(limits.questions_max)),
            listeners: places(limits.listeners_max, limits.listeners_of_user_max),
            metrics,
            closing: watch::Sender::new(false),
            more_metrics: OnceLock::new(),
        })
    }

    /// The namespace of this name, if something is known of it.
    #[must_use]
    pub fn namespace(&self, name: &Name) -> Option<Arc<Namespace>> {
        read(&self.namespaces).get(name).cloned()
    }

    /// Takes in what an evaluation brought and tells those who listen; a new namespace or target begins with it.
    pub fn publish(&self, namespace: &Name, update: Update) {
        // Under the lock, so that a namespace that is just removed does not take it with it.
        if let Some(known) = read(&self.namespaces).get(namespace) {
            return known.publish(update);
        }
        let mut namespaces = write(&self.namespaces);
        let known = namespaces.entry(namespace.clone()).or_insert_with(|| {
            Namespace::new(namespace.clone(), self.limits, self.metrics.clone())
        });
        known.publish(update);
    }

    /// [`Namespace::follows`] of a namespace that may be gone.
    pub fn follows(&self, namespace: &Name, target: &str, policy: ActivePolicy, at: f64) {
        let namespace = read(&self.namespaces).get(namespace).cloned();
        if let Some(namespace) = namespace {
            namespace.follows(target, policy, at);
        }
    }

    /// Forgets a target: its points, forecasts and metrics; its decisions stay as long as there is another target in
    /// the namespace. Answers whether it was known.
    pub fn remove_target(&self, namespace: &Name, target: &str) -> bool {
        let mut namespaces = write(&self.namespaces);
        let Some(known) = namespaces.get(namespace) else {
            return false;
        };
        let removed = known.remove_target(target);
        if known.is_empty() && !self.awaited.contains(namespace) {
            known.end();
            namespaces.remove(namespace);
        }
        removed
    }

    /// Shows the metrics of whoever feeds this server beside its own: a whole text in the format of OpenMetrics. Only the
    /// first call counts.
    pub fn add_metrics(&self, text: impl Fn() -> String + Send + Sync + 'static) {
        // A second one is refused by the cell.
        let _ = self.more_metrics.set(Box::new(text));
    }

    /// All metrics, as OpenMetrics.
    pub(crate) fn metrics_text(&self) -> Result<String, std::fmt::Error> {
        let own = self.metrics.text()?;
        let Some(more) = self.more_metrics.get() else {
            return Ok(own);
        };
        // Each text ends with the mark of its end; there is one.
        Ok(own.trim_end_matches("# EOF\n").to_owned() + &more())
    }

    /// Says why the server is not ready yet, or, with none, that it is. It is from the beginning.
    pub fn set_unready(&self, because: Option<String>) {
        *lock(&self.unready) = because;
    }

    pub(crate) fn names(&self) -> Vec<Name> {
        read(&self.namespaces).keys().cloned().collect()
    }

    /// Why the server is not ready, if it is not.
    pub(crate) fn waits_for(&self) -> Option<String> {
        if let Some(because) = lock(&self.unready).clone() {
            return Some(because);
        }
        let namespaces = read(&self.namespaces);
        let is_empty = |name: &&Name| namespaces.get(*name).is_none_or(|it| it.is_empty());
        let empty = self.awaited.iter().find(is_empty);
        empty.map(|name| format!("nothing is known of namespace {name} yet"))
    }

    /// Ends every event stream, so that the server can stop.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }
}

/// The targets and decisions of one namespace.
pub struct Namespace {
    name: Name,
    limits: Limits,
    boards: RwLock<BTreeMap<String, Arc<Board>>>,
    decisions: Mutex<Decisions>,
    pub(crate) events: Events,
    metrics: Metrics,
    ended: watch::Sender<bool>,
}

/// What one evaluation of a target brings.
pub struct Update {
    /// As it is now.
    pub target: Target,
    /// Points of its parts.
    pub points: Vec<(String, Point)>,
    /// The newest forecasts; none: those of before still hold.
    pub forecasts: Option<Arc<Vec<contract::Forecast>>>,
    /// Where the history of its load can be read; none: that of before, or else its points.
    pub history: Option<Arc<dyn History>>,
    /// What was decided.
    pub decision: Option<Decision>,
}

/// The history of a target's load, which whoever measures it keeps.
pub trait History: Send + Sync + 'static {
    /// What is known of the load of a part: the beginning of each bin in Unix seconds, ascending, and the mean over it.
    fn load(&self, part: &str) -> Vec<(i64, f64)>;
}

/// One decision.
pub struct Decision {
    /// Name of the module that had the say.
    pub policy: String,
    /// All of it.
    pub record: Arc<DecisionRecord>,
    /// The ScalingRecommendation that stands for it in the cluster; none: it is not worth one, or there are none here.
    pub object: Option<RecommendationObject>,
}

impl Namespace {
    fn new(name: Name, limits: Limits, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            name,
            limits,
            boards: RwLock::default(),
            decisions: Mutex::new(Decisions::new(limits.retention)),
            events: Events::new(),
            metrics,
            ended: watch::Sender::new(false),
        })
    }

    /// [`Hub::publish`] for a namespace that stays.
    pub fn publish(&self, update: Update) {
        let target = Arc::new(update.target);
        let board = self.board_of(&target);
        board.set_target(Arc::clone(&target));
        for (part, point) in update.points {
            board.push(&part, point, self.limits.points_max);
        }
        if let Some(history) = update.history {
            board.set_history(history);
        }
        if let Some(forecasts) = update.forecasts {
            board.set_forecasts(forecasts);
        }
        self.metrics.show(self.name.as_ref(), &target);
        if let Some(Decision {
            policy,
            record,
            object,
        }) = update.decision
        {
            let summary = Recommendation {
                object,
                ..Recommendation::of(&target.name, policy, &record)
            };
            let summary = lock(&self.decisions).push(summary, record);
            self.metrics.decided(self.name.as_ref(), &summary);
            if summary.changed {
                self.events.send("decision", &*summary);
            }
        }
        self.events.tick(Instant::now(), &*target);
    }

    /// The policy that the target is to follow and does not yet.
    #[must_use]
    pub fn asked_policy(&self, target: &str) -> Option<Activation> {
        self.board(target)?.asked()
    }

    /// Says that the target follows the policy since `at` (Unix seconds).
    pub fn policy_acts(&self, target: &str, activation: &Activation, at: f64) {
        if let Some(board) = self.board(target) {
            let state = board.acts(activation, at);
            self.tell_policy(target, &state);
        }
    }

    /// Says who decides for a target at `at` (Unix seconds), where that is not for the API to change.
    pub fn follows(&self, target: &str, policy: ActivePolicy, at: f64) {
        let state = self.board(target).and_then(|it| it.shows(policy, at));
        if let Some(state) = state {
            self.tell_policy(target, &state);
        }
    }

    pub(crate) fn ask_policy(&self, board: &Board, activation: Activation) -> PolicyState {
        let state = board.ask(activation);
        self.tell_policy(&board.target().name, &state);
        state
    }

    fn tell_policy(&self, target: &str, state: &PolicyState) {
        let event = serde_json::json!({ "target": target, "policy": state });
        self.events.send("policy", &event);
    }

    pub(crate) fn stored(&self, module: &PolicyModule) {
        self.events.send("module", module);
    }

    fn is_empty(&self) -> bool {
        read(&self.boards).is_empty()
    }

    fn remove_target(&self, target: &str) -> bool {
        let removed = write(&self.boards).remove(target);
        if let Some(board) = &removed {
            self.metrics.forget(self.name.as_ref(), &board.target());
            self.events
                .send("gone", &serde_json::json!({ "target": target }));
        }
        removed.is_some()
    }

    /// Ends the event streams of a namespace that goes.
    fn end(&self) {
        self.ended.send_replace(true);
    }

    pub(crate) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        let boards = read(&self.boards);
        boards.values().map(|board| board.target()).collect()
    }

    pub(crate) fn board(&self, target: &str) -> Option<Arc<Board>> {
        let boards = read(&self.boards);
        boards.get(target).cloned()
    }

    /// The name of a target that follows the module.
    pub(crate) fn follower(&self, module: &str) -> Option<String> {
        let boards = read(&self.boards);
        let follower = boards.iter().find(|(_, board)| board.follows(module));
        follower.map(|(target, _)| target.clone())
    }

    fn board_of(&self, target: &Arc<Target>) -> Arc<Board> {
        self.board(&target.name).unwrap_or_else(|| {
            let mut boards = write(&self.boards);
            let new = || Arc::new(Board::new(Arc::clone(target)));
            Arc::clone(boards.entry(target.name.clone()).or_insert_with(new))
        })
    }

    pub(crate) fn recommendations(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Vec<Arc<Recommendation>> {
        lock(&self.decisions).list(filter, limit)
    }

    /// What an id of a decision stands for.
    pub(crate) fn read_id(&self, id: &str) -> Id {
        lock(&self.decisions).read_id(id)
    }

    pub(crate) fn recommendation(&self, number: u64) -> Option<Kept> {
        lock(&self.decisions).get(number)
    }

    pub(crate) fn recommendation_of(&self, object: &str) -> Option<Kept> {
        lock(&self.decisions).of_object(object)
    }
}

/// No section under these locks can panic half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
