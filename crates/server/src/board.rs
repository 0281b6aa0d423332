//! What is known of one target now, and the policy that is asked for.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foreshard_decide::contract;

use crate::{
    hub::History,
    policies::Policy,
    track::Track,
    view::{ActivePolicy, Columns, Point, PolicyState, Target},
};

/// A policy that a target is to follow from its next evaluation on.
#[derive(Clone, Debug)]
pub struct Activation {
    /// The stored module's name.
    pub module: String,
    /// What runs.
    pub policy: Arc<dyn Policy>,
    /// JSON.
    pub config: serde_json::Value,
}

/// One target.
pub(crate) struct Board {
    inner: Mutex<Inner>,
}

struct Inner {
    target: Arc<Target>,
    forecasts: Arc<Vec<contract::Forecast>>,
    history: Option<Arc<dyn History>>,
    tracks: BTreeMap<String, Track>,
    in_force: Option<ActivePolicy>,
    asked: Option<Activation>,
}

impl Activation {
    fn view(&self, since: Option<f64>) -> ActivePolicy {
        ActivePolicy {
            module: self.module.clone(),
            digest: self.policy.digest().to_owned(),
            config: self.config.clone(),
            since,
        }
    }
}

impl Inner {
    fn policy(&self) -> PolicyState {
        PolicyState {
            in_force: self.in_force.clone(),
            asked: self.asked.as_ref().map(|asked| asked.view(None)),
        }
    }
}

impl Board {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        let inner = Inner {
            target,
            forecasts: Arc::default(),
            history: None,
            tracks: BTreeMap::new(),
            in_force: None,
            asked: None,
        };
        Self {
            inner: Mutex::new(inner),
        }
    }

    pub(crate) fn target(&self) -> Arc<Target> {
        Arc::clone(&self.inner().target)
    }

    pub(crate) fn set_target(&self, target: Arc<Target>) {
        self.inner().target = target;
    }

    pub(crate) fn forecasts(&self) -> Arc<Vec<contract::Forecast>> {
        Arc::clone(&self.inner().forecasts)
    }

    pub(crate) fn set_forecasts(&self, forecasts: Arc<Vec<contract::Forecast>>) {
        self.inner().forecasts = forecasts;
    }

    pub(crate) fn set_history(&self, history: Arc<dyn History>) {
        self.inner().history = Some(history);
    }

    /// The load of a part as far as it is known, in the form of a trace file; none: nothing is.
    pub(crate) fn history_csv(&self, part: &str) -> Option<String> {
        let (history, points) = {
            let inner = self.inner();
            let points = inner.tracks.get(part).map(Track::load);
            (inner.history.clone(), points.unwrap_or_default())
        };
        let rows = history.map_or(points, |history| history.load(part));
        let mut csv = "timestamp,value\n".to_owned();
        for (at, value) in rows.iter().filter(|(_, value)| value.is_finite()) {
            // Writing to a string cannot fail.
            let _ = writeln!(csv, "{at},{value}");
        }
        (csv.lines().count() > 1).then_some(csv)
    }

    pub(crate) fn push(&self, part: &str, point: Point, points_max: usize) {
        let mut inner = self.inner();
        if let Some(track) = inner.tracks.get_mut(part) {
            return track.push(point);
        }
        let mut track = Track::new(points_max);
        track.push(point);
        inner.tracks.insert(part.to_owned(), track);
    }

    pub(crate) fn columns(
        &self,
        part: Option<&str>,
        since: f64,
        until: f64,
        step: f64,
    ) -> Vec<Columns> {
        let history = self.inner().history.clone();
        let inner = self.inner();
        let tracks = inner
            .tracks
            .iter()
            .filter(|(id, _)| part.is_none_or(|part| part == id.as_str()));
        tracks
            .map(|(id, track)| {
                let past = history.as_ref().map(|it| it.load(id)).unwrap_or_default();
                track.columns(id, &past, since, until, step)
            })
            .collect()
    }

    pub(crate) fn policy(&self) -> PolicyState {
        self.inner().policy()
    }

    /// Whether the module of that name acts here or is about to.
    pub(crate) fn follows(&self, module: &str) -> bool {
        let inner = self.inner();
        inner
            .in_force
            .as_ref()
            .is_some_and(|it| it.module == module)
            || inner.asked.as_ref().is_some_and(|it| it.module == module)
    }

    pub(crate) fn ask(&self, activation: Activation) -> PolicyState {
        let mut inner = self.inner();
        inner.asked = Some(activation);
        inner.policy()
    }

    pub(crate) fn asked(&self) -> Option<Activation> {
        self.inner().asked.clone()
    }

    /// The policy acts since `at`. A newer wish that came in the meantime stays.
    pub(crate) fn acts(&self, activation: &Activation, at: f64) -> PolicyState {
        let mut inner = self.inner();
        let same = |asked: &Activation| asked.view(None) == activation.view(None);
        if inner.asked.as_ref().is_some_and(same) {
            inner.asked = None;
        }
        inner.in_force = Some(activation.view(Some(at)));
        inner.policy()
    }

    /// Shows who decides, since `at` if that is news; answers the new state then.
    pub(crate) fn shows(&self, policy: ActivePolicy, at: f64) -> Option<PolicyState> {
        let mut inner = self.inner();
        let since = |it: &ActivePolicy| it.since;
        let policy = ActivePolicy {
            since: inner.in_force.as_ref().map_or(Some(at), since),
            ..policy
        };
        if inner.in_force.as_ref() == Some(&policy) {
            return None;
        }
        inner.in_force = Some(ActivePolicy {
            since: Some(at),
            ..policy
        });
        Some(inner.policy())
    }

    /// No section under this lock can panic half way.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{policy, target};

    fn activation(module: &str) -> Activation {
        Activation {
            module: module.to_owned(),
            policy: policy(module),
            config: serde_json::json!({}),
        }
    }

    #[test]
    fn a_newer_wish_survives_the_start_of_an_older_one() {
        let board = Board::new(Arc::new(target("shop")));
        board.ask(activation("a"));
        let taken = board.asked().unwrap();
        board.ask(activation("b"));
        let state = board.acts(&taken, 60.0);
        let in_force = state.in_force.map(|it| (it.module, it.since));
        assert_eq!(in_force, Some(("a".to_owned(), Some(60.0))));
        assert_eq!(board.asked().map(|it| it.module), Some("b".to_owned()));
        assert!(board.follows("a") && board.follows("b") && !board.follows("c"));
        assert_eq!(board.acts(&activation("b"), 120.0).asked, None);
        assert!(!board.follows("a"));
    }
}
