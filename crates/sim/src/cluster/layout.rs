//! The shards of the keyspace, for people to see.

/// Key ranges are cut at the first byte of the keyspace id.
const FIRST_BYTES: u32 = 256;

/// A shard that serves, with one primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its key range, as Vitess writes it: `-40`, `40-80`, `80-`; `-` where it is the only one.
    pub name: String,
    /// Its replicas.
    pub replicas: u32,
}

/// `count` shards of about equal key ranges, with `replicas` spread over them, the first ones having one more.
#[must_use]
pub fn shards(count: u32, replicas: u32) -> Vec<Shard> {
    let count = count.clamp(1, FIRST_BYTES);
    let edge = |place: u32| {
        let byte = place * FIRST_BYTES / count;
        if byte == 0 || byte == FIRST_BYTES {
            String::new()
        } else {
            format!("{byte:02x}")
        }
    };
    (0..count)
        .map(|place| Shard {
            name: format!("{}-{}", edge(place), edge(place + 1)),
            replicas: replicas / count + u32::from(place < replicas % count),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_named_as_vitess_names_them() {
        let names = |count| {
            shards(count, 0)
                .into_iter()
                .map(|shard| shard.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(1), ["-"]);
        assert_eq!(names(2), ["-80", "80-"]);
        assert_eq!(names(4), ["-40", "40-80", "80-c0", "c0-"]);
        assert_eq!(names(3), ["-55", "55-aa", "aa-"]);
    }

    proptest! {
        #[test]
        fn replicas_are_spread_evenly_and_ranges_tile(count in 1_u32..=80, replicas in 0_u32..200) {
            let shards = shards(count, replicas);
            prop_assert_eq!(shards.len() as u32, count);
            prop_assert_eq!(shards.iter().map(|shard| shard.replicas).sum::<u32>(), replicas);
            let most = shards.iter().map(|shard| shard.replicas).max().unwrap();
            prop_assert!(shards.iter().all(|shard| shard.replicas + 1 >= most));
            for pair in shards.windows(2) {
                let (_, end) = pair[0].name.split_once('-').unwrap();
                let (start, _) = pair[1].name.split_once('-').unwrap();
                prop_assert!(!end.is_empty() && end == start);
            }
        }
    }
}
