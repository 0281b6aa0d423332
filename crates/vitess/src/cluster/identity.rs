//! Who a tablet is: a number that follows from where it belongs, and from nothing else.

use sha2::{Digest as _, Sha256};

use crate::cluster::names::PoolKey;

/// The number of the tablet `index` of a pool: 32 bits of a SHA-256 over the fields, each with its length before it, so
/// that no two tablets are told apart by where one field ends. Never 0, which Vitess takes for none.
#[must_use]
pub fn uid(key: &PoolKey<'_>, index: u32) -> u32 {
    let digest = Sha256::digest(fields(key, index));
    let words = digest.chunks_exact(4);
    let mut words = words.map(|word| word.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)));
    // Eight words that are all 0 do not happen.
    words.find(|word| *word != 0).unwrap_or(1)
}

/// The fields, such that different ones are always different bytes.
fn fields(key: &PoolKey<'_>, index: u32) -> Vec<u8> {
    let index = index.to_string();
    let all = [
        key.cell,
        key.keyspace,
        &key.range.start,
        &key.range.end,
        key.kind.vitess_name(),
        key.pool,
        &index,
    ];
    let mut bytes = Vec::new();
    for field in all {
        let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
        bytes.extend(length.to_be_bytes());
        bytes.extend(field.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use foreshard_api::v1alpha1::KeyRange;
    use foreshard_api::v1alpha1::vitess::keyspace::TabletType;
    use proptest::prelude::*;

    use super::*;

    type Fields = (String, String, (String, String), bool, String, u32);

    fn with<T>(of: &Fields, take: impl Fn(&PoolKey<'_>, u32) -> T) -> T {
        let (cell, keyspace, (start, end), is_replica, pool, index) = of;
        let range = KeyRange {
            start: start.clone(),
            end: end.clone(),
        };
        let key = PoolKey {
            keyspace,
            range: &range,
            cell,
            kind: if *is_replica {
                TabletType::Replica
            } else {
                TabletType::Rdonly
            },
            pool,
        };
        take(&key, *index)
    }

    fn tablets() -> impl Strategy<Value = Fields> {
        let bound = "([0-9a-f]{2}){0,2}";
        // Few letters: fields that run into each other are to be met.
        let name = "[ab-]{1,3}";
        (name, name, (bound, bound), any::<bool>(), name, 0_u32..64)
    }

    proptest! {
        #[test]
        fn different_tablets_are_different_bytes_and_no_number_is_0(
            one in tablets(), other in tablets(),
        ) {
            let of = |it: &Fields| with(it, fields);
            prop_assert_eq!(one == other, of(&one) == of(&other));
            prop_assert_ne!(with(&one, uid), 0);
        }
    }

    #[test]
    fn numbers_stay_as_they_are() {
        // Volumes bear them: another number would be another tablet without data.
        let first = ("zone1", "commerce", ("", ""), true, "main", 0);
        let (cell, keyspace, (start, end), is_replica, pool, index) = first;
        let first = (
            cell.to_owned(),
            keyspace.to_owned(),
            (start.to_owned(), end.to_owned()),
            is_replica,
            pool.to_owned(),
            index,
        );
        insta::assert_snapshot!(with(&first, uid), @"1316037825");
    }

    #[test]
    fn a_cluster_of_a_thousand_shards_meets_no_number_twice() {
        let mut all = std::collections::BTreeSet::new();
        let mut count = 0;
        for range in KeyRange::equal(256) {
            for cell in ["a", "b", "c"] {
                for index in 0..4 {
                    let key = PoolKey {
                        keyspace: "customer",
                        range: &range,
                        cell,
                        kind: TabletType::Replica,
                        pool: "main",
                    };
                    all.insert(uid(&key, index));
                    count += 1;
                }
            }
        }
        assert_eq!(all.len(), count);
    }
}
