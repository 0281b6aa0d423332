//! The recent past of a target, for charts.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Named, query};
use crate::{
    extract::{ObjectItem, Params, Scope},
    problem::{Problem, ProblemDocument},
    view::Columns,
};

/// Which points are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Only this part.
    part: Option<String>,
    /// From this time on, in Unix seconds.
    #[serde(default, deserialize_with = "query::number")]
    #[param(value_type = Option<f64>)]
    since: Option<f64>,
    /// Before this time, in Unix seconds.
    #[serde(default, deserialize_with = "query::number")]
    #[param(value_type = Option<f64>)]
    until: Option<f64>,
    /// Merges the points of each so many seconds; 0: none.
    #[serde(default, deserialize_with = "query::number")]
    #[param(value_type = Option<f64>, minimum = 0)]
    step: Option<f64>,
}

/// The points of each part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeriesList {
    items: Vec<Columns>,
}

/// Load, capacity, counts, and what had been forecast, over time.
#[utoipa::path(
    get, path = "/targets/{name}/series", tag = "targets", operation_id = "get_series", params(Named, Query),
    responses(
        (status = OK, body = SeriesList),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    Scope(namespace): Scope,
    ObjectItem(name): ObjectItem,
    Params(query): Params<Query>,
) -> Result<Json<SeriesList>, Problem> {
    let board = namespace.board(name.as_ref());
    let board = board.ok_or_else(|| Problem::not_found("target", name.as_ref()))?;
    let step = query.step.unwrap_or(0.0);
    if step < 0.0 {
        return Err(Problem::query("step", "less than 0"));
    }
    let since = query.since.unwrap_or(f64::NEG_INFINITY);
    let until = query.until.unwrap_or(f64::INFINITY);
    Ok(Json(SeriesList {
        items: board.columns(query.part.as_deref(), since, until, step),
    }))
}
