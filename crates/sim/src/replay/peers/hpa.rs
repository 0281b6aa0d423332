//! Reactive scaling as Kubernetes' HorizontalPodAutoscaler does it.

use serde::{Deserialize, Serialize};

use super::super::count::SLACK;
use super::super::window::TrailingMax;
use super::super::world::{TICK_SECONDS, World};
use super::utilization;

/// Within this share of the target, the count stays.
const TOLERANCE: f64 = 0.1;
/// How long a higher recommendation stays in force, in seconds.
pub(super) const STABILIZATION_SECONDS: i64 = 300;

/// A reactive rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The defaults of Kubernetes: recommendations stay in force for 300 s.
    Hpa,
    /// Recommendations stay in force for the lag, if that is longer, so that a dip does not cancel what was just
    /// ordered.
    HpaHold,
}

impl Rule {
    /// The rule's name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hpa => "hpa",
            Self::HpaHold => "hpa-hold",
        }
    }

    fn hold_ticks(self, world: &World) -> usize {
        let hold = (STABILIZATION_SECONDS / TICK_SECONDS) as usize;
        match self {
            Self::Hpa => hold,
            Self::HpaHold => hold.max(world.lag_ticks()),
        }
    }
}

/// The counts that `rule` wants at the utilisation `0.7 / (1 + headroom)`.
pub(super) fn wanted(world: &World, rule: Rule, headroom: f64) -> Vec<u32> {
    let utilization = utilization(headroom);
    let mut wanted = world.initial();
    let mut held = TrailingMax::new(rule.hold_ticks(world));
    (world.run_start()..world.end())
        .map(|tick| {
            if let Some(seen) = world.seen(tick) {
                let used = seen.value / (utilization * world.capacity() * f64::from(wanted));
                let recommended = if (used - 1.0).abs() <= TOLERANCE + SLACK {
                    wanted
                } else {
                    world.count_at(seen.value, utilization)
                };
                held.push(tick, recommended);
                wanted = held.get(tick).unwrap_or(wanted);
            }
            wanted
        })
        .collect()
}
