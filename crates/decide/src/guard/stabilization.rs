//! A decrease waits until nothing in the window asked for more, as in HPA.

use super::{Case, Objection};

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    let span = if case.hotter {
        case.rules.hold.max(case.rules.stabilization)
    } else {
        case.rules.stabilization
    };
    let most = case.state.wishes.push(case.now, span, count);
    // Only a decrease is held: the window never asks for more than there is.
    let held = most.min(case.replicas.wanted).max(count);
    (held > count).then(|| {
        let reason = format!("up to {most} were asked for within the last {span:.0} s");
        (held, reason)
    })
}
