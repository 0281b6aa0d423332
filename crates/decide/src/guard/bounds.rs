//! Between the part's minimum and maximum; where they contradict each other, the minimum holds.

use super::{Case, Objection};

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    let (min, max) = (case.replicas.min, case.replicas.max);
    let to = count.min(max).max(min);
    (to != count).then(|| {
        let reason = if to < count {
            format!("the maximum is {max}")
        } else {
            format!("the minimum is {min}")
        };
        (to, reason)
    })
}
