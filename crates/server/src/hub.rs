//! All that the API serves, and how it is fed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Instant,
};

use bytes::Bytes;
use foreshard_decide::{DecisionRecord, contract};
use tokio::sync::{Semaphore, watch};

use crate::{
    board::{Activation, Board},
    decisions::{Decisions, Filter, Kept},
    events::Events,
    limits::Limits,
    metrics::Metrics,
    name::Name,
    policies::{Modules, Policies, Refused, StoreError, Stored},
    view::{Point, PolicyModule, PolicyState, Recommendation, Target},
};

/// Every namespace, the policy host, and what they share.
pub struct Hub {
    namespaces: BTreeMap<Name, Arc<Namespace>>,
    pub(crate) policies: Arc<dyn Policies>,
    pub(crate) limits: Limits,
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) checks: Arc<Semaphore>,
    pub(crate) questions: Arc<Semaphore>,
    pub(crate) listeners: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    pub(crate) host_names: Vec<String>,
    closing: watch::Sender<bool>,
}

impl Hub {
    /// A server of these namespaces. `host_names` are the names, besides IP addresses and `localhost`, under which
    /// browsers may call it.
    #[must_use]
    pub fn new(
        policies: Arc<dyn Policies>,
        namespaces: impl IntoIterator<Item = Name>,
        host_names: Vec<String>,
        limits: Limits,
    ) -> Arc<Self> {
        let metrics = Metrics::new();
        let namespace = |name: Name| (name.clone(), Namespace::new(name, limits, metrics.clone()));
        Arc::new(Self {
            namespaces: namespaces.into_iter().map(namespace).collect(),
            policies,
            limits,
            uploads: Arc::new(Semaphore::new(limits.uploads_max)),
            checks: Arc::new(Semaphore::new(limits.checks_max)),
            questions: Arc::new(Semaphore::new(limits.questions_max)),
            listeners: Arc::new(Semaphore::new(limits.listeners_max)),
            metrics,
            host_names,
            closing: watch::Sender::new(false),
        })
    }

    /// The namespace of this name.
    #[must_use]
    pub fn namespace(&self, name: &Name) -> Option<Arc<Namespace>> {
        self.namespaces.get(name).cloned()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.namespaces.keys()
    }

    /// The first namespace that knows no target yet; until there is none, the server is not ready.
    pub(crate) fn waits_for(&self) -> Option<&Name> {
        let empty = self
            .namespaces
            .iter()
            .find(|(_, namespace)| namespace.targets().is_empty());
        empty.map(|(name, _)| name)
    }

    /// Ends every event stream, so that the server can stop.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }
}

/// The targets, decisions and modules of one namespace.
pub struct Namespace {
    name: Name,
    limits: Limits,
    boards: RwLock<BTreeMap<String, Arc<Board>>>,
    decisions: Mutex<Decisions>,
    modules: Mutex<Modules>,
    pub(crate) events: Events,
    metrics: Metrics,
}

/// What one evaluation of a target brings.
pub struct Update {
    /// As it is now.
    pub target: Target,
    /// Points of its parts.
    pub points: Vec<(String, Point)>,
    /// The newest forecasts; none: those of before still hold.
    pub forecasts: Option<Arc<Vec<contract::Forecast>>>,
    /// What was decided, and the name of the module that had the say.
    pub decision: Option<(String, Arc<DecisionRecord>)>,
}

impl Namespace {
    fn new(name: Name, limits: Limits, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            name,
            limits,
            boards: RwLock::default(),
            decisions: Mutex::new(Decisions::new(limits.retention)),
            modules: Mutex::default(),
            events: Events::new(),
            metrics,
        })
    }

    /// Takes in what an evaluation brought and tells those who listen.
    pub fn publish(&self, update: Update) {
        let target = Arc::new(update.target);
        let board = self.board_of(&target);
        board.set_target(Arc::clone(&target));
        for (part, point) in update.points {
            board.push(&part, point, self.limits.points_max);
        }
        if let Some(forecasts) = update.forecasts {
            board.set_forecasts(forecasts);
        }
        self.metrics.show(self.name.as_ref(), &target);
        if let Some((policy, record)) = update.decision {
            let summary = Recommendation::of(&target.name, policy, &record);
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

    /// Stores a built-in module: checked like any other, and never replaced.
    ///
    /// # Errors
    /// [`Refused`] when it is no policy, or the store has no room.
    pub fn install(
        &self,
        name: Name,
        component: Bytes,
        policies: &dyn Policies,
    ) -> Result<PolicyModule, Refused> {
        let policy = policies.admit(&component)?;
        let stored = Stored::new(&name, component, policy, true);
        let module = stored.module.clone();
        let put = self.modules().put(name, stored, &self.limits);
        put.map_err(|error| Refused::Unavailable(error.to_string()))?;
        Ok(module)
    }

    pub(crate) fn put_module(&self, name: Name, stored: Stored) -> Result<bool, StoreError> {
        let module = stored.module.clone();
        let is_new = self.modules().put(name, stored, &self.limits)?;
        self.events.send("module", &module);
        Ok(is_new)
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

    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        let boards = self.boards.read().unwrap_or_else(PoisonError::into_inner);
        boards.values().map(|board| board.target()).collect()
    }

    pub(crate) fn board(&self, target: &str) -> Option<Arc<Board>> {
        let boards = self.boards.read().unwrap_or_else(PoisonError::into_inner);
        boards.get(target).cloned()
    }

    /// The name of a target that follows the module.
    pub(crate) fn follower(&self, module: &str) -> Option<String> {
        let boards = self.boards.read().unwrap_or_else(PoisonError::into_inner);
        let follower = boards.iter().find(|(_, board)| board.follows(module));
        follower.map(|(target, _)| target.clone())
    }

    fn board_of(&self, target: &Arc<Target>) -> Arc<Board> {
        self.board(&target.name).unwrap_or_else(|| {
            let mut boards = self.boards.write().unwrap_or_else(PoisonError::into_inner);
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

    pub(crate) fn recommendation(&self, id: u64) -> Option<Kept> {
        lock(&self.decisions).get(id)
    }

    pub(crate) fn modules(&self) -> MutexGuard<'_, Modules> {
        lock(&self.modules)
    }
}

/// No section under these locks can panic half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
