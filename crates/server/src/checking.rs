//! Asking the policy host, away from the threads that answer requests.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::{
    hub::Hub,
    policies::{Policies, Refused},
    problem::Problem,
};

/// Runs work of the policy host that may take seconds, a bounded number at a time. If the client leaves, it still
/// ends by itself and holds its place until then.
pub(crate) async fn checked<T: Send + 'static>(
    hub: &Arc<Hub>,
    work: impl FnOnce(&dyn Policies) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Problem> {
    let permit = Arc::clone(&hub.checks)
        .acquire_owned()
        .await
        .map_err(|_| stopping())?;
    let policies = Arc::clone(&hub.policies);
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work(&*policies)
    });
    let result = task.await.map_err(|error| {
        tracing::error!(%error, "The policy host panicked.");
        let detail = "the policy host failed; nothing was changed";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal-error", detail)
    })?;
    result.map_err(|refused| {
        let (kind, problem) = problem(refused);
        hub.metrics.refused(&kind);
        problem
    })
}

fn stopping() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "stopping",
        "the server is about to stop",
    )
}

fn problem(refused: Refused) -> (String, Problem) {
    match refused {
        Refused::Bad {
            kind,
            detail,
            fix,
            issues,
        } => {
            let issues = issues.into_iter().map(|issue| (issue.path, issue.message));
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, &kind, detail);
            (kind, problem.fix(fix).issues(issues))
        }
        Refused::Unavailable(detail) => {
            let kind = "policy-host-unavailable";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail);
            (kind.to_owned(), problem.retry_after(5))
        }
    }
}
