//! Ridge regression with several right-hand sides by one QR decomposition.

use linfa_linalg::qr::QRInto as _;
use ndarray::{Array2, ShapeBuilder as _};

/// Strength of the penalty, relative to the mean square of the columns.
const PENALTY: f64 = 0.05;

/// Coefficients (columns of `features` x columns of `targets`) that minimise
/// `sum_i w_i |y_i - x_i c|² + penalty * |c|²`, without intercept; all zero when the rows say nothing.
///
/// Ridge is least squares on rows augmented with `sqrt(penalty) I`, weights are rows scaled by `sqrt(w)`.
pub(crate) fn solve(features: &Array2<f64>, targets: &Array2<f64>, weights: &[f64]) -> Array2<f64> {
    let (rows, columns) = features.dim();
    let total: f64 = weights.iter().sum();
    let zero = Array2::zeros((columns, targets.ncols()));
    if rows == 0 || !(total.is_finite() && total > 0.0) {
        return zero;
    }
    let scales: Vec<f64> = weights.iter().map(|w| (w / total).sqrt()).collect();
    let scaled = |table: &Array2<f64>| {
        Array2::from_shape_fn((rows + columns, table.ncols()).f(), |(row, column)| {
            if row < rows {
                scales[row] * table[[row, column]]
            } else {
                0.0
            }
        })
    };
    let (mut left, right) = (scaled(features), scaled(targets));
    let square: f64 = left.iter().map(|v| v * v).sum();
    let penalty = PENALTY * (square / columns as f64 + 1e-12);
    for column in 0..columns {
        left[[rows + column, column]] = penalty.sqrt();
    }
    let solved = left.qr_into().and_then(|qr| qr.solve_into(right));
    match solved {
        Ok(found) if found.iter().all(|v| v.is_finite()) => found.to_owned(),
        _ => zero,
    }
}
