//! Tablets, by what the topology records of them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::wire::{topodata, vttime};

/// A tablet's name, unique in a cluster: `zone1-0000000101`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TabletAlias {
    /// The cell that it is in.
    pub cell: String,
    /// Its number, unique in the cell.
    pub uid: u32,
}

/// A text that is no tablet's alias.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tablet alias {0:?}: write CELL-UID, as in zone1-101")]
pub struct AliasError(String);

impl fmt::Display for TabletAlias {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{:010}", self.cell, self.uid)
    }
}

impl FromStr for TabletAlias {
    type Err = AliasError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || AliasError(crate::error::tame(text));
        // Cells may have hyphens in their names.
        let (cell, uid) = text.rsplit_once('-').ok_or_else(wrong)?;
        if cell.is_empty() || !uid.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Self {
            cell: cell.to_owned(),
            uid: uid.parse().map_err(|_| wrong())?,
        })
    }
}

/// What a tablet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TabletType {
    /// Takes writes; one for each shard.
    Primary,
    /// Serves reads, and may become primary.
    Replica,
    /// Serves reads of batch jobs, and never becomes primary.
    Rdonly,
    /// Replicates and serves nothing.
    Spare,
    /// Replicates and serves nothing, for people to look at.
    Experimental,
    /// Takes a backup at the moment.
    Backup,
    /// Restores a backup at the moment.
    Restore,
    /// Was taken out of service by someone.
    Drained,
    /// What this client does not know, by its number; 0 is the server's own "unknown".
    Other(i32),
}

impl TabletType {
    pub(crate) fn from_wire(number: i32) -> Self {
        match topodata::TabletType::try_from(number) {
            Ok(topodata::TabletType::Primary) => Self::Primary,
            Ok(topodata::TabletType::Replica) => Self::Replica,
            Ok(topodata::TabletType::Rdonly) => Self::Rdonly,
            Ok(topodata::TabletType::Spare) => Self::Spare,
            Ok(topodata::TabletType::Experimental) => Self::Experimental,
            Ok(topodata::TabletType::Backup) => Self::Backup,
            Ok(topodata::TabletType::Restore) => Self::Restore,
            Ok(topodata::TabletType::Drained) => Self::Drained,
            Ok(topodata::TabletType::Unknown) | Err(_) => Self::Other(number),
        }
    }

    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::Primary => topodata::TabletType::Primary.into(),
            Self::Replica => topodata::TabletType::Replica.into(),
            Self::Rdonly => topodata::TabletType::Rdonly.into(),
            Self::Spare => topodata::TabletType::Spare.into(),
            Self::Experimental => topodata::TabletType::Experimental.into(),
            Self::Backup => topodata::TabletType::Backup.into(),
            Self::Restore => topodata::TabletType::Restore.into(),
            Self::Drained => topodata::TabletType::Drained.into(),
            Self::Other(number) => number,
        }
    }
}

/// A tablet as the topology records it. Whether it serves at the moment is not recorded: vtgate knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tablet {
    /// Its name.
    pub alias: TabletAlias,
    /// The keyspace that it is of.
    pub keyspace: String,
    /// The shard that it is of.
    pub shard: String,
    /// What it is for, by the last thing that changed the record.
    pub tablet_type: TabletType,
    /// Where its vttablet listens.
    pub hostname: String,
    /// vttablet's ports by name: `vt` (HTTP), `grpc`.
    pub ports: BTreeMap<String, u16>,
    /// Where its mysqld listens.
    pub mysql_hostname: String,
    /// mysqld's port, if it has one.
    pub mysql_port: Option<u16>,
    /// Since when it is primary, in Unix seconds; none if it is not.
    pub primary_since_seconds: Option<i64>,
}

impl From<topodata::TabletAlias> for TabletAlias {
    fn from(alias: topodata::TabletAlias) -> Self {
        Self {
            cell: alias.cell,
            uid: alias.uid,
        }
    }
}

impl From<&TabletAlias> for topodata::TabletAlias {
    fn from(alias: &TabletAlias) -> Self {
        Self {
            cell: alias.cell.clone(),
            uid: alias.uid,
        }
    }
}

impl Tablet {
    /// None if it has no alias, or a port is none.
    pub(crate) fn from_wire(tablet: topodata::Tablet) -> Option<Self> {
        let tablet_type = TabletType::from_wire(tablet.r#type);
        let ports = tablet
            .port_map
            .into_iter()
            .map(|(name, port)| Some((name, u16::try_from(port).ok()?)))
            .collect::<Option<_>>()?;
        Some(Self {
            alias: tablet.alias?.into(),
            keyspace: tablet.keyspace,
            shard: tablet.shard,
            tablet_type,
            hostname: tablet.hostname,
            ports,
            mysql_hostname: tablet.mysql_hostname,
            mysql_port: u16::try_from(tablet.mysql_port)
                .ok()
                .filter(|port| *port != 0),
            primary_since_seconds: vttime::known_seconds(tablet.primary_term_start_time.as_ref()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_read_as_they_are_written() {
        let alias = TabletAlias {
            cell: "eu-west-1".to_owned(),
            uid: 101,
        };
        assert_eq!(alias.to_string(), "eu-west-1-0000000101");
        assert_eq!(alias.to_string().parse(), Ok(alias));
        for wrong in [
            "",
            "zone1",
            "zone1-",
            "-101",
            "zone1-+1",
            "zone1-4294967296",
        ] {
            assert!(wrong.parse::<TabletAlias>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn tablet_types_survive_the_wire() {
        for number in -1..=12 {
            assert_eq!(TabletType::from_wire(number).to_wire(), number);
        }
    }
}
