//! What becomes of the members: from what was observed to what is to be there, and at most one change of the membership.
//!
//! The rules, from the strongest down:
//! - What was bootstrapped once never is again. A cluster whose identity is latched and whose data is gone is held.
//! - A volume belongs to the member whose identity stands on it. A member without its volume is removed and another one
//!   learns in its place; a volume of nobody is wiped, never given to a member that voted before.
//! - Nothing is removed unless a majority of the voters answers without it.
//! - What is not known changes nothing.

use std::collections::BTreeMap;

use foreshard_etcd::{Id, Member, Members};

use crate::names::{Addresses, MEMBERS_MAX};
use crate::topo_server::observed::{Claim, Observed, Stamp};
use crate::topo_server::validate::Validated;

/// How a pod of a member starts, when it has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// As one of the first members, which are so many.
    New {
        /// How many.
        members: u32,
    },
    /// As a member of a cluster that is there, whose members these are: names and URLs.
    Existing(Vec<(String, String)>),
}

/// A change of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A member is added and learns.
    Add {
        /// Its number.
        index: u32,
    },
    /// A learner is to vote.
    Promote {
        /// Its number.
        index: u32,
        /// Its identity.
        id: Id,
    },
    /// A member goes for good.
    Remove {
        /// Its number.
        index: u32,
        /// Its identity.
        id: Id,
        /// Why.
        why: &'static str,
    },
}

/// Why nothing is done that could lose something. A person has to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// As one word.
    pub reason: &'static str,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What is to be done in one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Volumes that are to be there, with what stands on them.
    pub claims: BTreeMap<u32, Claim>,
    /// Pods that are to be there, with how they start.
    pub pods: BTreeMap<u32, Start>,
    /// Pods that go, and why.
    pub pods_end: BTreeMap<u32, &'static str>,
    /// Volumes that are wiped, and why.
    pub claims_end: BTreeMap<u32, &'static str>,
    /// The identity that is latched now.
    pub latch: Option<Id>,
    /// The change of the membership.
    pub change: Option<Change>,
    /// What is waited for, as a sentence; none: nothing.
    pub waits: Option<String>,
    /// Why nothing more is done.
    pub held: Option<Held>,
}

impl Plan {
    /// Whether something is taken away. It is looked at the objects themselves once more before.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        let removes = matches!(self.change, Some(Change::Remove { .. }));
        removes || !self.pods_end.is_empty() || !self.claims_end.is_empty()
    }

    fn hold(mut self, reason: &'static str, message: String) -> Self {
        self.held = Some(Held { reason, message });
        self
    }

    fn wait(&mut self, for_what: impl Into<String>) {
        self.waits.get_or_insert_with(|| for_what.into());
    }
}

/// What is to be done.
#[must_use]
pub fn plan(wanted: &Validated, seen: &Observed, addresses: &dyn Addresses) -> Plan {
    let planner = Planner {
        wanted,
        seen,
        addresses,
    };
    match seen.latched {
        Some(cluster) => planner.keep(cluster),
        None => planner.begin(),
    }
}

struct Planner<'a> {
    wanted: &'a Validated,
    seen: &'a Observed,
    addresses: &'a dyn Addresses,
}

impl Planner<'_> {
    /// Nothing is latched: a cluster is bootstrapped, or one that was there before is taken over by its volumes.
    fn begin(&self) -> Plan {
        let stamped: Vec<Stamp> = self
            .seen
            .claims
            .values()
            .filter_map(|it| it.stamp)
            .collect();
        match (stamped.first(), &self.seen.members) {
            (Some(first), _) if stamped.iter().any(|it| it.cluster != first.cluster) => {
                Plan::default().hold(
                    "VolumesOfSeveralClusters",
                    format!(
                        "The volumes hold data of several etcd clusters. Look at the annotation {} of the volumes of {}, \
                         and delete those that are not of the cluster that is wanted.",
                        super::observed::CLUSTER,
                        self.wanted.names.service()
                    ),
                )
            }
            (Some(first), Some(members)) if members.cluster != first.cluster => Plan::default().hold(
                "TopologyLost",
                format!(
                    "The members are of cluster {} and the volumes of {}. Nothing is changed.",
                    members.cluster, first.cluster
                ),
            ),
            (_, Some(members)) => self.latch(members),
            (Some(_), None) => self.take_over(),
            (None, None) => self.bootstrap(),
        }
    }

    fn bootstrap(&self) -> Plan {
        let mut plan = Plan::default();
        // As it was begun, also when the object was changed meanwhile.
        let begun = self.seen.claims.values().find_map(|it| it.bootstrap);
        let members = begun.unwrap_or(self.wanted.members).min(MEMBERS_MAX);
        for index in 0..members {
            self.ensure(&mut plan, index, &Start::New { members }, || Claim {
                bootstrap: Some(members),
                ..Claim::default()
            });
        }
        plan.wait(format!(
            "A majority of the {members} first members has to start."
        ));
        plan
    }

    /// Volumes of a cluster that was there before this object: they are started and say themselves what they are.
    fn take_over(&self) -> Plan {
        let mut plan = Plan::default();
        for (index, claim) in &self.seen.claims {
            if claim.stamp.is_some() {
                let start = Start::Existing(Vec::new());
                self.ensure(&mut plan, *index, &start, || claim.clone());
            }
        }
        plan.wait(format!(
            "The volumes are of a cluster that was there before ({}); a majority of its members has to start.",
            plan.claims.len()
        ));
        plan
    }

    /// A majority answers: every volume gets its member's identity, and then the cluster's is latched.
    fn latch(&self, members: &Members) -> Plan {
        let mut plan = Plan::default();
        let mut all_stamped = true;
        for (index, claim) in &self.seen.claims {
            let Some(member) = self.member(members, *index) else {
                continue;
            };
            let stamp = Stamp {
                cluster: members.cluster,
                member: member.id,
            };
            all_stamped &= claim.stamp == Some(stamp);
            let stamped = Claim {
                stamp: Some(stamp),
                ..claim.clone()
            };
            let start = Start::New {
                members: claim.bootstrap.unwrap_or(self.wanted.members),
            };
            self.ensure(&mut plan, *index, &start, || stamped.clone());
            plan.claims.insert(*index, stamped);
        }
        plan.latch = all_stamped.then_some(members.cluster);
        plan
    }

    /// The cluster is latched: its members are kept, replaced and added to.
    fn keep(&self, cluster: Id) -> Plan {
        let mut plan = Plan::default();
        if self.seen.claims.is_empty() && self.seen.members.is_none() {
            return plan.hold("TopologyLost", self.lost(cluster));
        }
        match &self.seen.members {
            None => {
                self.keep_running(&mut plan, cluster);
                plan.wait(self.silent());
            }
            Some(members) if members.cluster != cluster => {
                return plan.hold(
                    "TopologyLost",
                    format!(
                        "The members are of cluster {} and not of {cluster}, which was bootstrapped here. Nothing is \
                         changed. If the topology was restored into a new cluster on purpose, make a new TopoServer for it.",
                        members.cluster
                    ),
                );
            }
            Some(members) => {
                if let Some(foreign) = self.foreign(members) {
                    self.keep_running(&mut plan, cluster);
                    return plan.hold(
                        "UnknownMember",
                        format!(
                            "Member {} at {:?} was not added by this operator. Remove it by `etcdctl member remove`.",
                            foreign.id, foreign.peer_urls
                        ),
                    );
                }
                // Those that are there first: etcd takes one learner at a time.
                let (there, missing): (Vec<_>, Vec<_>) =
                    (0..MEMBERS_MAX).partition(|index| self.member(members, *index).is_some());
                for index in there.into_iter().chain(missing) {
                    self.keep_member(&mut plan, cluster, members, index);
                }
            }
        }
        plan
    }

    /// Nobody can tell the members: whoever has a volume of this cluster runs, and nothing else is touched.
    fn keep_running(&self, plan: &mut Plan, cluster: Id) {
        for (index, claim) in &self.seen.claims {
            let is_ours = claim.stamp.is_some_and(|it| it.cluster == cluster);
            if is_ours && claim.lost.is_none() {
                let start = Start::Existing(Vec::new());
                self.ensure(plan, *index, &start, || claim.clone());
            }
        }
    }

    fn keep_member(&self, plan: &mut Plan, cluster: Id, members: &Members, index: u32) {
        let claim = self.seen.claims.get(&index);
        let Some(member) = self.member(members, index) else {
            return self.add(plan, cluster, members, index);
        };
        let stamp = Stamp {
            cluster,
            member: member.id,
        };
        // One that has not begun yet has a new volume, which is given to it.
        let never_ran = member.name.is_empty() && member.is_learner;
        match claim {
            Some(claim) if claim.lost.is_none() && claim.stamp == Some(stamp) => {
                let start = Start::Existing(self.roll(members));
                self.ensure(plan, index, &start, || claim.clone());
                if member.is_learner && !member.name.is_empty() {
                    self.change(plan, || Change::Promote {
                        index,
                        id: member.id,
                    });
                } else if member.is_learner {
                    plan.wait(format!(
                        "{} has to start, to learn.",
                        self.wanted.names.member(index)
                    ));
                }
            }
            Some(claim)
                if never_ran
                    && claim.lost.is_none()
                    && claim.stamp.is_none()
                    && !self.seen.pods.contains_key(&index) =>
            {
                let stamped = Claim {
                    stamp: Some(stamp),
                    bootstrap: None,
                    lost: None,
                };
                plan.claims.insert(index, stamped);
                plan.wait(format!(
                    "{} gets its volume.",
                    self.wanted.names.member(index)
                ));
            }
            _ => {
                let why = match claim {
                    None => "its volume is gone",
                    Some(Claim { lost: Some(_), .. }) => {
                        "its volume is being deleted or has lost its disk"
                    }
                    Some(_) => "its volume is of another member",
                };
                self.remove(plan, cluster, members, member, index, why);
            }
        }
    }

    /// A place without a member: one is added where one is wanted, on a volume that was never used.
    fn add(&self, plan: &mut Plan, cluster: Id, members: &Members, index: u32) {
        let (claim, pod) = (self.seen.claims.get(&index), self.seen.pods.get(&index));
        let name = self.wanted.names.member(index);
        if let Some(pod) = pod {
            // What was removed ends by itself and is started again in vain.
            if !pod.ends {
                plan.pods_end.insert(index, "etcd no longer knows it");
            }
            return plan.wait(format!("Pod {name} has to end."));
        }
        match claim {
            Some(claim) if claim.lost.is_some() => {
                plan.wait(format!("Volume {name} has to be gone."))
            }
            Some(claim) if claim.stamp.is_some() || claim.bootstrap.is_some() => {
                plan.claims_end
                    .insert(index, "it holds data of a member that was removed");
                plan.wait(format!("Volume {name} has to be gone."));
            }
            _ if index >= self.wanted.members => {}
            // One place after the other: each is a member that learns.
            _ if plan.change.is_some() || plan.waits.is_some() || plan.held.is_some() => {}
            None => {
                plan.claims.insert(index, Claim::default());
                plan.wait(format!("{name} gets a new volume."));
            }
            Some(claim) => {
                plan.claims.insert(index, claim.clone());
                let voters = || members.all.iter().filter(|it| !it.is_learner);
                let ill = voters().find(|it| !self.seen.is_healthy(it.id, cluster));
                match ill {
                    None => self.change(plan, || Change::Add { index }),
                    Some(ill) => plan.wait(format!(
                        "{name} is added once every member answers; {} does not.",
                        if ill.name.is_empty() {
                            ill.id.to_string()
                        } else {
                            ill.name.clone()
                        }
                    )),
                }
            }
        }
    }

    fn remove(
        &self,
        plan: &mut Plan,
        cluster: Id,
        members: &Members,
        member: &Member,
        index: u32,
        why: &'static str,
    ) {
        let voters = members.all.iter().filter(|it| !it.is_learner);
        let (voters, others): (Vec<_>, Vec<_>) = (
            voters.clone().collect(),
            voters.filter(|it| it.id != member.id).collect(),
        );
        let majority = voters.len() / 2 + 1;
        let healthy = others
            .iter()
            .filter(|it| self.seen.is_healthy(it.id, cluster));
        if healthy.count() >= majority {
            return self.change(plan, || Change::Remove {
                index,
                id: member.id,
                why,
            });
        }
        let name = self.wanted.names.member(index);
        if plan.held.is_none() {
            plan.held = Some(Held {
                reason: "NoMajorityWithout",
                message: format!(
                    "{name} cannot be replaced, although {why}: without it fewer than {majority} of {} voters answer. \
                     Bring the other members back first; if there are none, restore the topology from a snapshot.",
                    voters.len()
                ),
            });
        }
    }

    /// At most one change of the membership, the first that is found.
    fn change(&self, plan: &mut Plan, change: impl FnOnce() -> Change) {
        plan.change.get_or_insert_with(change);
    }

    /// Volume and pod of one member are to be there.
    fn ensure(&self, plan: &mut Plan, index: u32, start: &Start, claim: impl FnOnce() -> Claim) {
        match self.seen.claims.get(&index) {
            Some(seen) if seen.lost.is_some() => return,
            Some(seen) => {
                plan.claims.insert(index, seen.clone());
            }
            None => {
                plan.claims.insert(index, claim());
            }
        }
        match self.seen.pods.get(&index) {
            Some(pod) if pod.ends => {}
            Some(pod) if pod.over => {
                plan.pods_end
                    .insert(index, "it has ended and does not start again");
            }
            _ => {
                plan.pods.insert(index, start.clone());
            }
        }
    }

    fn member<'m>(&self, members: &'m Members, index: u32) -> Option<&'m Member> {
        let url = self.addresses.peer_url(&self.wanted.names, index);
        members.all.iter().find(|it| it.peer_urls.contains(&url))
    }

    fn foreign<'m>(&self, members: &'m Members) -> Option<&'m Member> {
        let ours = |it: &Member| {
            (0..MEMBERS_MAX).any(|index| {
                let url = self.addresses.peer_url(&self.wanted.names, index);
                it.peer_urls.contains(&url)
            })
        };
        members.all.iter().find(|it| !ours(it))
    }

    /// Names and URLs of all members, also of those that have not told their name yet.
    fn roll(&self, members: &Members) -> Vec<(String, String)> {
        (0..MEMBERS_MAX)
            .filter(|index| self.member(members, *index).is_some())
            .map(|index| {
                let names = &self.wanted.names;
                (names.member(index), self.addresses.peer_url(names, index))
            })
            .collect()
    }

    fn lost(&self, cluster: Id) -> String {
        format!(
            "The etcd cluster {cluster} was bootstrapped here and none of its volumes is left. It is not bootstrapped \
             again: the data would be lost for good. Bring the volumes {} to {} back; or, if the topology is to begin \
             anew, delete this TopoServer and make it again.",
            self.wanted.names.member(0),
            self.wanted
                .names
                .member(self.wanted.members.saturating_sub(1))
        )
    }

    fn silent(&self) -> String {
        let why = self.seen.members_unknown.as_deref();
        let why = why.unwrap_or("no member was asked");
        format!("A majority of the members has to answer: {why}.")
    }
}
