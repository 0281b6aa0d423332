//! Parts that are busy, blocked or inside a freeze are left alone.

use super::{Case, Objection};
use crate::reactive::counted_offer;

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    let wanted = case.replicas.wanted;
    if count == wanted {
        return None;
    }
    let blocked = counted_offer(case.part)
        .filter(|offer| offer.blocked_until.is_some_and(|until| until > case.now));
    if let Some(offer) = blocked {
        return Some((wanted, format!("blocked by {}", offer.blocked_by)));
    }
    if case.part.busy && count < wanted {
        let reason = "a change is being carried out, nothing is taken away meanwhile";
        return Some((wanted, reason.to_owned()));
    }
    let freeze = case.rules.freezes.iter().find(|freeze| {
        freeze.start <= case.now && case.now < freeze.end && (count < wanted || freeze.increases)
    })?;
    Some((wanted, format!("frozen by {}", freeze.name)))
}
