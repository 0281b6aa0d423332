//! Not so many at once, or within a period.

use super::{Case, Objection};
use crate::count::ceil_count;
use crate::rules::StepLimit;

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    let wanted = case.replicas.wanted;
    if count > wanted {
        let limit = case.rules.increase?;
        let most = began_with(case, limit).saturating_add(allowed(case, limit));
        let to = most.max(wanted);
        (count > to).then(|| (to, reason(limit, "increase")))
    } else {
        let limit = case.rules.decrease?;
        let least = began_with(case, limit).saturating_sub(allowed(case, limit));
        let to = least.min(wanted);
        (count < to).then(|| (to, reason(limit, "decrease")))
    }
}

/// The wanted count when the period that ends now began.
fn began_with(case: &Case<'_>, limit: StepLimit) -> u32 {
    let since = case.now - limit.period;
    let first = case.state.changes.iter().find(|change| change.at > since);
    first.map_or(case.replicas.wanted, |change| change.from)
}

fn allowed(case: &Case<'_>, limit: StepLimit) -> u32 {
    let share = limit.share * f64::from(began_with(case, limit));
    limit.count.max(ceil_count(share))
}

fn reason(limit: StepLimit, what: &str) -> String {
    format!(
        "at most {} or {:.0} % of {what} within {:.0} s",
        limit.count,
        limit.share * 100.0,
        limit.period
    )
}
