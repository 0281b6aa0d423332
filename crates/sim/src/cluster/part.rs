//! One part of the cluster.

use foreshard_decide::contract::{Action, Label, Part, PastChange};

use crate::replay::{Life, Run, View, World};
use crate::user;

/// The kinds of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The vtgates of a cell.
    VtgatePool,
    /// A keyspace, whose replicas are its shards: one primary each.
    Keyspace,
    /// The replicas of a keyspace in a cell, spread over its shards.
    TabletPool,
}

impl Kind {
    /// Its name in the policy contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VtgatePool => "vtgate-pool",
            Self::Keyspace => "keyspace",
            Self::TabletPool => "tablet-pool",
        }
    }
}

/// One part of the cluster, living through its share of the load.
pub struct ClusterPart {
    id: String,
    parent: String,
    kind: Kind,
    labels: Vec<Label>,
    world: World,
    life: Life,
    last_change: Option<i64>,
}

impl ClusterPart {
    pub(super) fn new(kind: Kind, cell: &str, keyspace: &str, world: World) -> Self {
        let (id, parent) = match kind {
            Kind::VtgatePool => (format!("{cell}/vtgate"), String::new()),
            Kind::Keyspace => (keyspace.to_owned(), String::new()),
            Kind::TabletPool => (format!("{keyspace}/{cell}/replica"), keyspace.to_owned()),
        };
        let labels: &[(&str, &str)] = match kind {
            Kind::VtgatePool => &[("cell", cell)],
            Kind::Keyspace => &[("keyspace", keyspace)],
            Kind::TabletPool => &[
                ("keyspace", keyspace),
                ("cell", cell),
                ("tablet_type", "replica"),
            ],
        };
        Self {
            id,
            parent,
            kind,
            labels: labels
                .iter()
                .map(|&(name, value)| Label {
                    name: name.to_owned(),
                    value: value.to_owned(),
                })
                .collect(),
            life: Life::new(&world),
            world,
            last_change: None,
        }
    }

    /// Unique in the cluster.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The part above it; empty for those at the top.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.parent
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What may be known of it now: load, counts, capacity, lag and bounds. Of the last moment once the trace is over.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        self.life.view(&self.world)
    }

    /// Its load now, as only the simulation knows it.
    #[must_use]
    pub fn demand(&self) -> f64 {
        self.world
            .demand(self.life.tick().min(self.world.end() - 1))
    }

    /// Whether the load exceeds what is ready.
    #[must_use]
    pub fn is_over_capacity(&self) -> bool {
        let tick = self.life.tick().min(self.world.end() - 1);
        self.world.exceeds(tick, 1.0, self.view().ready)
    }

    /// The part as policies are told of it; its floor is the engine's to fill in.
    #[must_use]
    pub fn contract(&self) -> Part {
        let mut part = user::part(&self.view(), self.last_change.map(|at| at as f64));
        part.id.clone_from(&self.id);
        part.parent.clone_from(&self.parent);
        self.kind.name().clone_into(&mut part.kind);
        part.labels.clone_from(&self.labels);
        part
    }

    pub(super) fn now(&self) -> i64 {
        self.world.time(self.life.tick())
    }

    pub(super) fn progress(&self) -> (usize, usize) {
        let start = self.world.run_start();
        (self.life.tick() - start, self.world.end() - start)
    }

    pub(super) fn next(&mut self) {
        self.life.next(&self.world);
    }

    /// Wants `count` from now on; what changed, if anything did.
    pub(super) fn want(&mut self, count: u32) -> Option<PastChange> {
        if self.life.tick() == self.world.end() {
            return None;
        }
        let before = self.view().wanted;
        let count = self.life.want(&self.world, count);
        if count == before {
            return None;
        }
        self.last_change = Some(self.now());
        Some(PastChange {
            at: self.now() as f64,
            part: self.id.clone(),
            action: Action::Replicas(count),
            outcome: "ordered".to_owned(),
        })
    }

    pub(super) fn lived(&self) -> (&World, &Run) {
        (&self.world, self.life.run())
    }
}
