//! Tablets that get the rows of a shard that has data: from a backup, or by MySQL's CLONE from its primary. Nothing is
//! asked here.
//!
//! A volume is marked as it is made, so that whoever goes on after a restart never takes an empty one for one with rows.
//! Its tablet gets them before it serves, and the mark is taken away once it does.

use std::collections::BTreeMap;

use foreshard_api::time;
use foreshard_api::v1alpha1::KeyspaceShard;
use foreshard_vtctld::TabletAlias;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;

use crate::tablet_pool::plan::Held;

/// On a volume: that it is to be filled, and from what.
const FILLS: &str = "foreshard.dev/fills-from";

/// From what a volume is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fills {
    /// The primary, by MySQL's CLONE.
    Clone,
    /// The shard's newest backup.
    Backup,
    /// A backup of another cluster, with which the shard begins.
    Restore,
}

impl Fills {
    /// The mark of a volume that is to be filled.
    #[must_use]
    pub fn mark(self) -> BTreeMap<String, String> {
        [(FILLS.to_owned(), format!("{self:?}"))].into()
    }

    /// From what a volume is still to be filled.
    #[must_use]
    pub fn read(claim: &PersistentVolumeClaim) -> Option<Self> {
        let mark = claim.annotations().get(FILLS)?;
        Some(match mark.as_str() {
            "Backup" => Self::Backup,
            "Restore" => Self::Restore,
            _ => Self::Clone,
        })
    }

    /// Whether one of a shard is filled so at a time. With what a shard begins, all of its tablets begin.
    #[must_use]
    pub fn takes_turns(self) -> bool {
        self != Self::Restore
    }

    /// What a tablet does until it has its rows.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Clone => "copies the primary",
            Self::Backup => "is restored from the newest backup",
            Self::Restore => {
                "is restored from the backup of restoreFrom, for which it waits where there is none (see vttablet's log),"
            }
        }
    }
}

/// Whether a volume is still to be filled.
#[must_use]
pub fn is_marked(claim: &PersistentVolumeClaim) -> bool {
    Fills::read(claim).is_some()
}

/// Up to when the backup was taken that a shard begins with, as vttablet reads it: all of its tablets find the same one.
#[must_use]
pub fn taken_before(shard: &KeyspaceShard) -> String {
    let made = shard.metadata.creation_timestamp.as_ref();
    let named = shard.spec.restore_from.as_ref();
    let named = named.and_then(|it| it.taken_before.as_ref());
    let all = made.into_iter().chain(named).map(time::unix);
    let moment = time::from_unix(all.min().unwrap_or_default()).0;
    moment.strftime("%Y-%m-%d.%H%M%S").to_string()
}

/// Why there is nobody whom a new tablet could copy, if so; `primary` is what the shard's record says now.
#[must_use]
pub fn obstacle(tablet: &TabletAlias, primary: Option<&TabletAlias>) -> Option<Held> {
    let message = match primary {
        None => format!(
            "Tablet {tablet} has no volume, and the shard no primary to fill one from: vtorc elects one of those that run."
        ),
        Some(primary) if primary == tablet => format!(
            "Tablet {tablet} has no volume and is recorded as the primary: without rows it would be primary again. It \
             is made once vtorc has elected another one."
        ),
        Some(_) => return None,
    };
    Some(Held {
        reason: "NoProvisioningSource",
        message,
    })
}

#[cfg(test)]
mod tests {
    use foreshard_api::v1alpha1::vitess::keyspace::RestoreFrom;

    use super::*;

    #[test]
    fn nobody_copies_itself() {
        let alias = |uid: u32| TabletAlias {
            cell: "zone1".to_owned(),
            uid,
        };
        let said = |primary: Option<u32>| {
            let held = obstacle(&alias(1), primary.map(alias).as_ref());
            held.map(|it| it.message)
        };
        assert_eq!(said(Some(2)), None);
        assert!(said(None).unwrap().contains("no primary to fill one from"));
        assert!(said(Some(1)).unwrap().contains("recorded as the primary"));
    }

    #[test]
    fn a_mark_says_from_what() {
        for fills in [Fills::Clone, Fills::Backup, Fills::Restore] {
            let mut claim = PersistentVolumeClaim::default();
            assert_eq!(Fills::read(&claim), None);
            claim.metadata.annotations = Some(fills.mark());
            assert_eq!(Fills::read(&claim), Some(fills));
        }
    }

    #[test]
    fn all_tablets_of_a_shard_begin_with_the_same_backup() {
        let text = "{vitessName: a, keyspace: b, tabletPools: [], databaseName: c, restoreFrom: {path: x/y}}";
        let spec = serde_saphyr::from_str(text).unwrap();
        let mut shard = KeyspaceShard::new("a-b", spec);
        let made = "2026-11-20T03:00:07Z".parse().unwrap();
        shard.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(made));
        assert_eq!(taken_before(&shard), "2026-11-20.030007");
        let earlier = "2026-11-01T00:00:00Z".parse().unwrap();
        shard.spec.restore_from = Some(RestoreFrom {
            path: "x/y".to_owned(),
            taken_before: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                earlier,
            )),
        });
        assert_eq!(taken_before(&shard), "2026-11-01.000000");
    }
}
