//! What is told of a pool of tablets.

use foreshard_api::condition::{self, Finding, kind};
use foreshard_api::v1alpha1::{TabletPool, TabletPoolStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::cluster::names::Labels;
use crate::tablet_pool::leave::Step;
use crate::tablet_pool::plan::{Plan, Seen};
use crate::tablet_pool::storage::Storage;

/// What a status is told from.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) seen: Seen,
    /// Tablets that are wanted; none while nobody has said how many.
    pub(crate) wanted: u32,
    pub(crate) plan: Plan,
    pub(crate) selector: Labels,
    /// What containers of a tablet that is not ready say: image, volume, crash.
    pub(crate) trouble: Option<String>,
    /// Pods that would be made otherwise now.
    pub(crate) outdated: usize,
    /// What was done with a tablet that leaves, or is waited for.
    pub(crate) leaves: Option<Step>,
    /// What becomes of volumes.
    pub(crate) storage: Storage,
    /// Seconds that a tablet took which has just got its rows.
    pub(crate) filled_seconds: Option<i64>,
    /// Why nothing was planned.
    pub(crate) waits: Option<Finding>,
}

/// The status after a pass; `trouble` is why something could not be carried out.
pub(crate) fn status(
    pool: &TabletPool,
    told: &Told,
    trouble: Option<&Finding>,
    now: &Time,
) -> TabletPoolStatus {
    let old = pool.status.clone().unwrap_or_default();
    let generation = pool.metadata.generation.unwrap_or(0);
    if told.waits.is_some() && told.selector.is_empty() {
        let findings: Vec<_> = told.waits.iter().chain(trouble).cloned().collect();
        return TabletPoolStatus {
            observed_generation: Some(generation),
            conditions: condition::merge(&old.conditions, &findings, generation, now),
            ..old
        };
    }
    // Those that leave serve no more.
    let stay = told.seen.pods.range(..told.wanted);
    let ready = stay.filter(|(_, it)| it.is_ready && !it.ends).count();
    let selector: Vec<_> = told
        .selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let progressing = trouble.or(told.waits.as_ref()).cloned();
    let findings = [
        ready_finding(pool, told, ready),
        stalled(told),
        progressing.unwrap_or_else(|| progress(told, old.lead_time_seconds)),
    ];
    let count = |number: usize| i32::try_from(number).ok();
    TabletPoolStatus {
        observed_generation: Some(generation),
        shard: Some(pool.spec.key_range.to_string()),
        replicas: count(told.seen.pods.len()),
        ready_replicas: count(ready),
        selector: Some(selector.join(",")),
        lead_time_seconds: told
            .filled_seconds
            .and_then(|it| i32::try_from(it).ok())
            .or(old.lead_time_seconds),
        conditions: condition::merge(&old.conditions, &findings, generation, now),
    }
}

fn ready_finding(pool: &TabletPool, told: &Told, ready: usize) -> Finding {
    let wanted = usize::try_from(pool.spec.replicas.unwrap_or(0)).unwrap_or(0);
    if ready >= wanted {
        return Finding::yes(kind::READY, "AllServe", "All tablets serve.");
    }
    let mut said = format!("{ready} of {wanted} tablets serve.");
    if let Some(trouble) = &told.trouble {
        said = format!("{said} {trouble}");
    }
    Finding::no(kind::READY, "TabletsNotReady", said)
}

fn stalled(told: &Told) -> Finding {
    let refused = match &told.leaves {
        Some(Step::Refuse(held)) => Some(held),
        _ => None,
    };
    let held = told.plan.held.as_ref().or(refused);
    match held.or(told.storage.held.as_ref()) {
        Some(held) => Finding::yes(kind::STALLED, held.reason, held.message.clone()),
        None => Finding::no(
            kind::STALLED,
            "NotStalled",
            "Nothing has to be done by hand.",
        ),
    }
}

fn progress(told: &Told, lead_time_seconds: Option<i32>) -> Finding {
    let plan = &told.plan;
    let makes = plan.claims.len() + plan.pods.len() + plan.over.len() + plan.fill.iter().count();
    if makes > 0 {
        let said = "Tablets are being made.";
        return Finding::yes(kind::PROGRESSING, "MakingTablets", said);
    }
    let stay = told.seen.pods.range(..told.wanted);
    let mut stay = stay.filter_map(|(index, _)| Some((index, told.seen.fills.get(index)?)));
    if let Some((index, fills)) = stay.next() {
        let last = lead_time_seconds.map_or_else(
            || "None was made like that before".to_owned(),
            |it| format!("The last one took {it} s"),
        );
        let said = format!(
            "The tablet of index {index} {} and then catches up. {last}.",
            fills.what()
        );
        return Finding::yes(kind::PROGRESSING, "TabletFills", said);
    }
    if let Some(waits) = &plan.waits {
        return Finding::yes(kind::PROGRESSING, waits.reason, waits.message.clone());
    }
    if let Some(step) = &told.leaves {
        return leaves(step);
    }
    if let Some(waits) = &told.storage.waits {
        return Finding::yes(kind::PROGRESSING, waits.reason, waits.message.clone());
    }
    match told.outdated {
        0 => {
            let said = "Everything is as it is wanted.";
            Finding::no(kind::PROGRESSING, "AsWanted", said)
        }
        outdated => {
            let said = format!(
                "{outdated} tablets would be made otherwise now. They are left as they are; delete their pods, the \
                 primary's last, and they come back as the spec says."
            );
            Finding::no(kind::PROGRESSING, "PendingRollout", said)
        }
    }
}

fn leaves(step: &Step) -> Finding {
    let goes = |index: &u32, what: &str| {
        let said = format!("The tablet of index {index} leaves: {what}.");
        Finding::yes(kind::PROGRESSING, "TabletLeaves", said)
    };
    match step {
        Step::Wait(held) => Finding::yes(kind::PROGRESSING, held.reason, held.message.clone()),
        Step::Refuse(held) => Finding::no(kind::PROGRESSING, held.reason, held.message.clone()),
        Step::Serve(index) | Step::Unmark(index) => {
            let said = format!("What was begun with the tablet of index {index} ends.");
            Finding::yes(kind::PROGRESSING, "TabletSettles", said)
        }
        Step::MakePod(index) => {
            let said =
                format!("The tablet of index {index} is still the primary: its pod is made again.");
            Finding::yes(kind::PROGRESSING, "TabletReturns", said)
        }
        Step::Mark(index) => goes(index, "it was chosen"),
        Step::Reparent(index, to) => goes(index, &format!("{to} is primary in its place")),
        Step::Drain(index) => goes(index, "it is out of service"),
        Step::Settle(index) => goes(index, "what it was asked before ends"),
        Step::DeletePod(index) => goes(index, "its pod is deleted"),
        Step::Forget(index) => goes(index, "its record is deleted"),
        Step::DeleteClaim(index) => goes(index, "its volume is deleted"),
    }
}
