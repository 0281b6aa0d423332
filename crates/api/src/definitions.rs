//! All definitions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use crate::v1alpha1::{
    KeyspaceShard, LoadEvent, PolicyModule, PrometheusSource, ScalingOverride, ScalingPolicy,
    ScalingRecommendation, TabletPool, TopoServer, VTGatePool, Vitess,
};

/// The definitions of every kind, in the order of their names.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        KeyspaceShard::crd(),
        LoadEvent::crd(),
        PolicyModule::crd(),
        PrometheusSource::crd(),
        ScalingOverride::crd(),
        ScalingPolicy::crd(),
        ScalingRecommendation::crd(),
        TabletPool::crd(),
        TopoServer::crd(),
        VTGatePool::crd(),
        Vitess::crd(),
    ]
}
