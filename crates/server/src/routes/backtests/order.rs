//! What is ordered: the load and who decides, from a request and what is known of its target.

use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    access::{Action, Identity},
    backtests::{BacktestPolicy, BacktestSettings, Load},
    gate,
    hub::Hub,
    name::Name,
    problem::Problem,
    view::{PolicyModule, Target},
};
use axum::http::StatusCode;

/// What is to be replayed and how; settings as `foreshard backtest` takes them. What is left out is the target's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct BacktestRequest {
    /// A recorded load: `timestamp,value` lines with a header. This or a target.
    #[serde(default)]
    trace: Option<String>,
    /// A target, whose history is replayed: in a cluster up to 28 days in bins of 5 minutes.
    #[serde(default)]
    target: Option<String>,
    /// Of the target: the part whose load it is; without it, the first.
    #[serde(default)]
    part: Option<String>,
    /// The policy module that decides; without it, the default that comes with Foreshard.
    #[serde(default)]
    module: Option<String>,
    /// Only if the module has this digest.
    #[serde(default)]
    digest: Option<String>,
    /// Its config.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    config: Option<serde_json::Value>,
    /// Seconds from the order of an instance to its being ready; without it 600, or the target's lead time if that is
    /// longer. The result is not `judged` where it is less than twice the step of the load.
    #[serde(default)]
    lag_seconds: Option<i64>,
    /// Share of time that load may exceed capacity, in (0, 1); without it the target's, or 0.01.
    #[serde(default)]
    budget: Option<f64>,
    /// Load that one instance serves; without it the target's, or such that the peak takes 40 instances at 70 %.
    #[serde(default)]
    capacity: Option<f64>,
    /// Of the shuffles of the peer `crane`; without it 1.
    #[serde(default)]
    seed: Option<u64>,
    /// IANA name of the zone that days and weeks follow; without it `UTC`.
    #[serde(default)]
    timezone: Option<String>,
}

/// What holds where neither request nor target says anything.
struct Usual {
    lag_seconds: i64,
    budget: f64,
    capacity: Option<f64>,
}

impl Default for Usual {
    fn default() -> Self {
        Self {
            lag_seconds: 600,
            budget: 0.01,
            capacity: None,
        }
    }
}

const TRACE: &str = "trace";
const DEFAULT_POLICY: &str = "forecast-headroom";

impl BacktestRequest {
    /// The load, and how it is replayed.
    pub(super) async fn load(
        &self,
        hub: &Hub,
        who: &Identity,
        namespace: &Name,
    ) -> Result<(Load, BacktestSettings), Problem> {
        match (&self.trace, &self.target) {
            (Some(trace), None) => {
                let load = Load {
                    name: TRACE.to_owned(),
                    csv: Bytes::from(trace.clone()),
                };
                Ok((load, self.settings(&Usual::default())))
            }
            (None, Some(target)) => self.load_of(hub, who, namespace, target).await,
            _ => Err(Problem::body(
                "trace",
                "give this or target, one of the two",
            )),
        }
    }

    async fn load_of(
        &self,
        hub: &Hub,
        who: &Identity,
        namespace: &Name,
        target: &str,
    ) -> Result<(Load, BacktestSettings), Problem> {
        gate::require(
            hub,
            who,
            &Action::on("get", "scalingpolicies", namespace.as_ref(), target),
        )
        .await?;
        let known = hub.namespace(namespace);
        let board = known.and_then(|known| known.board(target));
        let board = board.ok_or_else(|| Problem::not_found("target", target))?;
        let shown = board.target();
        let mut parts = shown.parts.iter();
        let part = match &self.part {
            None => parts.next(),
            Some(id) => parts.find(|part| part.id == *id),
        };
        let part = part.ok_or_else(|| Problem::body("part", "the target has no such part"))?;
        let csv = board.history_csv(&part.id).ok_or_else(|| {
            let detail = format!("of target {target:?} no history is known yet");
            Problem::new(StatusCode::CONFLICT, "no-history", detail)
                .fix("wait until its metrics are there, or send a trace")
        })?;
        let usual = Usual::default();
        // The replay counts in minutes.
        let lead = (part.lead_seconds / 60.0).ceil() as i64 * 60;
        let usual = Usual {
            lag_seconds: lead.max(usual.lag_seconds),
            budget: budget_of(&shown).unwrap_or(usual.budget),
            capacity: (part.capacity_per_replica > 0.0).then_some(part.capacity_per_replica),
        };
        let load = Load {
            name: target.to_owned(),
            csv: Bytes::from(csv),
        };
        Ok((load, self.settings(&usual)))
    }

    fn settings(&self, usual: &Usual) -> BacktestSettings {
        BacktestSettings {
            lag_seconds: self.lag_seconds.unwrap_or(usual.lag_seconds),
            budget: self.budget.unwrap_or(usual.budget),
            capacity: self.capacity.or(usual.capacity),
            seed: self.seed.unwrap_or(1),
            timezone: self.timezone.clone().unwrap_or_else(|| "UTC".to_owned()),
        }
    }

    /// The module that is to decide; none: the default.
    pub(super) async fn module(
        &self,
        hub: &Hub,
        who: &Identity,
        namespace: &Name,
    ) -> Result<Option<PolicyModule>, Problem> {
        let Some(name) = &self.module else {
            return match &self.digest {
                Some(_) => Err(Problem::body(
                    "module",
                    "a digest needs the name of its module",
                )),
                None => Ok(None),
            };
        };
        let name: Name = name
            .parse()
            .map_err(|error| Problem::body("module", format!("{error}")))?;
        gate::require(
            hub,
            who,
            &Action::on("get", "policymodules", namespace.as_ref(), name.as_ref()),
        )
        .await?;
        let module = hub.ports.modules.get(namespace, &name).await?;
        let module = module.ok_or_else(|| Problem::not_found("policy module", name.as_ref()))?;
        if self.digest.as_ref().is_some_and(|it| *it != module.digest) {
            let detail = format!("the module's digest is {}", module.digest);
            return Err(Problem::new(StatusCode::CONFLICT, "other-module", detail)
                .fix("order it with this digest if that is what you want to see"));
        }
        Ok(Some(module))
    }

    /// Who decides, with the bytes that the module had when the backtest was ordered.
    pub(super) async fn policy(
        self,
        hub: &Hub,
        namespace: &Name,
        module: Option<PolicyModule>,
    ) -> Result<BacktestPolicy, String> {
        let config = self.config.map_or("{}".to_owned(), |it| it.to_string());
        let Some(module) = module else {
            return Ok(BacktestPolicy {
                name: DEFAULT_POLICY.to_owned(),
                component: None,
                config,
            });
        };
        let name: Name = module.name.parse().map_err(|error| format!("{error}"))?;
        let stored = hub.ports.modules.component(namespace, &name).await;
        match stored.map_err(|error| error.to_string())? {
            Some((now, component)) if now.digest == module.digest => Ok(BacktestPolicy {
                name: module.name,
                component: Some(component),
                config,
            }),
            _ => Err(format!(
                "module {name} is not the one any more that was to be replayed"
            )),
        }
    }
}

fn budget_of(target: &Target) -> Option<f64> {
    let budget = target.objective.violation_budget;
    (budget > 0.0 && budget < 1.0).then_some(budget)
}
