//! What `build.rs` generates from `proto/`. Nothing of it is public: the wire's types change with Vitess.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::large_futures,
    clippy::use_self,
    reason = "generated code is not ours to polish"
)]

pub(crate) mod vttime {
    tonic::include_proto!("vttime");

    impl From<std::time::Duration> for Duration {
        fn from(duration: std::time::Duration) -> Self {
            Self {
                seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
            }
        }
    }

    /// Unix seconds; the zero time means "never".
    pub(crate) fn known_seconds(time: Option<&Time>) -> Option<i64> {
        time.map(|time| time.seconds)
            .filter(|seconds| *seconds != 0)
    }
}
pub(crate) mod mysqlctl {
    tonic::include_proto!("mysqlctl");
}
pub(crate) mod topodata {
    tonic::include_proto!("topodata");
}
pub(crate) mod query {
    tonic::include_proto!("query");
}
pub(crate) mod replicationdata {
    tonic::include_proto!("replicationdata");
}
pub(crate) mod tabletmanagerdata {
    tonic::include_proto!("tabletmanagerdata");
}
pub(crate) mod vschema {
    tonic::include_proto!("vschema");
}
pub(crate) mod vtctldata {
    tonic::include_proto!("vtctldata");
}
pub(crate) mod vtctlservice {
    tonic::include_proto!("vtctlservice");
}
pub(crate) mod vtrpc {
    tonic::include_proto!("vtrpc");
}
pub(crate) mod vtgate {
    tonic::include_proto!("vtgate");
}
pub(crate) mod vtgateservice {
    tonic::include_proto!("vtgateservice");
}
