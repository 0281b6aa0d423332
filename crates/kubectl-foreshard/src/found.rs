//! Looking up the objects that commands are about.

use anyhow::{anyhow, bail};
use foreshard_api::annotation;
use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{ScalingPolicy, ScalingRecommendation};
use kube::ResourceExt as _;
use kube::api::ListParams;

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
            bail!("{trouble}{}", there_are(&names))
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
    match newest {
        Some(newest) => Ok(newest),
        None if policy(cluster, name).await.is_ok() => Err(anyhow!(
            "policy {name} has no recommendation yet: nothing was to be changed since it is there; \
             `kubectl foreshard status {name}` says how it is"
        )),
        None => Err(trouble.into()),
    }
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
