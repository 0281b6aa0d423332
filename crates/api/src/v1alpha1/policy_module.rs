//! `PolicyModule`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{digest, schema};

/// A WebAssembly component that may decide.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "foreshard.dev",
    version = "v1alpha1",
    kind = "PolicyModule",
    plural = "policymodules",
    singular = "policymodule",
    shortname = "fpm",
    category = "foreshard",
    namespaced,
    status = "PolicyModuleStatus",
    derive = "PartialEq",
    doc = "A WebAssembly component that may decide. Usually made by `foreshard policy push`.",
    selectable = ".spec.digest",
    printcolumn(name = "Digest", type_ = "string", json_path = ".status.shortDigest"),
    printcolumn(name = "World", type_ = "string", json_path = ".status.worldVersion"),
    printcolumn(name = "Accepted", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Says", type_ = "string", json_path = ".status.summary", priority = 1),
    validation = Rule::new("self.metadata.name.size() <= 63").message("metadata.name is at most 63 characters long").reason(Reason::FieldValueInvalid),
    validation = Rule::new("!self.metadata.name.startsWith('builtin-')").message("names that begin with builtin- belong to the modules that come with Foreshard").reason(Reason::FieldValueForbidden)
)]
#[serde(rename_all = "camelCase")]
pub struct PolicyModuleSpec {
    /// Digest of the component's bytes: nothing else is ever run under this module.
    #[schemars(length(max = 71), pattern(digest::DIGEST_PATTERN))]
    pub digest: String,
    /// Where the bytes are.
    pub source: ModuleSource,
    /// Size of the component in bytes.
    #[schemars(range(min = 1, max = 67_108_864))]
    pub size_bytes: i64,
}

/// Where a component's bytes are: exactly one of these.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.uploaded), has(self.stored), has(self.builtin)].filter(x, x).size() == 1").message("source has exactly one of uploaded, stored and builtin").reason(Reason::FieldValueInvalid))]
pub struct ModuleSource {
    /// In a ConfigMap beside this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded: Option<Uploaded>,
    /// In the store that the operator is configured with (`--module-store`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// In the operator's own binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<Builtin>,
}

/// In a ConfigMap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Uploaded {
    /// Its name, in the same namespace; the bytes are under `component.wasm` of its `binaryData`.
    #[schemars(length(min = 1, max = 253))]
    pub config_map_name: String,
}

/// In the configured store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// Path in the store, relative to its root.
    #[schemars(length(min = 1, max = 512), pattern("^[A-Za-z0-9][A-Za-z0-9._/-]*$"))]
    pub path: String,
}

/// In the binary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Builtin {
    /// Its name there.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// What is known of a module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyModuleStatus {
    /// The generation of the spec that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The digest's first 12 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub short_digest: Option<String>,
    /// Version of the policy world that it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub world_version: Option<String>,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub name: Option<String>,
    /// Its own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// What it says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub summary: Option<String>,
    /// Actions that it may propose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 64)))]
    pub actions: Vec<String>,
    /// What is so and what is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
