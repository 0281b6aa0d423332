//! What people have ordered of policies, and which of it holds.

use foreshard_api::annotation;
use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{Pause, ScalingOverride, ScalingPolicy};
use kube::ResourceExt as _;

use crate::clock;
use crate::print::note;

/// Most warnings of one kind: nobody reads more.
const WARNINGS_MAX: usize = 5;

/// The overrides that hold for a policy now.
pub(crate) fn holding<'a>(
    all: &'a [ScalingOverride],
    policy: &'a ScalingPolicy,
    now: i64,
) -> impl Iterator<Item = &'a ScalingOverride> {
    all.iter()
        .filter(move |it| is_for(it, policy) && !is_over(it, now))
}

/// Whether it was made for this policy.
pub(crate) fn is_for(order: &ScalingOverride, policy: &ScalingPolicy) -> bool {
    order.spec.policy_name == policy.name_any() && order.namespace() == policy.namespace()
}

/// Whether it has ended.
pub(crate) fn is_over(order: &ScalingOverride, now: i64) -> bool {
    unix(&order.spec.expiry_time) <= now
}

/// What an override orders, with its reason.
pub(crate) fn means(order: &ScalingOverride) -> String {
    let spec = &order.spec;
    let pause = match spec.pause {
        Pause::None => None,
        Pause::ScaleUp => Some("nothing is added".to_owned()),
        Pause::ScaleDown => Some("nothing is taken away".to_owned()),
        Pause::Both => Some("nothing is changed".to_owned()),
    };
    let floor = spec
        .min_replicas
        .map(|count| format!("at least {count} replicas"));
    let ceiling = spec
        .max_replicas
        .map(|count| format!("at most {count} replicas"));
    let said: Vec<String> = [floor, ceiling, pause].into_iter().flatten().collect();
    said.join(", ") + &because(&spec.reason)
}

/// A reason that somebody gave, in brackets.
pub(crate) fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    }
}

/// Says that a value of the annotation that pauses is none that does.
pub(crate) fn ignored_pause(policy: &ScalingPolicy) -> Option<String> {
    let value = policy.annotations().get(annotation::PAUSED)?;
    // Who writes `false` knows what it means.
    let is_plain = matches!(value.as_str(), "true" | "false");
    (!is_plain).then(|| {
        format!(
            "{}={value} is ignored: only \"true\" pauses",
            annotation::PAUSED
        )
    })
}

/// Overrides of which nothing comes: of no policy that there is, and such as have ended.
pub(crate) fn idle(all: &[ScalingOverride], policies: &[ScalingPolicy], now: i64) -> Vec<String> {
    let lost = all.iter().filter(|it| !is_over(it, now)).filter(|order| {
        let mut of = policies.iter();
        !of.any(|policy| is_for(order, policy))
    });
    let lost = lost.map(|it| {
        let (name, namespace) = (it.name_any(), it.namespace().unwrap_or_default());
        format!(
            "scalingoverride/{name} holds nothing: there is no ScalingPolicy {} in namespace {namespace}; correct its \
             spec.policyName, or kubectl delete scalingoverride {name} -n {namespace}",
            it.spec.policy_name
        )
    });
    let over = all.iter().filter(|it| is_over(it, now)).map(|it| {
        let end = clock::relative(unix(&it.spec.expiry_time), now);
        format!(
            "scalingoverride/{} in namespace {} ended {end} and holds nothing any more",
            it.name_any(),
            it.namespace().unwrap_or_default()
        )
    });
    lost.chain(over).collect()
}

/// Warns of overrides of which nothing comes.
pub(crate) fn warn(all: &[ScalingOverride], policies: &[ScalingPolicy], now: i64) {
    for warning in idle(all, policies, now).iter().take(WARNINGS_MAX) {
        note(&format!("warning: {warning}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_772_445_600; // 2026-03-02T10:00:00Z

    fn policy(annotations: serde_json::Value) -> ScalingPolicy {
        serde_json::from_value(json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingPolicy",
            "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "signals": [{"name": "d", "query": "x", "sourceRef": {"name": "main"}, "targetAverageValue": "70"}],
                "actions": [{"type": "Replicas", "mode": "Auto", "min": 2, "max": 20}],
            }
        }))
        .unwrap()
    }

    fn order(name: &str, policy: &str, until: &str) -> ScalingOverride {
        serde_json::from_value(json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingOverride",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"policyName": policy, "pause": "Both", "expiryTime": until, "reason": "migration"}
        }))
        .unwrap()
    }

    #[test]
    fn overrides_hold_for_their_policy_until_they_end() {
        let all = [
            order("a", "web", "2026-03-02T11:00:00Z"),
            order("b", "web", "2026-03-02T09:58:00Z"),
            order("c", "wbe", "2026-03-02T11:00:00Z"),
        ];
        let web = policy(json!({}));
        let names: Vec<String> = holding(&all, &web, NOW).map(|it| it.name_any()).collect();
        assert_eq!(names, ["a"]);
        assert_eq!(means(&all[0]), "nothing is changed (migration)");
        assert_eq!(
            idle(&all, &[web], NOW),
            [
                "scalingoverride/c holds nothing: there is no ScalingPolicy wbe in namespace shop; correct its \
                 spec.policyName, or kubectl delete scalingoverride c -n shop",
                "scalingoverride/b in namespace shop ended 2m ago and holds nothing any more"
            ]
        );
    }

    #[test]
    fn only_true_pauses() {
        let said = |value: &str| ignored_pause(&policy(json!({annotation::PAUSED: value})));
        assert_eq!((said("true"), said("false")), (None, None));
        assert_eq!(
            said("maybe").as_deref(),
            Some("foreshard.dev/paused=maybe is ignored: only \"true\" pauses")
        );
        assert_eq!(ignored_pause(&policy(json!({}))), None);
    }
}
