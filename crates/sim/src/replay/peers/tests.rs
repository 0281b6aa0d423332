use foreshard_forecast::Series;

use super::*;
use crate::replay::{MAX_INSTANCES, Options, World};
use crate::replay_testing::{HISTORY, SETTLING, daily, options, scripted, world};

/// The wanted counts from the first scored tick on.
fn scored(wanted: &[u32]) -> &[u32] {
    &wanted[SETTLING..]
}

/// A script that holds `level` for the rest of the run.
fn then(steps: &[f64], level: f64) -> Vec<f64> {
    let mut script = steps.to_vec();
    script.resize(HISTORY - SETTLING, level);
    script
}

#[test]
fn hpa_tolerates_a_tenth_and_holds_decreases() {
    // 7.0 is 10 instances at 70 %. A sample is a minute old, so tick 0 still sees 7.
    let world = scripted(120, 7.0, &then(&[7.0, 7.7, 7.71, 4.9], 4.9));
    let wanted = hpa::wanted(&world, Rule::Hpa, 0.0);
    // 7.7 is just within the tolerance, 7.71 asks for 12; the decrease waits until 12 is more than 300 s old.
    assert_eq!(
        scored(&wanted)[..11],
        [10, 10, 10, 12, 12, 12, 12, 12, 12, 7, 7]
    );
    let hold = hpa::wanted(
        &scripted(600, 7.0, &then(&[7.0, 7.0, 7.71, 4.9], 4.9)),
        Rule::HpaHold,
        0.0,
    );
    assert_eq!(scored(&hold)[..3], [10, 10, 10]);
    assert_eq!(scored(&hold)[3..14], [12; 11]);
    assert_eq!(scored(&hold)[14], 7);
}

#[test]
fn hpa_without_a_sample_decides_nothing() {
    let gap = f64::NAN;
    let world = scripted(
        120,
        7.0,
        &then(&[14.0, gap, gap, gap, gap, gap, gap, gap, 3.5], 3.5),
    );
    let wanted = hpa::wanted(&world, Rule::Hpa, 0.0);
    // 20 was asked for at tick 1; it stays through the gap although it is old, and no longer counts after it.
    assert_eq!(
        scored(&wanted)[..10],
        [10, 20, 20, 20, 20, 20, 20, 20, 20, 5]
    );
}

#[test]
fn headroom_lowers_the_target_and_counts_are_bounded() {
    let world = scripted(120, 7.0, &then(&[], 7.0));
    assert_eq!(
        *scored(&hpa::wanted(&world, Rule::Hpa, 0.15))
            .last()
            .unwrap(),
        12
    );
    assert_eq!(
        *scored(&hpa::wanted(&world, Rule::Hpa, 90.0))
            .last()
            .unwrap(),
        MAX_INSTANCES
    );
    assert_eq!(
        *scored(&hpa::wanted(&world, Rule::Hpa, -0.99))
            .last()
            .unwrap(),
        2
    );
}

#[test]
fn static_is_the_high_end_of_the_history() {
    // One tick in 600 is above the 99.9th percentile's rank: the line between the two highest is taken.
    let mut values = vec![7.0; 1200];
    values[300] = 14.0;
    let fixed = oracle::fixed(&world(120, values));
    let percentile: f64 = 7.0 + 7.0 * (0.999 * 599.0 - 598.0);
    assert_eq!(fixed[0], (percentile / 0.7).ceil() as u32);
    assert!(fixed.iter().all(|&count| count == fixed[0]));
}

#[test]
fn foresight_orders_a_lag_ahead_and_bound_is_never_over() {
    let world = scripted(120, 7.0, &then(&[7.0, 7.0, 7.0, 14.0], 7.0));
    assert_eq!(
        scored(&oracle::foresight(&world))[..10],
        [10, 20, 20, 20, 20, 20, 20, 20, 20, 10]
    );
    assert_eq!(scored(&oracle::bound(&world))[..5], [7, 14, 14, 14, 7]);
    let noisy = Series {
        start: 0,
        step: 300,
        values: daily(300, 1200, 5),
    };
    for lag in [120, 600, 3600] {
        let world = World::new(
            &noisy,
            &Options {
                capacity: None,
                ..options(lag)
            },
        )
        .unwrap();
        let peers = Peers::new(&world);
        let of = |wanted: &str| peers.after().find(|peer| peer.0 == wanted).unwrap().1;
        assert_eq!(of("bound").over_capacity_share, 0.0);
        assert_eq!(of("foresight").over_capacity_share, 0.0);
        assert_eq!(
            (of("bound").cost_vs_bound, of("foresight").cost_vs_foresight),
            (1.0, 1.0)
        );
        assert!(of("foresight").cost_vs_bound > 1.0);
    }
}

/// Two days and a bit of one demand a tick; the run begins in the middle.
fn two_days(yesterday: impl Fn(usize) -> f64, today: impl Fn(usize) -> f64) -> World {
    let values = (0..2880).map(|tick| {
        if tick < 1440 {
            yesterday(tick)
        } else {
            today(tick - 1440)
        }
    });
    world(120, values.collect())
}

#[test]
fn seasonal_scales_yesterdays_coming_peak() {
    // Today is twice yesterday. At minute 200 of the day yesterday had a peak of 10.5 for a minute.
    let world = two_days(|tick| if tick == 200 { 10.5 } else { 3.5 }, |_| 7.0);
    let wanted = seasonal::wanted(&world);
    // [t, t + lag + 60] spans four ticks.
    assert_eq!(wanted[195..203], [10, 10, 30, 30, 30, 30, 10, 10]);
}

#[test]
fn seasonal_ratio_is_over_the_last_sixty_samples_and_clipped() {
    let steady = |level: f64, today: f64| {
        let world = two_days(move |_| level, move |_| today);
        seasonal::wanted(&world)[300]
    };
    assert_eq!(steady(7.0, 700.0), 40, "at most 4 times");
    assert_eq!(steady(28.0, 0.7), 10, "at least a quarter");
    assert_eq!(steady(0.0, 7.0), 2, "4 times nothing");
    assert_eq!(steady(0.0, 0.0), 2);
    // 30 of the 60 samples that end at tick 299 are twice yesterday's.
    let world = two_days(|_| 7.0, |tick| if tick >= 270 { 14.0 } else { 7.0 });
    assert_eq!(seasonal::wanted(&world)[300], 15);
}

#[test]
fn seasonal_leaves_missing_samples_out_on_both_days_and_bridges_yesterdays_gaps() {
    let gap = |from: usize, to: usize, tick: usize| (from..to).contains(&tick);
    // Yesterday was high exactly where today's samples are missing.
    let world = two_days(
        |tick| if gap(250, 280, tick) { 70.0 } else { 7.0 },
        |tick| if gap(250, 280, tick) { f64::NAN } else { 7.0 },
    );
    assert_eq!(seasonal::wanted(&world)[300], 10);
    let world = two_days(
        |tick| if gap(250, 310, tick) { f64::NAN } else { 7.0 },
        |_| 7.0,
    );
    assert_eq!(seasonal::wanted(&world)[300], 10);
    let world = two_days(
        |_| 7.0,
        |tick| if gap(200, 400, tick) { f64::NAN } else { 14.0 },
    );
    assert_eq!(
        seasonal::wanted(&world)[300],
        10,
        "no sample at all: as yesterday"
    );
}

#[test]
fn combined_peers_are_never_below_hpa() {
    let trace = Series {
        start: 0,
        step: 300,
        values: daily(300, 2016, 9),
    };
    let world = World::new(
        &trace,
        &Options {
            capacity: None,
            ..options(600)
        },
    )
    .unwrap();
    let hpa = hpa::wanted(&world, Rule::Hpa, 0.0);
    for combined in [
        larger(&seasonal::wanted(&world), &hpa),
        larger(&crane::wanted(&world), &hpa),
    ] {
        assert!(
            combined
                .iter()
                .zip(&hpa)
                .all(|(combined, hpa)| combined >= hpa)
        );
        assert_ne!(combined, hpa);
    }
}

#[test]
fn equal_cost_pays_what_is_asked_and_no_less() {
    let trace = Series {
        start: 0,
        step: 300,
        values: daily(300, 1200, 5),
    };
    let world = World::new(
        &trace,
        &Options {
            capacity: None,
            ..options(600)
        },
    )
    .unwrap();
    let free = ledger(&world, hpa::wanted(&world, Rule::Hpa, 0.0)).paid;
    for factor in [0.7, 1.0, 1.3, 2.0] {
        let asked = (free as f64 * factor) as u64;
        let found = equal_cost::search(&world, asked);
        let surplus = found.ledger.paid as f64 / asked as f64 - 1.0;
        assert!((0.0..0.01).contains(&surplus), "{factor}: {surplus}");
        for rule in [Rule::Hpa, Rule::HpaHold] {
            let other = equal_cost::at_cost(&world, rule, asked);
            assert!(!other.ledger.less_harm_than(&found.ledger));
        }
    }
    // Out of reach: the ends.
    assert_eq!(equal_cost::search(&world, 0).headroom, -0.6);
    assert_eq!(equal_cost::search(&world, u64::MAX).headroom, 4.0);
    assert_eq!(
        equal_cost::search(&world, u64::MAX).rule,
        Rule::Hpa,
        "a tie goes to hpa"
    );
}

#[test]
fn peers_do_not_know_the_future() {
    for (step, leak) in [(60, 0), (300, 300)] {
        let trace = Series {
            start: 0,
            step,
            values: daily(step, (6 * 86_400 / step) as usize, 3),
        };
        let peers = |trace: &Series| {
            let world = World::new(trace, &options(600)).unwrap();
            let now = world.run_start() + 2000;
            let hold = hpa::wanted(&world, Rule::HpaHold, 0.1);
            let all = [
                oracle::fixed(&world),
                hold,
                seasonal::wanted(&world),
                crane::wanted(&world),
            ];
            (
                world.time(now),
                all.map(|mut wanted| {
                    let after = wanted.split_off(2001);
                    (wanted, after)
                }),
            )
        };
        let (now, before) = peers(&trace);
        let mut altered = trace.clone();
        for value in &mut altered.values[((now + leak) / step) as usize..] {
            *value *= 2.0;
        }
        let (_, after) = peers(&altered);
        for (i, (one, other)) in before.iter().zip(&after).enumerate() {
            assert_eq!(one.0, other.0, "peer {i}, step {step}");
            assert!(
                i == 0 || one.1 != other.1,
                "peer {i} does not look at the load"
            );
        }
    }
}
