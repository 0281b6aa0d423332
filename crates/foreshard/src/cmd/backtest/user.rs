//! The user's policy in a world.

use std::sync::Arc;

use foreshard_engine::{Aims, Policies, Settings, advised_headroom};
use foreshard_forecast::Calendar;
use foreshard_sim::replay::{Run, World, play};
use foreshard_sim::{Trust, User};

use super::Args;
use super::progress::{Watched, bar};
use crate::bound::{self, Bound};

/// The kind of target that a recorded load stands for.
const TARGET_KIND: &str = "Scale";

/// The policy under test, and what it is asked for.
pub(crate) struct UserPolicy {
    /// Its name in reports.
    pub(crate) name: String,
    /// The policy, bound.
    pub(crate) policies: Box<dyn Policies>,
    /// Share of time that load may exceed capacity.
    pub(crate) budget: f64,
    /// The zone's name.
    pub(crate) zone: String,
}

/// Loads the policy that `args` names.
pub(crate) fn bind(args: &Args) -> anyhow::Result<UserPolicy> {
    let host = bound::host()?;
    let module = bound::load(&host, &args.policy)?;
    let name = bound::name(&args.policy);
    let bound = Bound::new(&host, module, &name, &args.policy_config, TARGET_KIND)?;
    Ok(UserPolicy {
        name,
        policies: Box::new(bound),
        budget: args.budget,
        zone: args.timezone.clone(),
    })
}

impl UserPolicy {
    /// Lives the policy through `world`; what it wanted, and how often the forecast was let act.
    pub(crate) fn play(&mut self, trace: &str, world: &World, calendar: &Calendar) -> (Run, Trust) {
        let settings = Settings {
            kind: TARGET_KIND.to_owned(),
            namespace: "backtest".to_owned(),
            name: trace.to_owned(),
            aims: Aims {
                violation_budget: self.budget,
                ..Aims::default()
            },
            rules: Arc::default(),
            zone: self.zone.clone(),
            calendar: calendar.clone(),
            ..Settings::default()
        };
        let bar = bar((world.end() - world.run_start()) as u64, trace);
        let mut user = User::new(settings, self.policies.as_mut());
        let run = play(
            world,
            &mut Watched {
                scaler: &mut user,
                bar: &bar,
                ticks: 0,
            },
        );
        bar.finish_and_clear();
        (run, user.trust())
    }

    /// The head-room that reactive scaling needs in `world` to keep the budget; none where too little is known.
    pub(crate) fn advise(&self, world: &World) -> Option<f64> {
        let target = Aims::default().target_utilization;
        // What is advised must not know the run that it is advised for.
        let history = world.series().until(world.time(world.run_start()));
        advised_headroom(&history, world.lag_seconds(), target, self.budget)
    }
}
