//! Whether a recommendation can be approved. Pure.

use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{Mode, ScalingRecommendation};
use kube::ResourceExt as _;

use crate::{clock, state};

/// Why not; none: it can be. `others` are recommendations of the same policy, `pinned` the digest that was reviewed.
pub(super) fn refusal(
    recommendation: &ScalingRecommendation,
    others: &[ScalingRecommendation],
    pinned: Option<&str>,
    now: i64,
) -> Option<String> {
    let (name, spec) = (recommendation.name_any(), &recommendation.spec);
    let policy = &spec.policy_name;
    let namespace = recommendation.namespace().unwrap_or_default();
    if let Some(pinned) = pinned.filter(|pinned| *pinned != spec.digest) {
        return Some(format!(
            "the plan of {name} has the digest {}, not {pinned}: look at it with `kubectl foreshard explain {name} -n {namespace}`",
            spec.digest
        ));
    }
    match recommendation
        .status
        .as_ref()
        .and_then(|it| it.state.as_deref())
    {
        Some("Applied") => return Some(format!("{name} was carried out already")),
        Some("Superseded") => {
            return Some(format!(
                "{name} is superseded: what it wants is no longer needed; `kubectl foreshard status {policy} -n {namespace}`"
            ));
        }
        _ => {}
    }
    let expiry = unix(&spec.expiry_time);
    if expiry <= now {
        return Some(format!(
            "{name} expired {}: `kubectl foreshard status {policy} -n {namespace}` shows whether there is a newer one",
            clock::relative(expiry, now)
        ));
    }
    match spec.mode {
        Mode::Approve => {}
        Mode::Observe => {
            return Some(format!(
                "{name} was made in the mode Observe, in which nothing is carried out: set the action's mode of \
                 policy {policy} to Approve, and approve the recommendation that comes then"
            ));
        }
        Mode::Auto => {
            return Some(format!(
                "{name} was made in the mode Auto, in which nothing waits for an approval"
            ));
        }
    }
    if let Some(approval) = &spec.approval {
        let until = unix(&approval.expiry_time);
        if approval.digest == spec.digest && until > now {
            return Some(format!(
                "{name} is approved already, by {} until {}",
                approval.user,
                clock::both(until, now)
            ));
        }
    }
    let newer = state::newer(recommendation, others, now)?;
    let plan = newer.spec.plan.first();
    let plan = plan.map_or(String::new(), |step| {
        format!(" ({} to {} replicas)", step.from, step.to)
    });
    Some(format!(
        "{name} is superseded by {}{plan}: approve that one",
        newer.name_any()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_772_445_600; // 2026-03-02T10:00:00Z

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn recommendation(name: &str, change: impl FnOnce(&mut Value)) -> ScalingRecommendation {
        let mut object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingRecommendation",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "policyName": "web", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "mode": "Approve", "issuedTime": "2026-03-02T09:50:00Z", "expiryTime": "2026-03-02T10:20:00Z",
                "plan": [{"type": "Replicas", "from": 3, "to": 9, "reason": ""}], "digest": digest('1'),
                "explanation": {"summary": ""}, "counterfactual": {"replicas": 4, "summary": ""}
            }
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    fn approved(digest: &str, until: &str) -> Value {
        json!({"digest": digest, "user": "ann", "expiryTime": until})
    }

    #[test]
    fn a_fresh_plan_can_be_approved() {
        let fresh = recommendation("web-1", |_| {});
        let older = recommendation("web-0", |it| {
            it["spec"]["issuedTime"] = "2026-03-02T09:40:00Z".into()
        });
        let others = [fresh.clone(), older];
        assert_eq!(refusal(&fresh, &others, Some(&digest('1')), NOW), None);
        let again = recommendation("web-1", |it| {
            it["spec"]["approval"] = approved(&digest('1'), "2026-03-02T09:59:00Z");
        });
        assert_eq!(
            refusal(&again, &others, None, NOW),
            None,
            "an approval that is void"
        );
    }

    #[test]
    fn everything_that_forbids_it_is_named() {
        let mut all = String::new();
        let mut check = |change: &dyn Fn(&mut Value), pinned: Option<&str>| {
            let newer = recommendation("web-2", |it| {
                it["spec"]["issuedTime"] = "2026-03-02T09:55:00Z".into();
                it["spec"]["plan"][0]["to"] = 12.into();
            });
            let one = recommendation("web-1", change);
            all += &refusal(&one, &[newer], pinned, NOW).unwrap();
            all.push('\n');
        };
        check(&|_| {}, Some(&digest('2')));
        check(&|it| it["status"] = json!({"state": "Applied"}), None);
        check(&|it| it["status"] = json!({"state": "Superseded"}), None);
        check(
            &|it| it["spec"]["expiryTime"] = "2026-03-02T09:58:00Z".into(),
            None,
        );
        check(&|it| it["spec"]["mode"] = "Observe".into(), None);
        check(&|it| it["spec"]["mode"] = "Auto".into(), None);
        check(
            &|it| it["spec"]["approval"] = approved(&digest('1'), "2026-03-02T10:10:00Z"),
            None,
        );
        check(&|_| {}, None);
        insta::assert_snapshot!(all);
    }
}
