//! A demoted forecast, or one made of frozen or implausible data, may not act beyond plain HPA.

use super::{Case, Objection};

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    let most = case.reactive.max(case.without_forecast.unwrap_or(0));
    (!case.beyond_reactive && count > most).then(|| {
        let reason = "an unreliable forecast does not act beyond plain HPA";
        (most, reason.to_owned())
    })
}
