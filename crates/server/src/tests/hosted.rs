//! Real components against the real policy host.

use std::any::Any;

use foreshard_policy::{Compiler, Host, HostConfig};

use super::*;
use crate::{Hosted, HostedPolicy};

fn real() -> Arc<Hub> {
    let host = Host::new(HostConfig::new(Compiler::InProcess)).unwrap();
    let hosted = Arc::new(Hosted(Arc::new(host)));
    let names = ["demo".parse().unwrap()];
    let (ports, _) = ports(hosted, &names, Limits::DEFAULT);
    let hub = Hub::new(ports, names, Limits::DEFAULT);
    let demo = hub.namespace(&"demo".parse().unwrap()).unwrap();
    demo.publish(Update {
        target: target("shop"),
        points: vec![],
        forecasts: None,
        history: None,
        decision: None,
    });
    hub
}

async fn upload(hub: &Arc<Hub>, component: &[u8]) -> Answer {
    send(
        hub,
        request("PUT", "~/policymodules/mine", component.to_vec()),
    )
    .await
}

#[tokio::test]
async fn a_real_policy_is_uploaded_configured_and_handed_over() {
    let hub = real();
    let component = foreshard_builtin::component("target-tracking").unwrap();
    let stored = upload(&hub, component).await;
    assert_eq!(stored.status, StatusCode::CREATED, "{}", stored.text);
    assert_eq!(stored.json()["descriptor"]["name"], "target-tracking");
    let (status, kind, errors) = put_policy(&hub, r#"{"module": "mine", "config": {"no": 1}}"#)
        .await
        .problem();
    assert_eq!((status, kind.as_str()), (422, "invalid-config"));
    assert!(!errors.is_empty());
    let asked = put_policy(&hub, r#"{"module": "mine"}"#).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text);
    let demo = hub.namespace(&"demo".parse().unwrap()).unwrap();
    let policy: Arc<dyn Any + Send + Sync> = demo.asked_policy("shop").unwrap().policy;
    let policy = policy.downcast::<HostedPolicy>().unwrap();
    assert_eq!(policy.0.digest(), stored.json()["digest"].as_str().unwrap());
}

#[tokio::test]
async fn what_is_no_policy_is_refused_with_the_reason() {
    let hub = real();
    for (component, kind) in [
        (&b""[..], "not-wasm"),
        (&b"a text file"[..], "not-wasm"),
        (&b"\0asm\x01\0\0\0"[..], "core-module"),
        (&b"\0asm\x0d\0\x01\0"[..], "other-world"),
    ] {
        let refused = upload(&hub, component).await;
        assert_eq!(
            refused.problem(),
            (422, kind.to_owned(), vec![]),
            "{component:?}"
        );
        assert!(!refused.json()["fix"].as_str().unwrap().is_empty());
    }
}
