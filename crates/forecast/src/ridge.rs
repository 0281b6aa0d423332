//! Ridge regression of many targets at once, as a linfa estimator: one QR decomposition serves all of them.

use linfa::{
    DatasetBase, ParamGuard,
    traits::{Fit, PredictInplace},
};
use linfa_linalg::{LinalgError, qr::QRInto as _};
use ndarray::{Array1, Array2, Axis, ShapeBuilder as _};

/// Settings of a ridge regression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RidgeParams(RidgeValidParams);

/// Settings that were checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RidgeValidParams {
    penalty: f64,
}

/// Why a ridge regression found nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RidgeError {
    #[error("a penalty of {0} is not a finite number of at least 0")]
    Penalty(f64),
    #[error("the coefficients are not finite")]
    NotFinite,
    #[error(transparent)]
    Linalg(#[from] LinalgError),
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

/// A fitted ridge regression.
#[derive(Clone, Debug)]
pub(crate) struct Ridge {
    /// `[feature, target]`
    pub(crate) coefficients: Array2<f64>,
}

impl RidgeParams {
    /// `penalty` is relative to the mean square of the features.
    pub(crate) fn new(penalty: f64) -> Self {
        Self(RidgeValidParams { penalty })
    }
}

impl ParamGuard for RidgeParams {
    type Checked = RidgeValidParams;
    type Error = RidgeError;

    fn check_ref(&self) -> Result<&Self::Checked, Self::Error> {
        let penalty = self.0.penalty;
        if penalty.is_finite() && penalty >= 0.0 {
            Ok(&self.0)
        } else {
            Err(RidgeError::Penalty(penalty))
        }
    }

    fn check(self) -> Result<Self::Checked, Self::Error> {
        self.check_ref().copied()
    }
}

impl Fit<Array2<f64>, Array2<f64>, RidgeError> for RidgeValidParams {
    type Object = Ridge;

    /// Finds the coefficients that minimise `sum_i w_i |y_i - x_i c|² + penalty * |c|²`, without intercept.
    ///
    /// Ridge is least squares on rows augmented with `sqrt(penalty) I`, weights are rows scaled by `sqrt(w)`.
    fn fit(
        &self,
        dataset: &DatasetBase<Array2<f64>, Array2<f64>>,
    ) -> Result<Self::Object, RidgeError> {
        let (rows, columns) = dataset.records.dim();
        let roots = Array1::from_shape_fn(rows, |row| f64::from(dataset.weight_for(row)).sqrt());
        let scaled = |values: &Array2<f64>| {
            let mut scaled = Array2::zeros((rows + columns, values.ncols()).f());
            for (mut to, from) in scaled.columns_mut().into_iter().zip(values.columns()) {
                let (mut to, _) = to.view_mut().split_at(Axis(0), rows);
                to.assign(&(&from * &roots));
            }
            scaled
        };
        let mut left = scaled(&dataset.records);
        let square: f64 = left.iter().map(|v| v * v).sum();
        let penalty = self.penalty * (square / columns as f64 + 1e-12);
        let (_, mut augmented) = left.view_mut().split_at(Axis(0), rows);
        augmented.diag_mut().fill(penalty.sqrt());
        let found = left.qr_into()?.solve_into(scaled(&dataset.targets))?;
        if found.iter().all(|v| v.is_finite()) {
            Ok(Ridge {
                coefficients: found,
            })
        } else {
            Err(RidgeError::NotFinite)
        }
    }
}

impl PredictInplace<Array2<f64>, Array2<f64>> for Ridge {
    fn predict_inplace(&self, records: &Array2<f64>, targets: &mut Array2<f64>) {
        *targets = records.dot(&self.coefficients);
    }

    fn default_target(&self, records: &Array2<f64>) -> Array2<f64> {
        Array2::zeros((records.nrows(), self.coefficients.ncols()))
    }
}

#[cfg(test)]
mod tests {
    use linfa::traits::Predict as _;
    use ndarray::{array, aview1};

    use super::*;

    fn fit(dataset: &DatasetBase<Array2<f64>, Array2<f64>>) -> Result<Ridge, RidgeError> {
        RidgeParams::new(0.05).fit(dataset)
    }

    /// Against the normal equations for one feature: `c = sum w x y / ((1 + penalty) sum w x²)`.
    #[test]
    fn one_feature_is_shrunk_by_the_penalty() {
        let records = array![[1.0], [2.0], [4.0]];
        let targets = array![[3.0, -1.0], [6.0, -2.0], [12.0, -4.0]];
        let dataset = DatasetBase::new(records.clone(), targets);
        let ridge = fit(&dataset.with_weights(array![1.0, 4.0, 0.25])).unwrap();
        let predicted = ridge.predict(&records);
        for (found, x) in predicted.rows().into_iter().zip([1.0, 2.0, 4.0]) {
            let expected = array![3.0 * x / 1.05, -x / 1.05];
            assert!(
                (&found - &expected).iter().all(|e| e.abs() < 1e-12),
                "{found}"
            );
        }
    }

    #[test]
    fn newer_rows_count_by_their_weight() {
        let dataset = DatasetBase::new(array![[1.0], [1.0]], array![[0.0], [4.0]]);
        let ridge = fit(&dataset.with_weights(array![1.0, 3.0])).unwrap();
        assert!((ridge.coefficients[[0, 0]] - 3.0 / 1.05).abs() < 1e-12);
    }

    #[test]
    fn equal_and_empty_columns_are_no_trap() {
        let x = |row: usize| (row % 7) as f64;
        let records = Array2::from_shape_fn(
            (50, 3),
            |(row, column)| {
                if column == 2 { 0.0 } else { x(row) }
            },
        );
        let targets = Array2::from_shape_fn((50, 1), |(row, _)| x(row));
        let found = fit(&DatasetBase::new(records, targets))
            .unwrap()
            .coefficients;
        let near = |a: f64, b: f64, most: f64| (a - b).abs() < most;
        let column = found.column(0);
        assert!(near(column[0], column[1], 1e-9), "{found}");
        assert!(
            near(column[0], 0.5, 0.02) && near(column[2], 0.0, 1e-9),
            "{found}"
        );
    }

    #[test]
    fn what_cannot_be_fitted_is_an_error() {
        let nothing = DatasetBase::new(Array2::zeros((0, 2)), Array2::zeros((0, 1)));
        let found = fit(&nothing).map(|ridge| ridge.coefficients);
        assert!(
            found.is_err() || found.is_ok_and(|c| c == aview1(&[0.0]).broadcast((2, 1)).unwrap())
        );
        let infinite = DatasetBase::new(array![[1.0], [2.0]], array![[f64::INFINITY], [1.0]]);
        assert!(matches!(fit(&infinite), Err(RidgeError::NotFinite)));
        let penalty = RidgeParams::new(f64::NAN).fit(&nothing);
        assert!(matches!(penalty, Err(RidgeError::Penalty(_))));
    }
}
