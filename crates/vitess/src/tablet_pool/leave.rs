//! How tablets leave a pool that wants fewer: one step, from what there is. Nothing is asked here.
//!
//! The tablet of the highest index leaves, one of a shard at a time. Its volume is marked first, so that whoever goes on
//! after a restart knows what was begun; then another one becomes primary where it was, it is taken out of service, its
//! pod is deleted, its record, and at last its volume, where the pool says so.

use foreshard_api::v1alpha1::vitess::keyspace::{Durability, Retention, TabletType};
use foreshard_vtctld::{Replication, TabletAlias, TabletType as Recorded};

use crate::tablet_pool::plan::{Held, PodSeen};

/// How far a tablet may be behind its primary while another one leaves, in seconds: what Vitess calls degraded.
const LAG_MAX_SECONDS: u32 = 30;
/// Fewest tablets of type Replica that run, of a shard that acknowledges writes by two: with one away, two are left.
const DURABLE_TABLETS: usize = 3;

/// A tablet of the shard.
#[derive(Clone, Debug, PartialEq)]
pub struct TabletSeen {
    /// Its name in Vitess.
    pub alias: TabletAlias,
    /// Name of its TabletPool.
    pub pool: String,
    /// Its number there.
    pub index: u32,
    /// What it is started for.
    pub kind: TabletType,
    /// Whether its pool wants so many.
    pub is_wanted: bool,
    /// Its pod.
    pub pod: Option<PodSeen>,
    /// Its volume.
    pub claim: Option<ClaimSeen>,
    /// What it is for, by its record.
    pub record: Option<Recorded>,
    /// How it follows the primary.
    pub replication: Option<Replication>,
}

/// A volume as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClaimSeen {
    /// Whether it is being deleted.
    pub ends: bool,
    /// Whether its tablet was chosen to leave, and what was to become of it then.
    pub leaves: Option<Retention>,
    /// Whether it has not all rows yet.
    pub fills: bool,
}

/// A shard with all of its tablets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardSeen {
    /// Who must have a write.
    pub durability: Durability,
    /// Its primary, by its record.
    pub primary: Option<TabletAlias>,
    /// Tablets of all pools that have a pod, a volume or a record.
    pub tablets: Vec<TabletSeen>,
    /// Workflows that copy from it or to it.
    pub workflows: Vec<String>,
    /// Whether all of its tablets are to go, as its keyspace does.
    pub is_dropped: bool,
}

/// What is done next, for a tablet of the pool by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is wanted again: it serves again.
    Serve(u32),
    /// The mark of its volume is taken away, and the volume stays.
    Unmark(u32),
    /// Its record is deleted: it runs no more.
    Forget(u32),
    /// Its volume is deleted: it runs no more.
    DeleteClaim(u32),
    /// Its volume is marked: it is to leave.
    Mark(u32),
    /// This one becomes primary in its place.
    Reparent(u32, TabletAlias),
    /// It is taken out of service.
    Drain(u32),
    /// What it was asked before ends.
    Settle(u32),
    /// Its pod is made again: it is lost, and it is still the primary.
    MakePod(u32),
    /// Its pod is deleted.
    DeletePod(u32),
    /// Something has to pass first.
    Wait(Held),
    /// Something has to be done first, by people.
    Refuse(Held),
}

impl Step {
    /// Whether the next one follows by itself, and soon. What is waited for may take hours, and looking costs calls.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !matches!(self, Self::Wait(_) | Self::Refuse(_))
    }

    /// Whether the shard is short of tablets that serve.
    fn wants_more(&self) -> bool {
        let (Self::Wait(held) | Self::Refuse(held)) = self else {
            return false;
        };
        ["NoPrimary", "ShardNotHealthy", "DurabilityNeedsTablets"].contains(&held.reason)
    }
}

/// Decides, for one pool of the shard; none: nobody leaves. `settled` has been out of service for long enough.
#[must_use]
pub fn step(
    pool: &str,
    retention: Retention,
    shard: &ShardSeen,
    settled: Option<u32>,
) -> Option<Step> {
    let own = || shard.tablets.iter().filter(|it| it.pool == pool);
    if let Some(returns) = own().find_map(returns) {
        return Some(returns);
    }
    let surplus = || own().filter(|it| !it.is_wanted);
    if let Some(rest) = surplus().find_map(|it| remains(it, retention, shard)) {
        return Some(rest);
    }
    let with_pod = || surplus().filter(|it| it.pod.is_some());
    if shard.is_dropped {
        let is_primary = |it: &TabletSeen| shard.primary.as_ref() == Some(&it.alias);
        let victim = with_pod().max_by_key(|it| (!is_primary(it), it.index))?;
        return Some(goes(victim, is_primary(victim), shard));
    }
    // Vitess moves no primary while a recorded tablet cannot be reached.
    let down = with_pod().find(|it| !it.answers() && shard.primary.as_ref() != Some(&it.alias));
    let begun = with_pod().find(|it| it.is_marked());
    let victim = down
        .or(begun)
        .or_else(|| with_pod().max_by_key(|it| it.index))?;
    Some(leaves(victim, shard, settled))
}

/// One that was to leave, and is wanted again.
fn returns(tablet: &TabletSeen) -> Option<Step> {
    let returns = tablet.is_wanted && tablet.is_marked();
    if !returns {
        return None;
    }
    if tablet.record != Some(Recorded::Drained) {
        return Some(Step::Unmark(tablet.index));
    }
    if tablet.answers() {
        return Some(Step::Serve(tablet.index));
    }
    // A vttablet that starts serves by itself.
    Some(Step::Wait(held(
        "TabletReturns",
        format!("Tablet {} is wanted again, and starts.", tablet.alias),
    )))
}

/// What is left of one whose pod is gone.
fn remains(tablet: &TabletSeen, retention: Retention, shard: &ShardSeen) -> Option<Step> {
    let index = tablet.index;
    if tablet.pod.is_some() {
        return None;
    }
    // Records go with that of the keyspace.
    if tablet.record.is_some() && !shard.is_dropped {
        if shard.primary.as_ref() != Some(&tablet.alias) {
            return Some(Step::Forget(index));
        }
        // Nobody else may be able to take its place.
        let may_run = tablet.claim.is_some_and(|it| !it.ends);
        return Some(if may_run {
            Step::MakePod(index)
        } else {
            Step::Wait(held(
                "StillPrimary",
                format!(
                    "Tablet {} runs no more and is recorded as the primary: vtorc elects another one.",
                    tablet.alias
                ),
            ))
        });
    }
    let claim = tablet.claim.filter(|it| !it.ends)?;
    match (claim.leaves?, retention) {
        (Retention::Delete, Retention::Delete) => {
            if shard.is_dropped {
                return Some(Step::DeleteClaim(index));
            }
            // It may be the last copy by now.
            let held = durability(tablet, shard).or_else(|| obstacle(tablet, shard));
            Some(held.map_or(Step::DeleteClaim(index), Step::Wait))
        }
        _ => Some(Step::Unmark(index)),
    }
}

/// The next step of one that leaves.
fn leaves(victim: &TabletSeen, shard: &ShardSeen, settled: Option<u32>) -> Step {
    let index = victim.index;
    let pod = victim.pod.unwrap_or_default();
    if pod.ends {
        return Step::Wait(ends(victim));
    }
    if pod.is_over {
        return Step::DeletePod(index);
    }
    // Nobody needs what it has.
    if victim.fills() && !pod.is_ready && shard.primary.as_ref() != Some(&victim.alias) {
        return if victim.is_marked() {
            Step::DeletePod(index)
        } else {
            Step::Mark(index)
        };
    }
    let refused = durability(victim, shard).map(Step::Refuse);
    let first = refused.or_else(|| obstacle(victim, shard).map(Step::Wait));
    if let Some(first) = first {
        // Out of service it neither answers nor acknowledges, and those that stay need it.
        let is_needed = victim.is_marked() && victim.record == Some(Recorded::Drained);
        return if is_needed && victim.answers() && first.wants_more() {
            Step::Serve(index)
        } else {
            first
        };
    }
    if victim.claim.is_some() && !victim.is_marked() {
        return Step::Mark(index);
    }
    if shard.primary.as_ref() == Some(&victim.alias) {
        return match successor(victim, shard) {
            Some(alias) => Step::Reparent(index, alias),
            None => Step::Refuse(held(
                "NoOtherPrimary",
                format!(
                    "Tablet {} is the primary, and no other tablet of type Replica is wanted: set replicas of a pool of \
                     that type to one more.",
                    victim.alias
                ),
            )),
        };
    }
    match victim.record {
        // It is not ready while it does so.
        Some(Recorded::Backup | Recorded::Restore) => Step::Wait(backs_up(victim)),
        // It takes no traffic, and cannot be asked to.
        _ if !pod.is_ready => Step::DeletePod(index),
        Some(Recorded::Drained) if settled == Some(index) => Step::DeletePod(index),
        Some(Recorded::Drained) => Step::Settle(index),
        Some(Recorded::Replica | Recorded::Rdonly | Recorded::Spare | Recorded::Experimental) => {
            Step::Drain(index)
        }
        Some(Recorded::Primary | Recorded::Other(_)) | None => Step::Wait(held(
            "RecordUnsettled",
            format!(
                "The record of tablet {} does not say what it is for, as it runs; it is looked at again.",
                victim.alias
            ),
        )),
    }
}

/// The next step of one whose keyspace goes. Nobody takes its place, so the primary is the last: vtorc would elect another.
fn goes(victim: &TabletSeen, is_primary: bool, shard: &ShardSeen) -> Step {
    let index = victim.index;
    let pod = victim.pod.unwrap_or_default();
    if pod.ends {
        return Step::Wait(ends(victim));
    }
    if pod.is_over {
        return Step::DeletePod(index);
    }
    if let Some(workflow) = shard.workflows.first().filter(|_| !victim.is_marked()) {
        return Step::Wait(copied(workflow, victim));
    }
    let mut others = shard.tablets.iter().filter(|it| it.alias != victim.alias);
    if is_primary && others.any(|it| it.pod.is_some()) {
        return Step::Wait(held(
            "PrimaryGoesLast",
            format!(
                "Tablet {} is the primary, and goes once the shard has no other.",
                victim.alias
            ),
        ));
    }
    // Nobody needs what another one restores.
    if victim.record == Some(Recorded::Backup) && pod.is_ready {
        return Step::Wait(backs_up(victim));
    }
    if victim.claim.is_some() && !victim.is_marked() {
        return Step::Mark(index);
    }
    Step::DeletePod(index)
}

/// Whether the shard would be less durable than its keyspace says, without this one.
fn durability(victim: &TabletSeen, shard: &ShardSeen) -> Option<Held> {
    if victim.kind != TabletType::Replica {
        return None;
    }
    let stay = shard
        .tablets
        .iter()
        .filter(|it| it.is_wanted && it.kind == TabletType::Replica)
        .filter(|it| it.claim.is_some_and(|claim| !claim.fills));
    let mut cells: Vec<&str> = stay.clone().map(|it| it.alias.cell.as_str()).collect();
    cells.sort_unstable();
    cells.dedup();
    let (stay, cells) = (stay.count(), cells.len());
    let needed = match shard.durability {
        Durability::None => 1,
        _ => DURABLE_TABLETS,
    };
    let across = matches!(
        shard.durability,
        Durability::CrossCell | Durability::CrossCellWithRdonlyAck
    );
    if stay >= needed && (!across || cells > 1) {
        return None;
    }
    let what = if stay < needed {
        format!("{stay} tablets of type Replica, and needs {needed}")
    } else {
        "tablets of type Replica in one cell only, and needs two".to_owned()
    };
    Some(held(
        "DurabilityNeedsTablets",
        format!(
            "Without tablet {} the shard would have {what} for its durability: set replicas to {}, or those of another \
             pool to more first.",
            victim.alias,
            victim.index + 1
        ),
    ))
}

/// Why nobody may leave now.
fn obstacle(victim: &TabletSeen, shard: &ShardSeen) -> Option<Held> {
    let primary = |it: &&TabletSeen| shard.primary.as_ref() == Some(&it.alias);
    let mut primaries = shard.tablets.iter().filter(primary);
    if !primaries.any(TabletSeen::answers) {
        return Some(held(
            "NoPrimary",
            "The shard has no primary that answers: no tablet leaves before it has.".to_owned(),
        ));
    }
    let others = || shard.tablets.iter().filter(|it| it.alias != victim.alias);
    if !victim.is_marked()
        && victim.answers()
        && let Some(other) = others().find(|it| it.is_marked())
    {
        return Some(held(
            "AnotherTabletLeaves",
            format!(
                "Tablet {} of {} is on its way: one of a shard goes at a time.",
                other.alias, other.pool
            ),
        ));
    }
    let mut stay = others().filter(|it| it.is_wanted && (it.pod.is_some() || it.claim.is_some()));
    let unhealthy = stay.find_map(|it| Some((it, unhealthy(it, primary(&it))?)));
    if let Some((tablet, why)) = unhealthy {
        return Some(held(
            "ShardNotHealthy",
            format!(
                "Tablet {} of {}, which stays, {why}: no tablet leaves before it serves.",
                tablet.alias, tablet.pool
            ),
        ));
    }
    if victim.replication.is_some_and(|it| it.backs_up) {
        return Some(backs_up(victim));
    }
    let workflow = shard.workflows.first()?;
    Some(copied(workflow, victim))
}

fn copied(workflow: &str, victim: &TabletSeen) -> Held {
    held(
        "WorkflowRuns",
        format!(
            "Workflow {workflow} copies rows of the shard, maybe from tablet {}: complete or cancel it, or wait for it.",
            victim.alias
        ),
    )
}

fn ends(victim: &TabletSeen) -> Held {
    held(
        "TabletEnds",
        format!("The pod of tablet {} ends.", victim.alias),
    )
}

fn backs_up(victim: &TabletSeen) -> Held {
    held(
        "BackupRuns",
        format!("Tablet {} takes or restores a backup.", victim.alias),
    )
}

/// What is wrong with a tablet that stays.
fn unhealthy(tablet: &TabletSeen, is_primary: bool) -> Option<String> {
    if !tablet.answers() {
        return Some("is not ready".to_owned());
    }
    match tablet.record {
        Some(Recorded::Replica | Recorded::Rdonly | Recorded::Primary) => {}
        Some(other) => return Some(format!("is of type {other:?} now")),
        None => return Some("is not recorded".to_owned()),
    }
    if is_primary {
        return None;
    }
    let replication = tablet.replication.unwrap_or_default();
    if !replication.is_running {
        return Some("does not replicate".to_owned());
    }
    match replication.lag_seconds {
        None => Some("is behind for an unknown time".to_owned()),
        Some(lag) if lag > LAG_MAX_SECONDS => {
            Some(format!("is {lag} s behind, of at most {LAG_MAX_SECONDS}"))
        }
        Some(_) => None,
    }
}

/// Who becomes primary: of the same cell where there is one, and the least behind.
fn successor(victim: &TabletSeen, shard: &ShardSeen) -> Option<TabletAlias> {
    let may = shard.tablets.iter().filter(|it| {
        it.alias != victim.alias
            && it.is_wanted
            && it.answers()
            && it.kind == TabletType::Replica
            && it.record == Some(Recorded::Replica)
            && it.replication.is_some_and(|it| it.is_running)
    });
    let best = may.min_by_key(|it| {
        let lag = it.replication.and_then(|it| it.lag_seconds);
        let elsewhere = it.alias.cell != victim.alias.cell;
        (elsewhere, lag.unwrap_or(u32::MAX), it.alias.clone())
    });
    best.map(|it| it.alias.clone())
}

fn held(reason: &'static str, message: String) -> Held {
    Held { reason, message }
}

impl TabletSeen {
    fn is_marked(&self) -> bool {
        self.claim.is_some_and(|it| it.leaves.is_some())
    }

    fn fills(&self) -> bool {
        self.claim.is_some_and(|it| it.fills)
    }

    fn answers(&self) -> bool {
        self.pod.is_some_and(|it| it.is_ready && !it.ends)
    }
}

#[cfg(test)]
#[path = "leave_tests.rs"]
mod tests;
