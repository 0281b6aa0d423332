//! The ConfigMap that stops all acting.

use foreshard_api::annotation::KILL_SWITCH;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::print::note;
use crate::trouble::{Asked, Trouble};

/// Where the operator runs, as deploy/kustomize has it.
pub(crate) const OPERATOR_NAMESPACE: &str = "foreshard-system";
/// The lease that its replicas hold.
const LEASE: &str = "foreshard-scaling";
const CONFIG_MAPS: &str = "configmaps";

/// Stops all acting.
pub(crate) async fn set(
    cluster: &Cluster,
    namespace: &str,
    annotations: serde_json::Value,
    manager: &str,
) -> Result<ConfigMap, Trouble> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": KILL_SWITCH, "annotations": annotations},
        "data": {"paused": "true"},
    });
    let parameters = PatchParams::apply(manager).force();
    let patch = Patch::Apply(&object);
    let written = maps.patch(KILL_SWITCH, &parameters, &patch);
    let asked = Asked::one("patch", CONFIG_MAPS, KILL_SWITCH, namespace);
    let written = cluster.ask(asked, written).await?;
    warn_if_elsewhere(cluster, namespace).await;
    Ok(written)
}

/// Lets acting go on; whether it was stopped.
pub(crate) async fn lift(cluster: &Cluster, namespace: &str) -> Result<bool, Trouble> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let parameters = DeleteParams::default();
    let asked = Asked::one("delete", CONFIG_MAPS, KILL_SWITCH, namespace);
    match cluster
        .ask(asked, maps.delete(KILL_SWITCH, &parameters))
        .await
    {
        Ok(_) => Ok(true),
        Err(trouble) if trouble.is_not_found() => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

/// A kill switch where no operator looks stops nothing.
async fn warn_if_elsewhere(cluster: &Cluster, namespace: &str) {
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), namespace);
    let asked = Asked::one("get", "leases", LEASE, namespace);
    // Who may not look cannot be told.
    if let Err(trouble) = cluster.ask(asked, leases.get(LEASE)).await
        && trouble.is_not_found()
    {
        note(&format!(
            "warning: namespace {namespace} has no lease {LEASE}: if the operator runs elsewhere, nothing is stopped; \
             name its namespace with --operator-namespace"
        ));
    }
}
