//! Keeps labels and sizes of volumes.

use std::time::Duration;

use foreshard_controller::error::refusal;
use kube::ResourceExt as _;
use kube::runtime::events::EventType;
use tokio::time::Instant;

use super::Objects;
use crate::apply::ApplyError;
use crate::shared::Shared;
use crate::tablet_pool::build::{self, Source};
use crate::tablet_pool::plan::{Held, ends};
use crate::tablet_pool::storage::{Storage, refused, requested, storage};
use crate::tablet_pool::wanted;

/// What was refused is tried again after this: a class may have been changed, or a quota.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What a worker remembers of volumes that grow.
#[derive(Default)]
pub(super) struct Growing {
    refused: Option<(Held, Instant)>,
}

/// Has volumes bear their labels, and be as large as the spec says. One that is refused to grow keeps nothing else from
/// being done.
pub(super) async fn keep(
    shared: &Shared,
    of: &Source<'_>,
    objects: &Objects,
    growing: &mut Growing,
) -> Result<Storage, ApplyError> {
    let writer = &shared.writers.tablet_pool;
    let size = &of.pool.spec.template.storage.size;
    let claims = objects.claims.range(..wanted(of.pool));
    let mut todo = storage(size, claims.map(|(index, claim)| (*index, &**claim)));
    growing.refused = growing
        .refused
        .take()
        .filter(|(_, since)| since.elapsed() < TRY_AGAIN && !todo.grow.is_empty());
    for (index, live) in objects.claims.iter().filter(|(_, it)| !ends(it)) {
        let grows = todo.grow.contains(index) && growing.refused.is_none();
        let asked = match todo.stay.get(index) {
            Some(there) if !grows => there.clone(),
            _ if *index < wanted(of.pool) => size.clone(),
            _ => requested(live).unwrap_or_else(|| size.clone()),
        };
        let kept = build::kept_claim(of, *index, live, asked);
        match writer.apply(&kept, Some(&**live)).await {
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
    Ok(todo)
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 422))
}
