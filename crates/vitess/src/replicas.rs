//! Whose the replicas of a pool are: the spec's where it names them, else whoever's scales the pool.

use foreshard_api::v1alpha1::{TabletPool, VTGatePool};
use kube::ResourceExt as _;
use serde_json::json;

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
