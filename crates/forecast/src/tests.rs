//! What must hold for any series.

mod breaks;
mod precision;
mod recall;

use proptest::prelude::*;

use crate::{
    Calendar, Calibration, Config, Forecast, PeakWindow, Request, Sample, Series, UtcOffset, fit,
};

const STEP: i64 = 300;
const DAY: usize = 288;
const LEVELS: [f64; 6] = [0.1, 0.5, 0.9, 0.99, 0.995, 0.9995];
const PEAKS: [PeakWindow; 2] = [
    PeakWindow {
        lead: 600,
        window: 300,
    },
    PeakWindow {
        lead: 3600,
        window: 1800,
    },
];

/// Uniform in -1..1, always the same (splitmix64).
fn noise(bin: usize) -> f64 {
    let mut z = (bin as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A daily and weekly rhythm with noise.
fn load(bin: usize) -> f64 {
    let day = bin as f64 / DAY as f64;
    let noise = 2.0 * noise(bin);
    let weekend = if (day as usize) % 7 >= 5 { 0.6 } else { 1.0 };
    weekend * (100.0 + 50.0 * (day * std::f64::consts::TAU).sin()) + noise
}

fn series(bins: usize) -> Series {
    Series {
        start: 1_700_006_400,
        step: STEP,
        values: (0..bins).map(load).collect(),
    }
}

fn config() -> Config {
    Config {
        peaks: PEAKS.to_vec(),
        ..Config::default()
    }
}

fn request(now: i64) -> Request {
    Request {
        now,
        horizon: 86_400,
        levels: LEVELS.to_vec(),
        peaks: PEAKS.to_vec(),
    }
}

fn forecast(series: &Series, latest: Option<Sample>) -> Forecast {
    let model = fit(series, &Calendar::default(), &config());
    model.predict(
        series,
        latest,
        &request(series.end()),
        &Calibration::default(),
    )
}

/// Finite, ordered in the level, as long as asked.
fn sound(forecast: &Forecast) {
    assert_eq!(forecast.paths.len(), LEVELS.len());
    assert_eq!(forecast.peaks.len(), PEAKS.len());
    for (k, path) in forecast.paths.iter().enumerate() {
        assert!(
            path.iter().all(|v| v.is_finite()),
            "level {k} is not finite"
        );
        if k > 0 {
            let below = &forecast.paths[k - 1];
            assert!(
                path.iter().zip(below).all(|(a, b)| a >= b),
                "level {k} is below {}",
                k - 1
            );
        }
    }
    for peak in &forecast.peaks {
        assert!(peak.values.iter().all(|v| v.is_finite()), "{peak:?}");
        assert!(peak.values.is_sorted(), "{peak:?}");
    }
}

fn mean_error(forecast: &Forecast, truth: impl Fn(usize) -> f64) -> f64 {
    let path = &forecast.paths[1];
    let errors = path.iter().enumerate().map(|(i, v)| (v - truth(i)).abs());
    errors.sum::<f64>() / path.len() as f64
}

#[test]
fn a_rhythm_is_foreseen() {
    let bins = 21 * DAY;
    let forecast = forecast(&series(bins), None);
    sound(&forecast);
    assert!(forecast.reliable, "{:?}", forecast.reasons);
    let error = mean_error(&forecast, |i| load(bins + i));
    // The noise alone has a mean absolute value of 1.
    assert!(error < 1.6, "{error}");
    assert_eq!(forecast.start, forecast.issued_at);
    assert_eq!(forecast.paths[0].len(), DAY);
}

#[test]
fn nasty_series_give_sound_forecasts() {
    let shaped = |f: &dyn Fn(usize) -> f64, bins: usize| (0..bins).map(f).collect::<Vec<f64>>();
    let week = 9 * DAY;
    let cases: Vec<(&str, Vec<f64>)> = vec![
        ("nothing", vec![]),
        ("one", vec![5.0]),
        ("two", vec![5.0, 6.0]),
        ("only gaps", vec![f64::NAN; 100]),
        (
            "one in gaps",
            shaped(&|i| if i == 50 { 3.0 } else { f64::NAN }, 100),
        ),
        ("zeros", vec![0.0; week]),
        ("constant", vec![42.0; week]),
        ("huge", shaped(&|i| 1e15 * load(i), week)),
        (
            "largest",
            shaped(
                &|i| if i % 2 == 0 { f64::MAX } else { f64::MAX / 2.0 },
                week,
            ),
        ),
        ("tiny", shaped(&|i| 1e-12 * load(i), week)),
        (
            "subnormal",
            shaped(&|i| if i % 3 == 0 { 5e-324 } else { 0.0 }, week),
        ),
        ("negative", shaped(&|i| -load(i), week)),
        ("mixed sign", shaped(&|i| load(i) - 100.0, week)),
        ("ramp", shaped(&|i| i as f64, week)),
        (
            "shift",
            shaped(
                &|i| {
                    if i + 72 > week {
                        3.0 * load(i)
                    } else {
                        load(i)
                    }
                },
                week,
            ),
        ),
        (
            "mostly zero",
            shaped(&|i| if i % 97 == 0 { 9.0 } else { 0.0 }, week),
        ),
        (
            "one spike",
            shaped(&|i| if i == 2000 { 1e9 } else { 1.0 }, week),
        ),
        (
            "infinite",
            shaped(&|i| if i % 10 == 0 { f64::INFINITY } else { load(i) }, week),
        ),
        (
            "half missing",
            shaped(&|i| if i % 2 == 0 { f64::NAN } else { load(i) }, week),
        ),
        (
            "last day missing",
            shaped(&|i| if i + DAY > week { f64::NAN } else { load(i) }, week),
        ),
        ("hours only", shaped(&load, 60)),
        ("just a day", shaped(&load, DAY + 1)),
        ("two days", shaped(&load, 2 * DAY)),
    ];
    for (name, values) in cases {
        let nonnegative = values.iter().all(|v| v.is_nan() || *v >= 0.0);
        let series = Series {
            start: 0,
            step: STEP,
            values,
        };
        let latest = Sample {
            at: series.end(),
            value: 1.0,
        };
        for latest in [None, Some(latest)] {
            let forecast = std::panic::catch_unwind(|| forecast(&series, latest));
            let forecast = forecast.unwrap_or_else(|_| panic!("{name} panics"));
            sound(&forecast);
            let low = forecast.paths[0].iter().copied().fold(f64::MAX, f64::min);
            assert!(!nonnegative || low >= 0.0, "{name}: {low}");
        }
    }
}

#[test]
fn steps_from_seconds_to_a_week_work() {
    for step in [1, 7, 60, 420, 1800, 3600, 5400, 86_400, 604_800] {
        let bins = (10 * 86_400 / step).clamp(40, 4000) as usize;
        let series = Series {
            start: 77,
            step,
            values: (0..bins).map(load).collect(),
        };
        let now = series.end() + step / 3;
        let model = fit(&series, &Calendar::default(), &config());
        let forecast = model.predict(&series, None, &request(now), &Calibration::default());
        sound(&forecast);
        assert!(
            forecast.start <= now && now < forecast.start + forecast.step,
            "step {step}"
        );
    }
}

#[test]
fn horizons_of_nothing_and_of_a_year() {
    let series = series(15 * DAY);
    let model = fit(&series, &Calendar::default(), &config());
    for (horizon, bins) in [(-1, 0), (0, 0), (1, 1), (301, 2), (366 * 86_400, 366 * DAY)] {
        let request = Request {
            horizon,
            ..request(series.end())
        };
        let forecast = model.predict(&series, None, &request, &Calibration::default());
        sound(&forecast);
        assert_eq!(forecast.paths[0].len(), bins, "horizon {horizon}");
    }
}

#[test]
fn history_of_less_than_half_a_week_is_not_trusted() {
    for (bins, reliable) in [(3 * DAY, false), (14 * DAY, true)] {
        let forecast = forecast(&series(bins), None);
        assert_eq!(forecast.reliable, reliable, "{:?}", forecast.reasons);
        assert_eq!(forecast.reasons.is_empty(), reliable);
    }
}

#[test]
fn stale_bins_are_not_trusted() {
    let series = series(14 * DAY);
    let model = fit(&series, &Calendar::default(), &config());
    for (later, reliable) in [(300, true), (3 * 3600, false)] {
        let now = series.end() + later;
        let forecast = model.predict(&series, None, &request(now), &Calibration::default());
        assert_eq!(
            forecast.reliable, reliable,
            "{later} s: {:?}",
            forecast.reasons
        );
    }
}

#[test]
fn a_missing_tail_is_forecast_across() {
    let bins = 21 * DAY;
    let mut damaged = series(bins);
    damaged.values[bins - 12..].fill(f64::NAN);
    let error = mean_error(&forecast(&damaged, None), |i| load(bins + i));
    assert!(error < 1.8, "{error}");
}

/// What is missing of the history, and whether that widens the bands and is told.
#[test]
fn much_that_is_missing_lately_widens_the_bands() {
    let bins = 21 * DAY;
    type Missing<'a> = &'a dyn Fn(usize) -> bool;
    let cases: [(&str, Missing<'_>, bool); 5] = [
        ("nothing", &|_| false, false),
        ("10 %", &|i| i * 31 % 10 == 0, false),
        ("30 %", &|i| i * 31 % 10 < 3, true),
        (
            "every third day of the last six",
            &|i| i >= bins - 6 * DAY && (i / DAY).is_multiple_of(3),
            true,
        ),
        ("two days, long ago", &|i| i / DAY / 2 == 1, false),
    ];
    let whole = forecast(&series(bins), None);
    for (name, missing, degraded) in cases {
        let mut damaged = series(bins);
        for (i, value) in damaged.values.iter_mut().enumerate() {
            if missing(i) {
                *value = f64::NAN;
            }
        }
        let forecast = forecast(&damaged, None);
        sound(&forecast);
        assert!(forecast.reliable, "{name}: {:?}", forecast.reasons);
        let told = forecast.reasons.iter().any(|r| r.contains("are missing"));
        assert_eq!(told, degraded, "{name}: {:?}", forecast.reasons);
        let width = |f: &Forecast| f.paths[2].iter().sum::<f64>() - f.paths[0].iter().sum::<f64>();
        let wider = width(&forecast) / width(&whole);
        assert_eq!(
            wider > 1.2,
            degraded,
            "{name}: bands {wider:.2} times as wide"
        );
        let far = |f: &Forecast| -> f64 {
            let peaks = f.peaks.iter();
            peaks.map(|peak| peak.values[2] - peak.values[0]).sum()
        };
        let wider = far(&forecast) / far(&whole);
        assert_eq!(
            wider > 1.12,
            degraded,
            "{name}: peaks {wider:.2} times as wide"
        );
    }
}

/// Bursts over many zeros are the load, not outages: the tail is left as it is.
#[test]
fn the_tail_of_a_sparse_load_is_not_capped() {
    for (zeros, capped) in [(0.2, true), (0.35, true), (0.45, false), (0.6, false)] {
        let mut sparse = series(9 * DAY);
        for (i, value) in sparse.values.iter_mut().enumerate() {
            if 0.5 + 0.5 * noise(i + 7919) < zeros {
                *value = 0.0;
            }
        }
        let model = fit(&sparse, &Calendar::default(), &config());
        let pooled = model.pooled.as_ref().unwrap();
        assert_eq!(pooled.capped, capped, "{zeros} zeros");
        sound(&forecast(&sparse, None));
    }
}

#[test]
fn a_series_of_which_little_is_known_is_not_trusted() {
    let mut sparse = series(14 * DAY);
    for (i, value) in sparse.values.iter_mut().enumerate() {
        if i % 100 != 0 {
            *value = f64::NAN;
        }
    }
    let forecast = forecast(&sparse, None);
    sound(&forecast);
    assert!(!forecast.reliable);
    assert!(
        forecast.reasons[0].contains("41 known bins"),
        "{:?}",
        forecast.reasons
    );
}

/// Damage done to the history and how much larger the error may get.
#[test]
fn damage_table() {
    let bins = 21 * DAY;
    let base = mean_error(&forecast(&series(bins), None), |i| load(bins + i));
    type Damage<'a> = &'a dyn Fn(usize, f64) -> f64;
    let cases: [(&str, Damage<'_>, f64); 5] = [
        (
            "10 % missing",
            &|i, v| if i * 31 % 10 == 0 { f64::NAN } else { v },
            1.3,
        ),
        (
            "6 h hole a day ago",
            &|i, v| {
                if (bins - 324..bins - 252).contains(&i) {
                    f64::NAN
                } else {
                    v
                }
            },
            1.3,
        ),
        (
            "last hour missing",
            &|i, v| if i >= bins - 12 { f64::NAN } else { v },
            1.3,
        ),
        (
            "0.3 % times 20",
            &|i, v| if i % 331 == 7 { 20.0 * v } else { v },
            1.4,
        ),
        (
            "2 h of zeros yesterday",
            &|i, v| {
                if (bins - 312..bins - 288).contains(&i) {
                    0.0
                } else {
                    v
                }
            },
            1.5,
        ),
    ];
    for (name, damage, most) in cases {
        let mut damaged = series(bins);
        for (i, value) in damaged.values.iter_mut().enumerate() {
            *value = damage(i, *value);
        }
        let error = mean_error(&forecast(&damaged, None), |i| load(bins + i));
        assert!(
            error <= most * base,
            "{name}: {:.2} times the error",
            error / base
        );
    }
}

#[test]
fn clock_changes_keep_the_wall_clock() {
    // The rhythm follows a wall clock that goes an hour ahead after 14 days.
    let change = 14 * DAY;
    let wall = |bin: usize| load(if bin >= change { bin + 12 } else { bin });
    let bins = change + 2 * DAY;
    let series = Series {
        values: (0..bins).map(wall).collect(),
        ..series(0)
    };
    let since = series.start + STEP * change as i64;
    let summer = Calendar {
        offsets: vec![
            UtcOffset {
                since: 0,
                seconds: 0,
            },
            UtcOffset {
                since,
                seconds: 3600,
            },
        ],
        holidays: Vec::new(),
    };
    let at = |calendar: &Calendar| {
        // At the morning after the change.
        let known = series.until(since + 6 * 3600);
        let model = fit(&known, calendar, &config());
        let request = request(known.end());
        let forecast = model.predict(&known, None, &request, &Calibration::default());
        sound(&forecast);
        mean_error(&forecast, |i| wall(known.values.len() + i))
    };
    let (with, without) = (at(&summer), at(&Calendar::default()));
    assert!(with < 0.6 * without, "{with} with, {without} without");
}

#[test]
fn a_repeated_hour_is_survived() {
    let change = 14 * DAY;
    let whole = series(16 * DAY);
    let since = whole.start + STEP * change as i64;
    let winter = Calendar {
        offsets: vec![
            UtcOffset {
                since: 0,
                seconds: 7200,
            },
            UtcOffset {
                since,
                seconds: 3600,
            },
        ],
        holidays: Vec::new(),
    };
    let model = fit(&whole.until(since - 3600), &winter, &config());
    for minutes in (-30..120).step_by(5) {
        let now = since + 60 * minutes;
        let forecast = model.predict(&whole, None, &request(now), &Calibration::default());
        sound(&forecast);
    }
}

#[test]
fn holidays_look_like_sundays() {
    // Day 16 of the series is a Thursday; last week's Thursday was a workday.
    let holiday = 16;
    let quiet = |day: usize| day % 7 >= 5 || day == holiday || day == 8;
    let value = |bin: usize| {
        let day = bin as f64 / DAY as f64;
        let level = if quiet(bin / DAY) { 30.0 } else { 100.0 };
        level + level / 2.0 * (day * std::f64::consts::TAU).sin() + noise(bin)
    };
    let bins = holiday * DAY;
    // A Monday.
    let series = Series {
        start: 1_700_438_400,
        step: STEP,
        values: (0..bins).map(value).collect(),
    };
    let error = |holidays: Vec<i64>| {
        let calendar = Calendar {
            offsets: Vec::new(),
            holidays,
        };
        let model = fit(&series, &calendar, &config());
        let request = request(series.end());
        let forecast = model.predict(&series, None, &request, &Calibration::default());
        mean_error(&forecast, |i| value(bins + i))
    };
    let known = error(vec![series.start + 8 * 86_400, series.end()]);
    let unknown = error(Vec::new());
    assert!(known < 0.7 * unknown, "{known} known, {unknown} unknown");
}

#[test]
fn a_live_sample_shifts_the_near_path_most() {
    let series = series(21 * DAY);
    let plain = forecast(&series, None);
    // In the middle of the first bin: what is seen there is that bin.
    let latest = Sample {
        at: series.end() + STEP / 2,
        value: plain.paths[1][0] + 20.0,
    };
    let model = fit(&series, &Calendar::default(), &config());
    let request = request(latest.at);
    let shifted = model.predict(&series, Some(latest), &request, &Calibration::default());
    sound(&shifted);
    let moved = |i: usize| shifted.paths[1][i] - plain.paths[1][i];
    assert!((moved(0) - 20.0).abs() < 2.0, "{}", moved(0));
    assert!(moved(200).abs() < 5.0, "{} then {}", moved(0), moved(200));
}

#[test]
fn a_model_fitted_earlier_sees_what_came_since() {
    let whole = series(21 * DAY);
    let at = whole.end();
    let model = fit(&whole.until(at - 6 * 3600), &Calendar::default(), &config());
    let forecast = model.predict(&whole, None, &request(at), &Calibration::default());
    let error = mean_error(&forecast, |i| load(21 * DAY + i));
    assert!(error < 1.7, "{error}");
    let fresh = fit(&whole, &Calendar::default(), &config());
    let fresh = fresh.predict(&whole, None, &request(at), &Calibration::default());
    let apart = mean_error(&forecast, |i| fresh.paths[1][i]);
    assert!(apart < 1.0, "{apart}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_after_now_matters(
        days in 4usize..16,
        later in 0i64..7200,
        noise in proptest::collection::vec(prop_oneof![Just(f64::NAN), -1e6..1e6f64], 60),
    ) {
        let known = series(days * DAY);
        let now = known.end() + later;
        let mut whole = series(days * DAY + 24);
        let first = ((now - whole.start) / STEP) as usize;
        let model = fit(&known, &Calendar::default(), &config());
        let calibration = Calibration::default();
        let before = model.predict(&whole, None, &request(now), &calibration);
        let bins = whole.values.len().min(first);
        whole.values.truncate(bins);
        whole.values.extend(&noise);
        let future = Sample { at: now + 1, value: 1e9 };
        let after = model.predict(&whole, Some(future), &request(now), &calibration);
        prop_assert_eq!(format!("{before:?}"), format!("{after:?}"));
    }

    #[test]
    fn any_values_give_sound_forecasts(
        values in proptest::collection::vec(
            prop_oneof![
                4 => 0.0..1e3f64,
                1 => Just(f64::NAN),
                1 => Just(0.0),
                1 => proptest::num::f64::ANY,
            ],
            0..700,
        ),
        step in prop_oneof![Just(60i64), Just(300), Just(900), Just(3600)],
        at in 0i64..100_000,
        sample in proptest::num::f64::ANY,
    ) {
        let series = Series { start: 1000, step, values };
        let model = fit(&series, &Calendar::default(), &config());
        let latest = Sample { at: series.end() + at / 2, value: sample };
        let now = series.end() + at;
        let forecast = model.predict(&series, Some(latest), &request(now), &Calibration::default());
        sound(&forecast);
    }
}
