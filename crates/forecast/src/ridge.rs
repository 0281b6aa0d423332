//! Ridge regression with several right-hand sides by one QR decomposition.

use linfa_linalg::qr::QRInto as _;
use ndarray::{Array2, ShapeBuilder as _};

/// Strength of the penalty, relative to the mean square of the columns.
const PENALTY: f64 = 0.05;

/// Finds the coefficients that minimise `sum_i w_i |y_i - x_i c|² + penalty * |c|²`, without intercept.
///
/// Ridge is least squares on rows augmented with `sqrt(penalty) I`, weights are rows scaled by `sqrt(w)`.
pub(crate) struct Ridge {
    /// Rows, augmented ones included; columns lie one after the other.
    height: usize,
    filled: usize,
    columns: usize,
    left: Vec<f64>,
    right: Vec<f64>,
}

impl Ridge {
    /// For `rows` rows of `columns` features and `sides` right-hand sides.
    pub(crate) fn new(rows: usize, columns: usize, sides: usize) -> Self {
        let height = rows + columns;
        Self {
            height,
            filled: 0,
            columns,
            left: vec![0.0; height * columns],
            right: vec![0.0; height * sides],
        }
    }

    /// Adds a row; one more than announced is left out.
    pub(crate) fn push(
        &mut self,
        weight: f64,
        features: &[f64],
        targets: impl Iterator<Item = f64>,
    ) {
        if self.filled + self.columns >= self.height {
            return;
        }
        let scale = weight.sqrt();
        for (column, feature) in features.iter().take(self.columns).enumerate() {
            self.left[column * self.height + self.filled] = scale * feature;
        }
        for (side, target) in targets.enumerate() {
            self.right[side * self.height + self.filled] = scale * target;
        }
        self.filled += 1;
    }

    /// Coefficients, `[feature, side]`; `None` when the rows say nothing.
    pub(crate) fn solve(mut self) -> Option<Array2<f64>> {
        let square: f64 = self.left.iter().map(|v| v * v).sum();
        let penalty = PENALTY * (square / self.columns as f64 + 1e-12);
        for column in 0..self.columns {
            self.left[column * self.height + self.height - self.columns + column] = penalty.sqrt();
        }
        let sides = self.right.len() / self.height;
        let left = Array2::from_shape_vec((self.height, self.columns).f(), self.left).ok()?;
        let right = Array2::from_shape_vec((self.height, sides).f(), self.right).ok()?;
        let found = left.qr_into().and_then(|qr| qr.solve_into(right)).ok()?;
        found
            .iter()
            .all(|v| v.is_finite())
            .then(|| found.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the normal equations for one feature: `c = sum w x y / ((1 + penalty) sum w x²)`.
    #[test]
    fn one_feature_is_shrunk_by_the_penalty() {
        let mut ridge = Ridge::new(3, 1, 2);
        for (weight, x) in [(1.0, 1.0), (4.0, 2.0), (0.25, 4.0)] {
            ridge.push(weight, &[x], [3.0 * x, -x].into_iter());
        }
        let found = ridge.solve().unwrap();
        assert!((found[[0, 0]] - 3.0 / 1.05).abs() < 1e-12, "{found}");
        assert!((found[[0, 1]] + 1.0 / 1.05).abs() < 1e-12, "{found}");
    }

    #[test]
    fn equal_and_empty_columns_are_no_trap() {
        let mut ridge = Ridge::new(50, 3, 1);
        for i in 0..50 {
            let x = f64::from(i % 7);
            ridge.push(1.0, &[x, x, 0.0], [x].into_iter());
        }
        let found = ridge.solve().unwrap();
        assert!((found[[0, 0]] - found[[1, 0]]).abs() < 1e-9, "{found}");
        assert!(
            (found[[0, 0]] - 0.5).abs() < 0.02 && found[[2, 0]].abs() < 1e-9,
            "{found}"
        );
        assert!(
            Ridge::new(0, 2, 1)
                .solve()
                .is_none_or(|f| f.iter().all(|v| *v == 0.0))
        );
    }
}
