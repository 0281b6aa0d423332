//! What the deployed account may do with ConfigMaps: RBAC and the admission policy together, as they are in `deploy/`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foreshard_operator::module_store::KubeModules;
use foreshard_policy::{Compiler, Host, HostConfig};
use foreshard_server::{Hosted, ModuleStore as _, Policies as _, Put, Replaces, Upload};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::cluster::Cluster;

const ACCOUNT: &str = "system:serviceaccount:foreshard-system:foreshard-operator";

/// Puts what a file in deploy/ has of a kind into the cluster.
fn install(cluster: &Cluster, file: &str) {
    let path = format!(
        "{}/../../deploy/kustomize/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    for object in objects {
        let resource = object["kind"].as_str().unwrap().to_lowercase();
        let resource = match resource.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{resource}s"),
        };
        let version = object["apiVersion"].as_str().unwrap();
        let path = format!("/apis/{version}/{resource}");
        cluster.plane.api().post(&path, &object).unwrap();
    }
}

/// As the deployed account.
async fn operator(cluster: &Cluster) -> Client {
    let read = Kubeconfig::read_from(cluster.plane.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(read, &options)
        .await
        .unwrap();
    config.auth_info.impersonate = Some(ACCOUNT.to_owned());
    Client::try_from(config).unwrap()
}

fn map(name: &str, labels: &[(&str, &str)]) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(name.to_owned());
    let labels = labels.iter();
    let labels: BTreeMap<_, _> = labels
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    map.metadata.labels = Some(labels);
    map
}

/// What the admission policy says.
const NARROWED: &str = "only ConfigMaps that hold an upload";

fn refused<T: std::fmt::Debug>(answer: Result<T, kube::Error>) {
    let text = answer.unwrap_err().to_string();
    assert!(text.contains(NARROWED), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_account_uploads_and_leaves_other_config_maps_alone() {
    let Some(cluster) = Cluster::new().await else {
        return;
    };
    for file in [
        "base/cluster-role.yaml",
        "components/http-api/cluster-role.yaml",
        "components/http-api/upload-policy.yaml",
    ] {
        install(&cluster, file);
    }
    let client = operator(&cluster).await;
    let own: Api<ConfigMap> = Api::namespaced(client.clone(), &cluster.name);
    let all: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &cluster.name);
    let made = PostParams::default();
    // The API server takes a moment to notice a policy, and a role.
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let begun = Instant::now();
    loop {
        let answer = own.create(&dry, &map("foreign", &[])).await;
        if matches!(&answer, Err(error) if error.to_string().contains(NARROWED)) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    refused(own.create(&made, &map("foreign", &[])).await);
    all.create(&made, &map("foreign", &[])).await.unwrap();
    refused(own.delete("foreign", &DeleteParams::default()).await);
    let mark = json!({"metadata": {"labels": {"foreshard.dev/policy-module": "mine"}}});
    let mark = Patch::Merge(mark);
    refused(own.patch("foreign", &PatchParams::default(), &mark).await);

    let store = KubeModules::new(client, None, vec![]);
    let hosted = Hosted(Arc::new(
        Host::new(HostConfig::new(Compiler::InProcess)).unwrap(),
    ));
    let (namespace, name) = (cluster.name.parse().unwrap(), "mine".parse().unwrap());
    for (policy, expected) in [
        ("schedule", Put::Created),
        ("target-tracking", Put::Replaced),
    ] {
        let component = foreshard_builtin::component(policy).unwrap();
        let upload = Upload {
            component: component.into(),
            policy: hosted.admit(component).unwrap(),
            replaces: Replaces::Anything,
            user: "ann".to_owned(),
        };
        let put = store.put(&namespace, &name, upload).await;
        assert_eq!(put.map(|(_, put)| put), Ok(expected));
    }
    store.delete(&namespace, &name).await.unwrap();
}
