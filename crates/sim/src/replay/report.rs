//! One result: the user's policy beside its peers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::figures::Figures;
use super::peers::{Peers, Rule};
use super::play::Run;
use super::world::World;

/// The model and its version.
pub const MODEL: &str = "replay/1";
/// The name of the peer that counts.
pub const EQUAL_COST: &str = "reactive at equal cost";

/// The result of one policy on one trace at one lag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`MODEL`].
    pub model: String,
    /// The trace's name.
    pub trace: String,
    /// Step of the trace, in seconds.
    pub step_seconds: i64,
    /// From an order to its being ready, in seconds.
    pub lag_seconds: i64,
    /// Whether the step is at most half the lag; if not, the figures judge nobody.
    pub judged: bool,
    /// Load that one instance serves, in the trace's unit.
    pub capacity: f64,
    /// The first tick of the run.
    pub run_from: Timestamp,
    /// The first scored tick.
    pub scored_from: Timestamp,
    /// The end of the trace, exclusive.
    pub scored_to: Timestamp,
    /// Seed of the peer `crane`.
    pub seed: u64,
    /// The user's policy first, then its peers.
    pub policies: Vec<PolicyFigures>,
}

/// The figures of one policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyFigures {
    /// Its name.
    pub policy: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// The head-room of *reactive at equal cost*: a share, 0.15 for an aim of `0.7 / 1.15`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<f64>,
    /// The rule of *reactive at equal cost*.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
}

impl PolicyFigures {
    fn new(policy: &str, figures: Figures) -> Self {
        Self {
            policy: policy.to_owned(),
            figures,
            headroom: None,
            rule: None,
        }
    }
}

impl Report {
    /// Holds `run` of the policy `name` on the trace `trace` against its peers.
    #[must_use]
    pub fn new(trace: &str, name: &str, world: &World, run: &Run, peers: &Peers) -> Self {
        let equal = peers.at_cost_of(world, run);
        let mut policies = vec![PolicyFigures::new(name, peers.figures(world, run))];
        let listed = |(name, figures)| PolicyFigures::new(name, figures);
        policies.extend(peers.before().map(listed));
        policies.push(PolicyFigures {
            headroom: Some(equal.headroom),
            rule: Some(equal.rule),
            ..PolicyFigures::new(EQUAL_COST, equal.figures)
        });
        policies.extend(peers.after().map(listed));
        Self {
            model: MODEL.to_owned(),
            trace: trace.to_owned(),
            step_seconds: world.step_seconds(),
            lag_seconds: world.lag_seconds(),
            judged: world.judged(),
            capacity: world.capacity(),
            run_from: timestamp(world.time(world.run_start())),
            scored_from: timestamp(world.time(world.scored_start())),
            scored_to: timestamp(world.trace_end()),
            seed: world.seed(),
            policies,
        }
    }

    /// The figures of the user's policy.
    #[must_use]
    pub fn yours(&self) -> &PolicyFigures {
        &self.policies[0]
    }

    /// The figures of a peer.
    #[must_use]
    pub fn peer(&self, name: &str) -> Option<&PolicyFigures> {
        self.policies[1..].iter().find(|peer| peer.policy == name)
    }
}

/// A time as a timestamp; what lies outside its range (year -9999 to 9999) saturates.
pub(crate) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
