//! Keyspaces that the spec no longer names: which of them are forgotten now. Nothing is asked here.

use foreshard_api::condition::kind;
use foreshard_api::v1alpha1::{KeyspaceShard, Vitess};

/// Reason of a shard whose keyspace the spec no longer names, and whose tablets leave.
pub const KEYSPACE_LEAVES: &str = "KeyspaceLeaves";
/// Reason of one of which nothing is left.
pub const NOTHING_LEFT: &str = "NothingLeft";

/// Whether the spec names a keyspace, and nothing of it is being forgotten.
#[must_use]
pub fn is_kept(vitess: &Vitess, keyspace: &str) -> bool {
    let is_named = vitess.spec.keyspaces.iter().any(|it| it.name == keyspace);
    is_named && !is_ending(vitess, keyspace)
}

/// Whether a keyspace is being forgotten.
#[must_use]
pub fn is_ending(vitess: &Vitess, keyspace: &str) -> bool {
    let status = vitess.status.as_ref();
    status.is_some_and(|it| it.ending_keyspaces.iter().any(|name| name == keyspace))
}

/// Whether a shard says by itself that it serves no more, as its keyspace goes.
#[must_use]
pub fn leaves(shard: &KeyspaceShard) -> bool {
    [KEYSPACE_LEAVES, NOTHING_LEFT].contains(&reason(shard))
}

/// Those of `begun` that are forgotten from now on: the spec does not name them, and each of their shards says that nothing
/// is left of it.
#[must_use]
pub fn ended<'a, S: AsRef<KeyspaceShard>>(
    vitess: &Vitess,
    begun: &'a [String],
    shards: &[S],
) -> Vec<&'a String> {
    let is_over = |name: &&String| {
        let named = vitess.spec.keyspaces.iter().any(|it| it.name == **name);
        let of_keyspace = shards.iter().map(AsRef::as_ref);
        let mut of_keyspace = of_keyspace.filter(|it| it.spec.keyspace == **name);
        !named && !is_ending(vitess, name) && of_keyspace.all(|it| reason(it) == NOTHING_LEFT)
    };
    begun.iter().filter(is_over).collect()
}

/// Why a shard is not ready, or is.
fn reason(shard: &KeyspaceShard) -> &str {
    let status = shard.status.as_ref();
    let mut conditions = status.map(|it| it.conditions.iter()).into_iter().flatten();
    let ready = conditions.find(|it| it.type_ == kind::READY);
    ready.map_or("", |it| &it.reason)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use foreshard_api::condition::{Finding, merge};
    use foreshard_api::time;
    use foreshard_api::v1alpha1::KeyspaceShardStatus;

    use super::*;

    fn shard(keyspace: &str, reason: &'static str) -> Arc<KeyspaceShard> {
        let spec = format!(
            "{{vitessName: a, keyspace: {keyspace}, keyRange: {{}}, durability: None, databaseName: vt, tabletPools: []}}"
        );
        let mut shard = KeyspaceShard::new("a", serde_saphyr::from_str(&spec).unwrap());
        let findings = [Finding::no(kind::READY, reason, "")];
        shard.status = Some(KeyspaceShardStatus {
            conditions: merge(&[], &findings, 1, &time::from_unix(1)),
            ..KeyspaceShardStatus::default()
        });
        Arc::new(shard)
    }

    #[test]
    fn a_keyspace_is_forgotten_once_nothing_is_left_of_any_shard_and_nobody_names_it() {
        let text = include_str!("../../../../examples/vitess/minimal.yaml");
        let mut vitess: Vitess = serde_saphyr::from_str(text).unwrap();
        let begun = ["commerce".to_owned(), "old".to_owned()];
        let over = |vitess: &Vitess, of: [(&str, &'static str); 3]| {
            let shards = of.map(|(keyspace, reason)| shard(keyspace, reason));
            ended(vitess, &begun, &shards)
                .into_iter()
                .cloned()
                .collect::<Vec<_>>()
        };
        let all = [
            ("commerce", NOTHING_LEFT),
            ("old", NOTHING_LEFT),
            ("old", NOTHING_LEFT),
        ];
        assert_eq!(over(&vitess, all), ["old"], "commerce is named");
        let one = [all[0], all[1], ("old", KEYSPACE_LEAVES)];
        assert!(over(&vitess, one).is_empty());
        let serves = [all[0], all[1], ("old", "AllServe")];
        assert!(over(&vitess, serves).is_empty());
        vitess.status.get_or_insert_default().ending_keyspaces = vec!["old".to_owned()];
        assert!(
            over(&vitess, all).is_empty(),
            "it is being forgotten already"
        );
        assert!(!is_kept(&vitess, "old") && is_kept(&vitess, "commerce"));
    }
}
