//! `kubectl foreshard resume`.

use foreshard_api::annotation::{self, KILL_SWITCH};
use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{Pause, ScalingOverride, ScalingPolicy};
use foreshard_cli::output;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::cmd::pause;
use crate::kill_switch::{self, OPERATOR_NAMESPACE};
use crate::print::note;
use crate::trouble::Asked;
use crate::{MANAGER, clock, found};

const EXAMPLES: &str = "\
Examples:
  End what `pause web` has begun, with --for or --hold:
    kubectl foreshard resume web -n shop
  Lift the kill switch:
    kubectl foreshard resume --all";

/// End what `pause` has begun.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Policies.
    #[arg(value_name = "POLICY", required_unless_present = "all")]
    policies: Vec<String>,
    /// Lift the kill switch of the whole cluster.
    #[arg(long, conflicts_with = "policies")]
    all: bool,
    /// Where the operator runs, for --all.
    #[arg(long, value_name = "NAMESPACE", default_value = OPERATOR_NAMESPACE)]
    operator_namespace: String,
}

pub(crate) async fn run(args: &Args, cluster: &Cluster) -> anyhow::Result<()> {
    if args.all {
        let namespace = &args.operator_namespace;
        let lifted = kill_switch::lift(cluster, namespace).await?;
        return output::text(&if lifted {
            format!("configmap/{KILL_SWITCH} deleted in {namespace}: policies act again\n")
        } else {
            format!("there was no configmap/{KILL_SWITCH} in {namespace}\n")
        });
    }
    for name in &args.policies {
        one(cluster, name).await?;
    }
    Ok(())
}

async fn one(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let policy = found::policy(cluster, name).await?;
    let mut ended = end_overrides(cluster, name).await?;
    if annotation::is_paused(policy.metadata.annotations.as_ref()) {
        release(cluster, name).await?;
        ended.push(format!("scalingpolicy/{name} released"));
    }
    if ended.is_empty() {
        ended.push(format!(
            "scalingpolicy/{name} was not paused by `kubectl foreshard pause`"
        ));
    }
    output::text(&(ended.join("\n") + "\n"))
}

/// Deletes what `pause` has made, and names what others have.
async fn end_overrides(cluster: &Cluster, policy: &str) -> anyhow::Result<Vec<String>> {
    let overrides = cluster.all::<ScalingOverride>();
    let asked = Asked::all("scalingoverrides", &cluster.namespace);
    let all = cluster
        .ask(asked, overrides.list(&ListParams::default()))
        .await?;
    let now = clock::now();
    let ours = pause::labels(policy);
    let mut ended = Vec::new();
    for order in all.items.iter().filter(|it| it.spec.policy_name == policy) {
        let name = order.name_any();
        if ours
            .iter()
            .all(|(key, value)| order.labels().get(key) == Some(value))
        {
            let asked = Asked::one("delete", "scalingoverrides", &name, &cluster.namespace);
            cluster
                .ask(asked, overrides.delete(&name, &DeleteParams::default()))
                .await?;
            ended.push(format!("scalingoverride/{name} deleted"));
        } else if order.spec.pause != Pause::None && unix(&order.spec.expiry_time) > now {
            note(&format!(
                "scalingoverride/{name} was made otherwise and goes on until {}: kubectl delete scalingoverride {name} -n {}",
                clock::both(unix(&order.spec.expiry_time), now),
                cluster.namespace
            ));
        }
    }
    Ok(ended)
}

async fn release(cluster: &Cluster, policy: &str) -> anyhow::Result<()> {
    let policies = cluster.all::<ScalingPolicy>();
    let gone = [
        annotation::PAUSED,
        annotation::ORDERED_BY,
        annotation::REASON,
    ];
    let gone: serde_json::Map<_, _> = gone
        .map(|key| (key.to_owned(), serde_json::Value::Null))
        .into_iter()
        .collect();
    let patch = json!({ "metadata": { "annotations": gone } });
    let parameters = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let asked = Asked::one("patch", "scalingpolicies", policy, &cluster.namespace);
    let patch = Patch::Merge(&patch);
    cluster
        .ask(asked, policies.patch(policy, &parameters, &patch))
        .await?;
    Ok(())
}
