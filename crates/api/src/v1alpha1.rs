//! Version `v1alpha1`.
#![allow(
    unreachable_pub,
    reason = "the derived schemas repeat the structs inside functions"
)]

pub mod compute;
pub mod key_range;
mod keyspace_shard;
mod load_event;
mod policy_module;
mod prometheus_source;
mod scaling_override;
mod scaling_policy;
mod scaling_recommendation;
mod tablet_pool;
pub mod topo_server;
pub mod vitess;
mod vtgate_pool;

pub use key_range::KeyRange;
pub use keyspace_shard::{KeyspaceShard, KeyspaceShardSpec, KeyspaceShardStatus};
pub use load_event::{LoadEvent, LoadEventSpec};
pub use policy_module::{
    Builtin, ModuleSource, PolicyModule, PolicyModuleSpec, PolicyModuleStatus, Stored, Uploaded,
};
pub use prometheus_source::{
    Authentication, BasicAuth, PrometheusSource, PrometheusSourceSpec, PrometheusSourceStatus,
    RequestHeader, Tls,
};
pub use scaling_override::{Pause, ScalingOverride, ScalingOverrideSpec};
pub use scaling_policy::{
    Action, ActionType, Behavior, Budget, Combine, Day, Direction, Mode, ModuleRef, PolicyBinding,
    ScalingPolicy, ScalingPolicySpec, ScalingPolicyStatus, Schedule, ShadowScore, Signal,
    SourceKind, SourceRef, StepLimit, Window,
};
pub use scaling_recommendation::{
    Approval, Counterfactual, Explanation, PlanStep, ScalingRecommendation,
    ScalingRecommendationSpec, ScalingRecommendationStatus,
};
pub use tablet_pool::{TabletPool, TabletPoolSpec, TabletPoolStatus};
pub use topo_server::{TopoMember, TopoMemberRole, TopoServer, TopoServerSpec, TopoServerStatus};
pub use vitess::{Vitess, VitessSpec, VitessStatus};
pub use vtgate_pool::{VTGatePool, VTGatePoolSpec, VTGatePoolStatus};

pub use crate::reference::{SecretKeyRef, TargetRef};

#[cfg(test)]
mod cluster_tests;
#[cfg(test)]
mod tests;
