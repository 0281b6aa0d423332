//! What people order through the API: approvals and overrides. The port that a cluster implements with its objects.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::{Name, ObjectName};

/// Writes down what people order, in their name.
pub trait Orders: Send + Sync + 'static {
    /// Approves the plan of a recommendation.
    ///
    /// # Errors
    /// [`OrderError::OtherPlan`] when the digest is not that of its plan, and others.
    fn approve<'a>(
        &'a self,
        namespace: &'a Name,
        recommendation: &'a ObjectName,
        order: ApprovalOrder,
    ) -> BoxFuture<'a, Result<Approval, OrderError>>;

    /// Puts a person's word above all policies of a target until it expires.
    ///
    /// # Errors
    /// [`OrderError`].
    fn override_scaling<'a>(
        &'a self,
        namespace: &'a Name,
        order: OverrideOrder,
    ) -> BoxFuture<'a, Result<Override, OrderError>>;
}

/// An approval as it is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalOrder {
    /// Who approves.
    pub user: String,
    /// Digest of the plan that they have seen.
    pub digest: String,
    /// For how long, in seconds; none: as long as the recommendation is valid.
    pub expiry_seconds: Option<u32>,
}

/// An approval that was written down.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Approval {
    /// Name of the ScalingRecommendation.
    pub recommendation: String,
    /// Digest of the approved plan.
    pub digest: String,
    /// Who approved.
    pub user: String,
    /// After this the approval is void, in Unix seconds.
    pub expires_at: f64,
}

/// An override as it is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideOrder {
    /// Who orders it.
    pub user: String,
    /// Name of the ScalingPolicy.
    pub policy: ObjectName,
    /// Never fewer replicas than this.
    pub min_replicas: Option<i32>,
    /// Never more replicas than this.
    pub max_replicas: Option<i32>,
    /// Directions in which nothing is changed.
    pub pause: Pause,
    /// For how long, in seconds.
    pub expiry_seconds: u32,
    /// Why.
    pub reason: String,
}

/// Directions in which nothing is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Pause {
    /// Neither.
    #[default]
    None,
    /// Increases.
    ScaleUp,
    /// Decreases.
    ScaleDown,
    /// Both.
    Both,
}

/// An override that was written down.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Override {
    /// Name of the ScalingOverride; deleting it ends it early.
    pub name: String,
    /// Name of the ScalingPolicy.
    pub policy: String,
    /// When it ends, in Unix seconds.
    pub expires_at: f64,
}

/// Why an order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// There is no such object.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// In words, such as `scaling policy`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The digest is not that of the plan.
    #[error("the plan's digest is {0}, not the one that was approved")]
    OtherPlan(String),
    /// It is too late for it.
    #[error("the recommendation has expired")]
    Expired,
    /// Nothing would come of it, and why not.
    #[error("{0}")]
    Pointless(String),
    /// The API server refuses it, with its words.
    #[error("{0}")]
    Refused(String),
    /// It can't be written at this moment, and why not.
    #[error("{0}")]
    Unavailable(String),
}
