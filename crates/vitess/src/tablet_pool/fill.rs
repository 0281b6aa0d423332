//! Tablets that get the rows of a shard that has data: by MySQL's CLONE from its primary. Nothing is asked here.
//!
//! A volume is marked as it is made, so that whoever goes on after a restart never takes an empty one for one with rows.
//! Its tablet copies the primary before it serves, and the mark is taken away once it does.

use std::collections::BTreeMap;

use foreshard_vtctld::TabletAlias;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;

use crate::tablet_pool::plan::Held;

/// On a volume: that it is to be filled, and from what.
const FILLS: &str = "foreshard.dev/fills-from";

/// The mark of a volume that is to be filled.
#[must_use]
pub fn mark() -> BTreeMap<String, String> {
    [(FILLS.to_owned(), "Clone".to_owned())].into()
}

/// Whether a volume is still to be filled.
#[must_use]
pub fn is_marked(claim: &PersistentVolumeClaim) -> bool {
    claim.annotations().contains_key(FILLS)
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
}
