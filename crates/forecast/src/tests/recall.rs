//! A model reads its history again at each prediction: which of it must still be there.

use std::sync::Arc;

use proptest::prelude::*;

use super::{DAY, STEP, config, noise, request, series, sound};
use crate::{Calendar, Calibration, Model, Sample, Series, Unfolded, fit};

/// The oldest `bins` bins are gone.
fn without_oldest(series: &Series, bins: usize) -> Series {
    series.tail(series.values.len() - bins)
}

/// Fitted to all but the newest `newer` bins.
fn fitted(series: &Series, newer: usize) -> Model {
    let known = series.until(series.end() - series.step * newer as i64);
    fit(&known, &Calendar::default(), &config())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_history_that_slides_along_gives_the_same_forecasts(
        days in 5_usize..29,
        newer in 0_usize..130,
        lost in 0_usize..144,
        missing in 0_usize..30,
        seed in 0_usize..1000,
        live in proptest::option::of(0.5..2.0),
    ) {
        let mut whole = series(days * DAY + newer);
        let bins = whole.values.len();
        for (i, value) in whole.values.iter_mut().enumerate() {
            if 50.0 * (noise(i + seed) + 1.0) < missing as f64 && i + newer + 1 != bins {
                *value = f64::NAN;
            }
        }
        let model = Arc::new(fitted(&whole, newer));
        let unfolded = Unfolded::new(Arc::clone(&model), &whole);
        let slid = without_oldest(&whole, lost);
        prop_assert_eq!(model.lost_bins(&slid), 0);
        let request = request(whole.end());
        let latest = live.map(|factor| Sample { at: whole.end() - 1, value: factor * 100.0 });
        let full = model.predict(&whole, latest, &request, &Calibration::default());
        let less = model.predict(&slid, latest, &request, &Calibration::default());
        let again = unfolded.predict(&slid, latest, &request, &Calibration::default());
        prop_assert_eq!(format!("{full:?}"), format!("{less:?}"));
        prop_assert_eq!(format!("{full:?}"), format!("{again:?}"));
    }

    #[test]
    fn any_other_history_gives_a_sound_forecast(
        from in 0_usize..3000,
        bins in 0_usize..3000,
        shift in -400_000_i64..400_000,
        step in prop::sample::select(vec![1_i64, 60, 299, 300, 301, 600, 3600]),
        nothing in any::<bool>(),
    ) {
        let model = fitted(&series(9 * DAY), 0);
        let mut other = series(3000);
        other.values = other.values[from..(from + bins).min(3000)].to_vec();
        if nothing {
            other.values.fill(f64::NAN);
        }
        other.start += shift;
        other.step = step;
        let request = request(other.end().max(model.fitted_at()));
        let forecast = model.predict(&other, None, &request, &Calibration::default());
        sound(&forecast);
        let lost = model.lost_bins(&other);
        prop_assert!(lost <= 9 * DAY);
        prop_assert!(lost == 0 || !forecast.reliable);
    }
}

#[test]
fn a_history_that_lost_more_than_the_model_keeps_wants_a_new_fit() {
    let whole = series(14 * DAY);
    let model = fitted(&whole, 0);
    for (gone, lost) in [(0, 0), (144, 0), (145, 1), (DAY, 144)] {
        let rest = without_oldest(&whole, gone);
        assert_eq!(model.lost_bins(&rest), lost);
        let made = model.predict(&rest, None, &request(whole.end()), &Calibration::default());
        let told = made.reasons.iter().any(|reason| reason.contains("lost"));
        assert_eq!((made.reliable, told), (lost == 0, lost > 0));
    }
    let ended = whole.until(whole.end() - 3 * STEP);
    assert_eq!(model.lost_bins(&ended), 3);
}

#[test]
fn fine_bins_may_slide_by_any_number() {
    // Of 25 seconds, so that three make one of the model's.
    let fine = Series {
        step: 25,
        values: series(0)
            .values
            .into_iter()
            .chain((0..40_000).map(|i| 100.0 + noise(i) + noise(i / 3456)))
            .collect(),
        ..series(0)
    };
    let model = fit(&fine, &Calendar::default(), &config());
    let request = request(fine.end());
    let full = model.predict(&fine, None, &request, &Calibration::default());
    for gone in [1, 2, 3, 4, 500, 1726] {
        let less = without_oldest(&fine, gone);
        let less = model.predict(&less, None, &request, &Calibration::default());
        assert_eq!(format!("{full:?}"), format!("{less:?}"), "{gone}");
    }
}
