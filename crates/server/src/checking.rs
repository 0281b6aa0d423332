//! Asking the policy host, away from the threads that answer requests.

use std::sync::Arc;

use axum::http::StatusCode;

use foreshard_decide::contract::ConfigIssue;

use tokio::sync::Semaphore;

use crate::{policies::Refused, problem::Problem};

/// Runs work of the policy host that may take seconds, as much of it at a time as there are places. If the client leaves, it still
/// ends by itself and holds its place until then.
pub(crate) async fn checked<T: Send + 'static>(
    places: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let stopping = |_| {
        let detail = "the server is about to stop";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", detail)
    };
    let permit = Arc::clone(places).acquire_owned().await.map_err(stopping)?;
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "The policy host panicked.");
        let detail = "the policy host failed; nothing was changed";
        Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal-error",
            detail,
        ))
    })
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Bad { kind, detail, fix } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, &kind, detail).fix(fix)
            }
            Refused::Unavailable(detail) => {
                let kind = "policy-host-unavailable";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail).retry_after(5)
            }
        }
    }
}

/// What a policy says against its config.
pub(crate) fn refused_config(issues: Vec<ConfigIssue>) -> Problem {
    let detail = "the policy refuses this config";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-config", detail)
        .issues(issues.into_iter().map(|issue| (issue.path, issue.message)))
}
