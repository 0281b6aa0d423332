//! What was decided and why.

use std::sync::Arc;

use axum::{Json, extract::RawPathParams};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{InNamespace, query};
use crate::{
    decisions::Filter,
    extract::{Params, Scope},
    ids::Id,
    problem::{Problem, ProblemDocument},
    view::{Recommendation, RecommendationDetail},
};

/// Decisions on one page, and the longest page.
const LIMIT: u16 = 50;
const LIMIT_MAX: u16 = 200;

/// Which decisions are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Only of this target.
    target: Option<String>,
    /// Only those that speak of this part; with `changed=true`, those that change it.
    part: Option<String>,
    /// Only those taken at this time or later, in Unix seconds.
    #[serde(default, deserialize_with = "query::number")]
    #[param(value_type = Option<f64>)]
    since: Option<f64>,
    /// Only those that change something, or only those that do not.
    changed: Option<bool>,
    /// The longest page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of decisions, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecommendationPage {
    items: Vec<Arc<Recommendation>>,
    /// The cursor of the next page; null: this is the last.
    next: Option<String>,
}

/// What was decided, the newest first.
#[utoipa::path(
    get, path = "/recommendations", tag = "recommendations", operation_id = "list_recommendations",
    params(InNamespace, Query),
    responses(
        (status = OK, body = RecommendationPage),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    Scope(namespace): Scope,
    Params(query): Params<Query>,
) -> Result<Json<RecommendationPage>, Problem> {
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::query(
            "limit",
            format!("not between 1 and {LIMIT_MAX}"),
        ));
    }
    let before = query.cursor.as_deref();
    let before = before.map(|cursor| match namespace.read_id(cursor) {
        Id::Number(number) => Ok(number),
        Id::Foreign => Err(of_another_replica("cursor", cursor)),
        Id::None => Err(Problem::query("cursor", "not the `next` of a page")),
    });
    let before = before.transpose()?;
    let Query {
        target,
        part,
        changed,
        since,
        ..
    } = query;
    let filter = Filter {
        target,
        part,
        changed,
        since,
        before,
    };
    let limit = usize::from(limit);
    let mut items = namespace.recommendations(&filter, limit + 1);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(RecommendationPage { items, next }))
}

/// The same of ids and cursors of decisions.
fn of_another_replica(what: &str, value: &str) -> Problem {
    Problem::of_another_replica(what, value).fix(
        "list the decisions again; the name of a ScalingRecommendation is the same on all replicas",
    )
}

/// How much of a decision is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DetailQuery {
    /// Whether to send the record that replays; it holds weeks of history.
    #[param(default = true)]
    record: Option<bool>,
}

/// One decision with its explanation and the record that replays.
#[utoipa::path(
    get, path = "/recommendations/{name}", tag = "recommendations", operation_id = "get_recommendation",
    params(
        InNamespace,
        ("name" = String, Path, description = "Its id, or the name of the ScalingRecommendation that stands for it"),
        DetailQuery
    ),
    responses(
        (status = OK, body = RecommendationDetail),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    Scope(namespace): Scope,
    path: RawPathParams,
    Params(query): Params<DetailQuery>,
) -> Result<Json<RecommendationDetail>, Problem> {
    let text = path
        .iter()
        .find(|(name, _)| *name == "name")
        .map_or("", |(_, name)| name);
    let id = namespace.read_id(text);
    let kept = match id {
        Id::Number(number) => namespace.recommendation(number),
        Id::Foreign | Id::None => namespace.recommendation_of(text),
    };
    let kept = kept.ok_or_else(|| match id {
        Id::Foreign => of_another_replica("id", text),
        Id::Number(_) | Id::None => Problem::not_found("recommendation", text)
            .fix("it may be too old; list those that are kept"),
    })?;
    Ok(Json(RecommendationDetail {
        summary: kept.summary,
        explanation: kept.explanation,
        record: kept.record.filter(|_| query.record.unwrap_or(true)),
    }))
}
