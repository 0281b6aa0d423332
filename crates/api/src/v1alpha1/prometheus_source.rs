//! `PrometheusSource`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{reference::SecretKeyRef, schema};

/// A server that answers Prometheus queries: Prometheus, Thanos, Mimir, VictoriaMetrics.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "PrometheusSource",
    plural = "prometheussources",
    singular = "prometheussource",
    shortname = "fps",
    category = "foreshard",
    namespaced,
    status = "PrometheusSourceStatus",
    derive = "PartialEq",
    doc = "A server that answers Prometheus queries: Prometheus, Thanos, Mimir, VictoriaMetrics. Credentials come from Secrets of the same namespace; the operator's own are never sent.",
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(
        name = "Reachable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Reachable')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Reachable')].reason"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSourceSpec {
    /// Its address, such as `http://prometheus.monitoring:9090`; a path is kept.
    #[schemars(length(min = 1, max = 1024), pattern("^https?://[^\\s?#@]+$"))]
    pub url: String,
    /// Seconds that one request may take.
    #[serde(default = "timeout_seconds")]
    #[schemars(range(min = 1, max = 120))]
    pub timeout_seconds: i32,
    /// How we say who we are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// How the server is known, for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Headers for each request, such as `X-Scope-OrgID` for a tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub headers: Vec<RequestHeader>,
    /// Most queries in a minute; live samples come less often where that is too few.
    #[serde(default = "queries_per_minute_max")]
    #[schemars(range(min = 6, max = 100_000))]
    pub queries_per_minute_max: i32,
}

impl PrometheusSourceSpec {
    /// The defaults for everything else.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout_seconds: timeout_seconds(),
            authentication: None,
            tls: None,
            headers: Vec::new(),
            queries_per_minute_max: queries_per_minute_max(),
        }
    }
}

fn timeout_seconds() -> i32 {
    10
}

fn queries_per_minute_max() -> i32 {
    3000
}

/// How we say who we are: one of these.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.bearerToken) != has(self.basic)").message("authentication has exactly one of bearerToken and basic").reason(Reason::FieldValueInvalid))]
pub struct Authentication {
    /// A token from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<SecretKeyRef>,
    /// User and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The user.
    #[schemars(length(min = 1, max = 256))]
    pub username: String,
    /// The password, from a Secret.
    pub password: SecretKeyRef,
}

/// How the server is known.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.certificate) == has(self.key)").message("certificate and key come together").reason(Reason::FieldValueInvalid))]
pub struct Tls {
    /// Certificates that are trusted beside none other, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKeyRef>,
    /// Our certificate, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<SecretKeyRef>,
    /// Its key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretKeyRef>,
    /// Anyone may answer. Only for trying out.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

/// A header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestHeader {
    /// Its name.
    #[schemars(length(min = 1, max = 64), pattern("^[A-Za-z0-9-]+$"))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 1024))]
    pub value: String,
}

/// What is known of a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSourceStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
