//! What a model keeps is rounded: its forecasts are those of the model that kept all of it in full.

use super::{DAY, load, noise, series};
use crate::{
    Calendar, Calibration, Config, PeakWindow, Request, Sample, Series, UtcOffset,
    model::fit_within,
};

/// Forecasts of [`cases`] by a model that kept its whole history, all past forecasts and coefficients in 64 bits.
const IN_FULL: &str = include_str!("in_full.json");
/// Largest difference from them, as a share of the highest quantile; where errors are several times the load, that of
/// the second.
const ROUNDING: f64 = 5e-5;
const ROUNDING_OF_BURSTS: f64 = 5e-4;

const LEVELS: [f64; 5] = [0.1, 0.5, 0.9, 0.99, 0.995];

fn peaks() -> Vec<PeakWindow> {
    let window = |lead, window| PeakWindow { lead, window };
    vec![
        window(600, 900),
        window(0, 660),
        window(7200, 3600),
        window(0, 7260),
    ]
}

/// Names, series, and how many of their newest bins came after the fit.
fn cases() -> Vec<(&'static str, Series, Calendar, usize)> {
    let with = |bins: usize, value: &dyn Fn(usize) -> f64| Series {
        values: (0..bins).map(value).collect(),
        ..series(0)
    };
    let whole = 28 * DAY + 72;
    let gap = |i: usize| i % 41 < 3 || (3000..3020).contains(&i) || (6000..6400).contains(&i);
    let summer = Calendar {
        offsets: vec![
            UtcOffset {
                since: 0,
                seconds: 3600,
            },
            UtcOffset {
                since: series(0).start + 10 * 86_400,
                seconds: 7200,
            },
        ],
        holidays: vec![series(0).start - 3600 + 5 * 86_400],
    };
    let step = |i: usize| {
        if i + 300 > whole {
            1.6 * load(i)
        } else {
            load(i)
        }
    };
    let burst = |i: usize| {
        if noise(i) > 0.9 {
            40.0 * noise(i + 1).abs()
        } else {
            0.0
        }
    };
    let outliers = |i: usize| {
        if i.is_multiple_of(977) {
            9.0 * load(i)
        } else {
            load(i)
        }
    };
    let minutes = Series {
        step: 60,
        values: (0..14 * 1440 + 100)
            .map(|i| load(i / 5) + noise(i))
            .collect(),
        ..series(0)
    };
    vec![
        ("rhythm", with(whole, &load), Calendar::default(), 72),
        (
            "gaps",
            with(whole, &|i| if gap(i) { f64::NAN } else { load(i) }),
            Calendar::default(),
            60,
        ),
        ("clock change", with(whole, &load), summer, 30),
        ("step", with(whole, &step), Calendar::default(), 50),
        ("bursts", with(whole, &burst), Calendar::default(), 7),
        ("outliers", with(whole, &outliers), Calendar::default(), 0),
        (
            "negative",
            with(whole, &|i| load(i) - 100.0),
            Calendar::default(),
            11,
        ),
        ("short", with(9 * DAY, &load), Calendar::default(), 24),
        ("minutes", minutes, Calendar::default(), 90),
    ]
}

/// The forecasts of a case: window maxima, then some bins of the paths, each at all levels.
fn answers(series: &Series, calendar: &Calendar, newer: usize) -> Vec<f64> {
    let config = Config {
        peaks: peaks(),
        ..Config::default()
    };
    let known = series.until(series.end() - series.step * newer as i64);
    let model = fit_within(&known, calendar, &config, usize::MAX);
    let now = series.end() + 60;
    let request = Request {
        now,
        horizon: 86_400,
        levels: LEVELS.to_vec(),
        peaks: peaks(),
    };
    let latest = Sample {
        at: now - 20,
        value: 1.1 * series.values.last().unwrap(),
    };
    let mut found = Vec::new();
    for latest in [None, Some(latest)] {
        let made = model.predict(series, latest, &request, &Calibration::default());
        found.extend(made.peaks.iter().flat_map(|peak| peak.values.clone()));
        let bins = made.paths[0].len();
        for bin in [0, 1, 7, 40, 150, bins - 1] {
            found.extend(made.paths.iter().map(|path| path[bin]));
        }
        found.push(made.skill);
    }
    found
}

#[test]
fn rounding_changes_no_forecast() {
    let expected: Vec<Vec<f64>> = serde_json::from_str(IN_FULL).unwrap();
    let cases = cases();
    assert_eq!(cases.len(), expected.len());
    for ((name, series, calendar, newer), expected) in cases.iter().zip(expected) {
        let found = answers(series, calendar, *newer);
        assert_eq!(found.len(), expected.len());
        let level = expected.iter().fold(0.0_f64, |most, v| most.max(v.abs()));
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let off = (found - expected).abs() / level;
            let most = if *name == "bursts" {
                ROUNDING_OF_BURSTS
            } else {
                ROUNDING
            };
            assert!(off < most, "{name}, {at}: {found} for {expected}");
        }
    }
}
