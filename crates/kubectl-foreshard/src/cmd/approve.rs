//! `kubectl foreshard approve`.

mod judge;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use foreshard_api::time::{from_unix, unix};
use foreshard_api::v1alpha1::{Approval, ScalingRecommendation};
use foreshard_cli::time;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::cluster::Cluster;
use crate::cmd::explain;
use crate::print::{self, Format, NotGood, note};
use crate::trouble::{Asked, Trouble};
use crate::{MANAGER, clock, found, usage};

/// How often it is tried anew when somebody else writes the same object.
const ATTEMPTS_MAX: usize = 4;

const EXAMPLES: &str = "\
What is approved:
  Exactly the plan that is shown: its digest is part of the approval. The operator carries it out within the \
limits that hold then, and only while the approval and the recommendation are valid. It is your name that is written \
down; the verb `approve` on scalingrecommendations is needed, which the ClusterRole foreshard-approver has.

Examples:
  After a look at it:
    kubectl foreshard approve web-68f1a2 -n shop
  In a script, the plan that was reviewed and no other, for ten minutes:
    kubectl foreshard approve web-68f1a2 -n shop --digest sha256:... --expires-in 10m --yes
  Would it be accepted?
    kubectl foreshard approve web-68f1a2 -n shop --dry-run

With kubectl alone:
  kubectl patch scalingrecommendation NAME -n shop --type=merge \\
    -p '{\"spec\":{\"approval\":{\"digest\":\"sha256:...\",\"user\":\"YOU\",\"expiryTime\":\"2027-01-01T00:00:00Z\"}}}'";

/// Approve the plan of a recommendation, in your own name.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recommendation.
    #[arg(value_name = "NAME")]
    name: String,
    /// How long the approval holds [default and most: as long as the recommendation].
    #[arg(long, value_name = "SPAN", value_parser = time::span)]
    expires_in: Option<i64>,
    /// Approve only the plan of this digest.
    #[arg(long, value_name = "sha256:…")]
    digest: Option<String>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Let the API server check it and write nothing.
    #[arg(long, value_enum, value_name = "server", num_args = 0..=1, require_equals = true, default_missing_value = "server")]
    dry_run: Option<DryRun>,
}

/// Who checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DryRun {
    /// The API server, with all its rules.
    Server,
}

pub(crate) async fn run(args: &Args, cluster: &Cluster, format: Format) -> anyhow::Result<()> {
    let recommendation = look(args, cluster).await?;
    let user = cluster.user().await?;
    let now = clock::now();
    if format == Format::Table {
        note(&explain::text(&recommendation, &[], now));
    }
    warn_if_held(cluster, &recommendation).await;
    if !args.yes && args.dry_run.is_none() && !confirmed(&recommendation, &user)? {
        return Err(NotGood("nothing was approved".to_owned()).into());
    }
    let approved = write(args, cluster, recommendation, &user).await?;
    print::show(&approved, format, || {
        done(&approved, args.dry_run.is_some(), now)
    })
}

/// The recommendation, if it can be approved.
async fn look(args: &Args, cluster: &Cluster) -> anyhow::Result<ScalingRecommendation> {
    let found = match found::exactly(cluster, &args.name).await {
        Ok(found) => found,
        Err(trouble) if trouble.is_not_found() => {
            let newest = found::recommendations(cluster, &args.name).await?;
            return Err(match newest.first() {
                Some(newest) => anyhow::anyhow!(
                    "{:?} is a policy, and what is approved is a recommendation: its newest is {}",
                    args.name,
                    newest.name_any()
                ),
                None => found::not_here(cluster, &trouble, &args.name).await,
            });
        }
        Err(trouble) => return Err(trouble.into()),
    };
    let others = found::recommendations(cluster, &found.spec.policy_name).await?;
    match judge::refusal(&found, &others, args.digest.as_deref(), clock::now()) {
        Some(why) => Err(NotGood(why).into()),
        None => Ok(found),
    }
}

/// An approval that nothing will come of for now is better known beforehand.
async fn warn_if_held(cluster: &Cluster, recommendation: &ScalingRecommendation) {
    // Who may not read the policy may approve all the same.
    let Ok(policy) = found::policy(cluster, &recommendation.spec.policy_name).await else {
        return;
    };
    let mode = policy.status.and_then(|it| it.mode).unwrap_or_default();
    if mode.starts_with("Observe") || mode.contains('(') {
        note(&format!(
            "warning: the mode in force is {mode}: nothing is carried out while that is so; \
             `kubectl foreshard status {} -n {}` says why",
            recommendation.spec.policy_name, cluster.namespace
        ));
    }
}

fn confirmed(recommendation: &ScalingRecommendation, user: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        usage(
            "there is no terminal to ask you on: --yes approves without asking, and --digest only the plan that was reviewed",
        );
    }
    let name = recommendation.name_any();
    let mut out = io::stderr().lock();
    write!(out, "Approve {name} as {user}? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// Writes the approval; nobody approves what has changed since it was shown.
async fn write(
    args: &Args,
    cluster: &Cluster,
    shown: ScalingRecommendation,
    user: &str,
) -> anyhow::Result<ScalingRecommendation> {
    let all = cluster.all::<ScalingRecommendation>();
    let asked = Asked::one(
        "patch",
        "scalingrecommendations",
        &args.name,
        &cluster.namespace,
    );
    let parameters = PatchParams {
        dry_run: args.dry_run.is_some(),
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let digest = shown.spec.digest.clone();
    let mut read = shown;
    for _ in 0..ATTEMPTS_MAX {
        let approval = approval(&read, user, args.expires_in, clock::now());
        let patch = json!({
            "metadata": {"resourceVersion": read.resource_version()},
            "spec": {"approval": approval},
        });
        let patch = Patch::Merge(&patch);
        match cluster
            .ask(asked, all.patch(&args.name, &parameters, &patch))
            .await
        {
            Ok(written) => return Ok(written),
            // The operator has written its status, or somebody else has approved it.
            Err(Trouble::Conflict(_)) => {}
            Err(trouble) => return Err(trouble.into()),
        }
        read = found::exactly(cluster, &args.name).await?;
        if let Some(why) = judge::refusal(&read, &[], Some(&digest), clock::now()) {
            return Err(NotGood(why).into());
        }
    }
    Err(Trouble::Conflict(format!(
        "others keep writing {}; it is not approved",
        args.name
    ))
    .into())
}

/// The approval of exactly this plan, not longer than the plan itself holds.
fn approval(
    recommendation: &ScalingRecommendation,
    user: &str,
    expires_in: Option<i64>,
    now: i64,
) -> Approval {
    let end = unix(&recommendation.spec.expiry_time);
    let asked = expires_in.map(|span| now.saturating_add(span));
    Approval {
        digest: recommendation.spec.digest.clone(),
        user: user.to_owned(),
        expiry_time: from_unix(asked.map_or(end, |asked| asked.min(end))),
    }
}

fn done(approved: &ScalingRecommendation, dry_run: bool, now: i64) -> String {
    let name = approved.name_any();
    let Some(approval) = &approved.spec.approval else {
        return format!("scalingrecommendation/{name} has no approval\n");
    };
    let until = clock::both(unix(&approval.expiry_time), now);
    let dry = if dry_run { " (server dry run)" } else { "" };
    format!(
        "scalingrecommendation/{name} approved by {} until {until}{dry}\n",
        approval.user
    )
}
