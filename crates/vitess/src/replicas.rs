//! Whose the replicas of a pool are: the spec's where it names them, else whoever's scales the pool.

use foreshard_api::v1alpha1::{TabletPool, VTGatePool};
use kube::ResourceExt as _;
use serde_json::json;

use foreshard_controller::call::in_time;

use crate::INITIAL_MANAGER;
use crate::apply::{ApplyError, Owned, Writer};

/// On a pool: whether its replicas are named by the spec.
const NAMED: &str = "foreshard.dev/replicas-named";

/// An object with replicas.
pub(crate) trait Pool: Owned {
    fn replicas(&self) -> Option<i32>;
    fn set_replicas(&mut self, replicas: Option<i32>);
}

impl Pool for TabletPool {
    fn replicas(&self) -> Option<i32> {
        self.spec.replicas
    }

    fn set_replicas(&mut self, replicas: Option<i32>) {
        self.spec.replicas = replicas;
    }
}

impl Pool for VTGatePool {
    fn replicas(&self) -> Option<i32> {
        self.spec.replicas
    }

    fn set_replicas(&mut self, replicas: Option<i32>) {
        self.spec.replicas = replicas;
    }
}

/// How many a spec asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Enforced, where it is named.
    pub(crate) named: Option<i32>,
    /// What a pool starts with, where it is not.
    pub(crate) first: i32,
}

/// Whether the field was handed over already, by a pass that was killed before it said so.
async fn is_handed_over<K: Pool>(initial: &Writer, live: &K) -> Result<bool, ApplyError> {
    let name = live.name_any();
    let api = initial.api::<K>(live.namespace().as_deref());
    let fresh = in_time(api.get_opt(&name)).await;
    let fresh = fresh.map_err(|error| ApplyError::read::<K>(&name, error))?;
    Ok(fresh.is_some_and(|it| {
        it.managed_fields().iter().any(|entry| {
            let fields = entry
                .fields_v1
                .as_ref()
                .map(|it| &it.0["f:spec"]["f:replicas"]);
            entry.manager.as_deref() == Some(INITIAL_MANAGER)
                && fields.is_some_and(serde_json::Value::is_object)
        })
    }))
}

/// Has a pool be as it is wanted. Replicas that are named are enforced; those that are not are set once, under a name of
/// their own, and never again. Where they were named until now, they are handed over first: a field that nobody owns any
/// more would be dropped.
pub(crate) async fn put<K: Pool>(
    writer: &Writer,
    initial: &Writer,
    mut wanted: K,
    asked: Asked,
    live: Option<&K>,
) -> Result<(), ApplyError> {
    let there = live.and_then(K::replicas);
    if let (Some(live), Some(there), None) = (live, there, asked.named)
        && live.annotations().get(NAMED).is_some_and(|it| it == "true")
        && !is_handed_over(initial, live).await?
    {
        tracing::info!(
            pool = live.name_any(),
            replicas = there,
            "replicas are handed over"
        );
        initial.apply_part(live, json!({"replicas": there})).await?;
    }
    wanted.set_replicas(asked.named);
    let is_named = asked.named.is_some().to_string();
    wanted.annotations_mut().insert(NAMED.to_owned(), is_named);
    writer.apply(&wanted, live).await?;
    if asked.named.is_none() && there.is_none() {
        let first = json!({"replicas": asked.first});
        initial.apply_part(&wanted, first).await?;
    }
    Ok(())
}
