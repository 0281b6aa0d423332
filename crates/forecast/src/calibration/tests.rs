use proptest::prelude::*;

use super::*;

const WINDOW: PeakWindow = PeakWindow {
    lead: 600,
    window: 300,
};
const LEVELS: [f64; 3] = [0.5, 0.9, 0.99];

/// Truths uniform in 0..1, forecast by a model whose quantiles are `stretch` times too low.
fn coverage(stretch: f64, outcomes: usize) -> [f64; 3] {
    let mut state = Calibration::default();
    let mut held = [0.0; 3];
    for i in 0..outcomes {
        let truth = (i as f64 * 0.618_033_988_75).fract();
        let asked = LEVELS.map(|level| state.level(WINDOW, level));
        let values = asked.map(|level| level * stretch).to_vec();
        // Learning needs a while; only the second half is judged.
        if i >= outcomes / 2 {
            for (held, value) in held.iter_mut().zip(&values) {
                *held += f64::from(u8::from(truth <= *value));
            }
        }
        let at = 900 * i as i64;
        let issued = Issued {
            at,
            window: WINDOW,
            levels: LEVELS.to_vec(),
            values,
        };
        state = state.update(&issued, truth);
    }
    held.map(|h| h / (outcomes / 2) as f64)
}

#[test]
fn a_model_that_is_too_low_is_asked_for_more() {
    let [p50, p90, _] = coverage(0.92, 4000);
    assert!((p50 - 0.5).abs() < 0.03, "{p50}");
    assert!((p90 - 0.9).abs() < 0.02, "{p90}");
}

#[test]
fn a_model_that_is_right_is_left_alone() {
    let [p50, p90, p99] = coverage(1.0, 4000);
    assert!((p50 - 0.5).abs() < 0.03, "{p50}");
    assert!((p90 - 0.9).abs() < 0.02, "{p90}");
    assert!((p99 - 0.99).abs() < 0.01, "{p99}");
}

#[test]
fn windows_learn_apart_and_unknown_truths_teach_nothing() {
    let other = PeakWindow {
        lead: 3600,
        window: 300,
    };
    let issued = |values: Vec<f64>| Issued {
        at: 0,
        window: WINDOW,
        levels: LEVELS.to_vec(),
        values,
    };
    let start = Calibration::default();
    let learned = start.update(&issued(vec![1.0, 2.0, 3.0]), 10.0);
    assert!(learned.level(WINDOW, 0.9) > 0.9);
    assert_eq!(learned.level(other, 0.9), 0.9);
    for truth in [f64::NAN, f64::INFINITY] {
        assert_eq!(start.update(&issued(vec![1.0, 2.0, 3.0]), truth), start);
    }
}

#[test]
fn coverage_of_the_last_day_is_told_once_there_is_enough() {
    let mut state = Calibration::default();
    for i in 0..20 {
        assert_eq!(
            state.coverage_p90(WINDOW, 900 * i).is_some(),
            i >= 12,
            "after {i}"
        );
        let values = vec![1.0, 2.0, 3.0];
        let issued = Issued {
            at: 900 * i,
            window: WINDOW,
            levels: LEVELS.to_vec(),
            values,
        };
        state = state.update(&issued, if i % 2 == 0 { 1.0 } else { 9.0 });
    }
    assert_eq!(state.coverage_p90(WINDOW, 18_000), Some(0.5));
    assert_eq!(state.coverage_p90(WINDOW, 18_000 + 2 * 86_400), None);
}

#[test]
fn a_state_survives_being_written_down() {
    let issued = Issued {
        at: 7,
        window: WINDOW,
        levels: LEVELS.to_vec(),
        values: vec![1.0, 2.0, 3.0],
    };
    let state = Calibration::default().update(&issued, 2.5);
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), state);
}

proptest! {
    #[test]
    fn levels_stay_levels_in_their_order(
        outcomes in proptest::collection::vec((proptest::num::f64::ANY, proptest::num::f64::ANY), 0..300),
    ) {
        let mut state = Calibration::default();
        for (i, (value, truth)) in outcomes.into_iter().enumerate() {
            let values = vec![value, value + 1.0, value + 2.0];
            let at = 900 * i as i64;
            state = state.update(&Issued { at, window: WINDOW, levels: LEVELS.to_vec(), values }, truth);
        }
        for level in [0.01, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9995] {
            let asked = state.level(WINDOW, level);
            prop_assert!(asked > 0.0 && asked < 1.0, "{level}: {asked}");
        }
    }
}
