//! All definitions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use crate::v1alpha1::{
    LoadEvent, PolicyModule, PrometheusSource, ScalingOverride, ScalingPolicy,
    ScalingRecommendation,
};

/// The definitions of every kind, in the order of their names.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        LoadEvent::crd(),
        PolicyModule::crd(),
        PrometheusSource::crd(),
        ScalingOverride::crd(),
        ScalingPolicy::crd(),
        ScalingRecommendation::crd(),
    ]
}
