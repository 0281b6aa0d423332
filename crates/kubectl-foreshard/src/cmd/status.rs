//! `kubectl foreshard status`.

mod detail;
mod overview;
mod watch;

use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{LoadEvent, ScalingOverride, ScalingPolicy};
use foreshard_cli::output;
use kube::Api;
use kube::ResourceExt as _;
use kube::api::ListParams;

use crate::cluster::Cluster;
use crate::print::{self, Format, note};
use crate::trouble::{Asked, Trouble};
use crate::{clock, found, orders};

const EXAMPLES: &str = "\
How to read it:
  CURRENT and RECOMMENDED are replicas. PEAK is the highest load expected within a day. SKILL is by how much \
the forecast beats \"as a week ago\"; a demoted one does not act. WHY says what keeps a policy from being ready or acting.

Examples:
  Every policy of the cluster:
    kubectl foreshard status -A
  One policy: its conditions with what to do, what people have ordered, the newest recommendations:
    kubectl foreshard status web -n shop
  As it changes:
    kubectl foreshard status -w";

/// Show what is forecast and recommended, and what keeps a policy from acting.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The policy [default: all, in a table].
    #[arg(value_name = "POLICY")]
    policy: Option<String>,
    /// Policies of all namespaces.
    #[arg(long, short = 'A', conflicts_with_all = ["policy", "namespace"])]
    all_namespaces: bool,
    /// Show changes as they come.
    #[arg(long, short, conflicts_with = "output")]
    watch: bool,
}

pub(crate) async fn run(args: &Args, cluster: &Cluster, format: Format) -> anyhow::Result<()> {
    if args.watch {
        let policies = api(args, cluster);
        return watch::watch(
            cluster,
            policies,
            args.policy.as_deref(),
            args.all_namespaces,
        )
        .await;
    }
    match &args.policy {
        Some(name) => one(cluster, name, format).await,
        None => all(args, cluster, format).await,
    }
}

fn api(args: &Args, cluster: &Cluster) -> Api<ScalingPolicy> {
    if args.all_namespaces {
        Api::all(cluster.client.clone())
    } else {
        cluster.all()
    }
}

async fn all(args: &Args, cluster: &Cluster, format: Format) -> anyhow::Result<()> {
    let asked = if args.all_namespaces {
        Asked::cluster("list", "scalingpolicies")
    } else {
        Asked::all("scalingpolicies", &cluster.namespace)
    };
    let parameters = ListParams::default();
    let list = cluster
        .ask(asked, api(args, cluster).list(&parameters))
        .await?;
    if list.items.is_empty() && format == Format::Table {
        let place = if args.all_namespaces {
            "the cluster".to_owned()
        } else {
            format!("namespace {}", cluster.namespace)
        };
        note(&format!(
            "There is no ScalingPolicy in {place}. `kubectl foreshard adopt` makes one from an autoscaler."
        ));
        return Ok(());
    }
    if format != Format::Table {
        return print::show(&list, format, String::new);
    }
    let now = clock::now();
    let overrides = match overrides(cluster, args.all_namespaces).await {
        Ok(overrides) => overrides,
        Err(trouble) => {
            note(&format!(
                "note: what people have ordered is not known: {trouble}"
            ));
            Vec::new()
        }
    };
    output::text(&overview::text(
        &list.items,
        &overrides,
        args.all_namespaces,
        now,
    ))?;
    orders::warn(&overrides, &list.items, now);
    Ok(())
}

/// All overrides of the namespace, or of the cluster.
async fn overrides(
    cluster: &Cluster,
    all_namespaces: bool,
) -> Result<Vec<ScalingOverride>, Trouble> {
    let (api, asked) = if all_namespaces {
        let all = Api::all(cluster.client.clone());
        (all, Asked::cluster("list", "scalingoverrides"))
    } else {
        let asked = Asked::all("scalingoverrides", &cluster.namespace);
        (cluster.all::<ScalingOverride>(), asked)
    };
    let list = cluster.ask(asked, api.list(&ListParams::default())).await?;
    Ok(list.items)
}

/// One that was meant for this policy may have another name in it.
async fn warn_of_lost(cluster: &Cluster, overrides: &[ScalingOverride], now: i64) {
    let holding = overrides.iter().filter(|it| !orders::is_over(it, now));
    let holding: Vec<ScalingOverride> = holding.cloned().collect();
    // Who may not list the policies is not warned.
    if !holding.is_empty()
        && let Ok(policies) = found::policies(cluster).await
    {
        orders::warn(&holding, &policies, now);
    }
}

async fn one(cluster: &Cluster, name: &str, format: Format) -> anyhow::Result<()> {
    let policy = found::policy(cluster, name).await?;
    if format != Format::Table {
        return print::show(&policy, format, String::new);
    }
    let now = clock::now();
    let parameters = ListParams::default();
    let mut overrides = overrides(cluster, false).await?;
    warn_of_lost(cluster, &overrides, now).await;
    overrides.retain(|it| orders::is_for(it, &policy));
    let events = cluster.all::<LoadEvent>();
    let asked = Asked::all("loadevents", &cluster.namespace);
    let mut events = cluster.ask(asked, events.list(&parameters)).await?.items;
    events.retain(|it| {
        let names = &it.spec.policy_names;
        let ours = names.is_empty() || names.contains(&policy.name_any());
        ours && unix(&it.spec.end_time) > now
    });
    let recommendations = found::recommendations(cluster, name).await?;
    let all = detail::All {
        policy: &policy,
        overrides: &overrides,
        events: &events,
        recommendations: &recommendations,
    };
    output::text(&detail::text(&all, now))
}
