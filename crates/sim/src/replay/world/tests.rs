use proptest::prelude::*;

use super::*;
use crate::replay_testing::{options, world};

const GAP: f64 = f64::NAN;

fn series(start: i64, step: i64, values: Vec<f64>) -> Series {
    Series {
        start,
        step,
        values,
    }
}

#[test]
fn demand_is_the_line_between_mid_points_and_constant_outside() {
    // Bins of two minutes: mid-points at 60, 180, 300, …
    let mut values = vec![10.0, 30.0, GAP, 90.0];
    values.resize(400, 90.0);
    values[399] = 50.0;
    let world = World::new(&series(0, 120, values), &options(600)).unwrap();
    let demand: Vec<f64> = (0..8).map(|tick| world.demand(tick)).collect();
    // The gap is crossed on the line from 30 at 180 s to 90 at 420 s.
    assert_eq!(demand, [10.0, 10.0, 20.0, 30.0, 45.0, 60.0, 75.0, 90.0]);
    assert_eq!(world.demand(799), 50.0, "after the last mid-point");
    assert_eq!(
        (world.end(), world.run_start(), world.scored_start()),
        (800, 400, 520)
    );
    assert_eq!(world.time(400), 24_000);
}

#[test]
fn a_sample_is_a_minute_old_and_missing_inside_a_missing_bin() {
    let mut values = vec![10.0, GAP, 30.0];
    values.resize(400, 30.0);
    let world = World::new(&series(0, 120, values), &options(600)).unwrap();
    let seen: Vec<_> = (0..6)
        .map(|tick| world.seen(tick).map(|seen| (seen.at, seen.value)))
        .collect();
    assert_eq!(
        seen,
        [
            None,
            Some((0, 10.0)),
            Some((60, 10.0)),
            None,
            None,
            Some((240, 25.0))
        ]
    );
}

#[test]
fn bins_are_seen_a_minute_after_they_end() {
    let world = World::new(&series(0, 300, vec![1.0; 200]), &options(600)).unwrap();
    let bins: Vec<_> = [0, 5, 6, 10, 11, 996]
        .map(|tick| world.visible_bins(tick))
        .into();
    assert_eq!(bins, [0, 0, 1, 1, 2, 199]);
}

#[test]
fn ticks_are_whole_minutes_whatever_the_trace_begins_with() {
    for (start, step, bins, first, run_from, end) in [
        (0, 60, 600, 0, 18_000, 36_000),
        (1, 60, 600, 60, 18_060, 36_001),
        (-1, 60, 600, 0, 18_000, 35_999),
        // An odd span: the middle is 0.5 s after 22 500 s.
        (0, 1, 45_001, 0, 22_560, 45_001),
        (-90_000, 300, 601, -90_000, 150, 90_300),
    ] {
        let world = World::new(&series(start, step, vec![3.0; bins]), &options(60)).unwrap();
        assert_eq!(world.time(0), first);
        let from = world.time(world.run_start());
        assert_eq!(from, ceil_to_tick(run_from), "start {start}");
        let last = world.time(world.end() - 1);
        assert!(last < end && last + TICK_SECONDS >= end, "{last} {end}");
    }
}

#[test]
fn capacity_takes_forty_instances_at_the_high_end_of_the_run() {
    // The history is ten times as high and must not count.
    let mut values = vec![1000.0; 600];
    values.extend((0..600).map(f64::from));
    let series = series(30, 60, values);
    let world = World::new(
        &series,
        &Options {
            capacity: None,
            ..options(60)
        },
    )
    .unwrap();
    let expected = 0.999 * 599.0 / 28.0;
    assert!(
        (world.capacity() - expected).abs() < 1e-12,
        "{}",
        world.capacity()
    );
    assert_eq!(world.required(world.end() - 1), 41);
    assert_eq!(world.initial(), 2);
}

#[test]
fn the_start_is_within_the_bounds() {
    assert_eq!(world(60, vec![700.0; 400]).initial(), 80);
    assert_eq!(world(60, vec![700.0; 400]).required(200), 1000);
    assert_eq!(world(60, vec![-3.0; 400]).initial(), 2);
}

#[test]
fn lags_are_whole_minutes_and_judged_by_the_step() {
    for (lag, step, ticks, judged) in [
        (0, 60, 0, false),
        (1, 60, 1, false),
        (61, 60, 2, true),
        (120, 60, 2, true),
        (600, 300, 10, true),
        (540, 300, 9, false),
        (3600, 1800, 60, true),
    ] {
        let world = World::new(&series(0, step, vec![1.0; 800]), &options(lag)).unwrap();
        assert_eq!(
            (world.lag_ticks(), world.judged()),
            (ticks, judged),
            "lag {lag}, step {step}"
        );
    }
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let day = |value: f64| series(0, 60, vec![value; 1440]);
    let ask = |lag_seconds, capacity| Options {
        lag_seconds,
        capacity,
        seed: 0,
    };
    for (series, options, message) in [
        (series(0, 60, vec![]), ask(60, None), "more than 4 hours"),
        (
            series(0, 60, vec![1.0; 240]),
            ask(60, None),
            "spans 14400 s",
        ),
        (series(0, 0, vec![1.0]), ask(60, None), "step of 0 s"),
        (day(GAP), ask(60, None), "holds no value"),
        (day(0.0), ask(60, None), "--capacity"),
        (day(-2.0), ask(60, None), "not above 0"),
        (day(1.0), ask(-1, None), "the lag is -1 s"),
        (day(1.0), ask(82_801, None), "0 to 23 hours"),
        (day(1.0), ask(60, Some(0.0)), "capacity of an instance is 0"),
        (day(1.0), ask(60, Some(GAP)), "NaN"),
    ] {
        let error = World::new(&series, &options)
            .err()
            .expect("refused")
            .to_string();
        assert!(error.contains(message), "{error}");
    }
    assert!(World::new(&series(0, 60, vec![1.0; 242]), &ask(60, None)).is_ok());
    assert!(
        World::new(&day(0.0), &ask(60, Some(5.0))).is_ok(),
        "zeros are fine with a capacity"
    );
}

proptest! {
    #[test]
    fn demand_equals_the_plain_formula(
        values in prop::collection::vec(prop_oneof![3 => 0.0..9.0, 1 => Just(GAP)], 120..160),
        start in -300_i64..300,
    ) {
        prop_assume!(values.iter().any(|value: &f64| value.is_finite()));
        let trace = series(start, 150, values);
        let world = World::new(&trace, &options(60)).unwrap();
        let known: Vec<(f64, f64)> = (0..trace.values.len())
            .filter(|&bin| trace.values[bin].is_finite())
            .map(|bin| ((start + 150 * bin as i64 + 75) as f64, trace.values[bin]))
            .collect();
        for tick in 0..world.end() {
            let at = world.time(tick) as f64;
            let right = known.iter().find(|point| point.0 >= at);
            let left = known.iter().rev().find(|point| point.0 <= at);
            let expected = match (left, right) {
                (Some(left), Some(right)) if right.0 > left.0 => {
                    left.1 + (right.1 - left.1) * (at - left.0) / (right.0 - left.0)
                }
                (Some(point), _) | (_, Some(point)) => point.1,
                (None, None) => unreachable!(),
            };
            prop_assert!((world.demand(tick) - expected).abs() < 1e-9);
        }
    }
}
