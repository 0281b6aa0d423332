//! A decrease waits until nothing in the window asked for more, as in HPA.

use super::{Case, Objection};
use crate::reactive::lead_seconds;

/// Share of the lead for which a decrease waits at least while a forecast decides.
const HOLD_OF_LEAD: f64 = 0.25;

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    // What was taken away too soon is missed for a whole lead, so a longer one is worth a longer wait.
    let span = if case.hotter {
        let patience = lead_seconds(case.part) * HOLD_OF_LEAD;
        case.rules.hold.max(case.rules.stabilization).max(patience)
    } else {
        case.rules.stabilization
    };
    let most = case.state.wishes.push(case.now, span, count);
    // Only a decrease is held: the window never asks for more than there is.
    let held = most.min(case.replicas.wanted).max(count);
    (held > count).then(|| {
        let why = if span > case.rules.stabilization {
            ", for which a decrease waits while a forecast decides"
        } else {
            ""
        };
        let reason = format!("up to {most} were asked for within the last {span:.0} s{why}");
        (held, reason)
    })
}
