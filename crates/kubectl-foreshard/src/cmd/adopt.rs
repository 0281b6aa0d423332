//! `kubectl foreshard adopt`.

mod manifest;

use anyhow::Context as _;
use foreshard_api::adopt::{self, AdoptError, Adopted, Note, Requests, ScaledObject, Surroundings};
use foreshard_api::v1alpha1::{PrometheusSource, ScalingPolicy};
use foreshard_cli::output;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::PodSpec;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, ResourceExt as _, discovery};

use crate::cluster::{Cluster, shown};
use crate::print::{Format, NotGood, note};
use crate::trouble::Asked;
use manifest::There;

const EXAMPLES: &str = "\
What comes out:
  A ScalingPolicy in the mode Observe, as YAML with comments on standard output: what means the same is taken \
over, what has no equivalent is named. The cluster is not changed, and the autoscaler goes on.

Examples:
  From an HPA, beside it:
    kubectl foreshard adopt hpa web -n shop > web.yaml
    kubectl apply -f web.yaml
    kubectl foreshard status web -n shop
  From KEDA, with a source that is there already:
    kubectl foreshard adopt scaledobject orders -n shop --source main | kubectl apply -f -";

/// Write a policy from an HPA or a KEDA ScaledObject; it only watches.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// What it is.
    #[arg(value_enum, value_name = "hpa|scaledobject")]
    kind: Kind,
    /// Its name.
    #[arg(value_name = "NAME")]
    name: String,
    /// Name of the policy [default: that of the target].
    #[arg(long = "name", value_name = "POLICY")]
    policy: Option<String>,
    /// The PrometheusSource for metrics whose server the autoscaler does not name [default: the only one of the
    /// namespace, else `main`].
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
}

/// What can be adopted.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    /// A HorizontalPodAutoscaler.
    #[value(alias = "horizontalpodautoscaler")]
    Hpa,
    /// A ScaledObject of KEDA.
    #[value(alias = "so")]
    Scaledobject,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Hpa => "hpa",
            Self::Scaledobject => "scaledobject",
        }
    }
}

pub(crate) async fn run(
    args: &Args,
    cluster: &Cluster,
    format: Option<Format>,
) -> anyhow::Result<()> {
    let (around, adopted) = match args.kind {
        Kind::Hpa => hpa(args, cluster).await?,
        Kind::Scaledobject => scaled_object(args, cluster).await?,
    };
    let adopted = adopted.map_err(|error: AdoptError| NotGood(error.to_string()))?;
    let there = There {
        has_policy: has_policy(cluster, &adopted.policy.name_any()).await,
        sources: around.sources.iter().map(|it| it.name_any()).collect(),
    };
    if format == Some(Format::Json) {
        for note_of in &adopted.notes {
            match note_of {
                Note::Check(text) => note(&format!("check: {text}")),
                Note::NotAdopted(text) => note(&format!("not adopted: {text}")),
            }
        }
        if let Some(warning) = manifest::overwrites(&adopted, &there) {
            note(&format!("check: {warning}"));
        }
        return output::json(&manifest::list(&adopted)?);
    }
    let command = format!(
        "kubectl foreshard adopt {} {} -n {}",
        args.kind.name(),
        args.name,
        cluster.namespace
    );
    output::text(&manifest::yaml(
        &adopted,
        &there,
        &command,
        args.kind.name(),
        &args.name,
    )?)
}

/// What is known beside the autoscaler, and what became of it.
type Looked = (Surroundings, Result<Adopted, AdoptError>);

/// Whether there is a policy of that name; who may not look does not know.
async fn has_policy(cluster: &Cluster, name: &str) -> bool {
    let all = cluster.all::<ScalingPolicy>();
    let asked = Asked::one("get", "scalingpolicies", name, &cluster.namespace);
    cluster.ask(asked, all.get(name)).await.is_ok()
}

async fn hpa(args: &Args, cluster: &Cluster) -> anyhow::Result<Looked> {
    let all = cluster.all::<HorizontalPodAutoscaler>();
    let asked = Asked::one(
        "get",
        "horizontalpodautoscalers",
        &args.name,
        &cluster.namespace,
    );
    let found = cluster.ask(asked, all.get(&args.name)).await?;
    let target = found.spec.as_ref().map(|spec| {
        let target = &spec.scale_target_ref;
        let version = target.api_version.as_deref().unwrap_or("apps/v1");
        (version.to_owned(), target.kind.clone(), target.name.clone())
    });
    let around = around(args, cluster, target).await?;
    let adopted = adopt::hpa(&found, &around);
    Ok((around, adopted))
}

async fn scaled_object(args: &Args, cluster: &Cluster) -> anyhow::Result<Looked> {
    let kind = GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject");
    let resource = ApiResource::from_gvk(&kind);
    let all: Api<DynamicObject> =
        Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    let asked = Asked::one("get", "scaledobjects", &args.name, &cluster.namespace);
    let found = cluster.ask(asked, all.get(&args.name)).await?;
    let target = &found.data["spec"]["scaleTargetRef"];
    let text = |field: &str, usual: &str| target[field].as_str().unwrap_or(usual).to_owned();
    let target = (
        text("apiVersion", "apps/v1"),
        text("kind", "Deployment"),
        text("name", ""),
    );
    let around = around(args, cluster, Some(target)).await?;
    let object: ScaledObject = serde_json::from_value(serde_json::to_value(&found)?)
        .with_context(|| format!("reading the ScaledObject {}", args.name))?;
    let adopted = adopt::scaled_object(&object, &around);
    Ok((around, adopted))
}

/// What is known beside the autoscaler.
async fn around(
    args: &Args,
    cluster: &Cluster,
    target: Option<(String, String, String)>,
) -> anyhow::Result<Surroundings> {
    let sources = cluster.all::<PrometheusSource>();
    let asked = Asked::all("prometheussources", &cluster.namespace);
    // It is asked before our definitions are installed, too.
    let sources = match cluster
        .ask(asked, sources.list(&ListParams::default()))
        .await
    {
        Ok(list) => list.items,
        Err(trouble) => {
            note(&format!(
                "note: the sources that are there are not known: {trouble}"
            ));
            Vec::new()
        }
    };
    let mut requests = Requests::default();
    if let Some((version, kind, name)) = target {
        match pod_of(cluster, &version, &kind, &name).await {
            Ok(pod) => requests = Requests::of_pod(&pod),
            Err(error) => note(&format!(
                "note: the pods of {kind}/{name} are not known: {error:#}"
            )),
        }
    }
    Ok(Surroundings {
        name: args.policy.clone(),
        requests,
        sources,
        source: args.source.clone(),
    })
}

/// The pod template of a target that has one where Deployments have it.
async fn pod_of(
    cluster: &Cluster,
    version: &str,
    kind: &str,
    name: &str,
) -> anyhow::Result<PodSpec> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let known = GroupVersionKind::gvk(group, version, kind);
    let found = discovery::pinned_kind(&cluster.client, &known).await;
    let (resource, _) = found.map_err(|error| anyhow::anyhow!("{}", shown(&error)))?;
    let all: Api<DynamicObject> =
        Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    let asked = Asked::one("get", "the target", name, &cluster.namespace);
    let object = cluster.ask(asked, all.get(name)).await?;
    let pod = object.data.pointer("/spec/template/spec").cloned();
    let pod = pod.context("it has no spec.template.spec")?;
    serde_json::from_value(pod).context("reading its spec.template.spec")
}
