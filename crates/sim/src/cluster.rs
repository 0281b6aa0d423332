//! A simulated Vitess cluster under a recorded load, in virtual time.
//!
//! Three kinds of parts share one trace, each with its own share of the load and its own delay: vtgates, through which
//! every query goes; replicas, which answer most reads; and shards, whose primaries take the rest. Each lives by the
//! rules of the [replay model](crate::replay), so that at the end its harm and cost stand beside the replay's peers at
//! its own lag. Deterministic: the same trace, options and counts give the same cluster.

mod layout;
mod part;

use foreshard_decide::contract::PastChange;
use foreshard_engine::{Observation, SignalSeen};
use foreshard_forecast::Series;

use crate::replay::{Options, Peers, ReplayError, Report, Run, TICK_SECONDS, World};

pub use layout::{Shard, shards};
pub use part::{ClusterPart, Kind};

/// The name of the signal that every part has, in [`UNIT`].
pub const SIGNAL: &str = "demand";
/// The unit of the load.
pub const UNIT: &str = "queries/s";
/// Changes that are remembered.
const RECENT_MAX: usize = 64;

/// How one kind of parts takes its load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KindOptions {
    /// Its share of the load, above 0, at most 1.
    pub share: f64,
    /// From the order of an instance to its being ready, in seconds.
    pub lag_seconds: i64,
}

/// What the cluster is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterOptions {
    /// The cell of vtgates and replicas.
    pub cell: String,
    /// The keyspace.
    pub keyspace: String,
    /// Vtgates: every query goes through one.
    pub vtgate: KindOptions,
    /// Replicas: they answer most of the reads.
    pub replica: KindOptions,
    /// Shards: their primaries take writes and what must be read from them.
    pub shard: KindOptions,
    /// Queries a second for each unit of the trace, above 0.
    pub load_factor: f64,
    /// Seed of the peer `crane` in the final reports.
    pub seed: u64,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            cell: "zone1".to_owned(),
            keyspace: "commerce".to_owned(),
            vtgate: KindOptions {
                share: 1.0,
                lag_seconds: 120,
            },
            replica: KindOptions {
                share: 0.7,
                lag_seconds: 600,
            },
            shard: KindOptions {
                share: 0.3,
                lag_seconds: 3600,
            },
            load_factor: 1.0,
            seed: 1,
        }
    }
}

/// Why there is no cluster, or no such change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClusterError {
    /// The trace cannot be lived through.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A share or the load factor is no positive number.
    #[error("{name} is {value}: give a number above 0")]
    NotPositive {
        /// Of what.
        name: &'static str,
        /// The number given.
        value: f64,
    },
    /// There is no such part.
    #[error("the cluster has no part \"{id}\"; it has {have}")]
    UnknownPart {
        /// The part asked for.
        id: String,
        /// The parts there are.
        have: String,
    },
}

/// The cluster at one moment. The first half of the trace lies behind it when it begins.
pub struct Cluster {
    parts: Vec<ClusterPart>,
    recent: Vec<PastChange>,
    options: ClusterOptions,
    peers: Vec<Option<Peers>>,
}

/// The final result of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct KindReport {
    /// The part.
    pub part: String,
    /// Its kind.
    pub kind: Kind,
    /// Harm and cost, beside the peers at its own lag.
    pub report: Report,
}

impl Cluster {
    /// A cluster at the first tick of the second half of `trace`, with as many ready instances as the load then takes.
    ///
    /// # Errors
    /// When the trace is too short or empty, or an option is senseless.
    pub fn new(trace: &Series, options: ClusterOptions) -> Result<Self, ClusterError> {
        positive("the load factor", options.load_factor)?;
        let kinds = [
            (Kind::VtgatePool, options.vtgate),
            (Kind::Keyspace, options.shard),
            (Kind::TabletPool, options.replica),
        ];
        let parts = kinds.map(|(kind, of_kind)| {
            positive("the share of the load", of_kind.share)?;
            let load = Series {
                values: trace
                    .values
                    .iter()
                    .map(|value| value * options.load_factor * of_kind.share)
                    .collect(),
                ..*trace
            };
            let asked = Options {
                lag_seconds: of_kind.lag_seconds,
                capacity: None,
                seed: options.seed,
            };
            let world = World::new(&load, &asked)?;
            Ok::<_, ClusterError>(ClusterPart::new(
                kind,
                &options.cell,
                &options.keyspace,
                world,
            ))
        });
        let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            peers: parts.iter().map(|_| None).collect(),
            parts,
            recent: Vec::new(),
            options,
        })
    }

    /// What it is made of.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.options
    }

    /// The parts, parents before children.
    #[must_use]
    pub fn parts(&self) -> &[ClusterPart] {
        &self.parts
    }

    /// One part.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn part(&self, id: &str) -> Result<&ClusterPart, ClusterError> {
        let found = self.parts.iter().find(|part| part.id() == id);
        found.ok_or_else(|| self.unknown(id))
    }

    /// The current moment, in Unix seconds; where the trace ends once it is over.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.parts[0].now()
    }

    /// Ticks that lie behind, of those that are lived through.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        self.parts[0].progress()
    }

    /// Whether the trace is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let (behind, all) = self.progress();
        behind == all
    }

    /// Ends the current minute and begins the next one; whether there is one.
    pub fn tick(&mut self) -> bool {
        if self.is_over() {
            return false;
        }
        for part in &mut self.parts {
            part.next();
        }
        !self.is_over()
    }

    /// What the engine may know now; at most `changes` past changes.
    #[must_use]
    pub fn observe(&self, changes: usize) -> Observation<'_> {
        Observation {
            now: self.now(),
            next: self.now() + TICK_SECONDS,
            parts: self.parts.iter().map(ClusterPart::contract).collect(),
            signals: self
                .parts
                .iter()
                .map(|part| SignalSeen {
                    name: SIGNAL,
                    part: part.id(),
                    unit: UNIT,
                    history: part.view().history,
                    latest: part.view().seen,
                    censored: false,
                })
                .collect(),
            recent: self.recent.iter().take(changes).cloned().collect(),
        }
    }

    /// Carries out a count now, within the bounds; the count that is then wanted.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn apply(&mut self, id: &str, count: u32) -> Result<u32, ClusterError> {
        let Some(place) = self.parts.iter().position(|part| part.id() == id) else {
            return Err(self.unknown(id));
        };
        if let Some(change) = self.parts[place].want(count) {
            self.recent.truncate(RECENT_MAX - 1);
            self.recent.insert(0, change);
        }
        Ok(self.parts[place].view().wanted)
    }

    /// The shards with their replicas, as they serve now.
    #[must_use]
    pub fn shards(&self) -> Vec<Shard> {
        let ready = |kind| {
            let part = self.parts.iter().find(|part| part.kind() == kind);
            part.map_or(0, |part| part.view().ready)
        };
        shards(ready(Kind::Keyspace), ready(Kind::TabletPool))
    }

    /// Harm and cost of each kind under the policy `name` on the trace `trace`, beside the peers; none before the end.
    ///
    /// Playing the peers takes tenths of a second a part; they are kept.
    pub fn reports(&mut self, trace: &str, name: &str) -> Option<Vec<KindReport>> {
        if !self.is_over() {
            return None;
        }
        let parts = self.parts.iter().zip(&mut self.peers);
        let reports = parts.map(|(part, peers)| {
            let (world, run) = part.lived();
            let peers = peers.get_or_insert_with(|| Peers::new(world));
            KindReport {
                part: part.id().to_owned(),
                kind: part.kind(),
                report: Report::new(trace, name, world, run, peers),
            }
        });
        Some(reports.collect())
    }

    /// What was wanted and ready of one part so far, with its world.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn lived(&self, id: &str) -> Result<(&World, &Run), ClusterError> {
        self.part(id).map(ClusterPart::lived)
    }

    fn unknown(&self, id: &str) -> ClusterError {
        let have: Vec<&str> = self.parts.iter().map(ClusterPart::id).collect();
        ClusterError::UnknownPart {
            id: id.to_owned(),
            have: have.join(", "),
        }
    }
}

fn positive(name: &'static str, value: f64) -> Result<(), ClusterError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(ClusterError::NotPositive { name, value })
    }
}

#[cfg(test)]
mod tests;
