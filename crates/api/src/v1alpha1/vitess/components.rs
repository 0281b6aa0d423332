//! What a cluster has beside tablets.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::compute::{Amounts, Placement, Resources, Storage};
use crate::v1alpha1::{SecretKeyRef, Window};

/// Gateways of one cell.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CellGateway {
    /// Gateways. Named here, it is enforced, and no autoscaler acts on the pool; left out, it starts with
    /// `initialReplicas` and belongs to whoever scales it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<i32>,
    /// Gateways that the pool starts with, where `replicas` is left out.
    #[serde(default = "initial_gateways")]
    #[schemars(range(min = 1, max = 1000))]
    pub initial_replicas: i32,
    /// What a gateway is made of.
    #[serde(flatten)]
    pub gateway: GatewayTemplate,
}

impl Default for CellGateway {
    fn default() -> Self {
        Self {
            replicas: None,
            initial_replicas: initial_gateways(),
            gateway: GatewayTemplate::default(),
        }
    }
}

fn initial_gateways() -> i32 {
    2
}

/// What a gateway is made of.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayTemplate {
    /// What each gateway gets.
    #[serde(default = "gateway_resources")]
    pub resources: Resources,
    /// Where gateways may run.
    #[serde(default)]
    pub placement: Placement,
}

impl Default for GatewayTemplate {
    fn default() -> Self {
        Self {
            resources: gateway_resources(),
            placement: Placement::default(),
        }
    }
}

fn gateway_resources() -> Resources {
    of("250m", "256Mi", "1Gi")
}

fn of(cpu: &str, memory: &str, memory_max: &str) -> Resources {
    Resources {
        requests: Some(Amounts {
            cpu: Some(cpu.to_owned()),
            memory: Some(memory.to_owned()),
        }),
        limits: Some(Amounts {
            cpu: None,
            memory: Some(memory_max.to_owned()),
        }),
    }
}

fn small_resources() -> Resources {
    of("50m", "128Mi", "512Mi")
}

/// A component that runs beside the tablets.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// How many run.
    #[serde(default = "component_replicas")]
    #[schemars(range(min = 1, max = 5))]
    pub replicas: i32,
    /// What each gets.
    #[serde(default = "small_resources")]
    pub resources: Resources,
    /// Where they may run.
    #[serde(default)]
    pub placement: Placement,
}

impl Default for Component {
    fn default() -> Self {
        Self {
            replicas: component_replicas(),
            resources: small_resources(),
            placement: Placement::default(),
        }
    }
}

fn component_replicas() -> i32 {
    2
}

/// Who may ask the gateways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// MySQL users of the gateways, as the JSON of vtgate's static authentication [default: one user `app`, whose
    /// password is generated into the Secret `NAME-app`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<SecretKeyRef>,
    /// Secret of type `kubernetes.io/tls` that gateways show to MySQL clients [default: a certificate of the cluster's
    /// own authority].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub tls_secret_name: Option<String>,
}

/// Where the cluster's metrics go: exactly one of these.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.managed) != has(self.external)").message("monitoring has exactly one of managed and external").reason(Reason::FieldValueInvalid))]
pub struct Monitoring {
    /// To a Prometheus that is made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedPrometheus>,
    /// To one that is there already and scrapes the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalPrometheus>,
}

/// A Prometheus that is made for the cluster.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPrometheus {
    /// Its image.
    #[serde(default = "prometheus_image")]
    #[schemars(length(min = 1, max = 512), pattern("^[^\\s]+$"))]
    pub image: String,
    /// Days that samples are kept. Forecasts read four weeks.
    #[serde(default = "retention_days")]
    #[schemars(range(min = 1, max = 400))]
    pub retention_days: i32,
    /// What it gets.
    #[serde(default = "prometheus_resources")]
    pub resources: Resources,
    /// Its volume.
    #[serde(default = "prometheus_storage")]
    pub storage: Storage,
}

fn prometheus_image() -> String {
    "quay.io/prometheus/prometheus:v3.5.0".to_owned()
}

fn retention_days() -> i32 {
    35
}

fn prometheus_resources() -> Resources {
    of("100m", "512Mi", "2Gi")
}

fn prometheus_storage() -> Storage {
    Storage::new("20Gi")
}

/// A Prometheus that is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalPrometheus {
    /// Its PrometheusSource, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub source_name: String,
}

/// When a change may restart what serves.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Windows') == has(self.windows)").message("windows are named for the type Windows, and for no other").reason(Reason::FieldValueInvalid))]
pub struct UpdateStrategy {
    /// Who releases a change.
    #[serde(default, rename = "type")]
    pub kind: UpdateStrategyType,
    /// When changes are released, for the type `Windows`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Option<Vec<Window>>,
}

/// Who releases a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpdateStrategyType {
    /// Nobody has to: one shard after the other.
    Automatic,
    /// The windows.
    Windows,
    /// A person.
    #[default]
    OnApproval,
}
