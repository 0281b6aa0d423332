//! Between the part's minimum and maximum; where they contradict each other, the minimum holds.

use super::{Case, Objection};

/// Nothing beyond the bounds is wanted.
pub(super) fn of_what_is_asked(case: &mut Case<'_>, count: u32) -> Objection {
    within(case.replicas.min, case.replicas.max, count)
}

/// Nothing beyond the bounds comes of it; what is above the maximum already stays as long as a guard holds it there.
pub(super) fn of_what_is_left(case: &mut Case<'_>, count: u32) -> Objection {
    let most = case.replicas.max.max(case.replicas.wanted);
    within(case.replicas.min, most, count)
}

fn within(min: u32, max: u32, count: u32) -> Objection {
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
