use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::*;

/// What a person sees of it: the spec and the notes.
fn shown(adopted: &Result<Adopted, AdoptError>) -> String {
    let adopted = match adopted {
        Ok(adopted) => adopted,
        Err(error) => return format!("refused: {error}\n"),
    };
    // Again, as the operator will read it.
    let json = serde_json::to_value(&adopted.policy).unwrap();
    let read: ScalingPolicy = serde_json::from_value(json).unwrap();
    ValidatedPolicy::parse(&read.spec).unwrap();
    read.validate_cel().unwrap();
    assert_eq!(read.spec.actions[0].mode, crate::v1alpha1::Mode::Observe);
    let mut text = String::new();
    for source in &adopted.sources {
        let spec = serde_json::to_string_pretty(&source.spec).unwrap();
        text += &format!(
            "source {}: {spec}\n",
            source.metadata.name.as_deref().unwrap()
        );
    }
    let spec = serde_json::to_string_pretty(&read.spec).unwrap();
    text += &format!(
        "policy {}: {spec}\n",
        read.metadata.name.as_deref().unwrap()
    );
    for note in &adopted.notes {
        text += &format!("{note:?}\n");
    }
    text
}

/// An object `web` in `shop`.
fn object<T: serde::de::DeserializeOwned>(spec: Value) -> T {
    let object = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn of_hpa(spec: Value, around: &Surroundings) -> Result<Adopted, AdoptError> {
    hpa(&object(spec), around)
}

fn of_keda(spec: Value, around: &Surroundings) -> Result<Adopted, AdoptError> {
    scaled_object(&object(spec), around)
}

fn around(requests: Value) -> Surroundings {
    let pod: PodSpec = serde_json::from_value(json!({"containers": [
        {"name": "app", "resources": {"requests": requests}},
        {"name": "sidecar", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}},
    ]}))
    .unwrap();
    Surroundings {
        requests: Requests::of_pod(&pod),
        ..Surroundings::default()
    }
}

fn web() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"})
}

#[test]
fn an_hpa_on_cpu_and_memory_becomes_queries_for_cadvisor() {
    let adopted = of_hpa(
        json!({
            "scaleTargetRef": web(), "minReplicas": 2, "maxReplicas": 20,
            "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
                {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "512Mi"}}},
                {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "app",
                    "target": {"type": "Utilization", "averageUtilization": 80}}}
            ],
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 60, "selectPolicy": "Max", "policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]},
                "scaleDown": {"stabilizationWindowSeconds": 600, "policies": [
                    {"type": "Percent", "value": 10, "periodSeconds": 60}]}
            }
        }),
        &around(json!({"cpu": "400m", "memory": "448Mi"})),
    );
    insta::assert_snapshot!(shown(&adopted));
}

#[test]
fn a_scaled_object_on_prometheus_and_cron_is_the_same() {
    let known = json!({"metadata": {"name": "main", "namespace": "shop"}, "spec": {"url": "http://prometheus.monitoring:9090/"}});
    let around = Surroundings {
        sources: vec![serde_json::from_value(known).unwrap()],
        ..Surroundings::default()
    };
    let adopted = of_keda(
        json!({
            "scaleTargetRef": {"name": "web"}, "minReplicaCount": 3, "maxReplicaCount": 30,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 120}}}},
            "triggers": [
                {"type": "prometheus", "name": "Requests/s", "metadata": {
                    "serverAddress": "http://prometheus.monitoring:9090", "query": "sum(rate(http_requests_total[2m]))",
                    "threshold": "72.5", "ignoreNullValues": "false"}},
                {"type": "prometheus", "metadata": {
                    "serverAddress": "https://mimir.example/prometheus", "query": "sum(queue_length)", "threshold": "100",
                    "customHeaders": "X-Scope-OrgID=shop", "unsafeSsl": "true", "ignoreNullValues": "false"}},
                {"type": "cron", "metadata": {
                    "timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "desiredReplicas": "10"}}
            ]
        }),
        &around,
    );
    insta::assert_snapshot!(shown(&adopted));
}

#[test]
fn what_has_no_equivalent_is_named() {
    let adopted = of_keda(
        json!({
            "scaleTargetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web.blue"},
            "idleReplicaCount": 0, "minReplicaCount": 1, "maxReplicaCount": 20000,
            "fallback": {"failureThreshold": 3, "replicas": 6},
            "advanced": {
                "scalingModifiers": {"formula": "a + b", "target": "2"},
                "horizontalPodAutoscalerConfig": {"behavior": {
                    "scaleUp": {"tolerance": "0.05", "selectPolicy": "Min", "policies": [
                        {"type": "Pods", "value": 4, "periodSeconds": 60}, {"type": "Pods", "value": 10, "periodSeconds": 600}]},
                    "scaleDown": {"selectPolicy": "Disabled"}
                }}
            },
            "triggers": [
                {"type": "prometheus", "metadata": {
                    "serverAddress": "http://prometheus:9090", "query": "sum(x)", "threshold": "5", "namespace": "a",
                    "activationThreshold": "1", "authModes": "bearer"}, "authenticationRef": {"name": "token"}},
                {"type": "prometheus", "metricType": "Value", "metadata": {
                    "serverAddress": "http://prometheus.m:9090", "query": "avg(x)", "threshold": "5"}},
                {"type": "prometheus", "metadata": {
                    "serverAddress": "http://me:secret@prometheus.m", "query": "sum(x)", "threshold": "5"}},
                {"type": "prometheus", "metadata": {"serverAddress": "http://p.m", "query": "sum(x)", "threshold": "none"}},
                {"type": "kafka", "metadata": {"lagThreshold": "5"}},
                {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}},
                {"type": "cron", "metadata": {
                    "timezone": "UTC", "start": "0 18 * * 5", "end": "0 8 * * 1", "desiredReplicas": "10"}}
            ]
        }),
        &Surroundings::default(),
    );
    insta::assert_snapshot!(shown(&adopted));
}

#[test]
fn what_cannot_be_a_policy_is_refused_with_the_reason() {
    let mut all = String::new();
    let mut check = |spec: Value, around: &Surroundings| all += &shown(&of_hpa(spec, around));
    let metric =
        |metric: Value| json!({"scaleTargetRef": web(), "maxReplicas": 5, "metrics": [metric]});
    let nothing = Surroundings::default();
    // Without metrics it is 80 % of the CPU.
    check(json!({"scaleTargetRef": web(), "maxReplicas": 5}), &nothing);
    check(
        json!({"scaleTargetRef": web(), "maxReplicas": 5}),
        &around(json!({"memory": "1Gi"})),
    );
    check(
        metric(json!({"type": "External", "external": {
            "metric": {"name": "queue_length"}, "target": {"type": "AverageValue", "averageValue": "30"}}})),
        &nothing,
    );
    check(
        metric(json!({"type": "Object", "object": {
            "metric": {"name": "hits"}, "describedObject": {"kind": "Ingress", "name": "main"},
            "target": {"type": "Value", "value": "10k"}}})),
        &nothing,
    );
    check(
        metric(json!({"type": "Resource", "resource": {
            "name": "ephemeral-storage", "target": {"type": "AverageValue", "averageValue": "1Gi"}}})),
        &nothing,
    );
    let keda = json!({
        "metadata": {"name": "keda-hpa-web", "ownerReferences": [
            {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web", "uid": "1"}]},
        "spec": {"scaleTargetRef": web(), "maxReplicas": 5}
    });
    all += &shown(&hpa(&serde_json::from_value(keda).unwrap(), &nothing));
    all += &shown(&of_keda(
        json!({"scaleTargetRef": {"name": "web"}, "triggers": [{"type": "kafka"}]}),
        &nothing,
    ));
    insta::assert_snapshot!(all);
}

#[test]
fn a_metric_of_pods_is_summed_by_its_name() {
    let adopted = of_hpa(
        json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}, "maxReplicas": 5,
            "metrics": [{"type": "Pods", "pods": {
                "metric": {"name": "http_requests_per_second"}, "target": {"type": "AverageValue", "averageValue": "1k"}}}]
        }),
        &Surroundings {
            source: Some("mimir".to_owned()),
            ..Surroundings::default()
        },
    )
    .unwrap();
    let signal = &adopted.policy.spec.signals[0];
    assert_eq!(signal.name, "http-requests-per-second");
    assert_eq!(signal.source_ref.name, "mimir");
    assert_eq!(signal.target_average_value, "1000");
    assert_eq!(
        signal.query,
        "sum(http_requests_per_second{namespace=\"shop\", pod=~\"db-[0-9]+\"})"
    );
    assert_eq!(adopted.policy.spec.actions[0].min, 1);
}

#[test]
fn limits_of_an_hpa_mean_the_same_or_are_said_not_to() {
    let limit = |direction: &str, rules: Value| {
        let spec = json!({
            "scaleTargetRef": web(), "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}}}],
            "behavior": {direction: rules}
        });
        let adopted = of_hpa(spec, &Surroundings::default()).unwrap();
        let said = adopted.notes.iter().any(|note| match note {
            Note::Check(text) | Note::NotAdopted(text) => text.starts_with("behavior"),
        });
        let behavior = adopted.policy.spec.actions[0]
            .behavior
            .clone()
            .unwrap_or_default();
        let rules = if direction == "scaleUp" {
            behavior.scale_up
        } else {
            behavior.scale_down
        };
        let limit = rules.and_then(|it| it.limit);
        (
            limit.map(|it| (it.replicas, it.percent, it.period_seconds)),
            said,
        )
    };
    let pods =
        |value: i32, period: i32| json!({"type": "Pods", "value": value, "periodSeconds": period});
    let percent = |value: i32, period: i32| json!({"type": "Percent", "value": value, "periodSeconds": period});
    for (direction, rules, expected) in [
        (
            "scaleUp",
            json!({"policies": [pods(4, 15), percent(100, 15)]}),
            (Some((4, 100, 15)), false),
        ),
        (
            "scaleUp",
            json!({"policies": [pods(4, 60)]}),
            (Some((4, 0, 60)), false),
        ),
        (
            "scaleUp",
            json!({"policies": [percent(50, 60)]}),
            (Some((1, 50, 60)), true),
        ),
        (
            "scaleDown",
            json!({"policies": [percent(100, 15)]}),
            (None, false),
        ),
        (
            "scaleDown",
            json!({"policies": [percent(100, 15), pods(1, 15)]}),
            (None, false),
        ),
        (
            "scaleDown",
            json!({"selectPolicy": "Min", "policies": [percent(100, 15), pods(2, 15)]}),
            (Some((2, 0, 15)), true),
        ),
        (
            "scaleDown",
            json!({"policies": [pods(1, 15), pods(5, 300)]}),
            (Some((5, 0, 300)), true),
        ),
        (
            "scaleDown",
            json!({"selectPolicy": "Disabled"}),
            (None, true),
        ),
    ] {
        assert_eq!(
            limit(direction, rules.clone()),
            expected,
            "{direction} {rules}"
        );
    }
}
