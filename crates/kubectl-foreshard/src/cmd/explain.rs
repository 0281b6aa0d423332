//! `kubectl foreshard explain`.

use std::fmt::Write as _;

use foreshard_api::time::unix;
use foreshard_api::v1alpha1::ScalingRecommendation;
use kube::ResourceExt as _;

use crate::cluster::Cluster;
use crate::print::{self, Format};
use crate::{clock, found, state};

const EXAMPLES: &str = "\
Examples:
  The newest recommendation of a policy:
    kubectl foreshard explain web -n shop
  One of them, for a program:
    kubectl foreshard explain web-68f1a2 -n shop -o json";

/// Say why a recommendation is what it is: inputs, forecasts, verdicts, limits, and what would be done without a forecast.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// A recommendation, or a policy: its newest one.
    #[arg(value_name = "NAME")]
    name: String,
}

pub(crate) async fn run(args: &Args, cluster: &Cluster, format: Format) -> anyhow::Result<()> {
    let found = found::recommendation(cluster, &args.name).await?;
    // Whether there is a newer one; who may not list them is told the rest.
    let others = match format {
        Format::Table => found::recommendations(cluster, &found.spec.policy_name).await,
        Format::Json | Format::Yaml => Ok(Vec::new()),
    };
    let others = others.unwrap_or_default();
    print::show(&found, format, || text(&found, &others, clock::now()))
}

/// All of it for people. `others` are those of the same policy.
pub(crate) fn text(
    recommendation: &ScalingRecommendation,
    others: &[ScalingRecommendation],
    now: i64,
) -> String {
    let spec = &recommendation.spec;
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name:<16} {value}");
    };
    line("Recommendation:", &recommendation.name_any());
    line(
        "Policy:",
        &format!("{} (mode {})", spec.policy_name, spec.mode.name()),
    );
    for step in &spec.plan {
        let change = format!(
            "{} from {} to {} replicas",
            spec.target_ref.show(),
            step.from,
            step.to
        );
        line("Plan:", &change);
    }
    line("Why:", &spec.explanation.summary);
    line("Without it:", &spec.counterfactual.summary);
    line("Issued:", &clock::both(unix(&spec.issued_time), now));
    line("Expires:", &clock::both(unix(&spec.expiry_time), now));
    line("State:", &became(recommendation, others, now));
    line("Digest:", &spec.digest);
    let explanation = &spec.explanation;
    for (title, lines) in [
        ("What was measured", &explanation.inputs),
        ("What was forecast", &explanation.forecasts),
        ("What policies asked for", &explanation.verdicts),
        ("Limits that changed the count", &explanation.clamps),
        ("What people have said", &explanation.known_future),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{title}:");
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
        }
    }
    out
}

/// What became of it, in words.
fn became(
    recommendation: &ScalingRecommendation,
    others: &[ScalingRecommendation],
    now: i64,
) -> String {
    let spec = &recommendation.spec;
    let state = state::of(recommendation, others, now);
    let approval = spec.approval.as_ref().map(|it| {
        let until = clock::both(unix(&it.expiry_time), now);
        format!("approved by {} until {until}", it.user)
    });
    match approval {
        Some(approval) => format!("{state}, {approval}"),
        None => state,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_led_to_it_is_told() {
        let recommendation: ScalingRecommendation = serde_json::from_value(json!({
            "apiVersion": "foreshard.dev/v1alpha1", "kind": "ScalingRecommendation",
            "metadata": {"name": "web-1", "namespace": "shop"},
            "spec": {
                "policyName": "web", "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "mode": "Approve", "issuedTime": "2026-03-02T09:50:00Z", "expiryTime": "2026-03-02T10:20:00Z",
                "plan": [{"type": "Replicas", "from": 3, "to": 9, "reason": "a peak comes"}],
                "digest": format!("sha256:{}", "1".repeat(64)),
                "explanation": {
                    "summary": "860 requests/s are expected within 10 min",
                    "inputs": ["demand: 320, ok, 12 s old, 100 a replica"],
                    "forecasts": ["demand: at most 860 at level 0.98 from 90 s for 300 s; acted; skill 0.4"],
                    "verdicts": ["forecast-headroom: 10 replicas: the peak"],
                    "clamps": ["bounds: 10 to 9: an override"],
                    "knownFuture": ["override cap until 2026-03-02T12:00:00Z: at most 9 replicas"]
                },
                "counterfactual": {"replicas": 4, "summary": "without the forecast, HPA's rule would ask for 4 replicas"},
                "approval": {"digest": format!("sha256:{}", "1".repeat(64)), "user": "ann", "expiryTime": "2026-03-02T10:10:00Z"}
            },
            "status": {"state": "Applied"}
        }))
        .unwrap();
        insta::assert_snapshot!(text(&recommendation, &[], 1_772_445_600)); // 2026-03-02T10:00:00Z
    }
}
