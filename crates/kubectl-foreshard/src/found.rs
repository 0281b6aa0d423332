//! Looking up the objects that commands are about.

use std::fmt::Debug;

use anyhow::{anyhow, bail};
use foreshard_api::annotation;
use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{ScalingPolicy, ScalingRecommendation};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::cluster::Cluster;
use crate::trouble::{Asked, Trouble};

const POLICIES: &str = "scalingpolicies";
const RECOMMENDATIONS: &str = "scalingrecommendations";
/// Most names that a message lists.
const NAMES_MAX: usize = 10;

/// The policy of that name; else the names that there are.
pub(crate) async fn policy(cluster: &Cluster, name: &str) -> anyhow::Result<ScalingPolicy> {
    let all = cluster.all::<ScalingPolicy>();
    let asked = Asked::one("get", POLICIES, name, &cluster.namespace);
    match cluster.ask(asked, all.get(name)).await {
        Err(trouble) if trouble.is_not_found() => {
            let names = policies(cluster).await.unwrap_or_default();
            let names: Vec<String> = names.iter().map(|it| it.name_any()).collect();
            let elsewhere = elsewhere::<ScalingPolicy>(cluster, POLICIES, name).await;
            bail!("{trouble}{elsewhere}{}", there_are(&names))
        }
        other => Ok(other?),
    }
}

/// All policies of the namespace.
pub(crate) async fn policies(cluster: &Cluster) -> Result<Vec<ScalingPolicy>, Trouble> {
    let all = cluster.all::<ScalingPolicy>();
    let asked = Asked::all(POLICIES, &cluster.namespace);
    let list = cluster.ask(asked, all.list(&ListParams::default())).await?;
    Ok(list.items)
}

/// Other namespaces that have an object of that name; empty: none, or who asks may not list them.
async fn elsewhere<K>(cluster: &Cluster, resource: &'static str, name: &str) -> String
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let all: Api<K> = Api::all(cluster.client.clone());
    let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
    let asked = Asked::cluster("list", resource);
    let Ok(list) = cluster.ask(asked, all.list(&parameters)).await else {
        return String::new();
    };
    let namespaces: Vec<String> = list.items.iter().filter_map(|it| it.namespace()).collect();
    if namespaces.is_empty() {
        return String::new();
    }
    let shown = namespaces.iter().take(NAMES_MAX);
    let shown: Vec<String> = shown.map(|it| format!("-n {it}")).collect();
    format!("; it is in another namespace: {}", shown.join(" or "))
}

fn there_are(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => {
            let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
            let more = if names.len() > NAMES_MAX { ", …" } else { "" };
            format!("; there are {}{more}", shown.join(", "))
        }
    }
}

/// The recommendations of a policy, newest first.
pub(crate) async fn recommendations(
    cluster: &Cluster,
    policy: &str,
) -> Result<Vec<ScalingRecommendation>, Trouble> {
    let all = cluster.all::<ScalingRecommendation>();
    let parameters = ListParams::default().labels(&format!("{}={policy}", annotation::POLICY));
    let asked = Asked::all(RECOMMENDATIONS, &cluster.namespace);
    let mut found = cluster.ask(asked, all.list(&parameters)).await?.items;
    found.sort_by_key(|it| std::cmp::Reverse(unix(&it.spec.issued_time)));
    Ok(found)
}

/// The recommendation of that name, or the newest of the policy of that name.
pub(crate) async fn recommendation(
    cluster: &Cluster,
    name: &str,
) -> anyhow::Result<ScalingRecommendation> {
    let trouble = match exactly(cluster, name).await {
        Ok(found) => return Ok(found),
        Err(trouble) if trouble.is_not_found() => trouble,
        Err(trouble) => return Err(trouble.into()),
    };
    let newest = recommendations(cluster, name).await?.into_iter().next();
    if let Some(newest) = newest {
        return Ok(newest);
    }
    let namespace = &cluster.namespace;
    if policy(cluster, name).await.is_ok() {
        bail!(
            "policy {name} has no recommendation yet: nothing was to be changed since it is there; \
             `kubectl foreshard status {name} -n {namespace}` says how it is"
        );
    }
    Err(not_here(cluster, &trouble, name).await)
}

/// There is neither a recommendation nor a policy of that name here; says where there is one.
pub(crate) async fn not_here(cluster: &Cluster, trouble: &Trouble, name: &str) -> anyhow::Error {
    let mut hint = elsewhere::<ScalingRecommendation>(cluster, RECOMMENDATIONS, name).await;
    if hint.is_empty() {
        hint = elsewhere::<ScalingPolicy>(cluster, POLICIES, name).await;
    }
    anyhow!("{trouble}{hint}")
}

/// The recommendation of that name.
pub(crate) async fn exactly(
    cluster: &Cluster,
    name: &str,
) -> Result<ScalingRecommendation, Trouble> {
    let all = cluster.all::<ScalingRecommendation>();
    let asked = Asked::one("get", RECOMMENDATIONS, name, &cluster.namespace);
    cluster.ask(asked, all.get(name)).await
}
