//! Tells the server what happens, and hears from it which policy is to be followed.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use foreshard_decide::contract::{self, Quality};
use foreshard_engine::Outcome;
use foreshard_server::view::{Band, Objective, Part, Point, Target};
use foreshard_server::{Activation, Decision, HostedPolicy, Namespace, Policy, Update};
use foreshard_sim::cluster::{ClusterPart, UNIT};

use super::stage::{BAND, KIND, Stage, TARGET};

/// Forecasts are shown anew at most this often.
const FORECAST_INTERVAL: Duration = Duration::from_millis(200);

/// The way to the server and back.
pub(crate) struct Feed {
    namespace: Arc<Namespace>,
    /// What was forecast for moments to come, by part, soonest first.
    expected: BTreeMap<String, VecDeque<(i64, Band)>>,
    forecasts_shown: Option<Instant>,
    /// The policy of the beginning, until the target is known to the server.
    first: Option<Activation>,
}

impl Feed {
    pub(crate) fn new(namespace: Arc<Namespace>, stage: &Stage) -> anyhow::Result<Self> {
        let binding = stage.binding();
        let first = Activation {
            module: binding.name.clone(),
            policy: Arc::new(HostedPolicy(Arc::clone(stage.first_policy()))),
            config: serde_json::from_str(&binding.config).context("the policy's config")?,
        };
        Ok(Self {
            namespace,
            expected: BTreeMap::new(),
            forecasts_shown: None,
            first: Some(first),
        })
    }

    /// Lets the stage follow the policy that somebody has activated.
    pub(crate) fn follow(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        let Some(asked) = self.namespace.asked_policy(TARGET) else {
            return Ok(());
        };
        let policy: Arc<dyn Policy> = Arc::clone(&asked.policy);
        let policy: Arc<dyn Any + Send + Sync> = policy;
        let policy = policy
            .downcast::<HostedPolicy>()
            .ok()
            .context("a policy of another host")?;
        // The server has asked the policy about this config already, so it takes it now.
        stage.follow(&policy.0, &asked.module, &asked.config.to_string())?;
        self.namespace
            .policy_acts(TARGET, &asked, stage.cluster().now() as f64);
        Ok(())
    }

    /// Shows one evaluation.
    pub(crate) fn publish(&mut self, stage: &Stage, outcome: &Outcome) {
        let now = stage.cluster().now();
        let context = &outcome.record.context;
        let mut points = Vec::new();
        for part in stage.cluster().parts() {
            let forecast = context
                .forecasts
                .iter()
                .find(|forecast| forecast.part == part.id());
            let expected = self.expected(part, now, forecast);
            points.push((part.id().to_owned(), point(part, now, expected)));
        }
        let due = |shown: Instant| shown.elapsed() >= FORECAST_INTERVAL;
        let forecasts = self.forecasts_shown.is_none_or(due).then(|| {
            self.forecasts_shown = Some(Instant::now());
            Arc::new(context.forecasts.clone())
        });
        self.namespace.publish(Update {
            target: target(stage, outcome),
            points,
            forecasts,
            history: None,
            decision: Some(Decision {
                policy: stage.binding().name.clone(),
                record: Arc::clone(&outcome.record),
                object: None,
            }),
        });
        if let Some(first) = self.first.take() {
            self.namespace.policy_acts(TARGET, &first, now as f64);
        }
    }

    /// Shows where it ends; nobody thins this out.
    pub(crate) fn finish(&self, stage: &Stage, outcome: &Outcome) {
        std::thread::sleep(FORECAST_INTERVAL);
        let mut target = target(stage, outcome);
        target.summary =
            "A simulated Vitess: the trace is over, nothing moves any more.".to_owned();
        self.namespace.publish(Update {
            target,
            points: Vec::new(),
            forecasts: Some(Arc::new(outcome.record.context.forecasts.clone())),
            history: None,
            decision: None,
        });
    }

    /// What had been forecast for `now` one lead ago; remembers what is forecast for one lead ahead.
    fn expected(
        &mut self,
        part: &ClusterPart,
        now: i64,
        forecast: Option<&contract::Forecast>,
    ) -> Band {
        let coming = self.expected.entry(part.id().to_owned()).or_default();
        let ahead = now + part.view().lag_seconds;
        if let Some(forecast) = forecast {
            coming.push_back((ahead, band(forecast, ahead as f64)));
        }
        while coming.front().is_some_and(|(at, _)| *at < now) {
            coming.pop_front();
        }
        coming
            .front()
            .filter(|(at, _)| *at == now)
            .map_or(Band::NONE, |(_, band)| *band)
    }
}

/// The forecast's band at one moment.
fn band(forecast: &contract::Forecast, at: f64) -> Band {
    let bin = ((at - forecast.start) / forecast.step).floor();
    let value = |level: f64| {
        let row = forecast
            .levels
            .iter()
            .position(|known| (known - level).abs() < 1e-9);
        let path = row.and_then(|row| forecast.paths.get(row));
        path.filter(|_| bin >= 0.0)
            .and_then(|path| path.get(bin as usize))
            .copied()
            .unwrap_or(f64::NAN)
    };
    Band {
        middle: value(BAND[0]),
        high: value(BAND[1]),
    }
}

fn point(part: &ClusterPart, now: i64, expected: Band) -> Point {
    let view = part.view();
    Point {
        at: now as f64,
        demand: part.demand(),
        capacity: f64::from(view.ready) * view.capacity,
        wanted: view.wanted,
        ready: view.ready,
        expected,
    }
}

fn target(stage: &Stage, outcome: &Outcome) -> Target {
    let cluster = stage.cluster();
    let context = &outcome.record.context;
    let aims = stage.aims();
    let shards: Vec<String> = cluster
        .shards()
        .into_iter()
        .map(|shard| shard.name)
        .collect();
    let (behind, all) = cluster.progress();
    Target {
        name: TARGET.to_owned(),
        kind: KIND.to_owned(),
        at: cluster.now() as f64,
        objective: Objective {
            violation_budget: aims.violation_budget,
            budget_spent: context.objective.budget_spent,
            target_utilization: aims.target_utilization,
            max_utilization: aims.max_utilization,
        },
        parts: cluster.parts().iter().map(|it| part(it, context)).collect(),
        summary: format!(
            "A simulated Vitess in virtual time, {} % of the trace behind it; {} shards.",
            100 * behind / all.max(1),
            shards.len(),
        ),
        observed: None,
    }
}

fn part(part: &ClusterPart, context: &contract::Context) -> Part {
    let view = part.view();
    let quality = context
        .signals
        .iter()
        .find(|signal| signal.part == part.id());
    Part {
        id: part.id().to_owned(),
        parent: part.parent().to_owned(),
        kind: part.kind().name().to_owned(),
        demand: view.seen.map(|sample| sample.value),
        unit: UNIT.to_owned(),
        quality: quality
            .map_or("missing", |signal| quality_name(signal.quality))
            .to_owned(),
        capacity_per_replica: view.capacity,
        ready: view.ready,
        wanted: view.wanted,
        min: view.min,
        max: view.max,
        lead_seconds: view.lag_seconds as f64,
    }
}

fn quality_name(quality: Quality) -> &'static str {
    match quality {
        Quality::Ok => "ok",
        Quality::Missing => "missing",
        Quality::Stale => "stale",
        Quality::Frozen => "frozen",
        Quality::Implausible => "implausible",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_is_read_at_its_moment() {
        let forecast = contract::Forecast {
            signal: String::new(),
            part: String::new(),
            model: String::new(),
            issued_at: 600.0,
            reliable: true,
            reasons: vec![],
            skill: 0.5,
            levels: vec![0.5, 0.9, 0.99],
            calibrated_to: 0.97,
            start: 600.0,
            step: 300.0,
            paths: vec![vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0, 6.0]],
            peaks: vec![],
        };
        let at = |at| band(&forecast, at);
        assert_eq!(
            at(600.0),
            Band {
                middle: 1.0,
                high: 3.0
            }
        );
        assert_eq!(
            at(1199.0),
            Band {
                middle: 2.0,
                high: 4.0
            }
        );
        assert!(at(1200.0).middle.is_nan() && at(599.0).high.is_nan());
    }
}
