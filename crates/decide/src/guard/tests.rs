use super::*;
use crate::decide::tests::part;
use crate::rules::{Freeze, StepLimit};
use crate::state::CountChange;

/// Passes `count` by the guards of a part that has 20, with HPA at 20 and a floor of 16.
fn passed(rules: &Rules, count: u32, arrange: impl FnOnce(&mut Case<'_>)) -> (u32, Vec<Guard>) {
    let part = part(20, 600.0);
    let replicas = part.replicas.clone().expect("a test part has a count");
    let mut state = PartState::default();
    let mut case = Case {
        now: 10_000.0,
        part: &part,
        replicas: &replicas,
        rules,
        budget_spent: 0.0,
        reactive: 20,
        floor: 16,
        data_ok: true,
        hotter: false,
        beyond_reactive: true,
        without_forecast: None,
        state: &mut state,
    };
    arrange(&mut case);
    let (count, clamps) = pass(&mut case, count);
    (count, clamps.iter().map(|clamp| clamp.guard).collect())
}

#[test]
fn each_guard_names_itself() {
    let rules = Rules::default();
    assert_eq!(passed(&rules, 18, |_| {}), (18, vec![]));
    assert_eq!(passed(&rules, 12, |_| {}), (16, vec![Guard::Floor]));
    assert_eq!(
        passed(&rules, 99, |_| {}),
        (80, vec![Guard::Bounds]),
        "above the maximum"
    );
    assert_eq!(
        passed(&rules, 17, |case| case.budget_spent = 2.5),
        (20, vec![Guard::Budget])
    );
    assert_eq!(
        passed(&rules, 17, |case| case.data_ok = false),
        (20, vec![Guard::Freshness])
    );
    assert_eq!(
        passed(&rules, 30, |case| case.beyond_reactive = false),
        (20, vec![Guard::Demotion])
    );
    let recently = |case: &mut Case<'_>| {
        let _ = case.state.wishes.push(9_800.0, 300.0, 19);
    };
    assert_eq!(
        passed(&rules, 17, recently),
        (19, vec![Guard::Stabilization])
    );
}

#[test]
fn steps_are_limited_within_a_period() {
    let limit = StepLimit {
        count: 2,
        share: 0.25,
        period: 600.0,
    };
    let rules = Rules {
        increase: Some(limit),
        decrease: Some(limit),
        ..Rules::default()
    };
    assert_eq!(passed(&rules, 40, |_| {}), (25, vec![Guard::StepLimit]));
    // It began the period with 16: a quarter of that is 4, and all of it is used up.
    let grown = |case: &mut Case<'_>| {
        case.state.changes.push(CountChange {
            at: 9_700.0,
            from: 16,
            to: 20,
        });
    };
    assert_eq!(passed(&rules, 40, grown), (20, vec![Guard::StepLimit]));
    // What other limits took in excess is not given back.
    assert_eq!(passed(&rules, 16, |_| {}), (16, vec![]));
}

#[test]
fn a_cooldown_counts_from_the_last_change() {
    let rules = Rules {
        increase_cooldown: 600.0,
        ..Rules::default()
    };
    let changed = |at| {
        move |case: &mut Case<'_>| {
            case.state.changes.push(CountChange {
                at,
                from: 18,
                to: 20,
            });
        }
    };
    assert_eq!(
        passed(&rules, 30, changed(9_500.0)),
        (20, vec![Guard::Cooldown])
    );
    assert_eq!(passed(&rules, 30, changed(9_400.0)), (30, vec![]));
    assert_eq!(passed(&rules, 18, changed(9_500.0)), (18, vec![]));
}

#[test]
fn a_freeze_spares_increases_unless_told() {
    let freeze = |increases| Rules {
        freezes: vec![Freeze {
            name: "sale".to_owned(),
            start: 9_000.0,
            end: 11_000.0,
            increases,
        }],
        ..Rules::default()
    };
    assert_eq!(passed(&freeze(false), 30, |_| {}), (30, vec![]));
    assert_eq!(
        passed(&freeze(false), 17, |_| {}),
        (20, vec![Guard::Freeze])
    );
    assert_eq!(passed(&freeze(true), 30, |_| {}), (20, vec![Guard::Freeze]));
}
