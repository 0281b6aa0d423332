//! Pools that the spec no longer names, or whose keyspace it does not: whether one goes now. Nothing is asked here.

use foreshard_api::condition::kind;
use foreshard_api::v1alpha1::TabletPool;
use foreshard_api::v1alpha1::vitess::keyspace::TurndownPolicy;

/// What is done with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turndown {
    /// It stays: people have to say that nobody needs its tablets, by scaling it to none.
    Stays,
    /// It is scaled to none: tablets leave as they do whenever fewer are wanted.
    ScalesToNone,
    /// Its tablets leave.
    Leaves,
    /// Nothing is left of it but the object.
    Goes,
}

/// A shard whose keyspace the spec no longer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Some of its pools are wanted by whoever scales them.
    MayServe,
    /// All of its tablets leave.
    Leaves,
    /// It has no pool any more.
    Gone,
}

/// How far such a shard has come, from its pools.
#[must_use]
pub fn dropped<P: AsRef<TabletPool>>(pools: &[P]) -> Dropped {
    let mut replicas = pools.iter().map(|it| it.as_ref().spec.replicas);
    if pools.is_empty() {
        Dropped::Gone
    } else if replicas.all(|it| it == Some(0)) {
        Dropped::Leaves
    } else {
        Dropped::MayServe
    }
}

/// Decides, from what the pool's own controller says of it.
#[must_use]
pub fn turndown(policy: TurndownPolicy, pool: &TabletPool) -> Turndown {
    if pool.spec.replicas != Some(0) {
        return match policy {
            TurndownPolicy::RequireIdle => Turndown::Stays,
            TurndownPolicy::Immediate => Turndown::ScalesToNone,
        };
    }
    let status = pool.status.clone().unwrap_or_default();
    let mut conditions = status.conditions.iter();
    let is_settled = conditions.any(|it| it.type_ == kind::PROGRESSING && it.reason == "AsWanted");
    let is_known = status.observed_generation == pool.metadata.generation;
    if is_known && is_settled && status.replicas == Some(0) {
        Turndown::Goes
    } else {
        Turndown::Leaves
    }
}

#[cfg(test)]
mod tests {
    use foreshard_api::condition::{Finding, merge};
    use foreshard_api::time;

    use super::*;

    #[test]
    fn a_pool_goes_once_nothing_is_left_of_it() {
        let text = "{vitessName: a, keyspace: b, keyRange: {}, cell: c, type: Rdonly, poolName: main, replicas: 1, \
             template: {storage: {size: 1Gi}}}";
        let mut pool = TabletPool::new("a-b", serde_saphyr::from_str(text).unwrap());
        pool.metadata.generation = Some(2);
        assert_eq!(
            turndown(TurndownPolicy::RequireIdle, &pool),
            Turndown::Stays
        );
        assert_eq!(
            turndown(TurndownPolicy::Immediate, &pool),
            Turndown::ScalesToNone
        );
        pool.spec.replicas = Some(0);
        let told = |pool: &mut TabletPool, generation: i64, replicas: i32, reason| {
            let finding = Finding::no(kind::PROGRESSING, reason, "");
            let status = pool.status.get_or_insert_default();
            status.observed_generation = Some(generation);
            status.replicas = Some(replicas);
            status.conditions = merge(&[], &[finding], generation, &time::from_unix(1));
            turndown(TurndownPolicy::RequireIdle, pool)
        };
        assert_eq!(
            turndown(TurndownPolicy::RequireIdle, &pool),
            Turndown::Leaves
        );
        assert_eq!(told(&mut pool, 1, 0, "AsWanted"), Turndown::Leaves);
        assert_eq!(told(&mut pool, 2, 1, "AsWanted"), Turndown::Leaves);
        assert_eq!(told(&mut pool, 2, 0, "TabletLeaves"), Turndown::Leaves);
        assert_eq!(told(&mut pool, 2, 0, "AsWanted"), Turndown::Goes);
    }
}
