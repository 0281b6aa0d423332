//! The user's policy in a world.

use std::sync::Arc;

use foreshard_engine::{Aims, Policies, Settings, advised_headroom};
use foreshard_sim::replay::{Run, World, play};
use foreshard_sim::{Trust, User};

use indicatif::ProgressBar;

use super::progress::Watched;
use super::{Args, Prepared};
use crate::bound::{self, Bound};

/// The kind of target that a recorded load stands for.
pub(super) const TARGET_KIND: &str = "Scale";

/// The policy under test, and what it is asked for. Each play asks a copy of it, so that plays can go on side by side.
pub(crate) struct UserPolicy<P> {
    /// Its name in reports.
    pub(crate) name: String,
    /// The policy, bound.
    pub(crate) policies: P,
    /// Share of time that load may exceed capacity.
    pub(crate) budget: f64,
    /// The zone's name.
    pub(crate) zone: String,
}

/// Loads the policy that `args` names.
pub(crate) fn bind(args: &Args) -> anyhow::Result<UserPolicy<Bound>> {
    let host = bound::host()?;
    let module = bound::load(&host, &args.policy)?;
    let name = bound::name(&args.policy);
    let bound = Bound::new(&host, module, &name, &args.policy_config, TARGET_KIND)?;
    Ok(UserPolicy {
        name,
        policies: bound,
        budget: args.budget,
        zone: args.timezone.clone(),
    })
}

impl<P: Policies + Clone> UserPolicy<P> {
    /// Lives the policy through the world of `one` with a budget, and moves `bar` by the world's minutes; what it
    /// wanted, and how often the forecast was let act.
    pub(crate) fn play(&self, one: &Prepared, budget: f64, bar: &ProgressBar) -> (Run, Trust) {
        let settings = Settings {
            kind: TARGET_KIND.to_owned(),
            namespace: "backtest".to_owned(),
            name: one.name.clone(),
            aims: Aims {
                violation_budget: budget,
                ..Aims::default()
            },
            rules: Arc::default(),
            zone: self.zone.clone(),
            calendar: one.calendar.clone(),
            ..Settings::default()
        };
        let mut policies = self.policies.clone();
        let mut user = User::new(settings, &mut policies);
        let mut watched = Watched {
            scaler: &mut user,
            bar,
            ticks: 0,
        };
        let run = play(&one.world, &mut watched);
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
