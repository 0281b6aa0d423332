//! What became of a recommendation, as far as the objects tell it. Pure.

use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{Mode, ScalingRecommendation};

/// In one word. The operator writes down what it has done; the rest follows from time, mode and newer recommendations.
/// `others` are those of the same policy.
pub(crate) fn of(
    recommendation: &ScalingRecommendation,
    others: &[ScalingRecommendation],
    now: i64,
) -> String {
    let status = recommendation.status.as_ref();
    if let Some(state) = status.and_then(|it| it.state.clone()) {
        return state;
    }
    let spec = &recommendation.spec;
    let is_approved = spec
        .approval
        .as_ref()
        .is_some_and(|it| it.digest == spec.digest && unix(&it.expiry_time) > now);
    let state = match spec.mode {
        Mode::Observe => "Observed",
        _ if unix(&spec.expiry_time) <= now => "Expired",
        _ if newer(recommendation, others, now).is_some() => "Superseded",
        Mode::Approve if is_approved => "Approved",
        Mode::Approve | Mode::Auto => "Pending",
    };
    state.to_owned()
}

/// One of the same policy that was issued later and holds.
pub(crate) fn newer<'a>(
    recommendation: &ScalingRecommendation,
    others: &'a [ScalingRecommendation],
    now: i64,
) -> Option<&'a ScalingRecommendation> {
    let spec = &recommendation.spec;
    others.iter().find(|it| {
        it.spec.policy_name == spec.policy_name
            && unix(&it.spec.issued_time) > unix(&spec.issued_time)
            && unix(&it.spec.expiry_time) > now
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_772_445_600; // 2026-03-02T10:00:00Z

    fn recommendation(change: impl FnOnce(&mut Value)) -> ScalingRecommendation {
        let mut object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingRecommendation",
            "metadata": {"name": "web-1"},
            "spec": {
                "policyName": "web", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "mode": "Approve", "issuedTime": "2026-03-02T09:50:00Z", "expiryTime": "2026-03-02T10:20:00Z",
                "plan": [{"type": "Replicas", "from": 3, "to": 9, "reason": ""}], "digest": "sha256:1",
                "explanation": {"summary": ""}, "counterfactual": {"replicas": 4, "summary": ""}
            }
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_state_follows_from_what_is_there() {
        let check = |change: &dyn Fn(&mut Value), others: &[ScalingRecommendation]| {
            of(&recommendation(change), others, NOW)
        };
        let later = [recommendation(|it| {
            it["spec"]["issuedTime"] = "2026-03-02T09:55:00Z".into();
        })];
        let approved =
            json!({"digest": "sha256:1", "user": "ann", "expiryTime": "2026-03-02T10:10:00Z"});
        let gone = "2026-03-02T09:59:00Z";
        assert_eq!(check(&|_| {}, &[]), "Pending");
        assert_eq!(check(&|_| {}, &later), "Superseded");
        assert_eq!(
            check(&|it| it["spec"]["expiryTime"] = gone.into(), &later),
            "Expired"
        );
        assert_eq!(
            check(&|it| it["spec"]["mode"] = "Observe".into(), &later),
            "Observed"
        );
        assert_eq!(
            check(&|it| it["spec"]["approval"] = approved.clone(), &[]),
            "Approved"
        );
        assert_eq!(
            check(&|it| it["status"] = json!({"state": "Applied"}), &later),
            "Applied"
        );
    }
}
