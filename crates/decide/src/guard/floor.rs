//! Nothing goes below the floor in force.

use super::{Case, Objection};

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    (count < case.floor).then(|| {
        let reason = if case.floor == case.reactive {
            "the reactive rule asks for more"
        } else {
            "the newest load would exceed the maximum utilisation"
        };
        (case.floor, reason.to_owned())
    })
}
