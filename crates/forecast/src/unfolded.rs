//! A model that holds on to what its predictions need of history.

use std::sync::Arc;

use crate::{
    calibration::Calibration,
    forecast::{Forecast, Request},
    model::Model,
    recalled::Recalled,
    series::{Sample, Series},
};

/// A model with what it needs of its history at hand: the same forecasts several times faster, for 1 to 3 MB.
///
/// For one who predicts for few signals again and again; whoever has thousands calls [`Model::predict`].
#[derive(Clone, Debug)]
pub struct Unfolded {
    model: Arc<Model>,
    recalled: Option<Recalled>,
}

impl Unfolded {
    /// Reads off `series` what `model` needs of it, which is as [`Model::predict`] wants it. Later predictions look
    /// only at what has come in since.
    #[must_use]
    pub fn new(model: Arc<Model>, series: &Series) -> Self {
        Self {
            recalled: model.recall(series),
            model,
        }
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// As [`Model::predict`].
    #[must_use]
    pub fn predict(
        &self,
        series: &Series,
        latest: Option<Sample>,
        request: &Request,
        calibration: &Calibration,
    ) -> Forecast {
        let recalled = self.recalled.as_ref();
        self.model
            .answer(recalled, series, latest, request, calibration)
    }
}
