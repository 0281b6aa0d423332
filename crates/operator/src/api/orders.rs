//! Approvals and overrides as objects.

use std::{future::Future, time::Duration};

use foreshard_api::{
    annotation::{ORDERED_BY, POLICY},
    time,
    v1alpha1::{
        self, Approval as ApprovalSpec, Mode, ScalingOverride, ScalingOverrideSpec, ScalingPolicy,
        ScalingRecommendation,
    },
};
use foreshard_server::{
    Approval, ApprovalOrder, Name, ObjectName, OrderError, Orders, Override, OverrideOrder, Pause,
};
use futures::future::BoxFuture;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, PostParams},
};
use tokio::time::timeout;

/// The field manager of what is written in somebody's name.
const MANAGER: &str = "foreshard.dev/http-api";
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an approval is tried anew when somebody else writes the same object.
const ATTEMPTS_MAX: usize = 4;

/// The cluster's objects as the place where orders go. The server has asked before whether the caller may; the objects
/// say who it was.
#[derive(Clone)]
pub struct KubeOrders {
    client: Client,
}

impl KubeOrders {
    /// Writes with this client, which may update ScalingRecommendations and create ScalingOverrides.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn approve_it(
        &self,
        namespace: &str,
        name: &str,
        order: ApprovalOrder,
    ) -> Result<Approval, OrderError> {
        let all: Api<ScalingRecommendation> = Api::namespaced(self.client.clone(), namespace);
        for _ in 0..ATTEMPTS_MAX {
            let found = within(all.get_opt(name)).await?;
            let mut recommendation = found.ok_or_else(|| OrderError::NotFound {
                what: "scaling recommendation",
                name: name.to_owned(),
            })?;
            let now = Timestamp::now();
            let approval = approval(&recommendation, &order, now)?;
            let of_policy = format!("{POLICY}={}", recommendation.spec.policy_name);
            let others = within(all.list(&ListParams::default().labels(&of_policy))).await?;
            if let Some(newer) = newer(&recommendation, &others.items, now) {
                let why = format!("it is superseded by {newer}: approve that one");
                return Err(OrderError::Pointless(why));
            }
            let expires_at = time::unix(&approval.expiry_time) as f64;
            recommendation.spec.approval = Some(approval);
            // With the version that was read: nobody approves what has changed in between.
            match within(all.replace(name, &parameters(), &recommendation)).await {
                Ok(_) => {
                    return Ok(Approval {
                        recommendation: name.to_owned(),
                        digest: order.digest,
                        user: order.user,
                        expires_at,
                    });
                }
                Err(Failure::Conflict) => {}
                Err(Failure::Order(error)) => return Err(error),
            }
        }
        let detail = format!("others keep writing recommendation {name:?}; it is not approved");
        Err(OrderError::Unavailable(detail))
    }

    async fn override_it(
        &self,
        namespace: &str,
        order: OverrideOrder,
    ) -> Result<Override, OrderError> {
        let policies: Api<ScalingPolicy> = Api::namespaced(self.client.clone(), namespace);
        let policy = order.policy.to_string();
        if within(policies.get_metadata_opt(&policy)).await?.is_none() {
            return Err(OrderError::NotFound {
                what: "scaling policy",
                name: policy,
            });
        }
        let seconds = i64::from(order.expiry_seconds);
        let expiry_time = time::from_unix(Timestamp::now().as_second().saturating_add(seconds));
        let spec = ScalingOverrideSpec {
            policy_name: policy.clone(),
            min_replicas: order.min_replicas,
            max_replicas: order.max_replicas,
            pause: pause(order.pause),
            expiry_time: expiry_time.clone(),
            reason: order.reason,
        };
        let mut object = ScalingOverride::new("", spec);
        object.metadata.name = None;
        object.metadata.generate_name = Some(format!("{policy}-"));
        object
            .annotations_mut()
            .insert(ORDERED_BY.to_owned(), order.user);
        let overrides: Api<ScalingOverride> = Api::namespaced(self.client.clone(), namespace);
        let made = within(overrides.create(&parameters(), &object)).await?;
        Ok(Override {
            name: made.name_any(),
            policy,
            expires_at: time::unix(&expiry_time) as f64,
        })
    }
}

/// The approval of exactly this plan.
fn approval(
    recommendation: &ScalingRecommendation,
    order: &ApprovalOrder,
    now: Timestamp,
) -> Result<ApprovalSpec, OrderError> {
    let spec = &recommendation.spec;
    if spec.digest != order.digest {
        return Err(OrderError::OtherPlan(spec.digest.clone()));
    }
    if spec.expiry_time.0 <= now {
        return Err(OrderError::Expired);
    }
    if let Some(why) = pointless(recommendation, &order.user, now) {
        return Err(OrderError::Pointless(why));
    }
    let asked = order.expiry_seconds.map(|seconds| {
        let end = now.as_second().saturating_add(i64::from(seconds));
        time::from_unix(end)
    });
    // Not longer than the plan itself holds.
    let end = asked.filter(|end| end.0 < spec.expiry_time.0);
    Ok(ApprovalSpec {
        digest: order.digest.clone(),
        user: order.user.clone(),
        expiry_time: end.unwrap_or_else(|| spec.expiry_time.clone()),
    })
}

/// Why nothing would come of an approval by `user`, if so.
fn pointless(recommendation: &ScalingRecommendation, user: &str, now: Timestamp) -> Option<String> {
    let spec = &recommendation.spec;
    let status = recommendation.status.as_ref();
    let approval = spec.approval.as_ref();
    match (status.and_then(|it| it.state.as_deref()), spec.mode) {
        (Some("Applied"), _) => Some("it was carried out already".to_owned()),
        (Some("Superseded"), _) => Some("it is superseded: it is no longer needed".to_owned()),
        (_, Mode::Observe | Mode::Auto) => Some(format!(
            "it was made in the mode {}, in which nothing waits for an approval",
            spec.mode.name()
        )),
        (_, Mode::Approve) => approval
            .filter(|it| it.digest == spec.digest && it.expiry_time.0 > now && it.user != user)
            .map(|it| format!("it is approved already, by {}", it.user)),
    }
}

/// The name of a newer recommendation of the same policy that may still be carried out, if there is one.
fn newer(
    recommendation: &ScalingRecommendation,
    others: &[ScalingRecommendation],
    now: Timestamp,
) -> Option<String> {
    let spec = &recommendation.spec;
    let newer = others.iter().filter(|it| {
        it.spec.policy_name == spec.policy_name
            && it.spec.issued_time.0 > spec.issued_time.0
            && it.spec.expiry_time.0 > now
    });
    let newest = newer.max_by_key(|it| it.spec.issued_time.0);
    newest.map(kube::ResourceExt::name_any)
}

fn pause(pause: Pause) -> v1alpha1::Pause {
    match pause {
        Pause::None => v1alpha1::Pause::None,
        Pause::ScaleUp => v1alpha1::Pause::ScaleUp,
        Pause::ScaleDown => v1alpha1::Pause::ScaleDown,
        Pause::Both => v1alpha1::Pause::Both,
    }
}

fn parameters() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// Why a question was not answered.
enum Failure {
    /// Somebody else has written the object since it was read.
    Conflict,
    /// Any other reason.
    Order(OrderError),
}

impl From<Failure> for OrderError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict => Self::Refused("somebody else has just written it".to_owned()),
            Failure::Order(error) => error,
        }
    }
}

async fn within<T>(question: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
    let answer = timeout(STEP_TIMEOUT, question).await;
    let unavailable = |detail: &str| Failure::Order(OrderError::Unavailable(detail.to_owned()));
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) => Err(match status.code {
            409 => Failure::Conflict,
            400 | 404 | 422 => Failure::Order(OrderError::Refused(status.message)),
            _ => unavailable(&format!("the API server answers: {}", status.message)),
        }),
        Ok(Err(error)) => {
            tracing::warn!(%error, "The API server does not answer as it should.");
            Err(unavailable("the API server does not answer as it should"))
        }
        Err(_) => Err(unavailable("the API server does not answer in time")),
    }
}

impl Orders for KubeOrders {
    fn approve<'a>(
        &'a self,
        namespace: &'a Name,
        recommendation: &'a ObjectName,
        order: ApprovalOrder,
    ) -> BoxFuture<'a, Result<Approval, OrderError>> {
        Box::pin(self.approve_it(namespace.as_ref(), recommendation.as_ref(), order))
    }

    fn override_scaling<'a>(
        &'a self,
        namespace: &'a Name,
        order: OverrideOrder,
    ) -> BoxFuture<'a, Result<Override, OrderError>> {
        Box::pin(self.override_it(namespace.as_ref(), order))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn made(mode: &str, status: &Value, approval: &Value) -> ScalingRecommendation {
        let mut object = json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingRecommendation", "metadata": {"name": "web-1"},
            "spec": {
                "policyName": "web", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "mode": mode, "issuedTime": "2026-07-03T10:00:00Z", "expiryTime": "2026-07-03T10:30:00Z",
                "plan": [{"type": "Replicas", "from": 3, "to": 9, "reason": "load"}], "digest": "sha256:1",
                "explanation": {"summary": "load"}, "counterfactual": {"replicas": 3, "summary": "plain HPA"},
            },
            "status": status,
        });
        if !approval.is_null() {
            object["spec"]["approval"] = approval.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_newer_plan_of_the_same_policy_takes_its_place() {
        let now: Timestamp = "2026-07-03T10:05:00Z".parse().unwrap();
        let first = made("Approve", &json!({}), &Value::Null);
        let issued = |name: &str, policy: &str, issued: &str, expiry: &str| {
            let mut other = first.clone();
            other.metadata.name = Some(name.to_owned());
            other.spec.policy_name = policy.to_owned();
            let at = |text: &str| time::from_unix(text.parse::<Timestamp>().unwrap().as_second());
            other.spec.issued_time = at(issued);
            other.spec.expiry_time = at(expiry);
            other
        };
        let (later, end) = ("2026-07-03T10:04:00Z", "2026-07-03T10:34:00Z");
        let others = [
            first.clone(),
            issued("older", "web", "2026-07-03T09:50:00Z", end),
            issued("of-another", "api", later, end),
            issued("over", "web", later, "2026-07-03T10:05:00Z"),
        ];
        assert_eq!(newer(&first, &others, now), None);
        let others = [&others[..], &[issued("web-2", "web", later, end)]].concat();
        assert_eq!(newer(&first, &others, now), Some("web-2".to_owned()));
    }

    #[test]
    fn what_nothing_would_come_of_is_not_approved() {
        let now: Timestamp = "2026-07-03T10:05:00Z".parse().unwrap();
        let approval = |user: &str, until: &str| json!({"digest": "sha256:1", "user": user, "expiryTime": until});
        let (later, before) = ("2026-07-03T10:20:00Z", "2026-07-03T10:04:00Z");
        let none = Value::Null;
        for (mode, state, approval, why) in [
            ("Approve", json!({}), none.clone(), None),
            (
                "Approve",
                json!({"state": "Applied"}),
                none.clone(),
                Some("carried out"),
            ),
            (
                "Approve",
                json!({"state": "Superseded"}),
                none.clone(),
                Some("superseded"),
            ),
            (
                "Observe",
                json!({}),
                none.clone(),
                Some("in the mode Observe"),
            ),
            ("Auto", json!({}), none, Some("in the mode Auto")),
            ("Approve", json!({}), approval("bob", later), Some("by bob")),
            ("Approve", json!({}), approval("bob", before), None),
            ("Approve", json!({}), approval("ann", later), None),
        ] {
            let found = pointless(&made(mode, &state, &approval), "ann", now);
            assert_eq!(found.is_some(), why.is_some(), "{mode} {state} {found:?}");
            assert!(found.unwrap_or_default().contains(why.unwrap_or_default()));
        }
    }
}
