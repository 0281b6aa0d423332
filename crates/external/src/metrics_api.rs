//! `external.metrics.k8s.io/v1beta1`, as the API server's aggregation layer asks for it.
//!
//! A HorizontalPodAutoscaler names the metric and, in its selector, the policy: `matchLabels: {policy: NAME}`. The policy
//! is one of the autoscaler's own namespace.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use foreshard_listener::ClientCertificate;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use crate::{
    METRIC,
    advice::{Advice, Reason},
    answers::Answers,
    caller::{Caller, Denied, Judge},
    front_proxy::FrontProxy,
    status::failure,
};

/// The API's group.
pub const GROUP: &str = "external.metrics.k8s.io";
/// Its version.
pub const VERSION: &str = "v1beta1";
/// The label by which a policy is chosen.
const LABEL: &str = "policy";
/// As metrics name it.
const API: &str = "external-metrics";

/// Answers the API server. Cheap to copy.
#[derive(Clone)]
pub struct MetricsApi {
    advice: Arc<dyn Advice>,
    judge: Arc<dyn Judge>,
    front_proxy: watch::Receiver<Option<Arc<FrontProxy>>>,
    answers: Answers,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    label_selector: Option<String>,
}

impl MetricsApi {
    /// Answers with this advice whom `judge` lets see it. Requests are taken from `front_proxy` alone, and from nobody
    /// until that is known.
    #[must_use]
    pub fn new(
        advice: Arc<dyn Advice>,
        judge: Arc<dyn Judge>,
        front_proxy: watch::Receiver<Option<Arc<FrontProxy>>>,
        answers: Answers,
    ) -> Self {
        Self {
            advice,
            judge,
            front_proxy,
            answers,
        }
    }

    pub(crate) fn router(self) -> Router {
        let group = format!("/apis/{GROUP}");
        let version = format!("{group}/{VERSION}");
        let metric = format!("{version}/namespaces/{{namespace}}/{{metric}}");
        Router::new()
            .route(&group, get(describe_group))
            .route(&version, get(describe_version))
            .route(&metric, get(read))
            .fallback(nothing)
            .layer(middleware::from_fn_with_state(self.clone(), identify))
            .with_state(self)
    }
}

/// Whom a request is for, or its end.
async fn identify(State(api): State<MetricsApi>, mut request: Request, next: Next) -> Response {
    let known = api.front_proxy.borrow().clone();
    let shown = request.extensions().get::<ClientCertificate>();
    let caller = known
        .ok_or("who the aggregation layer is is not known yet")
        .and_then(|known| known.identify(shown, request.headers()));
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(why) => {
            api.answers.count(API, "Unauthorized");
            failure(StatusCode::UNAUTHORIZED, "Unauthorized", why)
        }
    }
}

/// Whoever the API server has let in may know which metrics there are.
async fn describe_group() -> Json<serde_json::Value> {
    let version = json!({"groupVersion": format!("{GROUP}/{VERSION}"), "version": VERSION});
    Json(json!({
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": [version],
        "preferredVersion": version,
    }))
}

async fn describe_version() -> Json<serde_json::Value> {
    Json(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{GROUP}/{VERSION}"),
        "resources": [{
            "name": METRIC,
            "singularName": "",
            "namespaced": true,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }],
    }))
}

async fn nothing() -> Response {
    let message = format!("only {GROUP}/{VERSION} is served");
    failure(StatusCode::NOT_FOUND, "NotFound", &message)
}

async fn read(
    State(api): State<MetricsApi>,
    Extension(caller): Extension<Caller>,
    Path((namespace, metric)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let (outcome, response) = api.answer(&caller, &namespace, &metric, &asked).await;
    api.answers.count(API, outcome);
    response
}

impl MetricsApi {
    async fn answer(
        &self,
        caller: &Caller,
        namespace: &str,
        metric: &str,
        asked: &Asked,
    ) -> (&'static str, Response) {
        // Before anything is said of what there is.
        match self.judge.may_read(caller, namespace, metric).await {
            Ok(()) => {}
            Err(Denied::Forbidden(why)) => {
                let response = failure(StatusCode::FORBIDDEN, "Forbidden", &why);
                return ("Forbidden", response);
            }
            Err(Denied::Unavailable(why)) => {
                let code = StatusCode::SERVICE_UNAVAILABLE;
                return ("NotJudged", failure(code, "ServiceUnavailable", &why));
            }
        }
        if metric != METRIC {
            let message = format!("the only metric is {METRIC}");
            let response = failure(StatusCode::NOT_FOUND, "NotFound", &message);
            return ("BadRequest", response);
        }
        let selector = asked.label_selector.as_deref().unwrap_or_default();
        let Some(policy) = selected(selector) else {
            let message = format!(
                "the metric's selector must name one ScalingPolicy of this namespace and nothing else: matchLabels: {{{LABEL}: NAME}}"
            );
            let response = failure(StatusCode::BAD_REQUEST, "BadRequest", &message);
            return ("BadRequest", response);
        };
        match self.advice.advise(namespace, policy) {
            Ok(advised) => {
                let decided = Timestamp::from_second(advised.decided_at).unwrap_or_default();
                let list = json!({
                    "kind": "ExternalMetricValueList",
                    "apiVersion": format!("{GROUP}/{VERSION}"),
                    "metadata": {},
                    "items": [{
                        "metricName": METRIC,
                        "metricLabels": {LABEL: policy},
                        "timestamp": decided.to_string(),
                        "value": advised.replicas.to_string(),
                    }],
                });
                ("served", Json(list).into_response())
            }
            Err(withheld) => {
                let (code, reason) = match withheld.reason {
                    Reason::NoPolicy => (StatusCode::NOT_FOUND, "NotFound"),
                    _ => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
                };
                let response = failure(code, reason, &withheld.to_string());
                (withheld.reason.name(), response)
            }
        }
    }
}

/// The policy that a selector names: `policy=NAME`, `policy==NAME` or `policy in (NAME)`.
fn selected(selector: &str) -> Option<&str> {
    let rest = selector.trim().strip_prefix(LABEL)?;
    let name = match rest.trim_start().strip_prefix("in") {
        Some(list) if rest.starts_with(' ') => {
            list.trim().strip_prefix('(')?.strip_suffix(')')?.trim()
        }
        _ => {
            let value = rest.trim_start().strip_prefix('=')?;
            value.strip_prefix('=').unwrap_or(value).trim()
        }
    };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    (!name.is_empty() && name.chars().all(allowed)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::selected;

    #[test]
    fn a_selector_names_one_policy_and_nothing_else() {
        for (selector, expected) in [
            ("policy=web", Some("web")),
            ("policy==web-2.a", Some("web-2.a")),
            ("policy in (web)", Some("web")),
            (" policy = web ", Some("web")),
            ("policy in (web,api)", None),
            ("policy=web,app=x", None),
            ("policy!=web", None),
            ("policy", None),
            ("policy=", None),
            ("policyx=web", None),
            ("policyin (web)", None),
            ("app=web", None),
            ("", None),
            ("policy=a/b", None),
        ] {
            assert_eq!(selected(selector), expected, "{selector:?}");
        }
    }
}
