//! Members, and what they say of themselves.

use std::fmt;
use std::str::FromStr;

use crate::wire;

/// Identity of a cluster or of a member. It is written in hexadecimal digits, as etcd's own tools do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// A member of a cluster, as the cluster lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its identity, which it never gets again once it was removed.
    pub id: Id,
    /// Its name; empty while it has not started.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Whether it only catches up and is counted in no vote.
    pub is_learner: bool,
}

impl From<wire::Member> for Member {
    fn from(member: wire::Member) -> Self {
        Self {
            id: Id(member.id),
            name: member.name,
            peer_urls: member.peer_ur_ls,
            is_learner: member.is_learner,
        }
    }
}

/// All members of a cluster, as a majority of them agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// Identity of the cluster.
    pub cluster: Id,
    /// Members.
    pub all: Vec<Member>,
}

/// What one member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Identity of its cluster.
    pub cluster: Id,
    /// Its own identity.
    pub member: Id,
    /// Version of etcd.
    pub version: String,
    /// Whom it takes for the leader; none: there is none.
    pub leader: Option<Id>,
    /// Whether it only catches up.
    pub is_learner: bool,
    /// Size of its database, in bytes.
    pub database_bytes: u64,
    /// How much of it is in use, in bytes.
    pub in_use_bytes: u64,
}

/// Something that a member cannot go on with by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Whose.
    pub member: Id,
    /// What.
    pub kind: AlarmKind,
}

/// What a member cannot go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmKind {
    /// The quota is used up: the cluster takes no writes.
    NoSpace,
    /// Its data differs from that of the others.
    Corrupt,
    /// One that this version of ours does not know.
    Other,
}
