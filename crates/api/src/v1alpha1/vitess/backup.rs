//! Backups: where, when, how long.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::v1alpha1::SecretKeyRef;

/// Backups of every shard. New tablets are restored from the newest one.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backups {
    /// Where they are.
    pub location: BackupLocation,
    /// When one is made, as five fields of cron in UTC [default: only the first one, with the shard].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 9, max = 100),
        pattern("^[0-9*,/-]+( [0-9A-Za-z*,/-]+){4}$")
    )]
    pub schedule: Option<String>,
    /// How long they are kept.
    #[serde(default)]
    pub retention: BackupRetention,
    /// Seconds that one backup may take.
    #[serde(default = "timeout_seconds")]
    #[schemars(range(min = 60, max = 604_800))]
    pub timeout_seconds: i32,
}

/// Twelve hours: a shard of several hundred GB at 10 MB/s.
fn timeout_seconds() -> i32 {
    43_200
}

/// Where backups are: exactly one of these.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.volume) != has(self.s3)").message("location has exactly one of volume and s3").reason(Reason::FieldValueInvalid))]
pub struct BackupLocation {
    /// On a volume that every tablet can mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<BackupVolume>,
    /// In a store that speaks S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<BackupBucket>,
}

/// A volume for backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupVolume {
    /// PersistentVolumeClaim of the same namespace, with access `ReadWriteMany` unless all pods are on one node.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
}

/// A bucket for backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupBucket {
    /// Its name.
    #[schemars(length(min = 3, max = 63), pattern("^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub bucket: String,
    /// Its region.
    #[schemars(length(min = 1, max = 63), pattern("^[a-z0-9-]+$"))]
    pub region: String,
    /// Address of the store [default: Amazon's].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern("^https?://[^\\s?#@]+$"))]
    pub endpoint: Option<String>,
    /// Prefix of every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern("^[A-Za-z0-9][A-Za-z0-9._/-]*$"))]
    pub prefix: Option<String>,
    /// Credentials, in the format of Amazon's shared credentials file [default: those of the pod's service account].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SecretKeyRef>,
}

/// How long backups are kept: the newest `count`, and younger ones than `days` beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupRetention {
    /// So many of a shard are kept at least.
    #[serde(default = "count")]
    #[schemars(range(min = 1, max = 1000))]
    pub count: i32,
    /// None is deleted that is younger than so many days.
    #[serde(default = "days")]
    #[schemars(range(min = 1, max = 3650))]
    pub days: i32,
}

impl Default for BackupRetention {
    fn default() -> Self {
        Self {
            count: count(),
            days: days(),
        }
    }
}

fn count() -> i32 {
    2
}

fn days() -> i32 {
    7
}
