use super::*;
use crate::{Calendar, Series};

/// Values computed by the reference protocol in Python (numpy's linspace and round).
#[test]
fn origins_are_those_of_the_protocol() {
    let cases: [(usize, usize, usize, &[usize]); 5] = [
        // 16 days at 5 minutes: from 60 % on.
        (4608, 288, 4, &[2764, 3283, 3801, 4320]),
        // 11 days at 5 minutes: from a week on.
        (3168, 288, 3, &[2016, 2448, 2880]),
        // 62.7 days at 5 minutes: from 28 days on.
        (18_050, 288, 3, &[8064, 12_913, 17_762]),
        // 215 days at 30 minutes: the last 60 days.
        (10_320, 48, 3, &[7440, 8856, 10_272]),
        // Too short.
        (2200, 288, 3, &[]),
    ];
    for (bins, day, count, expected) in cases {
        assert_eq!(origins(bins, day, count), expected, "{bins} bins");
    }
    assert!(origins(0, 288, 96).is_empty() && origins(100, 0, 5).is_empty());
}

#[test]
fn seasonal_naive_repeats_the_week_with_its_differences() {
    // Two weeks of 4 bins a day; the second is 10 higher, but for one bin.
    let week = |i: usize| (i % 28) as f64;
    let mut history: Vec<f64> = (0..28)
        .map(week)
        .chain((0..28).map(|i| week(i) + 10.0))
        .collect();
    history[40] = f64::NAN;
    history[30] += 5.0;
    let median = seasonal_naive(&history, 4, 5, 0.5);
    assert_eq!(median, [10.0, 11.0, 17.0, 13.0, 14.0]);
    // All differences are 10 but one: the 90th percentile is 10.
    assert_eq!(
        seasonal_naive(&history, 4, 5, 0.9),
        [20.0, 21.0, 27.0, 23.0, 24.0]
    );
    assert_eq!(seasonal_naive(&[3.0], 4, 2, 0.9), [3.0, 3.0]);
    assert_eq!(seasonal_naive(&[], 4, 1, 0.5), [0.0]);
}

#[test]
fn a_repeating_series_scores_as_well_as_its_repetition() {
    let value = |i: usize| 100.0 + (i % 168) as f64 + if i.is_multiple_of(11) { 3.0 } else { 0.0 };
    let series = Series {
        start: 0,
        step: 3600,
        values: (0..24 * 30).map(value).collect(),
    };
    let protocol = Protocol {
        origins: 5,
        ..Protocol::default()
    };
    let mut calls = 0;
    let run = run(
        &series,
        &Calendar::default(),
        &protocol,
        &|| 0.0,
        &mut || calls += 1,
    );
    assert_eq!((run.issues.len(), calls, run.day), (5, 5, 24));
    assert!(
        run.issues
            .iter()
            .all(|i| i.paths.iter().all(|p| p.len() == 24))
    );
    let summary = summarise_paths(&[run], 24, Group::All).unwrap();
    assert!(
        summary.mae < 2.0 && summary.coverage_p90 > 0.7,
        "{summary:?}"
    );
}

#[test]
fn scores_are_means_over_known_bins() {
    let issue = Issue {
        at: 0,
        history_days: 9.0,
        paths: vec![
            vec![1.0, 1.0, 1.0],
            vec![2.0, 2.0, 2.0],
            vec![3.0, 3.0, 3.0],
        ],
        naive: vec![vec![0.0; 3]; 3],
        truth: vec![1.5, f64::NAN, 3.0],
        peaks: Vec::new(),
        reliable: true,
        fit_ms: 0.0,
        predict_ms: 0.0,
    };
    let score = path_score([&issue].into_iter(), 3, |i| &i.paths);
    assert_eq!((score.bins, score.mae), (2, 1.25));
    assert_eq!((score.coverage_p90, score.coverage_p99), (0.5, 1.0));
    // P90: 0.5 below costs 0.1 * 0.5, 1 above costs 0.9.
    assert!(
        (score.pinball[1] - (0.05 + 0.9) / 2.0).abs() < 1e-12,
        "{score:?}"
    );
    assert!(Group::Short.holds(&issue) && !Group::Long.holds(&issue));
    assert!(summarise_paths(&[], 1, Group::All).is_none() && summarise_peaks(&[]).is_empty());
}
