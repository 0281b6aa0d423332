//! What errors are relative to, and how forecasts that lie beside known truths are kept.

use half::f16;

/// The level of a load: its own value, and a part of what is usual so that it is nowhere 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels {
    /// 10 % of the mean level; above 0.
    pub(crate) base: f64,
    /// Neither truths nor forecasts are below 0.
    pub(crate) nonnegative: bool,
}

/// Ratios of levels below this one are kept by their inverse.
const FOLD: f64 = 0.5;

impl Levels {
    /// What errors of a forecast are relative to.
    #[inline]
    pub(crate) fn of(&self, value: f64) -> f64 {
        value.abs() + self.base
    }

    /// A forecast as its distance above a truth, in 16 bits; NaN without truth.
    ///
    /// The distance is relative to the lower of both levels. So the level of the forecast is rounded by 0.05 % at most,
    /// however far it was off: errors are relative to that.
    pub(crate) fn above(&self, forecast: f64, truth: f64) -> f16 {
        let above = (forecast - truth) / self.of(truth);
        let ratio = 1.0 + above;
        rounded(if self.nonnegative && ratio < FOLD {
            1.0 + FOLD - 1.0 / ratio
        } else {
            above
        })
    }

    /// The forecast that [`Self::above`] was made of.
    #[inline]
    pub(crate) fn forecast(&self, truth: f64, above: f16) -> f64 {
        let above = above.to_f64();
        let above = if self.nonnegative && above < FOLD - 1.0 {
            1.0 / (1.0 + FOLD - above) - 1.0
        } else {
            above
        };
        truth + above * self.of(truth)
    }
}

/// To 16 bits; what lies beyond their range counts as its end.
pub(crate) fn rounded(value: f64) -> f16 {
    let most = f16::MAX.to_f64();
    f16::from_f64(value.clamp(-most, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_keep_their_level_however_far_they_were_off() {
        let values = [0.0, 1e-6, 0.004, 0.05, 0.3, 0.99, 1.0, 1.01, 7.0, 300.0];
        for nonnegative in [true, false] {
            let levels = Levels {
                base: 0.1,
                nonnegative,
            };
            for truth in values {
                for forecast in values {
                    let kept = levels.forecast(truth, levels.above(forecast, truth));
                    let finest = if nonnegative {
                        levels.of(forecast)
                    } else {
                        levels.of(forecast.max(truth))
                    };
                    let off = (kept - forecast).abs() / finest;
                    assert!(off < 5e-4, "{forecast} beside {truth}: {kept}");
                }
            }
        }
        let levels = Levels {
            base: 0.1,
            nonnegative: false,
        };
        let kept = levels.forecast(-3.0, levels.above(2.0, -3.0));
        assert!((kept - 2.0).abs() < 3e-3, "{kept}");
        assert!(levels.above(1.0, f64::NAN).is_nan());
    }
}
