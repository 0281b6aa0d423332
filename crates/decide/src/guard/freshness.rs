//! Data that is not ok never shrinks anything.

use super::{Case, Objection};

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    let wanted = case.replicas.wanted;
    (!case.data_ok && count < wanted).then(|| {
        let reason = "data is not ok, so nothing is taken away";
        (wanted, reason.to_owned())
    })
}
