//! What is recommended, for those who act themselves: KEDA and HorizontalPodAutoscalers.
//!
//! Every replica observes and decides, so every replica answers by its own newest decision; none asks another, and the
//! lease plays no part. Where two differ for a while, because one has just started, an autoscaler keeps the higher count:
//! that is its scale-down stabilization.
//!
//! An answer is withheld whenever somebody might act on it wrongly; an autoscaler then leaves the target as it is. A need
//! for *more* replicas is passed on also while not everything is there: it rests on what is known, as in the mode Auto.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use foreshard_api::annotation;
use foreshard_api::v1alpha1::{Mode, ScalingPolicy};
use foreshard_external::{Advice, Advised, Reason, Withheld};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::shared::{Shared, Wait};
use foreshard_controller::index::Key;

/// A decision older than so many evaluation intervals is not acted on.
const INTERVALS_MAX: u32 = 2;

/// What one pass over a policy has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    /// Of the spec that it rests on.
    pub(crate) generation: i64,
    /// When, in Unix seconds.
    pub(crate) at: i64,
    /// When, by the clock that nobody sets.
    pub(crate) seen: Instant,
    /// Time between two passes at most.
    pub(crate) interval: Duration,
    /// Replicas that would be asked for; none: nothing could be decided.
    pub(crate) replicas: Option<u32>,
    /// Replicas that are asked for now.
    pub(crate) current: u32,
    /// The target has the annotation.
    pub(crate) target_paused: bool,
    /// Why not everything is there that is needed; none: it is.
    pub(crate) not_ready: Option<String>,
}

impl Decided {
    /// Nothing could be decided.
    #[must_use]
    pub(crate) fn nothing(generation: i64, at: i64, why: String) -> Self {
        Self {
            generation,
            at,
            seen: Instant::now(),
            interval: Duration::from_secs(600),
            replicas: None,
            current: 0,
            target_paused: false,
            not_ready: Some(why),
        }
    }

    /// Whether somebody who was told before should look again.
    fn tells_the_same(&self, other: &Self) -> bool {
        (self.replicas, self.target_paused) == (other.replicas, other.target_paused)
            && self.not_ready.is_some() == other.not_ready.is_some()
    }
}

/// The newest decision of each policy.
#[derive(Debug)]
pub(crate) struct Board {
    decided: RwLock<BTreeMap<Key, Decided>>,
    changed: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            decided: RwLock::default(),
            changed: watch::Sender::new(0),
        }
    }
}

impl Board {
    /// The policies that would ask for other replicas than are asked for.
    pub(crate) fn undone(&self) -> Vec<Key> {
        let all = self.decided.read().unwrap_or_else(PoisonError::into_inner);
        let undone = all.iter().filter(|(_, decided)| {
            decided
                .replicas
                .is_some_and(|count| count != decided.current)
        });
        undone.map(|(key, _)| key.clone()).collect()
    }

    /// A pass has ended.
    pub(crate) fn put(&self, key: &Key, decided: Decided) {
        let mut all = self.decided.write().unwrap_or_else(PoisonError::into_inner);
        let same = all
            .get(key)
            .is_some_and(|before| before.tells_the_same(&decided));
        all.insert(key.clone(), decided);
        drop(all);
        if !same {
            self.changed.send_modify(|count| *count += 1);
        }
    }

    /// The policy is gone.
    pub(crate) fn remove(&self, key: &Key) {
        let mut all = self.decided.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(key);
    }

    fn get(&self, key: &Key) -> Option<Decided> {
        let all = self.decided.read().unwrap_or_else(PoisonError::into_inner);
        all.get(key).cloned()
    }
}

/// Answers for one operator.
pub(crate) struct KubeAdvice(pub(crate) Arc<Shared>);

impl Advice for KubeAdvice {
    fn advise(&self, namespace: &str, policy: &str) -> Result<Advised, Withheld> {
        let indexes = &self.0.indexes;
        let object = indexes.policies.get(namespace, policy);
        let decided = self.0.board.get(&(namespace.to_owned(), policy.to_owned()));
        let facts = Facts {
            waits_for: indexes.waits_for(),
            stopped: indexes.is_stopped(),
            policy: object.as_deref().map(Told::of),
            decided: decided.as_ref(),
            now: Instant::now(),
        };
        facts.judge().map_err(|(reason, detail)| Withheld {
            namespace: namespace.to_owned(),
            policy: policy.to_owned(),
            reason,
            detail,
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.board.changed.subscribe()
    }
}

/// What the policy's object says at this moment.
#[derive(Clone, Copy, Debug)]
struct Told {
    generation: i64,
    acts: bool,
    paused: bool,
}

impl Told {
    fn of(object: &ScalingPolicy) -> Self {
        let actions = &object.spec.actions;
        Self {
            generation: object.metadata.generation.unwrap_or(0),
            acts: actions.iter().any(|action| action.mode != Mode::Observe),
            paused: annotation::is_paused(object.metadata.annotations.as_ref()),
        }
    }
}

/// All that an answer rests on.
#[derive(Clone, Debug)]
struct Facts<'a> {
    waits_for: Option<Wait>,
    stopped: bool,
    policy: Option<Told>,
    decided: Option<&'a Decided>,
    now: Instant,
}

impl Facts<'_> {
    fn judge(&self) -> Result<Advised, (Reason, String)> {
        let no = |reason, detail: String| Err((reason, detail));
        if let Some(wait) = &self.waits_for {
            return no(Reason::Starting, wait.to_string());
        }
        let Some(policy) = self.policy else {
            return no(Reason::NoPolicy, "there is no such policy".to_owned());
        };
        if self.stopped {
            let detail = format!("the ConfigMap {} stops all", annotation::KILL_SWITCH);
            return no(Reason::KillSwitch, detail);
        }
        if policy.paused {
            let detail = format!("the annotation {} is set on it", annotation::PAUSED);
            return no(Reason::Paused, detail);
        }
        if policy.acts {
            let detail =
                "its mode lets it act by itself: set the mode to Observe, so that only one acts";
            return no(Reason::ActsItself, detail.to_owned());
        }
        let Some(decided) = self.decided.filter(|it| it.generation == policy.generation) else {
            return no(Reason::Starting, "nothing was decided yet".to_owned());
        };
        if decided.target_paused {
            let detail = format!("the annotation {} is set on its target", annotation::PAUSED);
            return no(Reason::Paused, detail);
        }
        let age = self.now.saturating_duration_since(decided.seen);
        if age > decided.interval * INTERVALS_MAX {
            let detail = format!("the newest decision is {} s old", age.as_secs());
            return no(Reason::Stale, detail);
        }
        let why = || decided.not_ready.clone().unwrap_or_default();
        match decided.replicas {
            None => no(Reason::NotReady, format!("nothing is decided: {}", why())),
            Some(count) if decided.not_ready.is_some() && count <= decided.current => {
                no(Reason::NotReady, format!("not ready: {}", why()))
            }
            Some(replicas) => Ok(Advised {
                replicas,
                decided_at: decided.at,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided() -> Decided {
        Decided {
            generation: 3,
            at: 1000,
            seen: Instant::now(),
            interval: Duration::from_secs(15),
            replicas: Some(7),
            current: 5,
            target_paused: false,
            not_ready: None,
        }
    }

    /// What is answered after a change of what is fine otherwise, so many seconds after the decision.
    fn answer(seconds: u64, change: impl Fn(&mut Facts<'_>, &mut Decided)) -> Result<u32, Reason> {
        let told = Told {
            generation: 3,
            acts: false,
            paused: false,
        };
        let mut decided = decided();
        let mut facts = Facts {
            waits_for: None,
            stopped: false,
            policy: Some(told),
            decided: None,
            now: decided.seen + Duration::from_secs(seconds),
        };
        change(&mut facts, &mut decided);
        let facts = Facts {
            decided: Some(&decided),
            ..facts
        };
        facts
            .judge()
            .map(|advised| advised.replicas)
            .map_err(|(reason, _)| reason)
    }

    #[test]
    fn only_a_fresh_decision_that_may_be_acted_on_is_given() {
        assert_eq!(answer(0, |_, _| {}), Ok(7));
        assert_eq!(answer(30, |_, _| {}), Ok(7));
        assert_eq!(answer(31, |_, _| {}), Err(Reason::Stale));
        let told = |change: fn(&mut Told)| {
            answer(0, |facts, _| {
                facts.policy.as_mut().map(change).unwrap();
            })
        };
        assert_eq!(told(|it| it.paused = true), Err(Reason::Paused));
        assert_eq!(told(|it| it.acts = true), Err(Reason::ActsItself));
        assert_eq!(
            told(|it| it.generation = 4),
            Err(Reason::Starting),
            "what was decided by another spec is not acted on"
        );
        assert_eq!(
            answer(0, |facts, _| facts.stopped = true),
            Err(Reason::KillSwitch)
        );
        assert_eq!(
            answer(0, |facts, _| facts.policy = None),
            Err(Reason::NoPolicy)
        );
        assert_eq!(
            answer(0, |facts, _| {
                facts.policy = None;
                facts.waits_for = Some(Wait::NotRead("scalingpolicies"));
            }),
            Err(Reason::Starting),
            "before all was read nobody knows which there are"
        );
        assert_eq!(
            answer(0, |_, decided| decided.target_paused = true),
            Err(Reason::Paused)
        );
        assert_eq!(
            answer(0, |_, decided| decided.replicas = None),
            Err(Reason::NotReady)
        );
    }

    #[test]
    fn what_is_not_ready_never_shrinks_and_may_grow() {
        for (current, expected) in [
            (5, Ok(7)),
            (7, Err(Reason::NotReady)),
            (9, Err(Reason::NotReady)),
        ] {
            let seen = answer(0, |_, decided| {
                decided.current = current;
                decided.not_ready = Some("signal demand has no samples".to_owned());
            });
            assert_eq!(seen, expected, "{current}");
        }
    }

    #[test]
    fn who_listens_is_told_of_changes_only() {
        let (board, key) = (Board::default(), ("shop".to_owned(), "web".to_owned()));
        let changes = || *board.changed.borrow();
        board.put(&key, decided());
        let later = Decided {
            at: 1015,
            current: 7,
            ..decided()
        };
        board.put(&key, later);
        assert_eq!(changes(), 1);
        let more = Decided {
            replicas: Some(8),
            ..decided()
        };
        board.put(&key, more);
        assert_eq!(changes(), 2);
        board.remove(&key);
        assert_eq!(board.get(&key), None);
    }
}
