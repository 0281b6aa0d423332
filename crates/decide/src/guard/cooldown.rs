//! Not so soon after the last change.

use super::{Case, Objection};

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    let wanted = case.replicas.wanted;
    let (span, what) = if count > wanted {
        (case.rules.increase_cooldown, "increase")
    } else if count < wanted {
        (case.rules.decrease_cooldown, "decrease")
    } else {
        return None;
    };
    let changed = case.state.changes.last().map(|change| change.at);
    let last = changed.or(case.part.last_change)?;
    let left = last + span - case.now;
    (left > 0.0).then(|| {
        let reason = format!("no {what} within {span:.0} s of a change, {left:.0} s are left");
        (wanted, reason)
    })
}
