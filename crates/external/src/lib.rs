//! Recommendations for those who act themselves: KEDA's external scaler ([`Scaler`]) and the Kubernetes external-metrics
//! API ([`MetricsApi`]). Both serve one number, the replicas that a policy recommends, and decide nothing: what there is
//! to say comes through the port [`Advice`].
//!
//! - What is not known is an error and never a number: who asks then leaves the target as it is.
//! - A policy is only told of to its own namespace.
//! - Everything that a caller can make large has a limit with a name.
#![forbid(unsafe_code)]

mod advice;
mod answers;
mod caller;
mod front_proxy;
mod metrics_api;
mod scaler;
mod serve;
mod status;
mod wire;

pub use advice::{Advice, Advised, Reason, Withheld};
pub use answers::{AnswerLabels, Answers};
pub use caller::{Caller, Denied, Judge};
pub use front_proxy::{FrontProxy, FrontProxyError};
pub use metrics_api::{GROUP, MetricsApi, VERSION};
pub use scaler::{STREAMS_MAX, Scaler};
pub use serve::{serve_metrics, serve_scaler};

/// The one metric that is served: replicas that a policy recommends now. With a target of 1 for each replica
/// (`AverageValue`) an autoscaler asks for exactly so many.
pub const METRIC: &str = "foreshard-recommended-replicas";
