//! Whoever has overspent the violation budget may not run hotter than plain HPA does.

use super::{Case, Objection};

/// Budgets spent above which plain HPA is a floor. One budget may be gone by chance; two mean that the forecast does
/// not keep what it promises.
const OVERSPENT: f64 = 2.0;

pub(super) fn check(case: &mut Case<'_>, count: u32) -> Objection {
    let spent = case.budget_spent;
    (spent > OVERSPENT && count < case.reactive).then(|| {
        let reason =
            format!("{spent:.1} times the violation budget is spent, plain HPA is a floor");
        (case.reactive, reason)
    })
}
