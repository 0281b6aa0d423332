//! `TopoServer`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::v1alpha1::compute::{Amounts, Placement, Resources, Storage};

/// The etcd image that is used where none is named.
pub const ETCD_IMAGE: &str = "gcr.io/etcd-development/etcd:v3.7.3";

/// An etcd cluster that holds one topology of Vitess.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "TopoServer",
    plural = "toposervers",
    singular = "toposerver",
    shortname = "fts",
    category = "foreshard",
    namespaced,
    status = "TopoServerStatus",
    derive = "PartialEq",
    doc = "An etcd cluster that holds one topology of Vitess. Members speak TLS with certificates of their own authority; a member whose volume is lost is replaced; what was bootstrapped once never is again.",
    printcolumn(name = "Members", type_ = "integer", json_path = ".spec.members"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyMembers"),
    printcolumn(name = "Available", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Cluster-ID", type_ = "string", json_path = ".status.clusterId", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name is at most 40 letters, digits and dashes, and begins with a letter: names of services follow from it").reason(Reason::FieldValueInvalid)
)]
#[serde(rename_all = "camelCase")]
pub struct TopoServerSpec {
    /// Members: 1, 3 or 5. It may grow and never shrinks.
    #[schemars(extend("enum" = [1, 3, 5]))]
    #[x_kube(validation = Rule::new("self >= oldSelf").message("members cannot shrink: make a new cluster and restore into it").reason(Reason::FieldValueForbidden))]
    pub members: i32,
    /// Image of etcd 3.5 or newer.
    #[serde(default = "image")]
    #[schemars(length(min = 1, max = 512), pattern("^[^\\s]+$"))]
    pub image: String,
    /// When the image is pulled.
    #[serde(default)]
    pub image_pull_policy: ImagePullPolicy,
    /// Secrets of the same namespace by which images are pulled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 253)), extend("x-kubernetes-list-type" = "set"))]
    pub image_pull_secrets: Vec<String>,
    /// What each member gets.
    #[serde(default = "resources")]
    pub resources: Resources,
    /// Volume of each member.
    #[serde(default = "storage")]
    pub storage: Storage,
    /// Size in MiB at which etcd stops taking writes. The volume has to hold twice as much, for defragmentation.
    #[serde(default = "quota_mebibytes")]
    #[schemars(range(min = 64, max = 8192))]
    pub quota_mebibytes: i32,
    /// Where members may run.
    #[serde(default)]
    pub placement: Placement,
}

impl TopoServerSpec {
    /// The defaults for everything else.
    #[must_use]
    pub fn new(members: i32) -> Self {
        Self {
            members,
            image: image(),
            image_pull_policy: ImagePullPolicy::default(),
            image_pull_secrets: Vec::new(),
            resources: resources(),
            storage: storage(),
            quota_mebibytes: quota_mebibytes(),
            placement: Placement::default(),
        }
    }
}

fn image() -> String {
    ETCD_IMAGE.to_owned()
}

/// What etcd needs for a topology of a few hundred tablets.
pub(crate) fn resources() -> Resources {
    let amounts = |cpu: Option<&str>, memory: &str| Amounts {
        cpu: cpu.map(str::to_owned),
        memory: Some(memory.to_owned()),
    };
    Resources {
        requests: Some(amounts(Some("100m"), "256Mi")),
        // No limit of processor: a member that is held back loses elections.
        limits: Some(amounts(None, "1Gi")),
    }
}

pub(crate) fn storage() -> Storage {
    Storage::new("5Gi")
}

pub(crate) fn quota_mebibytes() -> i32 {
    2048
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// When the node does not have it.
    #[default]
    IfNotPresent,
    /// At every start.
    Always,
    /// Never: the node has it.
    Never,
}

impl ImagePullPolicy {
    /// As Kubernetes has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IfNotPresent => "IfNotPresent",
            Self::Always => "Always",
            Self::Never => "Never",
        }
    }
}

/// What is known of an etcd cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopoServerStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Identity of the etcd cluster, in hexadecimal digits. Once it is here, nothing is bootstrapped again: a cluster
    /// with another identity is none of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), pattern("^[0-9a-f]{1,16}$"))]
    pub cluster_id: Option<String>,
    /// When it was bootstrapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_time: Option<Time>,
    /// Members that answer and vote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub ready_members: Option<i32>,
    /// Members that run as the spec now says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub updated_members: Option<i32>,
    /// Every member, as etcd itself lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub members: Vec<TopoMember>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A member of an etcd cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopoMember {
    /// Its identity, in hexadecimal digits.
    #[schemars(length(min = 1, max = 16))]
    pub id: String,
    /// Name of its pod and its volume; empty while it has not started.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub name: String,
    /// Whether it votes, or still learns.
    #[serde(default)]
    pub role: TopoMemberRole,
    /// Version of etcd that it runs, when it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
}

/// Whether a member votes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TopoMemberRole {
    /// It votes.
    #[default]
    Voter,
    /// It catches up and is counted in no vote.
    Learner,
}
