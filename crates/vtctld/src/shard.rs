//! Shards, by what the topology records of them, and which of them serve.

use std::{collections::BTreeMap, fmt};

use crate::{
    TabletAlias, TabletType,
    wire::{topodata, vtctldata, vttime},
};

/// Which keyspace ids a shard holds: from `start`, up to and without `end`. Empty means no bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The first.
    pub start: Vec<u8>,
    /// The one after the last.
    pub end: Vec<u8>,
}

impl fmt::Display for KeyRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |formatter: &mut fmt::Formatter<'_>, bytes: &[u8]| {
            bytes
                .iter()
                .try_for_each(|byte| write!(formatter, "{byte:02x}"))
        };
        hex(formatter, &self.start)?;
        formatter.write_str("-")?;
        hex(formatter, &self.end)
    }
}

/// A shard's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The keyspace that it is of.
    pub keyspace: String,
    /// Its name: `-80`.
    pub name: String,
    /// What it holds.
    pub key_range: KeyRange,
    /// Its primary; none before the first election.
    pub primary: Option<TabletAlias>,
    /// Since when that is primary, in Unix seconds.
    pub primary_since_seconds: Option<i64>,
    /// Whether the primary takes traffic. During a reshard the most reliable sign of which side does.
    pub is_primary_serving: bool,
}

impl Shard {
    /// None if the record is missing.
    pub(crate) fn from_wire(shard: vtctldata::Shard) -> Option<Self> {
        let record = shard.shard?;
        let key_range = record.key_range.unwrap_or_default();
        Some(Self {
            keyspace: shard.keyspace,
            name: shard.name,
            key_range: KeyRange {
                start: key_range.start,
                end: key_range.end,
            },
            // Vitess writes an alias without a cell for "none".
            primary: record
                .primary_alias
                .map(TabletAlias::from)
                .filter(|alias| !alias.cell.is_empty()),
            primary_since_seconds: vttime::known_seconds(record.primary_term_start_time.as_ref()),
            is_primary_serving: record.is_primary_serving,
        })
    }
}

/// Which shards of a keyspace serve, by cell and tablet type: what vtgate goes by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// Names of shards in the order of their ranges.
    pub cells: BTreeMap<String, BTreeMap<TabletType, Vec<String>>>,
}

impl Serving {
    /// Whether in every cell exactly these shards serve tablets of this type; false if there is no cell.
    pub fn is_everywhere(&self, tablet_type: TabletType, shards: &[&str]) -> bool {
        !self.cells.is_empty()
            && self
                .cells
                .values()
                .all(|types| types.get(&tablet_type).is_some_and(|names| names == shards))
    }

    pub(crate) fn from_wire(keyspaces: BTreeMap<String, topodata::SrvKeyspace>) -> Self {
        let types = |keyspace: topodata::SrvKeyspace| {
            keyspace
                .partitions
                .into_iter()
                .map(|partition| {
                    let names = partition
                        .shard_references
                        .into_iter()
                        .map(|shard| shard.name);
                    (
                        TabletType::from_wire(partition.served_type),
                        names.collect(),
                    )
                })
                .collect()
        };
        Self {
            cells: keyspaces
                .into_iter()
                .map(|(cell, keyspace)| (cell, types(keyspace)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_ranges_read_as_shard_names() {
        let table: [(&[u8], &[u8], &str); 4] = [
            (&[], &[], "-"),
            (&[], &[0x80], "-80"),
            (&[0x80], &[], "80-"),
            (&[0x0a, 0x00], &[0xff], "0a00-ff"),
        ];
        for (start, end, name) in table {
            let range = KeyRange {
                start: start.to_vec(),
                end: end.to_vec(),
            };
            assert_eq!(range.to_string(), name);
        }
    }

    #[test]
    fn serves_everywhere_or_not() {
        let types = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            BTreeMap::from([(TabletType::Primary, names)])
        };
        let mut serving = Serving::default();
        assert!(!serving.is_everywhere(TabletType::Primary, &[]));
        serving.cells.insert("a".to_owned(), types(&["-80", "80-"]));
        assert!(serving.is_everywhere(TabletType::Primary, &["-80", "80-"]));
        assert!(!serving.is_everywhere(TabletType::Replica, &["-80", "80-"]));
        serving.cells.insert("b".to_owned(), types(&["-"]));
        assert!(!serving.is_everywhere(TabletType::Primary, &["-80", "80-"]));
    }
}
