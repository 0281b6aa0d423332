//! Keyspaces: durability, initial sharding, pools of tablets.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::v1alpha1::compute::{Amounts, Placement, Resources, Storage};
use crate::v1alpha1::key_range::KeyRange;

/// A keyspace: one database to its clients, in one shard or many.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.sharding) == has(oldSelf.sharding) && (!has(self.sharding) || self.sharding == oldSelf.sharding)").message("sharding says how a keyspace began and cannot be changed: make a Reshard").reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.durability == 'None' || self.tabletPools.filter(p, p.type == 'Replica').map(p, has(p.replicas) ? p.replicas : p.initialReplicas).sum() >= 3").message("each shard has at least 3 tablets of type Replica, over all pools, unless durability is None: with fewer, writes stop when one is away").reason(Reason::FieldValueInvalid),
    validation = Rule::new("!self.durability.startsWith('CrossCell') || self.tabletPools.exists(p, p.type == 'Replica' && self.tabletPools.exists(q, q.type == 'Replica' && q.cell != p.cell))").message("durability across cells needs pools of type Replica in at least two cells").reason(Reason::FieldValueInvalid)
)]
pub struct Keyspace {
    /// Its name, for clients. Cannot be changed; another name is another keyspace.
    #[schemars(length(min = 1, max = 32), pattern("^[a-z]([a-z0-9_-]*[a-z0-9])?$"))]
    pub name: String,
    /// Who must have a write before it is acknowledged.
    #[serde(default)]
    pub durability: Durability,
    /// How it began: the shards that are made with it [default: one, not sharded]. Later changes are made by Reshards
    /// and recorded in KeyspaceShards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharding: Option<Sharding>,
    /// Tablets of each of its shards.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["cell", "type", "name"]))]
    pub tablet_pools: Vec<TabletPoolTemplate>,
    /// When the keyspace, or a pool of its tablets, may be taken away that is no longer named here.
    #[serde(default)]
    pub turndown_policy: TurndownPolicy,
    /// Name of the database in MySQL [default: `vt_` and the keyspace's name].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), pattern("^[A-Za-z0-9_]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("databaseName cannot be changed: the data would stay behind").reason(Reason::FieldValueForbidden))]
    pub database_name: Option<String>,
    /// A backup of another cluster that it begins with [default: it begins empty]. Read before its first tablet is made,
    /// and never again. Needs `spec.backups`, and the Secret of that cluster's MySQL users under the name of this one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RestoreFrom>,
}

/// A backup of another cluster, in the same location as this one's backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestoreFrom {
    /// Folder of that cluster below the location: its namespace and its name, such as `shop/example`.
    #[schemars(
        length(min = 3, max = 253),
        pattern("^[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*$")
    )]
    pub path: String,
    /// The newest backup that was taken at this time or before [default: the newest as the shard is made].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_before: Option<Time>,
}

/// Who must have a write before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Durability {
    /// The primary alone: a lost primary loses writes.
    None,
    /// One more tablet of type Replica.
    #[default]
    SemiSync,
    /// One more tablet of type Replica or Rdonly.
    SemiSyncWithRdonlyAck,
    /// One more tablet of type Replica in another cell.
    CrossCell,
    /// One more tablet of type Replica or Rdonly in another cell.
    CrossCellWithRdonlyAck,
}

impl Durability {
    /// As Vitess names it.
    #[must_use]
    pub fn vitess_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SemiSync => "semi_sync",
            Self::SemiSyncWithRdonlyAck => "semi_sync_with_rdonly_ack",
            Self::CrossCell => "cross_cell",
            Self::CrossCellWithRdonlyAck => "cross_cell_with_rdonly_ack",
        }
    }
}

/// When something may be taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TurndownPolicy {
    /// Once it serves nothing; until then it is listed in `status.orphaned`.
    #[default]
    RequireIdle,
    /// At once.
    Immediate,
}

/// How a keyspace began: exactly one of these.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.equal) != has(self.custom)").message("sharding has exactly one of equal and custom").reason(Reason::FieldValueInvalid))]
pub struct Sharding {
    /// Shards of the same width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equal: Option<EqualShards>,
    /// A shard for each of these ranges, which together cover everything once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(
        validation = Rule::new("self.exists_one(s, s.start == '') && self.exists_one(s, s.end == '')").message("exactly one range has no start, and exactly one has no end").reason(Reason::FieldValueInvalid),
        validation = Rule::new("self.all(s, s.end == '' || self.exists_one(t, t.start == s.end))").message("ranges leave no hole and do not overlap: where one ends, exactly one other starts").reason(Reason::FieldValueInvalid),
        validation = Rule::new("self.all(s, s.start == '' || self.exists_one(t, t.end == s.start))").message("ranges leave no hole and do not overlap: where one starts, exactly one other ends").reason(Reason::FieldValueInvalid)
    )]
    pub custom: Option<Vec<KeyRange>>,
}

impl Sharding {
    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> Vec<KeyRange> {
        match (&self.equal, &self.custom) {
            (Some(equal), _) => KeyRange::equal(u32::try_from(equal.shards).unwrap_or(1)),
            (None, Some(custom)) => {
                let mut ranges = custom.clone();
                ranges.sort();
                ranges
            }
            (None, None) => vec![KeyRange::default()],
        }
    }
}

/// Shards of the same width.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EqualShards {
    /// How many: a power of two.
    #[schemars(extend("enum" = [2, 4, 8, 16, 32, 64, 128, 256]))]
    pub shards: i32,
}

/// Type of tablets.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum TabletType {
    /// One of them is the primary; any may become it.
    Replica,
    /// For batch reads and copies; never the primary.
    Rdonly,
}

impl TabletType {
    /// As Vitess names it.
    #[must_use]
    pub fn vitess_name(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Rdonly => "rdonly",
        }
    }
}

/// Tablets of one type in one cell, for each shard.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TabletPoolTemplate {
    /// The cell, by its name in `cells`.
    #[schemars(length(min = 1, max = 25))]
    pub cell: String,
    /// Type of the tablets.
    #[serde(rename = "type")]
    pub kind: TabletType,
    /// Tells pools of one cell and type apart.
    #[serde(default = "pool_name")]
    #[schemars(length(min = 1, max = 16), pattern("^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Tablets of each shard, the primary included. Named here, it is enforced, and no autoscaler acts on the pools;
    /// left out, they start with `initialReplicas` and belong to whoever scales them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub replicas: Option<i32>,
    /// Tablets that a pool starts with, where `replicas` is left out.
    #[serde(default = "initial_tablets")]
    #[schemars(range(min = 1, max = 64))]
    pub initial_replicas: i32,
    /// What each tablet is made of.
    #[serde(flatten)]
    pub tablet: TabletTemplate,
}

fn pool_name() -> String {
    "main".to_owned()
}

fn initial_tablets() -> i32 {
    3
}

/// What a tablet is made of.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TabletTemplate {
    /// What vttablet gets.
    #[serde(default = "vttablet_resources")]
    pub vttablet: Resources,
    /// What MySQL gets.
    #[serde(default = "mysqld_resources")]
    pub mysqld: Resources,
    /// Lines of MySQL's configuration, added to ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub mysqld_config: Option<String>,
    /// Volume of each tablet, for MySQL's data.
    pub storage: Storage,
    /// What becomes of volumes.
    #[serde(default)]
    pub persistent_volume_claim_retention: ClaimRetention,
    /// Where tablets may run.
    #[serde(default)]
    pub placement: Placement,
}

fn amounts(cpu: Option<&str>, memory: &str) -> Option<Amounts> {
    Some(Amounts {
        cpu: cpu.map(str::to_owned),
        memory: Some(memory.to_owned()),
    })
}

fn vttablet_resources() -> Resources {
    Resources {
        requests: amounts(Some("100m"), "256Mi"),
        limits: amounts(None, "1Gi"),
    }
}

fn mysqld_resources() -> Resources {
    Resources {
        requests: amounts(Some("100m"), "512Mi"),
        limits: amounts(None, "1Gi"),
    }
}

/// What becomes of volumes of tablets that are no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRetention {
    /// When a pool was scaled in.
    #[serde(default)]
    pub when_scaled: Retention,
    /// When the whole Vitess was deleted, or the keyspace was taken out of it.
    #[serde(default)]
    pub when_deleted: Retention,
}

/// What becomes of a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Retention {
    /// It stays.
    #[default]
    Retain,
    /// It is deleted.
    Delete,
}
