use foreshard_forecast::Series;

use super::*;
use crate::replay_testing::{daily, options};

fn random() -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(7)
}

#[test]
fn a_daily_wave_is_found_and_repeated_with_the_margin() {
    let values = daily(300, 10 * 288, 4);
    assert_eq!(period::find(&values, 288, &mut random()), Some(288));
    let period = last_period(&values, 288, &mut random()).expect("a period");
    assert_eq!(period.len(), 288);
    for (bin, &load) in period.iter().enumerate() {
        let clean = 18.0 - 10.0 * (bin as f64 / 288.0 * std::f64::consts::TAU).cos();
        assert!(
            (load / 1.1 - clean).abs() < 1.5,
            "bin {bin}: {load}, {clean}"
        );
    }
}

#[test]
fn noise_another_period_and_little_history_are_not_predicted() {
    let noise: Vec<f64> = daily(86_400, 2880, 4);
    assert_eq!(last_period(&noise, 288, &mut random()), None);
    // A wave of eight hours.
    let fast: Vec<f64> = (0..2880)
        .map(|bin| 5.0 + (f64::from(bin) / 96.0 * std::f64::consts::TAU).sin())
        .collect();
    assert_eq!(last_period(&fast, 288, &mut random()), None);
    assert_eq!(last_period(&daily(300, 500, 4), 288, &mut random()), None);
    assert_eq!(last_period(&[], 288, &mut random()), None);
    assert_eq!(
        last_period(&[3.0; 2880], 288, &mut random()),
        None,
        "a constant"
    );
}

#[test]
fn gaps_are_bridged_from_before_the_cut() {
    let gap = f64::NAN;
    assert_eq!(
        recent(&[2.0, gap, gap, gap, 10.0, gap], 4),
        [6.0, 8.0, 10.0, 10.0]
    );
    assert_eq!(recent(&[gap, gap, 4.0, gap], 9), [4.0, 4.0, 4.0, 4.0]);
    assert_eq!(recent(&[1.0, 2.0, 3.0], 2), [2.0, 3.0]);
    assert_eq!(recent(&[gap, gap], 2), [0.0; 0]);
    assert_eq!(recent(&[5.0, gap, gap], 1), [5.0]);
}

#[test]
fn the_served_maximum_reaches_an_hour_ahead() {
    // Five-minute bins that begin on the tick; an instance serves 1, so 0.7 is one of them.
    let trace = Series {
        start: 0,
        step: 300,
        values: vec![0.7; 1152],
    };
    let world = World::new(&trace, &options(600)).unwrap();
    let ticks: Vec<usize> = (world.run_start()..world.run_start() + 1440).collect();
    let first = world.visible_bins(ticks[0]);
    // The run begins with bin 576, two bins after the complete ones: a peak in bin 600.
    let mut period = vec![7.0; 288];
    period[600 - first] = 14.0;
    let counts = serve(&world, &ticks, first, &period);
    let high: Vec<usize> = (0..counts.len()).filter(|&i| counts[i] == 20).collect();
    // Bin 600 is reached by t + 3600 from bin 588 on, and is over with its last tick.
    assert_eq!(
        (high[0], high[high.len() - 1], high.len()),
        (12 * 5, 24 * 5 + 4, 65)
    );
    let other = (0..counts.len()).find(|&i| i > 130 && counts[i] == 20);
    assert_eq!(other, None, "only every 288 bins");
}

#[test]
fn the_seed_decides_the_shuffles() {
    let trace = Series {
        start: 0,
        step: 300,
        values: daily(300, 2016, 4),
    };
    let world = World::new(&trace, &options(600)).unwrap();
    assert_eq!(wanted(&world), wanted(&world));
}
