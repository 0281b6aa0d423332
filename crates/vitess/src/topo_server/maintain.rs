//! Defragmentation, one member at a time, and the end of alarms about space.

use std::collections::BTreeMap;
use std::time::Duration;

use foreshard_etcd::{AlarmKind, Id, Status};
use tokio::time::Instant;

use crate::names::Addresses;
use crate::topo_server::build::pod::template_digest;
use crate::topo_server::observed::Observed;
use crate::topo_server::plan::Plan;
use crate::topo_server::validate::Validated;

/// Databases below this are not worth it.
const WORTH_BYTES: u64 = 64 << 20;
/// After one that failed or gave nothing back, not again within this.
const REST: Duration = Duration::from_secs(3600);
/// The alarm ends once every database is below this share of the quota, in percent.
const DISARM_PERCENT: u64 = 80;

/// Something that is done to one member when nothing else is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Its database is written anew.
    Defragment(u32),
    /// Its alarm about space ends.
    Disarm(Id),
    /// Its pod is made anew, because its spec was changed.
    Restart(u32),
}

/// When each member was defragmented in vain.
#[derive(Debug, Default)]
pub(crate) struct InVain(BTreeMap<Id, Instant>);

impl InVain {
    pub(crate) fn was(&mut self, id: Id, now: Instant) {
        self.0.insert(id, now);
    }

    fn rests(&self, id: Id, now: Instant) -> bool {
        self.0
            .get(&id)
            .is_some_and(|last| now.duration_since(*last) < REST)
    }
}

fn has_room(wanted: &Validated, status: &Status) -> bool {
    status.database_bytes * 100 < wanted.quota_bytes * DISARM_PERCENT
}

/// A member whose pod is not as its spec says since that was changed, the leader last. A pod that would be made otherwise
/// for another reason, such as a newer version of ours, is left alone: that is released by an update strategy.
fn outdated(wanted: &Validated, seen: &Observed, addresses: &dyn Addresses) -> Option<u32> {
    let is_outdated = |index: u32| {
        seen.pods.get(&index).is_some_and(|pod| {
            pod.generation.is_some_and(|it| it < wanted.generation)
                && pod.template.as_deref() != Some(&*template_digest(wanted, index, addresses))
        })
    };
    let mut all: Vec<_> = seen
        .statuses
        .iter()
        .filter(|(index, _)| is_outdated(**index))
        .collect();
    all.sort_by_key(|(_, it)| it.leader == Some(it.member));
    all.first().map(|(index, _)| **index)
}

/// What is to be done: nothing while anything is amiss or waited for.
pub(crate) fn chore(
    wanted: &Validated,
    seen: &Observed,
    plan: &Plan,
    last: &InVain,
    now: Instant,
    addresses: &dyn Addresses,
) -> Option<Chore> {
    let members = seen.members.as_ref()?;
    let cluster = seen.latched?;
    let is_quiet = plan.change.is_none()
        && plan.waits.is_none()
        && plan.held.is_none()
        && !plan.takes_away()
        && members
            .all
            .iter()
            .all(|it| !it.is_learner && seen.is_healthy(it.id, cluster));
    if !is_quiet {
        return None;
    }
    if let Some(index) = outdated(wanted, seen, addresses) {
        return Some(Chore::Restart(index));
    }
    if let Some(alarm) = seen.alarms.iter().find(|it| it.kind == AlarmKind::NoSpace)
        && seen.statuses.values().all(|it| has_room(wanted, it))
    {
        return Some(Chore::Disarm(alarm.member));
    }
    let full = seen.has_no_space();
    // Half of it unused is the usual mark; when writes stop, any tenth helps.
    let is_worth = |it: &Status| {
        let unused = it.database_bytes.saturating_sub(it.in_use_bytes);
        if full {
            unused * 10 >= it.database_bytes
        } else {
            it.database_bytes >= WORTH_BYTES && unused * 2 >= it.database_bytes
        }
    };
    // The leader last: it answers nobody meanwhile.
    let mut all: Vec<(&u32, &Status)> = seen.statuses.iter().collect();
    all.sort_by_key(|(_, it)| it.leader == Some(it.member));
    let fragmented = all
        .iter()
        .find(|(_, it)| is_worth(it) && !last.rests(it.member, now));
    fragmented.map(|(index, _)| Chore::Defragment(**index))
}

#[cfg(test)]
mod tests {
    use foreshard_api::v1alpha1::{TopoServer, TopoServerSpec};
    use foreshard_etcd::{Alarm, Member, Members};

    use super::*;
    use crate::names::Dns;
    use crate::topo_server::observed::PodSeen;

    const MIB: u64 = 1 << 20;

    fn wanted(generation: i64) -> Validated {
        let mut object = TopoServer::new("example", TopoServerSpec::new(3));
        object.metadata.generation = Some(generation);
        Validated::parse(&object).unwrap()
    }

    /// Three members with databases of these sizes, and what of them is in use, in MiB; the first leads.
    fn seen(sizes: [(u64, u64); 3]) -> Observed {
        let status = |index: u32, (size, used): (u64, u64)| Status {
            cluster: Id(1),
            member: Id(u64::from(index) + 10),
            version: String::new(),
            leader: Some(Id(10)),
            is_learner: false,
            database_bytes: size * MIB,
            in_use_bytes: used * MIB,
        };
        let member = |index: u64| Member {
            id: Id(index + 10),
            name: index.to_string(),
            peer_urls: Vec::new(),
            is_learner: false,
        };
        let pod = |index: u32| PodSeen {
            template: Some(template_digest(&wanted(1), index, &Dns)),
            generation: Some(1),
            ..PodSeen::default()
        };
        Observed {
            latched: Some(Id(1)),
            pods: (0..3).map(|index| (index, pod(index))).collect(),
            members: Some(Members {
                cluster: Id(1),
                all: (0..3).map(member).collect(),
            }),
            statuses: (0..)
                .zip(sizes)
                .map(|(index, it)| (index, status(index, it)))
                .collect(),
            ..Observed::default()
        }
    }

    fn chore_of(seen: &Observed, last: &InVain) -> Option<Chore> {
        chore(
            &wanted(1),
            seen,
            &Plan::default(),
            last,
            Instant::now(),
            &Dns,
        )
    }

    #[test]
    fn databases_are_written_anew_one_at_a_time_and_the_leader_last() {
        let none = InVain::default();
        assert_eq!(chore_of(&seen([(100, 90); 3]), &none), None);
        assert_eq!(chore_of(&seen([(63, 1); 3]), &none), None);
        let mut seen = seen([(100, 40); 3]);
        assert_eq!(chore_of(&seen, &none), Some(Chore::Defragment(1)));
        let mut last = InVain::default();
        last.was(Id(11), Instant::now());
        last.was(Id(12), Instant::now());
        assert_eq!(chore_of(&seen, &last), Some(Chore::Defragment(0)));
        // Not while anybody is away.
        seen.statuses.remove(&2);
        assert_eq!(chore_of(&seen, &none), None);
    }

    #[test]
    fn an_alarm_about_space_ends_once_there_is_room() {
        let none = InVain::default();
        let alarm = Alarm {
            member: Id(12),
            kind: AlarmKind::NoSpace,
        };
        let mut full = seen([(2048, 1800); 3]);
        full.alarms.push(alarm);
        assert_eq!(chore_of(&full, &none), Some(Chore::Defragment(1)));
        let mut packed = seen([(2048, 2040); 3]);
        packed.alarms.push(alarm);
        assert_eq!(chore_of(&packed, &none), None);
        let mut roomy = seen([(100, 99); 3]);
        roomy.alarms.push(alarm);
        assert_eq!(chore_of(&roomy, &none), Some(Chore::Disarm(Id(12))));
    }

    #[test]
    fn pods_are_made_anew_for_a_changed_spec_and_not_for_a_newer_operator() {
        let restart = |wanted: &Validated, seen: &Observed| {
            let none = InVain::default();
            chore(wanted, seen, &Plan::default(), &none, Instant::now(), &Dns)
        };
        let mut seen = seen([(10, 10); 3]);
        let mut changed = wanted(2);
        assert_eq!(restart(&changed, &seen), None);
        changed.spec.image = "etcd:other".to_owned();
        assert_eq!(restart(&changed, &seen), Some(Chore::Restart(1)));
        seen.pods
            .values_mut()
            .for_each(|it| it.generation = Some(2));
        assert_eq!(restart(&changed, &seen), None);
    }
}
