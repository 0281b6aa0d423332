//! Tokens right, wrong, expired, revoked, of another audience; rights that are there and missing.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use foreshard_operator::access::{AccessSettings, KubeAccess};
use foreshard_server::{Access as _, Action, Caller, Denied};
use rcgen::{KeyPair, SigningKey as _};
use serde_json::Value;

use crate::cluster::{AUDIENCE, Cluster};

#[tokio::test]
async fn only_a_valid_token_for_our_audience_is_taken() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    cluster.account("ci", &[]);
    let access = cluster.access();
    let identify = async |token: &str| {
        let caller = Caller {
            token: Some(token),
            peer: None,
        };
        access.identify(caller).await.map(|it| it.user)
    };
    let right = cluster.token("ci", &[AUDIENCE]).await;
    let user = format!("system:serviceaccount:{}:ci", cluster.name);
    assert_eq!(identify(&right).await, Ok(user.clone()));
    let several = cluster.token("ci", &["other", AUDIENCE]).await;
    assert_eq!(identify(&several).await, Ok(user));

    let (rest, signature) = right.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    let wrong = [
        ("for the API server itself", cluster.token("ci", &[]).await),
        (
            "for another audience",
            cluster.token("ci", &["other"]).await,
        ),
        ("no token at all", "nonsense".to_owned()),
        ("another signature", format!("{rest}.{turned}")),
        ("too long", "x".repeat(1 << 20)),
    ];
    for (what, token) in wrong {
        assert!(
            matches!(identify(&token).await, Err(Denied::Unknown(_))),
            "{what}"
        );
    }
    if let Some(bed) = cluster.plane.bed() {
        let key = std::fs::read_to_string(bed.folder().join("pki/service-accounts.key")).unwrap();
        let fresh = with_times(&right, &key, 0);
        assert!(
            identify(&fresh).await.is_ok(),
            "what we sign is as good as what the API server signs"
        );
        let expired = with_times(&right, &key, -7200);
        assert!(
            matches!(identify(&expired).await, Err(Denied::Unknown(_))),
            "expired"
        );
    }
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/ci", cluster.name);
    cluster.plane.api().delete(&path).unwrap();
    // The API server itself keeps an answer for ten seconds.
    let begun = Instant::now();
    while identify(&right).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60), "revoked");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(matches!(identify(&right).await, Err(Denied::Unknown(_))));
}

/// The same token with its times moved, signed again.
fn with_times(token: &str, key: &str, seconds: i64) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    for claim in ["exp", "iat", "nbf"] {
        claims[claim] = (claims[claim].as_i64().unwrap() + seconds).into();
    }
    let signed = format!(
        "{}.{}",
        parts[0],
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = KeyPair::from_pem(key)
        .unwrap()
        .sign(signed.as_bytes())
        .unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fixed(&signature)))
}

/// An ECDSA signature over P-256 in DER, as the two numbers of 32 bytes that JWS wants (RFC 7518, 3.4).
fn fixed(der: &[u8]) -> Vec<u8> {
    // SEQUENCE, its length; then twice INTEGER, its length, its bytes.
    let mut rest = &der[2..];
    let mut both = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let start = number.len().saturating_sub(32);
        both.extend(std::iter::repeat_n(0, 32 - (number.len() - start)));
        both.extend(&number[start..]);
        rest = &rest[2 + length..];
    }
    both
}

#[tokio::test]
async fn rights_are_those_of_the_roles() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    cluster.account("reader", &[("policymodules", &["get", "list"])]);
    cluster.account("nobody", &[]);
    let hub = cluster.hub(None);
    let reader = cluster.token("reader", &[AUDIENCE]).await;
    let nobody = cluster.token("nobody", &[AUDIENCE]).await;
    let list = cluster
        .ask(&hub, &reader, "GET", "~/policymodules", "")
        .await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.json);
    for (token, method, path) in [
        (&nobody, "GET", "~/policymodules"),
        (&reader, "PUT", "~/policymodules/a"),
        (&reader, "DELETE", "~/policymodules/a"),
        (&reader, "GET", "~/targets"),
        (&reader, "POST", "~/recommendations/a/approval"),
        (&reader, "GET", "/api/v1/namespaces/default/policymodules"),
        (&reader, "GET", "/metrics"),
    ] {
        let refused = cluster.ask(&hub, token, method, path, "").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    let refused = cluster
        .ask(&hub, &reader, "PUT", "~/policymodules/a", "")
        .await;
    let detail = refused.json["detail"].as_str().unwrap();
    let rule = format!(
        "may not update policymodules.foreshard.dev \"a\" in namespace {:?}",
        cluster.name
    );
    assert!(detail.contains(&rule), "{detail}");
    let none = cluster.ask(&hub, "", "GET", "~/policymodules", "").await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_operator_that_may_not_ask_lets_nobody_in() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    cluster.account("operator", &[]);
    let token = cluster.token("operator", &[]).await;
    let read = kube::config::Kubeconfig::read_from(cluster.plane.kubeconfig()).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(read, &options)
        .await
        .unwrap();
    config.auth_info = kube::config::AuthInfo {
        token: Some(token.clone().into()),
        ..kube::config::AuthInfo::default()
    };
    let weak = kube::Client::try_from(config).unwrap();
    let access = KubeAccess::new(weak, AccessSettings::default());
    let caller = Caller {
        token: Some(&token),
        peer: None,
    };
    let denied = access.identify(caller).await.unwrap_err();
    let Denied::Unavailable(detail) = denied else {
        panic!("{denied:?}");
    };
    assert!(
        detail.contains("tokenreviews.authentication.k8s.io"),
        "{detail}"
    );
    let action = Action::OnPath {
        verb: "get",
        path: "/metrics",
    };
    let denied = access
        .allow(&foreshard_server::Identity::default(), &action)
        .await;
    assert!(matches!(denied, Err(Denied::Unavailable(_))), "{denied:?}");
}
