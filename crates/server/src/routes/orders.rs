//! What routes that take orders share.

use axum::http::StatusCode;

use crate::{
    hub::Hub,
    orders::{OrderError, Orders},
    problem::Problem,
};

/// Where orders go.
pub(super) fn orders(hub: &Hub) -> Result<&dyn Orders, Problem> {
    hub.ports.orders.as_deref().ok_or_else(|| {
        let detail = "there are no approvals and overrides here: nothing waits for people";
        Problem::new(StatusCode::CONFLICT, "only-in-a-cluster", detail)
    })
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let (kind, fix) = match &error {
            OrderError::NotFound { what, name } => return Self::not_found(what, name),
            OrderError::OtherPlan(_) => (
                "other-plan",
                "read the recommendation again, and approve its digest if you still agree",
            ),
            OrderError::Expired => ("recommendation-expired", "approve a newer one"),
            OrderError::Pointless(_) => (
                "not-approvable",
                "read the recommendations again, and approve one that waits",
            ),
            OrderError::Refused(_) => ("refused-by-cluster", ""),
            OrderError::Unavailable(detail) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return Self::new(status, "cluster-unavailable", detail).retry_after(5);
            }
        };
        Self::new(StatusCode::CONFLICT, kind, error.to_string()).fix(fix)
    }
}
