//! Tells people of objects that do not fit their definition, as one that an older definition let in: what was known of
//! them before stands, and after a restart they are as if they were not there. By a policy nothing is done meanwhile: it is
//! read anew before each write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use foreshard_api::v1alpha1::{PolicyModule, PrometheusSource};
use foreshard_controller::call::in_time;
use foreshard_controller::error::chain;
use foreshard_controller::index::{Index, Malformed, Watched};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::shared::{Shared, short};

/// Nobody waits for it: what is known stands.
const EVERY: Duration = Duration::from_secs(10);

/// Kinds that nobody else looks through.
pub(crate) struct Others {
    pub(crate) sources: Arc<Index<PrometheusSource>>,
    pub(crate) modules: Arc<Index<PolicyModule>>,
}

/// Events are gone after an hour.
const AGAIN: Duration = Duration::from_secs(1800);

/// Writes an event about each, again from time to time, until `stop`.
pub(crate) async fn tell(shared: Arc<Shared>, others: Others, stop: CancellationToken) {
    let mut told: BTreeMap<Found, Instant> = BTreeMap::new();
    loop {
        let all = all(&shared, &others);
        told.retain(|it, since| all.contains(it) && since.elapsed() < AGAIN);
        for it in all {
            let is_news = shared.claim.holds() && !told.contains_key(&it) && !stop.is_cancelled();
            if is_news && publish(&shared, &it).await {
                told.insert(it, Instant::now());
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Kind, and what is wrong with which object.
type Found = (String, Malformed);

fn all(shared: &Shared, others: &Others) -> BTreeSet<Found> {
    let indexes = &shared.indexes;
    let mut all = BTreeSet::new();
    all.extend(of(&indexes.policies));
    all.extend(of(&indexes.overrides));
    all.extend(of(&indexes.events));
    all.extend(of(&indexes.recommendations));
    all.extend(of(&others.sources));
    all.extend(of(&others.modules));
    all
}

fn of<K: Watched>(index: &Index<K>) -> impl Iterator<Item = Found> + use<K> {
    let kind = K::kind(&()).into_owned();
    index
        .malformed()
        .into_iter()
        .map(move |it| (kind.clone(), it))
}

async fn publish(shared: &Shared, (kind, malformed): &Found) -> bool {
    let (namespace, name) = malformed.key.clone();
    let about = ObjectReference {
        api_version: Some("foreshard.dev/v1alpha1".to_owned()),
        kind: Some(kind.clone()),
        namespace: Some(namespace),
        name: Some(name),
        uid: malformed.uid.clone(),
        ..ObjectReference::default()
    };
    // What is wrong may be as long as the object.
    let note = short(format!(
        "Write it anew, with kubectl edit or from Git: it does not fit its definition, and nothing is done by what it \
         says now. {}",
        malformed.error
    ));
    let event = Event {
        type_: EventType::Warning,
        reason: "Malformed".to_owned(),
        // Events that differ in their note alone would be counted as one, with the note of the first.
        action: format!("Reading {}", &foreshard_api::sha256(note.as_bytes())[7..15]),
        note: Some(note),
        secondary: None,
    };
    let published = in_time(shared.recorder.publish(&event, &about)).await;
    if let Err(error) = &published {
        tracing::warn!(error = chain(error), "event not written");
    }
    published.is_ok()
}
