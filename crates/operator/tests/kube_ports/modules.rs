//! Uploads become objects; what is cut short is finished; what is damaged is not run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use foreshard_api::v1alpha1::PolicyModule;
use foreshard_operator::module_store::{CONFIG_MAP_BYTES_MAX, LargeStore, LoadError};
use foreshard_server::{Hub, ModuleStore as _, Put, Replaces, StoreError, Upload};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::cluster::{AUDIENCE, Cluster};

const ALL: &[&str] = &["get", "list", "create", "update", "delete"];

fn component(name: &str) -> &'static [u8] {
    foreshard_builtin::component(name).unwrap()
}

/// A component with a custom section behind it: the same policy in as many bytes as wanted.
fn padded(name: &str, bytes: usize) -> Vec<u8> {
    let mut component = component(name).to_vec();
    let payload = bytes - component.len() - 6;
    component.push(0);
    // The length in five bytes of LEB128, then an empty name.
    let mut length = payload;
    for _ in 0..4 {
        component.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    component.push(u8::try_from(length).unwrap());
    component.resize(component.len() + payload, 0);
    component
}

fn modules(cluster: &Cluster) -> Api<PolicyModule> {
    Api::namespaced(cluster.client.clone(), &cluster.name)
}

fn maps(cluster: &Cluster) -> Api<ConfigMap> {
    Api::namespaced(cluster.client.clone(), &cluster.name)
}

/// Names of the ConfigMaps that hold modules.
async fn stored(cluster: &Cluster) -> Vec<String> {
    let labelled = ListParams::default().labels("foreshard.dev/policy-module");
    let found = maps(cluster).list_metadata(&labelled).await.unwrap();
    found.items.iter().map(|it| it.name_any()).collect()
}

async fn upload(
    cluster: &Cluster,
    hub: &Arc<Hub>,
    token: &str,
    component: &[u8],
) -> crate::cluster::Answer {
    cluster
        .ask(
            hub,
            token,
            "PUT",
            "~/policymodules/mine",
            component.to_vec(),
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_uploaded_replaced_read_and_deleted() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    cluster.account("ci", &[("policymodules", ALL)]);
    let token = cluster.token("ci", &[AUDIENCE]).await;
    let (hub, store) = (cluster.hub(None), cluster.modules(None));
    let namespace = cluster.name.parse().unwrap();
    let created = upload(&cluster, &hub, &token, component("target-tracking")).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.json);
    assert_eq!(created.json["descriptor"]["name"], "target-tracking");
    let object = modules(&cluster).get("mine").await.unwrap();
    assert_eq!(object.spec.digest, created.json["digest"].as_str().unwrap());
    let user = format!("system:serviceaccount:{}:ci", cluster.name);
    assert_eq!(object.annotations()["foreshard.dev/uploaded-by"], user);
    let first = stored(&cluster).await;
    let map = maps(&cluster).get(&first[0]).await.unwrap();
    assert_eq!(map.immutable, Some(true));
    assert_eq!(map.owner_references()[0].name, "mine");
    assert_eq!(
        store.load(&object).await.unwrap(),
        component("target-tracking")
    );

    // The same once more writes nothing.
    let same = upload(&cluster, &hub, &token, component("target-tracking")).await;
    assert_eq!(same.status, StatusCode::OK);
    let again = modules(&cluster).get("mine").await.unwrap();
    assert_eq!(again.resource_version(), object.resource_version());

    let replaced = upload(&cluster, &hub, &token, component("schedule")).await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.json);
    let object = modules(&cluster).get("mine").await.unwrap();
    assert_eq!(store.load(&object).await.unwrap(), component("schedule"));
    assert_eq!(store.collect(&namespace).await, Ok(0), "it is too young");
    assert_eq!(stored(&cluster).await.len(), 2);
    assert_eq!(store.collect_now(&namespace).await, Ok(1));
    assert_eq!(store.collect_now(&namespace).await, Ok(0));
    let left = stored(&cluster).await;
    assert!(left.len() == 1 && left != first, "{left:?}");

    let refused = upload(&cluster, &hub, &token, b"\0asm\x01\0\0\0").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let reserved = cluster
        .ask(
            &hub,
            &token,
            "PUT",
            "~/policymodules/builtin-x",
            component("schedule"),
        )
        .await;
    assert_eq!(reserved.status, StatusCode::CONFLICT);
    let listed = cluster
        .ask(&hub, &token, "GET", "~/policymodules", "")
        .await;
    assert_eq!(listed.json["items"][0]["digest"], object.spec.digest);
    let deleted = cluster
        .ask(&hub, &token, "DELETE", "~/policymodules/mine", "")
        .await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert!(modules(&cluster).get_opt("mine").await.unwrap().is_none());
    let gone = cluster
        .ask(&hub, &token, "DELETE", "~/policymodules/mine", "")
        .await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_needs_a_store() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    cluster.account("ci", &[("policymodules", ALL)]);
    let token = cluster.token("ci", &[AUDIENCE]).await;
    let large = padded("schedule", CONFIG_MAP_BYTES_MAX + 1);
    let refused = upload(&cluster, &cluster.hub(None), &token, &large).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(
        detail.contains("1000001") && detail.contains("--module-store"),
        "{detail}"
    );
    let fits = upload(
        &cluster,
        &cluster.hub(None),
        &token,
        &padded("schedule", CONFIG_MAP_BYTES_MAX),
    )
    .await;
    assert_eq!(fits.status, StatusCode::CREATED, "{}", fits.json);

    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", folder.path().display());
    keeps_large_modules(&cluster, &token, LargeStore::open(&url).unwrap(), &large).await;
}

/// What holds for a shared folder and for a bucket.
pub(crate) async fn keeps_large_modules(
    cluster: &Cluster,
    token: &str,
    large: LargeStore,
    component: &[u8],
) {
    let (hub, store) = (
        cluster.hub(Some(large.clone())),
        cluster.modules(Some(large)),
    );
    let put = upload(cluster, &hub, token, component).await;
    assert!(put.status.is_success(), "{}", put.json);
    let mut object = modules(cluster).get("mine").await.unwrap();
    let path = object.spec.source.stored.clone().unwrap().path;
    assert!(
        path.starts_with(&format!("{}/mine/", cluster.name)),
        "{path}"
    );
    assert_eq!(store.load(&object).await.unwrap(), component);
    let same = upload(cluster, &hub, token, component).await;
    assert_eq!(same.status, StatusCode::OK);
    let without = cluster.modules(None).load(&object).await;
    assert!(matches!(without, Err(LoadError::NoStore(_))), "{without:?}");
    object.spec.source.stored.as_mut().unwrap().path = "other/mine/1.wasm".to_owned();
    let foreign = store.load(&object).await;
    assert!(
        matches!(foreign, Err(LoadError::Foreign { .. })),
        "{foreign:?}"
    );
    // What nothing points at goes.
    let namespace = cluster.name.parse().unwrap();
    store.collect_now(&namespace).await.unwrap();
    assert_eq!(store.collect_now(&namespace).await, Ok(0));
    modules(cluster)
        .delete("mine", &DeleteParams::default())
        .await
        .unwrap();
    assert!(store.collect_now(&namespace).await.unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_short_is_finished_and_what_is_damaged_is_not_run() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    cluster.account("ci", &[("policymodules", ALL)]);
    let token = cluster.token("ci", &[AUDIENCE]).await;
    let (hub, store) = (cluster.hub(None), cluster.modules(None));
    let namespace = cluster.name.parse().unwrap();
    upload(&cluster, &hub, &token, component("schedule")).await;
    let object = modules(&cluster).get("mine").await.unwrap();
    let name = stored(&cluster).await[0].clone();

    // Stopped before the bytes had their owner.
    let disown = Patch::Merge(json!({ "metadata": { "ownerReferences": null } }));
    maps(&cluster)
        .patch(&name, &PatchParams::default(), &disown)
        .await
        .unwrap();
    assert_eq!(store.collect_now(&namespace).await, Ok(0));
    assert_eq!(
        maps(&cluster)
            .get(&name)
            .await
            .unwrap()
            .owner_references()
            .len(),
        1
    );

    let orphaning = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    // Stopped before the object was there: the bytes are found and taken.
    modules(&cluster).delete("mine", &orphaning).await.unwrap();
    let begun = Instant::now();
    while modules(&cluster).get_opt("mine").await.unwrap().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it goes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let again = upload(&cluster, &hub, &token, component("schedule")).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.json);
    assert_eq!(stored(&cluster).await, std::slice::from_ref(&name));

    // The bytes are gone: the next upload brings them back.
    maps(&cluster)
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    let missing = store.load(&object).await;
    assert!(matches!(missing, Err(LoadError::Missing(_))), "{missing:?}");
    upload(&cluster, &hub, &token, component("schedule")).await;
    assert!(store.load(&object).await.is_ok());

    // Somebody put other bytes in their place.
    let mut map = maps(&cluster).get(&name).await.unwrap();
    maps(&cluster)
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    map.metadata.resource_version = None;
    map.metadata.uid = None;
    let bytes = map
        .binary_data
        .as_mut()
        .unwrap()
        .get_mut("component.wasm")
        .unwrap();
    bytes.0[100] ^= 1;
    maps(&cluster)
        .create(&Default::default(), &map)
        .await
        .unwrap();
    let damaged = store.load(&object).await;
    assert!(
        matches!(damaged, Err(LoadError::OtherDigest { .. })),
        "{damaged:?}"
    );
    let shown = cluster
        .ask(&hub, &token, "GET", "~/policymodules/mine/component", "")
        .await;
    assert_eq!(
        shown.json["type"], "urn:foreshard:problem:module-damaged",
        "{}",
        shown.json
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn preconditions_hold_in_the_cluster() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    let store = cluster.modules(None);
    let host = foreshard_policy::Host::new(foreshard_policy::HostConfig::new(
        foreshard_policy::Compiler::InProcess,
    ));
    let hosted = foreshard_server::Hosted(Arc::new(host.unwrap()));
    let upload = |name: &str, replaces| Upload {
        component: component(name).into(),
        policy: foreshard_server::Policies::admit(&hosted, component(name)).unwrap(),
        replaces,
        user: "ann".to_owned(),
    };
    let (namespace, name) = (cluster.name.parse().unwrap(), "mine".parse().unwrap());
    let put = async |upload| {
        store
            .put(&namespace, &name, upload)
            .await
            .map(|(_, put)| put)
    };
    assert_eq!(
        put(upload("schedule", Replaces::Nothing)).await,
        Ok(Put::Created)
    );
    assert_eq!(
        put(upload("schedule", Replaces::Nothing)).await,
        Err(StoreError::Stale)
    );
    let other = Replaces::Digest("sha256:0".to_owned());
    assert_eq!(
        put(upload("target-tracking", other)).await,
        Err(StoreError::Stale)
    );
    assert_eq!(
        put(upload("schedule", Replaces::Anything)).await,
        Ok(Put::Unchanged)
    );
    let nowhere = "there-is-no-such-namespace".parse().unwrap();
    let refused = store
        .put(&nowhere, &name, upload("schedule", Replaces::Anything))
        .await;
    assert!(
        matches!(refused, Err(StoreError::NoNamespace(_))),
        "{refused:?}"
    );
}
