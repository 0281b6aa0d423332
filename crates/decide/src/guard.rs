//! The guardrails, one file each: every change of a count is named.

mod bounds;
mod budget;
mod cooldown;
mod demotion;
mod floor;
mod freeze;
mod freshness;
mod stabilization;
mod step_limit;

use crate::contract::{Part, ReplicaState, Timestamp};
use crate::explanation::{Clamp, Guard};
use crate::rules::Rules;
use crate::state::PartState;

/// One part's decision as the guards see it.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) now: Timestamp,
    pub(crate) part: &'a Part,
    pub(crate) replicas: &'a ReplicaState,
    pub(crate) rules: &'a Rules,
    /// Share of the violation budget that is gone.
    pub(crate) budget_spent: f64,
    /// HPA's full rule at the target utilisation.
    pub(crate) reactive: u32,
    /// The floor in force.
    pub(crate) floor: u32,
    /// Every signal with a capacity is ok.
    pub(crate) data_ok: bool,
    /// Only the live floor holds: a forecast decides.
    pub(crate) hotter: bool,
    /// Policies may go beyond the reactive rule.
    pub(crate) beyond_reactive: bool,
    /// The largest count that policies without forecasts ask for.
    pub(crate) without_forecast: Option<u32>,
    pub(crate) state: &'a mut PartState,
}

/// A guard's objection: the count that it allows instead, and why.
type Objection = Option<(u32, String)>;
type Rule = fn(&mut Case<'_>, u32) -> Objection;

/// In the order of [`Guard`], and the bounds once before: a count that is above the maximum already, because somebody
/// scaled it or lowered the maximum, is taken away as carefully as any other.
const RULES: [(Guard, Rule); 10] = [
    (Guard::Demotion, demotion::check),
    (Guard::Floor, floor::check),
    (Guard::Budget, budget::check),
    (Guard::Stabilization, stabilization::check),
    (Guard::Bounds, bounds::of_what_is_asked),
    (Guard::Cooldown, cooldown::check),
    (Guard::StepLimit, step_limit::check),
    (Guard::Freeze, freeze::check),
    (Guard::Freshness, freshness::check),
    (Guard::Bounds, bounds::of_what_is_left),
];

/// Lets every guard look at `count` in turn, and lists those that changed it.
pub(crate) fn pass(case: &mut Case<'_>, mut count: u32) -> (u32, Vec<Clamp>) {
    let mut clamps = Vec::new();
    for (guard, rule) in RULES {
        if let Some((to, reason)) = rule(case, count).filter(|(to, _)| *to != count) {
            clamps.push(Clamp {
                guard,
                from: count,
                to,
                reason,
            });
            count = to;
        }
    }
    (count, clamps)
}

#[cfg(test)]
mod tests;
