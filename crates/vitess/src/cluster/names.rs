//! Names and labels of what is made of a `Vitess`. All of them follow from what is named in it.

use std::collections::BTreeMap;

use foreshard_api::v1alpha1::KeyRange;
use foreshard_api::v1alpha1::vitess::keyspace::TabletType;

use crate::digest;
use crate::names::{COMPONENT, MANAGED_BY, US};

/// Port of every program of Vitess for pages, probes and metrics.
pub(crate) const WEB_PORT: i32 = 15_000;
/// Port of every program of Vitess for gRPC.
pub(crate) const GRPC_PORT: i32 = 15_999;
/// Port for MySQL clients, of gateways and of mysqld.
pub(crate) const MYSQL_PORT: i32 = 3306;

/// The `Vitess` that an object belongs to.
pub(crate) const VITESS: &str = "foreshard.dev/vitess";
/// The keyspace.
pub(crate) const KEYSPACE: &str = "foreshard.dev/keyspace";
/// The range of the shard, as [`KeyRange::label`] has it.
pub(crate) const SHARD: &str = "foreshard.dev/shard";
/// The cell.
pub(crate) const CELL: &str = "foreshard.dev/cell";
/// Type of the tablet.
pub(crate) const TABLET_TYPE: &str = "foreshard.dev/tablet-type";
/// Name of the pool among those of its shard, cell and type.
pub(crate) const POOL: &str = "foreshard.dev/pool";

/// Programs, by their names in labels.
pub(crate) const VTCTLD: &str = "vtctld";
pub(crate) const VTORC: &str = "vtorc";
pub(crate) const VTGATE: &str = "vtgate";
pub(crate) const VTTABLET: &str = "vttablet";
pub(crate) const VTBACKUP: &str = "vtbackup";
pub(crate) const PROMETHEUS: &str = "prometheus";
pub(crate) const VTADMIN: &str = "vtadmin";

/// Labels by key.
pub(crate) type Labels = BTreeMap<String, String>;

/// Names of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterNames {
    /// Namespace.
    pub namespace: String,
    /// Name of the `Vitess`.
    pub name: String,
}

/// A pool of tablets, by what tells it apart from all others of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolKey<'a> {
    /// The keyspace.
    pub keyspace: &'a str,
    /// Range of the shard.
    pub range: &'a KeyRange,
    /// The cell.
    pub cell: &'a str,
    /// Type of the tablets.
    pub kind: TabletType,
    /// Name of the pool.
    pub pool: &'a str,
}

impl ClusterNames {
    /// Of the `Vitess` of this name.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Deployment, service and disruption budget of vtctld.
    #[must_use]
    pub fn vtctld(&self) -> String {
        format!("{}-vtctld", self.name)
    }

    /// Deployment of a keyspace's vtorc.
    #[must_use]
    pub fn vtorc(&self, keyspace: &str) -> String {
        format!("{}-vtorc-{}", self.name, object_name(keyspace))
    }

    /// Service in front of all gateways.
    #[must_use]
    pub fn gateway(&self) -> String {
        format!("{}-vtgate", self.name)
    }

    /// Deployment and disruption budget of a cell's gateways.
    #[must_use]
    pub fn gateways(&self, cell: &str) -> String {
        format!("{}-vtgate-{cell}", self.name)
    }

    /// The VTGatePool of a cell.
    #[must_use]
    pub fn gate_pool(&self, cell: &str) -> String {
        format!("{}-{cell}", self.name)
    }

    /// Everything of its Prometheus but the source, which has the cluster's name.
    #[must_use]
    pub fn prometheus(&self) -> String {
        format!("{}-prometheus", self.name)
    }

    /// Everything of its VTAdmin.
    #[must_use]
    pub fn vtadmin(&self) -> String {
        format!("{}-vtadmin", self.name)
    }

    /// The service that gives each tablet a name.
    #[must_use]
    pub fn tablets(&self) -> String {
        format!("{}-tablets", self.name)
    }

    /// The KeyspaceShard of a range.
    #[must_use]
    pub fn shard(&self, keyspace: &str, range: &KeyRange) -> String {
        format!("{}-{}-{}", self.name, object_name(keyspace), range.label())
    }

    /// The TabletPool of this key.
    #[must_use]
    pub fn pool(&self, key: &PoolKey<'_>) -> String {
        let shard = self.shard(key.keyspace, key.range);
        let kind = key.kind.vitess_name();
        format!("{shard}-{}-{kind}-{}", key.cell, key.pool)
    }

    /// Pod and volume of a tablet.
    #[must_use]
    pub fn tablet(&self, uid: u32) -> String {
        format!("{}-tablet-{uid:010}", self.name)
    }

    /// DNS name of a tablet.
    #[must_use]
    pub fn tablet_host(&self, uid: u32) -> String {
        format!("{}.{}", self.tablet(uid), self.host(&self.tablets()))
    }

    /// DNS name of a service.
    #[must_use]
    pub fn host(&self, service: &str) -> String {
        format!("{service}.{}.svc", self.namespace)
    }

    /// Secret with the authority's certificate and key.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}-ca", self.name)
    }

    /// Secret with the certificate of a program, or of `client`.
    #[must_use]
    pub fn certificate(&self, of: &str) -> String {
        format!("{}-{of}-tls", self.name)
    }

    /// Secret with the users of every mysqld.
    #[must_use]
    pub fn mysql_users(&self) -> String {
        format!("{}-mysql-users", self.name)
    }

    /// Secret with the user that the gateways know.
    #[must_use]
    pub fn app(&self) -> String {
        format!("{}-app", self.name)
    }

    /// Labels of everything.
    #[must_use]
    pub fn labels(&self) -> Labels {
        owned([
            (MANAGED_BY, US),
            ("app.kubernetes.io/name", "vitess"),
            ("app.kubernetes.io/instance", &self.name),
            (VITESS, &self.name),
        ])
    }

    /// Labels of a program.
    #[must_use]
    pub fn component(&self, component: &str) -> Labels {
        let mut labels = self.labels();
        labels.insert(COMPONENT.to_owned(), component.to_owned());
        labels
    }

    /// Labels that select a program's pods.
    #[must_use]
    pub fn selector(&self, component: &str) -> Labels {
        owned([(COMPONENT, component), (VITESS, &self.name)])
    }

    /// Labels that select the tablets of a shard.
    #[must_use]
    pub fn shard_selector(&self, keyspace: &str, range: &KeyRange) -> Labels {
        let mut labels = self.selector(VTTABLET);
        labels.insert(KEYSPACE.to_owned(), keyspace.to_owned());
        labels.insert(SHARD.to_owned(), range.label());
        labels
    }

    /// Labels that select the tablets of a pool.
    #[must_use]
    pub fn pool_selector(&self, key: &PoolKey<'_>) -> Labels {
        let mut labels = self.shard_selector(key.keyspace, key.range);
        labels.extend(owned([
            (CELL, key.cell),
            (TABLET_TYPE, key.kind.vitess_name()),
            (POOL, key.pool),
        ]));
        labels
    }
}

/// The TabletPool that a pod or volume says it is of.
pub(crate) fn pool_of(labels: &Labels) -> Option<String> {
    let [name, keyspace, shard, cell, kind, pool] =
        [VITESS, KEYSPACE, SHARD, CELL, TABLET_TYPE, POOL].map(|key| labels.get(key));
    let keyspace = object_name(keyspace?);
    let (name, shard, cell) = (name?, shard?, cell?);
    Some(format!(
        "{name}-{keyspace}-{shard}-{cell}-{}-{}",
        kind?, pool?
    ))
}

/// The KeyspaceShard that an object says it is of.
pub(crate) fn shard_of(labels: &Labels) -> Option<String> {
    let [name, keyspace, shard] = [VITESS, KEYSPACE, SHARD].map(|key| labels.get(key));
    Some(format!("{}-{}-{}", name?, object_name(keyspace?), shard?))
}

/// A keyspace as a part of names of objects, which have no underscores: what was one is told apart by a digest.
fn object_name(keyspace: &str) -> String {
    if keyspace.contains('_') {
        let digest: String = digest::short(keyspace).chars().take(4).collect();
        format!("{}-{digest}", keyspace.replace('_', "-"))
    } else {
        keyspace.to_owned()
    }
}

fn owned<const N: usize>(labels: [(&str, &str); N]) -> Labels {
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_what_is_named() {
        let names = ClusterNames::new("shop", "example");
        let range = KeyRange::default();
        let key = PoolKey {
            keyspace: "user_data",
            range: &range,
            cell: "zone1",
            kind: TabletType::Replica,
            pool: "main",
        };
        let all = [
            names.shard("commerce", &range),
            names.pool(&key),
            names.vtorc("user_data"),
            names.tablet_host(7),
        ];
        insta::assert_yaml_snapshot!(all);
        assert_eq!(pool_of(&names.pool_selector(&key)), Some(names.pool(&key)));
        assert_eq!(pool_of(&names.component(VTGATE)), None);
    }

    #[test]
    fn the_longest_names_are_still_names() {
        let names = ClusterNames::new("shop", &"n".repeat(40));
        assert!(
            names.tablet(u32::MAX).len() <= 63,
            "a pod's name is its host's"
        );
        for service in [names.tablets(), names.vtctld(), names.gateway()] {
            assert!(service.len() <= 63, "{service}");
        }
        let range = KeyRange {
            start: "1".repeat(16),
            end: "2".repeat(16),
        };
        let key = PoolKey {
            keyspace: &"k_".repeat(16),
            range: &range,
            cell: &"c".repeat(25),
            kind: TabletType::Replica,
            pool: &"p".repeat(16),
        };
        assert!(names.pool(&key).len() <= 253);
        let selector = names.pool_selector(&key);
        assert!(selector.values().all(|value| value.len() <= 63));
    }
}
