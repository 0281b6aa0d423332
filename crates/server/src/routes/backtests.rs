//! Backtests, as jobs.

mod order;

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use foreshard_listener::NoPlace;
use serde::Serialize;
use utoipa::ToSchema;

use super::{InNamespace, Named};
use crate::{
    access::Identity,
    audit::Note,
    backtests::{Backtest, BacktestOrder, BacktestSettings, BacktestState, Load},
    extract::{Document, Item, ScopeName},
    hub::Hub,
    ids::Id,
    jobs::{Jobs, unix_now},
    name::Name,
    problem::{Issue, Problem, ProblemDocument},
    rates::too_many,
};
pub(crate) use order::BacktestRequest;

/// Backtests, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestList {
    items: Vec<Backtest>,
}

/// When a place may be free.
const RETRY_SECONDS: u32 = 30;

/// Backtests of this replica that wait, run, or have ended within the hour, without their results.
#[utoipa::path(
    get, path = "/backtests", tag = "backtests", operation_id = "list_backtests", params(InNamespace),
    responses(
        (status = OK, body = BacktestList),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(hub): State<Arc<Hub>>,
    ScopeName(namespace): ScopeName,
) -> Result<Json<BacktestList>, Problem> {
    let items = jobs(&hub)?.list(&namespace);
    Ok(Json(BacktestList { items }))
}

/// One backtest, with its result once it is done.
#[utoipa::path(
    get, path = "/backtests/{name}", tag = "backtests", operation_id = "get_backtest", params(Named),
    responses(
        (status = OK, body = Backtest),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(hub): State<Arc<Hub>>,
    ScopeName(namespace): ScopeName,
    Item(id): Item,
) -> Result<Json<Backtest>, Problem> {
    let jobs = jobs(&hub)?;
    let number = number(jobs, &id)?;
    let found = jobs.get(&namespace, number);
    found.map(Json).ok_or_else(|| absent(&id))
}

/// Ends a backtest that waits or runs, and forgets it.
#[utoipa::path(
    delete, path = "/backtests/{name}", tag = "backtests", operation_id = "delete_backtest", params(Named),
    responses(
        (status = NO_CONTENT),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(hub): State<Arc<Hub>>,
    ScopeName(namespace): ScopeName,
    Item(id): Item,
) -> Result<StatusCode, Problem> {
    let jobs = jobs(&hub)?;
    let number = number(jobs, &id)?;
    if jobs.remove(&namespace, number) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(absent(&id))
    }
}

/// Orders a backtest: the load is replayed minute by minute, beside the same load under other autoscalers. One runs at a
/// time, behind everything else that the server does. A target needs the right to `get` its ScalingPolicy, a module that
/// to `get` it.
#[utoipa::path(
    post, path = "/backtests", tag = "backtests", operation_id = "backtest", params(InNamespace),
    request_body = BacktestRequest,
    responses(
        (status = ACCEPTED, body = Backtest, headers(("location" = String, description = "Where it is"))),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
            description = "The module has another digest, the target's history is not known, or no backtests run here"),
        (status = UNPROCESSABLE_ENTITY, body = ProblemDocument, content_type = "application/problem+json",
            description = "It cannot be replayed, and why"),
        (status = "4XX", body = ProblemDocument, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn post(
    State(hub): State<Arc<Hub>>,
    Extension(who): Extension<Identity>,
    Extension(note): Extension<Note>,
    ScopeName(namespace): ScopeName,
    Document(request): Document<BacktestRequest>,
) -> Result<Response, Problem> {
    let jobs = jobs(&hub)?;
    let place = jobs.place(&who.user).map_err(|why| {
        let detail = match why {
            NoPlace::HasEnough => "you have as many backtests under way as one user may",
            NoPlace::Full => "as many backtests wait as this server lets wait",
        };
        too_many(detail.to_owned(), RETRY_SECONDS)
    })?;
    let module = request.module(&hub, &who, &namespace).await?;
    if let Some(module) = &module {
        note.digest(&module.digest);
    }
    let (load, settings) = request.load(&hub, &who, &namespace).await?;
    checked(jobs, &settings, &load).await?;
    let view = Backtest {
        id: String::new(),
        created_at: unix_now(),
        user: who.user,
        load: load.name.clone(),
        module: module.as_ref().map(|module| module.name.clone()),
        digest: module.as_ref().map(|module| module.digest.clone()),
        settings: settings.clone(),
        state: BacktestState::Waiting,
        progress_percent: 0,
        finished_at: None,
        error: None,
        result: None,
    };
    let (of, hub) = (namespace.clone(), Arc::clone(&hub));
    // A component is fetched only when it is run, so that those that wait take no memory.
    let order = async move {
        let policy = request.policy(&hub, &of, module).await?;
        Ok(BacktestOrder {
            load,
            policy,
            settings,
        })
    };
    let view = jobs.start(namespace.clone(), view, place, order);
    note.name(&view.id);
    let path = format!("/api/v1/namespaces/{namespace}/backtests/{}", view.id);
    // Names and ids are ASCII.
    let location = HeaderValue::from_str(&path).unwrap_or(HeaderValue::from_static(""));
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        Json(view),
    )
        .into_response())
}

fn jobs(hub: &Hub) -> Result<&Jobs, Problem> {
    hub.jobs.as_ref().ok_or_else(|| {
        let detail = "no backtests are run here";
        Problem::new(StatusCode::CONFLICT, "no-backtests", detail)
            .fix("run `foreshard backtest` on your own machine")
    })
}

fn number(jobs: &Jobs, id: &Name) -> Result<u64, Problem> {
    match jobs.read_id(id.as_ref()) {
        Id::Number(number) => Ok(number),
        Id::Foreign => Err(Problem::of_another_replica("id", id.as_ref())
            .fix("ask the replica that gave it, or order the backtest again")),
        Id::None => Err(absent(id)),
    }
}

fn absent(id: &Name) -> Problem {
    Problem::not_found("backtest", id.as_ref())
        .fix("it may have been kept for long enough; list those that are there")
}

/// Says what is wrong with it before anybody waits for its turn.
async fn checked(jobs: &Jobs, settings: &BacktestSettings, load: &Load) -> Result<(), Problem> {
    let (runner, settings, load) = (Arc::clone(&jobs.runner), settings.clone(), load.clone());
    let checking = tokio::task::spawn_blocking(move || runner.check(&settings, &load));
    let checked = checking.await.unwrap_or_else(|error| {
        tracing::error!(%error, "The check of a backtest panicked.");
        let path = String::new();
        let message = "it cannot be checked; please report it with the log".to_owned();
        Err(vec![Issue { path, message }])
    });
    checked.map_err(|issues| {
        let detail = "this cannot be replayed";
        let issues = issues.into_iter().map(|issue| (issue.path, issue.message));
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-replayable", detail).issues(issues)
    })
}
