//! Keeps labels, marks and sizes of volumes.

use std::time::Duration;

use foreshard_api::time;
use foreshard_controller::call::unix_now;
use foreshard_controller::error::refusal;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::Objects;
use crate::apply::ApplyError;
use crate::shared::Shared;
use crate::tablet_pool::build::{self, Source};
use crate::tablet_pool::fill::{self, Fills};
use crate::tablet_pool::plan::{Held, PodSeen, ends};
use crate::tablet_pool::storage::{Storage, refused, requested, storage};
use crate::tablet_pool::wanted;

/// What was refused is tried again after this: a class may have been changed, or a quota.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What a worker remembers of volumes that grow.
#[derive(Default)]
pub(super) struct Growing {
    refused: Option<(Held, Instant)>,
}

/// Has volumes bear their labels, and be as large as the spec says, and those whose tablet serves no longer be marked as
/// to be filled. One that is refused to grow keeps nothing else from being done. Answers also how many seconds a tablet
/// took that serves now for the first time.
pub(super) async fn keep(
    shared: &Shared,
    of: &Source<'_>,
    objects: &Objects,
    growing: &mut Growing,
) -> Result<(Storage, Option<i64>), ApplyError> {
    let mut filled = None;
    let writer = &shared.writers.tablet_pool;
    let size = &of.pool.spec.template.storage.size;
    let claims = objects.claims.range(..wanted(of.pool));
    let mut todo = storage(size, claims.map(|(index, claim)| (*index, &**claim)));
    growing.refused = growing
        .refused
        .take()
        .filter(|(_, since)| since.elapsed() < TRY_AGAIN && !todo.grow.is_empty());
    for (index, live) in objects
        .claims
        .iter()
        .filter(|(_, it)| !ends(it, &of.wanted.uid))
    {
        let grows = todo.grow.contains(index) && growing.refused.is_none();
        let asked = match todo.stay.get(index) {
            Some(there) if !grows => there.clone(),
            _ if *index < wanted(of.pool) => size.clone(),
            _ => requested(live).unwrap_or_else(|| size.clone()),
        };
        let pod = objects.pods.get(index).map(|it| PodSeen::read(it));
        let has_copied = pod.is_some_and(|it| it.has_copied());
        let gave_up = pod.is_some_and(|it| it.breaks && it.restores);
        let fills = match Fills::read(live).filter(|_| !has_copied) {
            // A backup that cannot be restored is no reason to be without the tablet.
            Some(Fills::Backup) if gave_up => Some(Fills::Clone),
            fills => fills,
        };
        let kept = build::kept_claim(of, *index, live, asked, fills);
        let written = writer.apply(&kept, Some(&**live)).await;
        if written.is_ok() && fill::is_marked(live) && has_copied {
            filled = age_seconds(live);
            let said = format!(
                "Tablet {} has its rows and serves, {} s after its volume was made.",
                live.name_any(),
                filled.unwrap_or_default()
            );
            shared
                .tell(of.pool, EventType::Normal, "TabletFilled", said)
                .await;
        }
        match written {
            Ok(()) if grows => {
                let said = format!("Volume {} grows to {size}.", live.name_any());
                shared
                    .tell(of.pool, EventType::Normal, "StorageGrows", said)
                    .await;
            }
            Ok(()) => {}
            Err(ApplyError::Write { source, .. }) if grows && is_refusal(&source) => {
                let (_, said) = refusal(&source);
                let held = refused(&live.name_any(), size, &said);
                growing.refused = Some((held, Instant::now()));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some((held, _)) = &growing.refused {
        todo.held.get_or_insert_with(|| held.clone());
    }
    Ok((todo, filled))
}

/// Seconds since a volume was made.
fn age_seconds(claim: &PersistentVolumeClaim) -> Option<i64> {
    let made = claim.metadata.creation_timestamp.as_ref()?;
    Some(unix_now() - time::unix(made))
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 422))
}
