//! Steps of the level.

use super::*;

/// The load times `factor` in the bins for which `since` holds.
fn stepped(bins: usize, factor: f64, since: impl Fn(usize) -> bool) -> Series {
    let mut series = series(bins);
    for (i, value) in series.values.iter_mut().enumerate() {
        if since(i) {
            *value *= factor;
        }
    }
    series
}

fn restarted(series: &Series) -> bool {
    let model = fit(series, &Calendar::default(), &config());
    let members = model.members();
    members.iter().any(|m| m.name.ends_with("since the break"))
}

/// Mean error of the next day, relative to what it is without a step; without a restart it is 30 to 80 times as large.
#[test]
fn a_step_is_followed_within_half_a_day() {
    for days in [9, 21] {
        let bins = days * DAY;
        let base = mean_error(&forecast(&series(bins), None), |i| load(bins + i));
        for (factor, hours) in [(3.0, 12), (0.4, 12), (3.0, 23)] {
            let series = stepped(bins, factor, |i| i + 12 * hours >= bins);
            let forecast = forecast(&series, None);
            sound(&forecast);
            let error = mean_error(&forecast, |i| factor * load(bins + i)) / (factor * base);
            assert!(
                error < 8.0,
                "{days} d, {factor} times {hours} h ago: {error:.1}"
            );
        }
    }
}

#[test]
fn only_a_lasting_and_recent_step_restarts() {
    let bins = 21 * DAY;
    type Since<'a> = &'a dyn Fn(usize) -> bool;
    let cases: [(&str, Since<'_>, bool); 6] = [
        ("none", &|_| false, false),
        ("12 h ago", &|i| i + 144 >= bins, true),
        ("2 h ago", &|i| i + 24 >= bins, false),
        ("5 days ago", &|i| i + 5 * DAY >= bins, false),
        (
            "for 8 hours, over an hour ago",
            &|i| (bins - 108..bins - 12).contains(&i),
            false,
        ),
        (
            "12 h ago with a daily hour before",
            &|i| i % DAY < 12 || i + 144 >= bins,
            true,
        ),
    ];
    for (name, since, expected) in cases {
        let series = stepped(bins, 3.0, since);
        assert_eq!(restarted(&series), expected, "{name}");
    }
}

/// The model was fitted when the step was half a day old and predicts six hours later.
#[test]
fn a_restart_takes_in_what_came_since_the_fit() {
    let bins = 9 * DAY;
    let whole = stepped(bins, 3.0, |i| i + 18 * 12 >= bins);
    let model = fit(
        &whole.until(whole.end() - 6 * 3600),
        &Calendar::default(),
        &config(),
    );
    assert!(
        model.summary().contains("since the break"),
        "{}",
        model.summary()
    );
    let request = Request {
        horizon: 3 * 86_400,
        ..request(whole.end())
    };
    let forecast = model.predict(&whole, None, &request, &Calibration::default());
    sound(&forecast);
    let day = Forecast {
        paths: forecast
            .paths
            .iter()
            .map(|path| path[..DAY].to_vec())
            .collect(),
        ..forecast
    };
    let error = mean_error(&day, |i| 3.0 * load(bins + i));
    assert!(error < 10.0, "{error}");
}
