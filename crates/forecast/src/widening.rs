//! Wider bands, where too much of the newest history is missing to tell how wide they should be.

/// Share of the bins of the validation span that may be missing: beyond it, the errors that were seen are too few and
/// too alike (all near to known bins) to stand for those to come.
pub(crate) const MISSING_MAX: f64 = 0.2;
/// A level becomes this many times rarer: P75 is asked as P90, P90 as P96, P99 as P99.7.
const RARER: f64 = 3.0;

/// Log-odds by which quantiles are moved away from the median.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Widening(f64);

impl Widening {
    /// One level, for more than [`MISSING_MAX`] missing bins; else nothing.
    pub(crate) fn for_missing(share: f64) -> Self {
        if share > MISSING_MAX {
            Self(RARER.ln())
        } else {
            Self::default()
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// What to ask for in place of `asked` in order to answer for `level`: the two differ by online calibration. The
    /// median stays, and levels next to it move by as much as they are away from it.
    pub(crate) fn widen(self, asked: f64, level: f64) -> f64 {
        if self.is_none() {
            return asked;
        }
        level_of(odds(asked) + odds(level).clamp(-self.0, self.0))
    }

    /// The level that is answered by asking for `asked`.
    pub(crate) fn narrow(self, asked: f64) -> f64 {
        if self.is_none() {
            return asked;
        }
        let odds = odds(asked);
        level_of(odds - (0.5 * odds).clamp(-self.0, self.0))
    }
}

/// Log-odds of a level, finite.
fn odds(level: f64) -> f64 {
    let level = level.clamp(1e-9, 1.0 - 1e-9);
    (level / (1.0 - level)).ln()
}

fn level_of(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_become_three_times_rarer_and_stay_in_order() {
        let widening = Widening::for_missing(0.21);
        for (level, wide) in [
            (0.5, 0.5),
            (0.75, 0.9),
            (0.25, 0.1),
            (0.9, 27.0 / 28.0),
            (0.99, 297.0 / 298.0),
        ] {
            let asked = widening.widen(level, level);
            assert!((asked - wide).abs() < 1e-9, "{level}: {asked}");
            assert!((widening.narrow(asked) - level).abs() < 1e-9, "{level}");
        }
        let asked: Vec<f64> = (1..1000)
            .map(|i| widening.widen(f64::from(i) / 1000.0, f64::from(i) / 1000.0))
            .collect();
        assert!(asked.is_sorted());
        let none = Widening::for_missing(MISSING_MAX);
        assert_eq!((none.widen(0.93, 0.9), none.narrow(0.9)), (0.93, 0.9));
    }
}
