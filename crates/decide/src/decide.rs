//! Data → floor → verdicts → guardrails → plan, for each part that has a count.

mod asks;
mod inputs;

use crate::answer::PolicyAnswer;
use crate::contract::{Action, Context, Part, ReplicaState};
use crate::explanation::{Ask, Explanation, Floors, ForecastUsed, InputUsed, PartExplanation};
use crate::finding::{Finding, FindingCode};
use crate::guard::{self, Case};
use crate::plan::{Guarded, Plan, Step};
use crate::reactive::{Reactive, counted_action, reactive};
use crate::rules::Rules;
use crate::state::{PartState, State};
use crate::summary;

use self::asks::{Asks, collect};

/// All that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What the policies were told.
    pub context: &'a Context,
    /// The guardrails' settings.
    pub rules: &'a Rules,
    /// What is remembered of earlier decisions.
    pub state: &'a State,
    /// What the policies said, in the order in which they are bound.
    pub answers: &'a [PolicyAnswer],
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// What may be carried out.
    pub plan: Plan<Guarded>,
    /// Why.
    pub explanation: Explanation,
    /// What to remember for the next decision.
    pub state: State,
}

/// Decides. Total and deterministic: whatever is wrong becomes a finding, and what cannot be judged is held.
///
/// For every part that has a count, the count that comes out lies within the part's bounds; it is not below the
/// present one while any of its data is not ok (unless that one is above the upper bound); and while the forecast is
/// demoted, policies that use it cannot go beyond plain HPA.
#[must_use]
pub fn decide(input: Input<'_>) -> Decided {
    let mut findings: Vec<Finding> = Vec::new();
    let (asks, verdicts) = collect(input.context, input.answers, &mut findings);
    let mut state = State::default();
    let mut parts = Vec::new();
    let mut steps = asks.later;
    for part in &input.context.parts {
        let Some(replicas) = &part.replicas else {
            continue;
        };
        let before = input.state.parts.get(&part.id).cloned().unwrap_or_default();
        let own = asks.by_part.get(part.id.as_str());
        let (explained, next) = decide_part(&input, part, replicas, before, own, &mut findings);
        state.parts.insert(part.id.clone(), next);
        parts.push(explained);
    }
    steps.extend(parts.iter().map(proposed));
    let plan = Plan::proposed(steps).guarded(|step| guarded(step, &parts));
    Decided {
        explanation: Explanation {
            summary: summary::of_target(&parts),
            verdicts,
            parts,
            findings,
        },
        plan,
        state,
    }
}

fn decide_part(
    input: &Input<'_>,
    part: &Part,
    replicas: &ReplicaState,
    mut state: PartState,
    asks: Option<&Asks>,
    findings: &mut Vec<Finding>,
) -> (PartExplanation, PartState) {
    let context = input.context;
    state.settle(replicas.wanted);
    let nothing = Asks::default();
    let asks = asks.unwrap_or(&nothing);
    let inputs = inputs::used(context, part, replicas, findings);
    let reactive = reactive(context, part, replicas, input.rules, &mut state);
    let consulted = input.answers.iter().any(|answer| answer.uses_forecast);
    let mut forecasts = inputs::forecasts(context, part, replicas);
    let trust = trust(&inputs, &forecasts, replicas, consulted);
    for forecast in &mut forecasts {
        forecast.acted = consulted && trust.may_act;
    }
    demotions(part, replicas, &forecasts, consulted, findings);
    let floors = floors(&reactive, trust, consulted);
    let combined = asks.most().unwrap_or(reactive.count);
    let mut case = Case {
        now: context.now,
        part,
        replicas,
        rules: input.rules,
        budget_spent: context.objective.budget_spent,
        reactive: reactive.count,
        floor: floors.in_force,
        data_ok: reactive.data_ok,
        hotter: consulted && trust.may_undercut,
        beyond_reactive: trust.may_act || !consulted,
        without_forecast: asks.most_without_forecast(),
        state: &mut state,
    };
    let (wanted, clamps) = guard::pass(&mut case, combined);
    limits(context, part, replicas, wanted, reactive.live, findings);
    state.remember(context.now, replicas.wanted, wanted, input.rules);
    let mut explained = PartExplanation {
        part: part.id.clone(),
        action: counted_action(part).to_owned(),
        before: replicas.wanted,
        wanted,
        without_forecast: reactive.count,
        inputs,
        forecasts,
        floors,
        asks: asks.given.clone(),
        combined,
        clamps,
        summary: String::new(),
    };
    explained.summary = summary::of_part(&explained);
    (explained, state)
}

/// What the forecast is allowed.
#[derive(Clone, Copy, Debug)]
struct Trust {
    /// It may ask for more than the reactive rule.
    may_act: bool,
    /// It may ask for less: then only the live floor holds.
    may_undercut: bool,
}

fn trust(
    inputs: &[InputUsed],
    forecasts: &[ForecastUsed],
    replicas: &ReplicaState,
    consulted: bool,
) -> Trust {
    use crate::contract::Quality::{Missing, Ok, Stale};
    let reliable = !replicas.capacities.is_empty()
        && forecasts.len() == replicas.capacities.len()
        && forecasts.iter().all(|forecast| forecast.acted);
    let all = |allowed: &[crate::contract::Quality]| {
        inputs.iter().all(|input| allowed.contains(&input.quality))
    };
    Trust {
        // What is absent does not make the past untrue; what is frozen or implausible does.
        may_act: reliable && all(&[Ok, Missing, Stale]),
        may_undercut: all(&[Ok]) && (reliable || !consulted),
    }
}

fn floors(reactive: &Reactive, trust: Trust, consulted: bool) -> Floors {
    let (in_force, rule, reason) = if trust.may_undercut && reactive.data_ok {
        let why = if consulted {
            "data is ok and the forecast reliable"
        } else {
            "data is ok and no policy uses the forecast"
        };
        (reactive.live, "live", why)
    } else if reactive.data_ok {
        (reactive.count, "reactive", "the forecast is demoted")
    } else {
        (reactive.count, "reactive", "data is not ok")
    };
    Floors {
        reactive: reactive.count,
        live: reactive.live,
        in_force,
        rule: rule.to_owned(),
        reason: reason.to_owned(),
    }
}

fn demotions(
    part: &Part,
    replicas: &ReplicaState,
    forecasts: &[ForecastUsed],
    consulted: bool,
    findings: &mut Vec<Finding>,
) {
    if !consulted {
        return;
    }
    for forecast in forecasts.iter().filter(|forecast| !forecast.acted) {
        let why = forecast.reasons.join("; ");
        let message = format!("the forecast does not act, plain HPA is in force: {why}");
        let code = FindingCode::ForecastDemoted;
        findings.push(Finding::new(code, &part.id, &forecast.signal, message));
    }
    for capacity in &replicas.capacities {
        let known = forecasts
            .iter()
            .any(|forecast| forecast.signal == capacity.signal);
        if !known {
            let message = "there is no forecast, plain HPA is in force";
            let code = FindingCode::ForecastMissing;
            findings.push(Finding::new(code, &part.id, &capacity.signal, message));
        }
    }
}

fn limits(
    context: &Context,
    part: &Part,
    replicas: &ReplicaState,
    wanted: u32,
    live: u32,
    findings: &mut Vec<Finding>,
) {
    let mut found =
        |code, message: String| findings.push(Finding::new(code, &part.id, "", message));
    let (min, max) = (replicas.min, replicas.max);
    if min > max {
        let message = format!("the minimum {min} is above the maximum {max}; the minimum holds");
        found(FindingCode::InvalidBounds, message);
    }
    if live > max && wanted == max {
        let message = format!("the load needs {live} but the maximum is {max}");
        found(FindingCode::AtMaximum, message);
    }
    let spent = context.objective.budget_spent;
    if spent > 1.0 {
        let message = format!("{spent:.1} times the violation budget is spent");
        found(FindingCode::BudgetOverspent, message);
    }
}

fn counted(part: &PartExplanation, count: u32) -> Action {
    if part.action == "shard-count" {
        Action::ShardCount(count)
    } else {
        Action::Replicas(count)
    }
}

/// What policies and floor want of one part.
fn proposed(part: &PartExplanation) -> Step {
    Step {
        part: part.part.clone(),
        action: counted(part, part.combined),
        from: part.before,
        not_before: None,
        reason: String::new(),
    }
}

/// What the guards left of it: nothing where the count stays. What is asked for later is shown as it is.
fn guarded(step: Step, parts: &[PartExplanation]) -> Option<Step> {
    if step.not_before.is_some() {
        return Some(step);
    }
    let part = parts.iter().find(|part| part.part == step.part)?;
    (part.wanted != part.before).then(|| Step {
        action: counted(part, part.wanted),
        reason: part.summary.clone(),
        ..step
    })
}

/// What one policy asked of one part, as an explanation has it.
fn ask(policy: &str, count: u32, reason: &str) -> Ask {
    Ask {
        policy: policy.to_owned(),
        count,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
