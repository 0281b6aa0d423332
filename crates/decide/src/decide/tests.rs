use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::contract::{
    Calendar, Capacity, Decide, Forecast, LeadTime, Objective, Offer, Peak, Proposal, Quality,
    Sample, Series, Signal, Verdict,
};
use crate::explanation::Guard;
use crate::record::{DecisionRecord, ENGINE, replay};

pub(crate) fn part(wanted: u32, lead: f64) -> Part {
    Part {
        id: String::new(),
        parent: String::new(),
        kind: "scale".to_owned(),
        labels: vec![],
        busy: false,
        last_change: None,
        offers: vec![Offer {
            action: "replicas".to_owned(),
            lead: LeadTime {
                p50: lead,
                p90: lead,
                p99: lead,
                observations: 0,
            },
            cost_per_change: 0.0,
            reversible: true,
            blocked_until: None,
            blocked_by: String::new(),
        }],
        replicas: Some(ReplicaState {
            wanted,
            ready: wanted,
            pending: vec![],
            min: 2,
            max: 80,
            floor: 0,
            capacities: vec![Capacity {
                signal: "demand".to_owned(),
                per_replica: 10.0,
                uncertainty: 0.0,
                source: "declared".to_owned(),
            }],
            cost_per_hour: 0.0,
        }),
        containers: vec![],
        volumes: vec![],
        shard: None,
    }
}

/// A target with one part at `now`, its load `seen`, and a forecast of that load.
fn context(now: f64, wanted: u32, seen: f64, quality: Quality, reliable: bool) -> Context {
    Context {
        now,
        next: now + 60.0,
        config: "{}".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        labels: vec![],
        objective: Objective {
            violation_budget: 0.01,
            budget_window: 604_800.0,
            budget_spent: 0.0,
            target_utilization: 0.7,
            max_utilization: 0.9,
            level: 0.99,
            currency: "EUR".to_owned(),
            cost_per_violation_minute: 0.0,
        },
        parts: vec![part(wanted, 600.0)],
        signals: vec![Signal {
            name: "demand".to_owned(),
            part: String::new(),
            unit: "1/s".to_owned(),
            quality,
            age: 60.0,
            coverage: 1.0,
            history: Series {
                start: now - 300.0,
                step: 300.0,
                values: vec![seen],
            },
            latest: Some(Sample {
                at: now - 60.0,
                value: seen,
            }),
            censored: false,
        }],
        forecasts: vec![Forecast {
            signal: "demand".to_owned(),
            part: String::new(),
            model: "pool".to_owned(),
            issued_at: now,
            reliable,
            reasons: vec!["made for a test".to_owned()],
            skill: 0.5,
            levels: vec![0.5, 0.99],
            calibrated_to: 0.98,
            start: now,
            step: 300.0,
            paths: vec![],
            peaks: vec![Peak {
                action: "replicas".to_owned(),
                lead: 600.0,
                window: 300.0,
                values: vec![seen, seen * 1.2],
            }],
        }],
        calendar: Calendar {
            zone: "UTC".to_owned(),
            offsets: vec![],
            holidays: vec![],
            events: vec![],
        },
        recent: vec![],
        memory: vec![],
        extras: vec![],
    }
}

fn answer(counts: &[u32], uses_forecast: bool) -> PolicyAnswer {
    let propose = |&count: &u32| Proposal {
        part: String::new(),
        action: Action::Replicas(count),
        not_before: None,
        reason: format!("asked for {count}"),
    };
    PolicyAnswer {
        policy: "test".to_owned(),
        digest: "sha256:00".to_owned(),
        uses_forecast,
        verdict: Verdict::Decide(Decide {
            proposals: counts.iter().map(propose).collect(),
            reason: "a test".to_owned(),
            measures: vec![],
            memory: None,
        }),
        findings: vec![],
    }
}

fn decided(context: &Context, state: &State, answers: &[PolicyAnswer]) -> Decided {
    decide(Input {
        context,
        rules: &Rules::default(),
        state,
        answers,
    })
}

fn wanted(context: &Context, answers: &[PolicyAnswer]) -> (u32, Vec<Guard>) {
    let decided = decided(context, &State::default(), answers);
    let part = &decided.explanation.parts[0];
    let guards = part.clamps.iter().map(|clamp| clamp.guard).collect();
    (part.wanted, guards)
}

#[test]
fn who_decides_depends_on_data_and_forecast() {
    use Quality::{Frozen, Implausible, Missing, Ok, Stale};
    // Load 140: HPA wants 20 at 70 %, the live floor at 90 % is 16; 20 are wanted now.
    let cases = [
        (
            "a reliable forecast may run hotter",
            Ok,
            true,
            17,
            17,
            vec![],
        ),
        ("but not above 90 %", Ok, true, 12, 16, vec![Guard::Floor]),
        ("and may order ahead", Ok, true, 30, 30, vec![]),
        (
            "a demoted one adds nothing",
            Ok,
            false,
            30,
            20,
            vec![Guard::Demotion],
        ),
        ("and saves nothing", Ok, false, 12, 20, vec![Guard::Floor]),
        (
            "stale data shrinks nothing",
            Stale,
            true,
            12,
            20,
            vec![Guard::Floor],
        ),
        ("but growth goes on", Missing, true, 30, 30, vec![]),
        (
            "frozen data is no forecast",
            Frozen,
            true,
            30,
            20,
            vec![Guard::Demotion],
        ),
        (
            "nor is what cannot be true",
            Implausible,
            true,
            30,
            20,
            vec![Guard::Demotion],
        ),
    ];
    for (what, quality, reliable, asked, expected, guards) in cases {
        let context = context(6000.0, 20, 140.0, quality, reliable);
        let given = wanted(&context, &[answer(&[asked], true)]);
        assert_eq!(given, (expected, guards), "{what}");
    }
}

#[test]
fn a_decrease_waits_and_then_happens() {
    let mut state = State::default();
    let mut count = 20;
    let mut changed_at = None;
    for tick in 0..15 {
        let now = f64::from(tick) * 60.0;
        let asked = if tick == 0 { 20 } else { 17 };
        let context = context(now, count, 140.0, Quality::Ok, true);
        let decided = decided(&context, &state, &[answer(&[asked], true)]);
        state = decided.state;
        let next = decided.explanation.parts[0].wanted;
        if next != count {
            changed_at = Some(now);
        }
        count = next;
    }
    assert_eq!((count, changed_at), (17, Some(660.0)));
}

#[test]
fn a_plan_that_was_not_carried_out_starts_no_cooldown() {
    let rules = Rules {
        increase_cooldown: 300.0,
        ..Rules::default()
    };
    let step = |state: &State, now: f64, count: u32, asked: u32| {
        let decided = decide(Input {
            context: &context(now, count, 7.0 * f64::from(count), Quality::Ok, true),
            rules: &rules,
            state,
            answers: &[answer(&[asked], true)],
        });
        (decided.explanation.parts[0].wanted, decided.state)
    };
    let (wanted, state) = step(&State::default(), 0.0, 10, 14);
    assert_eq!(wanted, 14);
    // The write failed: it is asked for again at once.
    let (wanted, state) = step(&state, 1.0, 10, 14);
    assert_eq!(wanted, 14);
    // It went through: the next increase waits.
    let (wanted, _) = step(&state, 2.0, 14, 18);
    assert_eq!(wanted, 14);
}

#[test]
fn the_largest_ask_wins_and_what_is_wrong_becomes_a_finding() {
    let context = context(6000.0, 20, 140.0, Quality::Ok, true);
    let mut other = answer(&[25], false);
    if let Verdict::Decide(decision) = &mut other.verdict {
        decision.proposals.push(Proposal {
            part: "nowhere".to_owned(),
            action: Action::Replicas(9),
            not_before: None,
            reason: String::new(),
        });
        decision.proposals.push(Proposal {
            part: String::new(),
            action: Action::Merge(vec![]),
            not_before: None,
            reason: String::new(),
        });
        decision.proposals.push(Proposal {
            part: String::new(),
            action: Action::Replicas(70),
            not_before: Some(7000.0),
            reason: "later".to_owned(),
        });
    }
    let decided = decided(&context, &State::default(), &[answer(&[18], true), other]);
    let codes: Vec<_> = decided
        .explanation
        .findings
        .iter()
        .map(|f| f.code)
        .collect();
    assert_eq!(decided.explanation.parts[0].wanted, 25);
    assert_eq!(
        codes,
        [FindingCode::UnknownPart, FindingCode::UnsupportedAction]
    );
    let later: Vec<_> = decided
        .plan
        .steps()
        .iter()
        .map(|step| step.not_before)
        .collect();
    assert_eq!(later, [Some(7000.0), None]);
}

#[test]
fn without_an_opinion_plain_hpa_decides() {
    let context = context(6000.0, 4, 140.0, Quality::Ok, true);
    let silent = PolicyAnswer {
        verdict: Verdict::Abstain("no opinion".to_owned()),
        ..answer(&[], true)
    };
    let decided = decided(&context, &State::default(), &[silent]);
    insta::assert_snapshot!(
        decided.explanation.summary,
        @"replicas 4 → 20: no policy has an opinion, so plain HPA decides"
    );
}

#[test]
fn a_missing_capacity_holds() {
    let mut context = context(6000.0, 13, 140.0, Quality::Ok, true);
    for part in &mut context.parts {
        if let Some(replicas) = &mut part.replicas {
            replicas.capacities.clear();
        }
    }
    let decided = decided(&context, &State::default(), &[answer(&[2], true)]);
    assert_eq!(decided.explanation.parts[0].wanted, 13);
    assert_eq!(
        decided.explanation.findings[0].code,
        FindingCode::CapacityUnknown
    );
}

#[test]
fn a_record_replays_to_the_same_bytes() {
    let context = Arc::new(context(6000.0, 20, 140.0, Quality::Ok, true));
    let (rules, state) = (Arc::new(Rules::default()), Arc::new(State::default()));
    let answers = Arc::new(vec![answer(&[12], true)]);
    let decided = decide(Input {
        context: &context,
        rules: &rules,
        state: &state,
        answers: &answers,
    });
    let record = DecisionRecord {
        engine: ENGINE.to_owned(),
        context,
        rules,
        state,
        answers,
        plan: decided.plan,
        explanation: decided.explanation,
    };
    let stored = serde_json::to_string(&record).unwrap();
    let mut read: DecisionRecord = serde_json::from_str(&stored).unwrap();
    assert_eq!(serde_json::to_string(&replay(&read)).unwrap(), stored);
    // And it is made again, not copied.
    let mut changed = (*read.context).clone();
    changed.signals[0].latest = Some(Sample {
        at: 5940.0,
        value: 300.0,
    });
    read.context = Arc::new(changed);
    assert_ne!(serde_json::to_string(&replay(&read)).unwrap(), stored);
}

fn quality() -> impl Strategy<Value = Quality> {
    prop::sample::select(vec![
        Quality::Ok,
        Quality::Missing,
        Quality::Stale,
        Quality::Frozen,
        Quality::Implausible,
    ])
}

prop_compose! {
    fn situations()(
        wanted in 0_u32..100, seen in 0.0_f64..2000.0, quality in quality(), reliable: bool,
        spent in 0.0_f64..4.0,
    ) -> Context {
        let mut context = context(0.0, wanted, seen, quality, reliable);
        context.objective.budget_spent = spent;
        context
    }
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_promises(
        situations in prop::collection::vec((situations(), 0_u32..200, any::<bool>()), 1..20),
    ) {
        let mut state = State::default();
        for (tick, (mut context, asked, uses_forecast)) in situations.into_iter().enumerate() {
            context.now = tick as f64 * 60.0;
            context.next = context.now + 60.0;
            let answers = [answer(&[asked], uses_forecast)];
            let given = decided(&context, &state, &answers);
            prop_assert_eq!(&given, &decided(&context, &state, &answers), "deterministic");
            let part = &given.explanation.parts[0];
            let before = part.before;
            prop_assert!((2..=before.max(80)).contains(&part.wanted));
            if context.signals[0].quality != Quality::Ok {
                prop_assert!(part.wanted >= before, "data that is not ok never shrinks");
            }
            let demoted = !context.forecasts[0].reliable && uses_forecast;
            if demoted {
                let most = part.without_forecast.max(before);
                prop_assert!(part.wanted <= most, "demoted, but {} > {most}", part.wanted);
                prop_assert!(part.wanted >= part.without_forecast, "demoted, below plain HPA");
            }
            prop_assert!(part.wanted >= part.floors.in_force.min(80));
            let last = part.clamps.last().map_or(part.combined, |clamp| clamp.to);
            prop_assert_eq!(last, part.wanted, "every clamp is named");
            state = given.state;
        }
    }

    #[test]
    fn nonsense_is_survived(
        seen in any::<f64>(), per_replica in any::<f64>(), target in any::<f64>(), asked: u32,
        wanted: u32, min: u32, max: u32, now in any::<f64>(),
    ) {
        let mut context = context(now, wanted, seen, Quality::Ok, true);
        context.objective.target_utilization = target;
        for part in &mut context.parts {
            if let Some(replicas) = &mut part.replicas {
                replicas.capacities[0].per_replica = per_replica;
                (replicas.min, replicas.max) = (min, max);
            }
        }
        let given = decided(&context, &State::default(), &[answer(&[asked], true)]);
        let count = given.explanation.parts[0].wanted;
        prop_assert!(count >= min && count <= max.max(min).max(wanted));
    }
}
