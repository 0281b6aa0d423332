//! Policies that misbehave while they run: each is stopped, says why, and leaves the next evaluation alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these are tests, and so are their helpers"
)]

mod support;

use std::{sync::Arc, time::Duration};

use foreshard_decide::contract::{Action, Verdict};
use foreshard_policy::{Compiler, FailureKind, Host, HostConfig, Module, Tier};
use support::{context, guest};

fn hostile() -> (Host, Arc<Module>) {
    let host = Host::new(HostConfig::new(Compiler::InProcess)).unwrap();
    let module = host.load(&guest("hostile"), Tier::Standard).unwrap();
    (host, module)
}

#[test]
fn misbehaviour_is_a_finding_and_the_next_evaluation_is_as_before() {
    let (host, module) = hostile();
    let good = context(1, 16);
    let before = host.evaluate(&module, &good);
    assert!(matches!(&before.verdict, Verdict::Decide(_)), "{before:?}");
    let cases = [
        ("loop", FailureKind::OutOfFuel, "used up its fuel"),
        ("trap", FailureKind::Trap, "unreachable"),
        (
            "recurse",
            FailureKind::StackOverflow,
            "deeper than its stack",
        ),
        ("grow", FailureKind::OutOfMemory, "67108864 is the limit"),
        ("flood", FailureKind::OutOfFuel, "used up its fuel"),
        ("nan", FailureKind::NotANumber, "the measure \"odd\" is NaN"),
        (
            "many",
            FailureKind::AnswerTooLarge,
            "the number of proposals is 10000, and 1000 is the limit",
        ),
        (
            "unknown-part",
            FailureKind::UnknownPart,
            "\"nowhere\", which the target does not have",
        ),
        (
            "undeclared",
            FailureKind::UndeclaredAction,
            "\"shard-count\", which its description does not declare",
        ),
        ("huge", FailureKind::AnswerTooLarge, "too much data"),
        (
            "memory",
            FailureKind::AnswerTooLarge,
            "the memory's size is 5120, and 4096 is the limit",
        ),
        ("error", FailureKind::Reported, "it does not feel like it"),
    ];
    for (mode, kind, message) in cases {
        let mut bad = good.clone();
        bad.config = format!(r#"{{"evaluate": "{mode}"}}"#);
        let evaluation = host.evaluate(&module, &bad);
        let failure = evaluation
            .finding
            .unwrap_or_else(|| panic!("{mode}: {:?}", evaluation.verdict));
        // On a machine that is busy enough, time runs out before fuel.
        if !(failure.kind == FailureKind::Deadline && kind == FailureKind::OutOfFuel) {
            assert_eq!(failure.kind, kind, "{mode}: {failure}");
            assert!(failure.message.contains(message), "{mode}: {failure}");
        }
        assert_eq!(
            evaluation.verdict,
            Verdict::Abstain(failure.message.clone()),
            "{mode}"
        );
        assert!(
            evaluation.duration < Duration::from_secs(10),
            "{mode}: {:?}",
            evaluation.duration
        );
        assert!(evaluation.log.lines.len() <= 100, "{mode}");

        let after = host.evaluate(&module, &good);
        assert_eq!(after.verdict, before.verdict, "after {mode}");
        assert_eq!(after.fuel_used, before.fuel_used, "after {mode}");
    }
}

#[test]
fn the_log_is_bounded_and_says_what_was_dropped() {
    let (host, module) = hostile();
    let mut context = context(1, 16);
    context.config = r#"{"evaluate": "chatty"}"#.to_owned();
    let evaluation = host.evaluate(&module, &context);
    assert_eq!(evaluation.finding, None);
    assert_eq!(
        (evaluation.log.lines.len(), evaluation.log.dropped),
        (100, 900)
    );
    // Cut off between characters: "0 " and 249 of two bytes each.
    assert_eq!(evaluation.log.lines[0].message.len(), 500);
}

#[test]
fn counts_beyond_bounds_are_left_to_the_guardrails() {
    let (host, module) = hostile();
    let mut context = context(1, 16);
    context.config = r#"{"evaluate": "beyond"}"#.to_owned();
    match host.evaluate(&module, &context).verdict {
        Verdict::Decide(decision) => {
            assert_eq!(decision.proposals[0].action, Action::Replicas(u32::MAX))
        }
        Verdict::Abstain(reason) => panic!("{reason}"),
    }
}

#[test]
fn a_panic_is_in_the_log() {
    let (host, module) = hostile();
    let mut context = context(1, 16);
    context.config = r#"{"evaluate": "trap"}"#.to_owned();
    let evaluation = host.evaluate(&module, &context);
    let log = &evaluation.log;
    assert!(
        log.lines
            .iter()
            .any(|line| line.message.contains("on purpose")),
        "{evaluation:?}"
    );
}

#[test]
fn configure_is_limited_as_well() {
    let (_host, module) = hostile();
    let cases = [
        ("loop", "used up its fuel"),
        ("trap", "trapped"),
        ("needy", "the horizon of the forecast of \"demand\" is inf"),
    ];
    for (mode, message) in cases {
        let config = format!(r#"{{"configure": "{mode}"}}"#);
        let issues = module.configure(&config, "Scale").unwrap_err();
        assert!(issues[0].message.contains(message), "{mode}: {issues:?}");
    }
    module.configure("{}", "Scale").unwrap();
}

#[test]
fn more_callers_than_room_wait_for_each_other() {
    let config = HostConfig {
        concurrency: 1,
        ..HostConfig::new(Compiler::InProcess)
    };
    let host = Host::new(config).unwrap();
    let module = host.load(&guest("hostile"), Tier::Standard).unwrap();
    let context = context(1, 16);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| (0..20).all(|_| host.evaluate(&module, &context).finding.is_none()))
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    });
}
