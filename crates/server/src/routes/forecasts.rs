//! What the load will be.

use axum::Json;
use foreshard_decide::contract;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Named;
use crate::{
    extract::{ObjectItem, Params, Scope},
    problem::{Problem, ProblemDocument},
    view::{Forecast, Level, Peak, Quantile, finite},
};

/// Which forecasts are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Only this part.
    part: Option<String>,
    /// Only these quantile levels, with commas between them; each must be one that the forecast has.
    #[param(example = "0.5,0.9")]
    levels: Option<String>,
}

/// The newest forecast of each signal and part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastList {
    items: Vec<Forecast>,
}

/// The newest forecasts of a target: paths, and the maxima over the windows that its actions need.
#[utoipa::path(
    get, path = "/forecasts/{name}", tag = "targets", operation_id = "get_forecasts", params(Named, Query),
    responses(
        (status = OK, body = ForecastList),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    Scope(namespace): Scope,
    ObjectItem(name): ObjectItem,
    Params(query): Params<Query>,
) -> Result<Json<ForecastList>, Problem> {
    let board = namespace.board(name.as_ref());
    let board = board.ok_or_else(|| Problem::not_found("target", name.as_ref()))?;
    let levels = query.levels.as_deref().map(parsed).transpose()?;
    let forecasts = board.forecasts();
    let of_part = |forecast: &&contract::Forecast| {
        query
            .part
            .as_ref()
            .is_none_or(|part| forecast.part == *part)
    };
    let wanted = forecasts.iter().filter(of_part);
    let items = wanted
        .map(|forecast| view(forecast, levels.as_deref()))
        .collect::<Result<_, _>>()?;
    Ok(Json(ForecastList { items }))
}

fn parsed(levels: &str) -> Result<Vec<f64>, Problem> {
    let parse = |text: &str| {
        let level = text
            .trim()
            .parse()
            .ok()
            .filter(|level| 0.0 < *level && *level < 1.0);
        level.ok_or_else(|| Problem::query("levels", format!("{text:?} is not between 0 and 1")))
    };
    levels.split(',').map(parse).collect()
}

/// The forecast at some of its levels; `None`: at all of them.
fn view(forecast: &contract::Forecast, levels: Option<&[f64]>) -> Result<Forecast, Problem> {
    let rows = match levels {
        None => (0..forecast.levels.len()).collect::<Vec<_>>(),
        Some(levels) => {
            let row = |level: &f64| position(&forecast.levels, *level);
            levels.iter().map(row).collect::<Result<_, _>>()?
        }
    };
    let level = |row: &usize| forecast.levels.get(*row).copied().unwrap_or(f64::NAN);
    let path = |row: &usize| {
        let values = forecast.paths.get(*row).filter(|path| !path.is_empty())?;
        Some(Quantile {
            q: level(row),
            values: values.iter().copied().map(finite).collect(),
        })
    };
    let peak = |peak: &contract::Peak| {
        let value = |row: &usize| peak.values.get(*row).copied().and_then(finite);
        Peak {
            action: peak.action.clone(),
            lead_seconds: peak.lead,
            window_seconds: peak.window,
            quantiles: rows
                .iter()
                .map(|row| Level {
                    q: level(row),
                    value: value(row),
                })
                .collect(),
        }
    };
    Ok(Forecast {
        signal: forecast.signal.clone(),
        part: forecast.part.clone(),
        issued_at: forecast.issued_at,
        model: forecast.model.clone(),
        reliable: forecast.reliable,
        reasons: forecast.reasons.clone(),
        skill: finite(forecast.skill),
        calibrated_to: forecast.calibrated_to,
        start: forecast.start,
        step_seconds: forecast.step,
        quantiles: rows.iter().filter_map(path).collect(),
        peaks: forecast.peaks.iter().map(peak).collect(),
    })
}

fn position(levels: &[f64], level: f64) -> Result<usize, Problem> {
    const SAME: f64 = 1e-9;
    let found = levels.iter().position(|known| (known - level).abs() < SAME);
    found.ok_or_else(|| {
        Problem::query(
            "levels",
            format!("there is no level {level}; there are {levels:?}"),
        )
    })
}
