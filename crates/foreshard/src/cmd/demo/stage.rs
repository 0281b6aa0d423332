//! The cluster, the engine that decides for it, and the policy that it follows.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use foreshard_decide::PolicyAnswer;
use foreshard_decide::contract::{Context, ForecastNeed};
use foreshard_engine::{Aims, Binding, Engine, Outcome, Policies, Settings};
use foreshard_policy::{Host, Module};
use foreshard_sim::cluster::{Cluster, ClusterOptions, SIGNAL};

use super::load::Load;
use super::summary::Summary;
use crate::bound::{self, Bound};

/// The name of the cluster as a target.
pub(crate) const TARGET: &str = "commerce";
/// Its kind, as policies are told.
pub(crate) const KIND: &str = "Vitess";
/// Its namespace.
pub(crate) const NAMESPACE: &str = "demo";

/// The levels of the band that people are shown.
pub(crate) const BAND: [f64; 2] = [0.5, 0.9];
/// How far ahead people are shown the forecast.
const SHOWN_SECONDS: f64 = 86_400.0;

/// What is asked for on the command line.
pub(crate) struct Script<'a> {
    pub(crate) policy: &'a str,
    pub(crate) config: &'a str,
    pub(crate) budget: f64,
    pub(crate) seed: u64,
}

/// All that acts.
pub(crate) struct Stage {
    host: Arc<Host>,
    load_name: String,
    cluster: Cluster,
    engine: Engine,
    followed: Followed,
    first: Arc<Module>,
    /// Names of the policies that were followed, in order.
    names: Vec<String>,
}

impl Stage {
    pub(crate) fn new(host: &Arc<Host>, load: &Load, script: &Script<'_>) -> anyhow::Result<Self> {
        let options = ClusterOptions {
            keyspace: TARGET.to_owned(),
            load_factor: load.factor,
            seed: script.seed,
            ..ClusterOptions::default()
        };
        let cluster = Cluster::new(&load.series, options).with_context(|| load.name.clone())?;
        let settings = Settings {
            kind: KIND.to_owned(),
            namespace: NAMESPACE.to_owned(),
            name: TARGET.to_owned(),
            aims: Aims {
                violation_budget: script.budget,
                ..Aims::default()
            },
            ..Settings::default()
        };
        let module = bound::load(host, script.policy)?;
        let name = bound::name(script.policy);
        let followed = Followed::new(host, &module, &name, script.config)?;
        Ok(Self {
            host: Arc::clone(host),
            load_name: load.name.clone(),
            cluster,
            engine: Engine::new(settings),
            followed,
            first: module,
            names: vec![name],
        })
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn aims(&self) -> &Aims {
        &self.engine.settings().aims
    }

    /// What is followed now: its name, its digest and its config.
    pub(crate) fn binding(&self) -> &Binding {
        &self.followed.bindings[0]
    }

    /// The policy of the beginning.
    pub(crate) fn first_policy(&self) -> &Arc<Module> {
        &self.first
    }

    /// Follows another policy from now on.
    pub(crate) fn follow(
        &mut self,
        module: &Arc<Module>,
        name: &str,
        config: &str,
    ) -> anyhow::Result<()> {
        self.followed = Followed::new(&self.host, module, name, config)?;
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Decides, and lets the cluster do it.
    pub(crate) fn step(&mut self) -> anyhow::Result<Outcome> {
        let changes = self.binding().needs.recent_changes as usize;
        let outcome = self
            .engine
            .step(&self.cluster.observe(changes), &mut self.followed);
        for (part, count) in &outcome.counts {
            self.cluster.apply(part, *count)?;
        }
        Ok(outcome)
    }

    /// Goes on to the next minute; whether there is one.
    pub(crate) fn advance(&mut self) -> bool {
        self.cluster.tick()
    }

    /// Harm and cost of each kind; the trace must be over.
    pub(crate) fn summary(&mut self, took: Duration) -> anyhow::Result<Summary> {
        let name = self.names.join(", then ");
        let reports = self
            .cluster
            .reports(&self.load_name, &name)
            .context("the trace is not over")?;
        Ok(Summary { reports, took })
    }
}

/// The policy that is followed. Whatever it needs itself, the forecast's band is asked for as well, for people to see.
struct Followed {
    bound: Bound,
    bindings: [Binding; 1],
}

impl Followed {
    fn new(
        host: &Arc<Host>,
        module: &Arc<Module>,
        name: &str,
        config: &str,
    ) -> anyhow::Result<Self> {
        let bound = Bound::new(host, Arc::clone(module), name, config, KIND)?;
        let mut binding = bound.bindings()[0].clone();
        binding.needs.forecasts.push(ForecastNeed {
            signal: SIGNAL.to_owned(),
            horizon: SHOWN_SECONDS,
            levels: BAND.to_vec(),
            peaks: Vec::new(),
        });
        Ok(Self {
            bound,
            bindings: [binding],
        })
    }
}

impl Policies for Followed {
    fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    fn evaluate(&mut self, index: usize, context: &Arc<Context>) -> PolicyAnswer {
        self.bound.evaluate(index, context)
    }
}
