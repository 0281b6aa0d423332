//! What is told of an etcd cluster. It follows from what was observed and what was planned, and from nothing else.

use foreshard_api::condition::{self, Finding, kind};
use foreshard_api::v1alpha1::{TopoMember, TopoMemberRole, TopoServerStatus};
use foreshard_etcd::AlarmKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::bytes;
use crate::names::Addresses;
use crate::topo_server::build::pod::template_digest;
use crate::topo_server::observed::Observed;
use crate::topo_server::plan::{Change, Plan};
use crate::topo_server::validate::Validated;

/// From this share of the quota on it is said, in percent.
const QUOTA_WARNING_PERCENT: u64 = 80;

/// What a status is told from.
pub(crate) struct Told<'a> {
    pub(crate) wanted: &'a Validated,
    pub(crate) seen: &'a Observed,
    pub(crate) plan: &'a Plan,
    /// Why something could not be carried out.
    pub(crate) trouble: Option<&'a Finding>,
    pub(crate) addresses: &'a dyn Addresses,
}

/// The status after a pass.
pub(crate) fn status(
    old: &TopoServerStatus,
    generation: i64,
    told: &Told<'_>,
    now: &Time,
) -> TopoServerStatus {
    let Told {
        wanted,
        seen,
        plan,
        trouble,
        addresses,
    } = *told;
    let latched = seen.latched.or(plan.latch);
    let findings = [
        ready(wanted, seen, plan),
        all_ready(wanted, seen),
        within_quota(wanted, seen),
        stalled(plan),
        trouble
            .cloned()
            .unwrap_or_else(|| progressing(wanted, plan)),
    ];
    let is_updated = |index: u32, template: Option<&str>| {
        template == Some(&*template_digest(wanted, index, addresses))
    };
    let updated = seen
        .pods
        .iter()
        .filter(|(index, pod)| is_updated(**index, pod.template.as_deref()));
    TopoServerStatus {
        observed_generation: Some(generation),
        cluster_id: latched
            .map(|it| it.to_string())
            .or_else(|| old.cluster_id.clone()),
        bootstrap_time: old
            .bootstrap_time
            .clone()
            .or_else(|| latched.map(|_| now.clone())),
        ready_members: count(voting(seen)),
        updated_members: count(updated.count()),
        members: members(old, seen),
        conditions: condition::merge(&old.conditions, &findings, generation, now),
    }
}

/// The status of an object that cannot be built.
pub(crate) fn invalid(
    old: &TopoServerStatus,
    generation: i64,
    message: &str,
    now: &Time,
) -> TopoServerStatus {
    let findings = [
        Finding::no(kind::READY, "InvalidSpec", message),
        Finding::yes(kind::STALLED, "InvalidSpec", message),
    ];
    TopoServerStatus {
        observed_generation: Some(generation),
        conditions: condition::merge(&old.conditions, &findings, generation, now),
        ..old.clone()
    }
}

fn count(number: usize) -> Option<i32> {
    i32::try_from(number).ok()
}

/// Members that answer and vote.
fn voting(seen: &Observed) -> usize {
    let Some(members) = &seen.members else {
        return 0;
    };
    let voters = members.all.iter().filter(|it| !it.is_learner);
    voters
        .filter(|it| seen.is_healthy(it.id, members.cluster))
        .count()
}

fn members(old: &TopoServerStatus, seen: &Observed) -> Vec<TopoMember> {
    // What nobody can tell now is as it was told last.
    let Some(members) = &seen.members else {
        return old.members.clone();
    };
    let mut all: Vec<_> = members
        .all
        .iter()
        .map(|it| TopoMember {
            id: it.id.to_string(),
            name: it.name.clone(),
            role: if it.is_learner {
                TopoMemberRole::Learner
            } else {
                TopoMemberRole::Voter
            },
            version: seen
                .statuses
                .values()
                .find(|status| status.member == it.id)
                .map(|status| status.version.clone()),
        })
        .collect();
    all.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    all
}

/// Whether clients can rely on it: its identity is latched and a majority answers.
fn ready(wanted: &Validated, seen: &Observed, plan: &Plan) -> Finding {
    if let Some(held) = plan
        .held
        .as_ref()
        .filter(|it| it.reason != "NoMajorityWithout")
    {
        return Finding::no(kind::READY, held.reason, held.message.clone());
    }
    if let Some(alarm) = seen.alarms.iter().find(|it| it.kind == AlarmKind::Corrupt) {
        let message = format!(
            "The data of member {} differs from that of the others. Delete its volume, and it is replaced.",
            alarm.member
        );
        return Finding::no(kind::READY, "DataCorrupt", message);
    }
    if seen.has_no_space() {
        return Finding::no(kind::READY, "NoSpace", no_space(wanted));
    }
    match (seen.latched.or(plan.latch), &seen.members) {
        (None, _) => Finding::no(kind::READY, "Bootstrapping", waits(wanted, seen, plan)),
        (Some(_), None) => Finding::no(kind::READY, "NoMajority", waits(wanted, seen, plan)),
        (Some(_), Some(members)) => {
            let message = format!("{} of {} members answer.", voting(seen), members.all.len());
            Finding::yes(kind::READY, "MajorityAnswers", message)
        }
    }
}

fn waits(wanted: &Validated, seen: &Observed, plan: &Plan) -> String {
    let mut message = plan
        .waits
        .clone()
        .unwrap_or_else(|| "Members start.".to_owned());
    for (index, pod) in &seen.pods {
        if let Some(trouble) = &pod.trouble {
            message.push_str(&format!(" Pod {}: {trouble}.", wanted.names.member(*index)));
        }
    }
    message
}

/// Whether as many members as wanted answer and vote.
fn all_ready(wanted: &Validated, seen: &Observed) -> Finding {
    let (ready, members) = (voting(seen), wanted.members as usize);
    let message = format!("{ready} of {members} members answer and vote.");
    if ready >= members {
        return Finding::yes(kind::MEMBERS_READY, "AllAnswer", message);
    }
    let ill: Vec<String> = (0..wanted.members)
        .filter(|index| !seen.statuses.contains_key(index))
        .map(|index| {
            let name = wanted.names.member(index);
            match seen.pods.get(&index) {
                None => format!("{name} has no pod"),
                Some(pod) => match &pod.trouble {
                    Some(trouble) => format!("{name}: {trouble}"),
                    None => format!("{name} does not answer"),
                },
            }
        })
        .collect();
    // Before it was bootstrapped there is nobody to replace it from, and without a majority its volume may be the last one.
    let fix = if seen.latched.is_some() && seen.members.is_some() && wanted.members > 1 {
        " Delete the volume of a member that does not come back, and it is replaced."
    } else {
        ""
    };
    let message = if ill.is_empty() {
        message
    } else {
        format!("{message} {}.{fix}", ill.join("; "))
    };
    Finding::no(kind::MEMBERS_READY, "MembersMissing", message)
}

fn no_space(wanted: &Validated) -> String {
    format!(
        "etcd takes no writes: its quota of {} MiB is used up. Raise spec.quotaMebibytes, and spec.storage.size with it.",
        wanted.spec.quota_mebibytes
    )
}

fn within_quota(wanted: &Validated, seen: &Observed) -> Finding {
    if seen.has_no_space() {
        return Finding::no(kind::WITHIN_QUOTA, "NoSpace", no_space(wanted));
    }
    let Some(most) = seen.statuses.values().map(|it| it.database_bytes).max() else {
        return Finding::unknown(kind::WITHIN_QUOTA, "Unknown", "No member answers.");
    };
    if most * 100 >= wanted.quota_bytes * QUOTA_WARNING_PERCENT {
        let message = format!(
            "The largest database has {} of {}. Raise spec.quotaMebibytes, and spec.storage.size with it, before writes \
             stop.",
            bytes::show(most),
            bytes::show(wanted.quota_bytes)
        );
        return Finding::no(kind::WITHIN_QUOTA, "NearlyFull", message);
    }
    // Without the number, which drifts.
    let message = format!("Every database is below {QUOTA_WARNING_PERCENT} % of the quota.");
    Finding::yes(kind::WITHIN_QUOTA, "Room", message)
}

fn progressing(wanted: &Validated, plan: &Plan) -> Finding {
    let name = |index: u32| wanted.names.member(index);
    match (&plan.change, &plan.waits) {
        (Some(Change::Add { index }), _) => {
            let message = format!("{} is added and learns.", name(*index));
            Finding::yes(kind::PROGRESSING, "AddingMember", message)
        }
        (Some(Change::Promote { index, .. }), _) => {
            let message = format!("{} catches up and is to vote then.", name(*index));
            Finding::yes(kind::PROGRESSING, "PromotingMember", message)
        }
        (Some(Change::Remove { index, why, .. }), _) => {
            let message = format!("{} is replaced: {why}.", name(*index));
            Finding::yes(kind::PROGRESSING, "ReplacingMember", message)
        }
        (None, Some(waits)) => Finding::yes(kind::PROGRESSING, "Waiting", waits.clone()),
        (None, None) => Finding::no(
            kind::PROGRESSING,
            "AsWanted",
            "Members are as the spec wants them.",
        ),
    }
}

fn stalled(plan: &Plan) -> Finding {
    match &plan.held {
        Some(held) => Finding::yes(kind::STALLED, held.reason, held.message.clone()),
        None => Finding::no(kind::STALLED, "Goes", "Nobody has to do anything."),
    }
}
