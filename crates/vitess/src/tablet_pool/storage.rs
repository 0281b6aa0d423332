//! Volumes grow with the spec of their pool, and never shrink. Nothing is asked here.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;

use crate::bytes;
use crate::tablet_pool::plan::Held;

/// What becomes of volumes that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Those that are to grow, by number.
    pub grow: BTreeSet<u32>,
    /// Those that stay as they are, and have another size, as it was asked for.
    pub stay: BTreeMap<u32, String>,
    /// What cannot be carried out.
    pub held: Option<Held>,
    /// What takes its time.
    pub waits: Option<Held>,
}

/// Decides, for volumes by number.
#[must_use]
pub fn storage<'a>(
    size: &str,
    claims: impl IntoIterator<Item = (u32, &'a PersistentVolumeClaim)>,
) -> Storage {
    let mut all = Storage::default();
    let wanted = bytes::parse(size);
    for (index, claim) in claims
        .into_iter()
        .filter(|(_, it)| it.metadata.deletion_timestamp.is_none())
    {
        let asked = requested(claim);
        let of = |text: Option<&String>| text.and_then(|it| bytes::parse(it));
        match (of(asked.as_ref()), wanted) {
            (Some(there), Some(wanted)) if there > wanted => {
                let there = asked.unwrap_or_default();
                all.stay.insert(index, there.clone());
                all.held.get_or_insert_with(|| shrinks(claim, &there, size));
            }
            (Some(there), Some(wanted)) if there < wanted => {
                // One that is not bound cannot be changed; it grows once it is.
                if is_bound(claim) {
                    all.grow.insert(index);
                }
                all.stay.insert(index, asked.unwrap_or_default());
            }
            _ => {
                let has = of(capacity(claim).as_ref());
                if has.is_some_and(|it| Some(it) < wanted) {
                    all.waits.get_or_insert_with(|| grows(claim, size));
                }
            }
        }
    }
    all
}

/// What was not done to a volume that was to grow.
#[must_use]
pub fn refused(claim: &str, size: &str, said: &str) -> Held {
    Held {
        reason: "StorageNotGrown",
        message: format!(
            "Volume {claim} does not grow to {size}: {said}. Its StorageClass has to have allowVolumeExpansion: true, and \
             a quota room."
        ),
    }
}

/// What a volume was asked for.
#[must_use]
pub fn requested(claim: &PersistentVolumeClaim) -> Option<String> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Some(requests.get("storage")?.0.clone())
}

fn capacity(claim: &PersistentVolumeClaim) -> Option<String> {
    let capacity = claim.status.as_ref()?.capacity.as_ref()?;
    Some(capacity.get("storage")?.0.clone())
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let phase = claim.status.as_ref().and_then(|it| it.phase.as_deref());
    phase == Some("Bound")
}

fn shrinks(claim: &PersistentVolumeClaim, there: &str, size: &str) -> Held {
    Held {
        reason: "StorageCannotShrink",
        message: format!(
            "Volume {} has {there}, and {size} are asked for: a volume never shrinks. Set storage.size to {there}.",
            claim.name_any()
        ),
    }
}

fn grows(claim: &PersistentVolumeClaim, size: &str) -> Held {
    let conditions = claim.status.as_ref().and_then(|it| it.conditions.as_ref());
    let waits_for_pod = conditions.is_some_and(|all| {
        all.iter()
            .any(|it| it.type_ == "FileSystemResizePending" && it.status == "True")
    });
    let name = claim.name_any();
    let message = if waits_for_pod {
        format!(
            "The file system of volume {name} grows to {size} once its pod starts again: delete the pods one by one, the \
             primary's last."
        )
    } else {
        format!("Volume {name} grows to {size}.")
    };
    Held {
        reason: "StorageGrows",
        message,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(phase: &str, asked: &str, has: &str, conditions: &[&str]) -> PersistentVolumeClaim {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|it| json!({"type": it, "status": "True"}))
            .collect();
        let claim = json!({
            "metadata": {"name": "v"},
            "spec": {"resources": {"requests": {"storage": asked}}},
            "status": {"phase": phase, "capacity": {"storage": has}, "conditions": conditions},
        });
        serde_json::from_value(claim).unwrap()
    }

    #[test]
    fn volumes_grow_and_never_shrink() {
        type Case<'a> = (
            PersistentVolumeClaim,
            bool,
            Option<&'a str>,
            Option<&'a str>,
        );
        let table: [Case<'_>; 6] = [
            (claim("Bound", "2Gi", "2Gi", &[]), false, None, None),
            (claim("Bound", "1Gi", "1Gi", &[]), true, None, None),
            (claim("Pending", "1Gi", "0", &[]), false, None, None),
            (
                claim("Bound", "3Gi", "3Gi", &[]),
                false,
                Some("a volume never shrinks. Set storage.size to 3Gi."),
                None,
            ),
            (
                claim("Bound", "2048Mi", "1Gi", &[]),
                false,
                None,
                Some("Volume v grows to 2Gi."),
            ),
            (
                claim("Bound", "2Gi", "1Gi", &["FileSystemResizePending"]),
                false,
                None,
                Some("once its pod starts again"),
            ),
        ];
        for (claim, grows, held, waits) in table {
            let all = storage("2Gi", [(7, &claim)]);
            assert_eq!(all.grow.contains(&7), grows, "{claim:?}");
            for (said, expected) in [(all.held, held), (all.waits, waits)] {
                let said = said.map(|it| it.message);
                assert_eq!(said.is_some(), expected.is_some(), "{said:?}");
                assert!(
                    said.unwrap_or_default().contains(expected.unwrap_or("")),
                    "{claim:?}"
                );
            }
        }
    }
}
