//! The Pareto curve: cost against time over capacity, of the policy over budgets and of the reactive rules over
//! head-rooms.

use foreshard_engine::Policies;
use foreshard_sim::replay::{Figures, Rule};
use rayon::prelude::*;
use serde::Serialize;

use super::table::{chosen_percent, number, percent, ratio, table};
use super::user::UserPolicy;
use super::{Prepared, progress};

/// Shares of time that load may exceed capacity.
pub(crate) const BUDGETS: [f64; 8] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
/// Head-rooms of the reactive rules, as shares.
const HEADROOMS: [f64; 13] = [
    -0.3, -0.25, -0.2, -0.15, -0.1, -0.05, 0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0,
];

/// One point of a curve; figures are means over the traces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    /// The budget or the head-room, a share.
    pub(crate) knob: f64,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// One curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Curve {
    /// The policy's name.
    pub(crate) policy: String,
    /// What is varied: `budget` or `headroom`.
    pub(crate) knob: &'static str,
    pub(crate) points: Vec<Point>,
}

/// The curves of one policy and of the reactive rules.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Sweep {
    pub(crate) model: &'static str,
    pub(crate) traces: Vec<String>,
    pub(crate) lag_seconds: i64,
    pub(crate) judged: bool,
    /// The user's policy first.
    pub(crate) curves: Vec<Curve>,
}

/// Plays the policy at every budget, and the reactive rules at every head-room.
pub(crate) fn sweep<P: Policies + Clone + Sync>(
    prepared: &[Prepared],
    user: &UserPolicy<P>,
) -> Sweep {
    let minutes: u64 = prepared.iter().map(Prepared::minutes).sum();
    let bar = progress::bar(minutes * BUDGETS.len() as u64, "budgets");
    let mut curves = vec![Curve {
        policy: user.name.clone(),
        knob: "budget",
        points: points(prepared, &BUDGETS, |one, budget| {
            let (run, _) = user.play(one, budget, &bar);
            one.peers.figures(&one.world, &run)
        }),
    }];
    bar.finish_and_clear();
    for rule in [Rule::Hpa, Rule::HpaHold] {
        curves.push(Curve {
            policy: rule.name().to_owned(),
            knob: "headroom",
            points: points(prepared, &HEADROOMS, |one, headroom| {
                one.peers.reactive(&one.world, rule, headroom)
            }),
        });
    }
    Sweep {
        model: foreshard_sim::replay::MODEL,
        traces: prepared.iter().map(|one| one.name.clone()).collect(),
        lag_seconds: prepared.first().map_or(0, |one| one.world.lag_seconds()),
        judged: prepared.iter().all(|one| one.world.judged()),
        curves,
    }
}

/// One point for each setting, all played side by side.
fn points(
    prepared: &[Prepared],
    knobs: &[f64],
    figures: impl Fn(&Prepared, f64) -> Figures + Sync,
) -> Vec<Point> {
    let at = |&knob: &f64| {
        let all: Vec<Figures> = prepared.par_iter().map(|one| figures(one, knob)).collect();
        Point {
            knob,
            figures: Figures::mean(&all),
        }
    };
    knobs.par_iter().map(at).collect()
}

/// The curves for people.
pub(crate) fn text(sweep: &Sweep) -> String {
    let mut table = table(&["policy", "at", "over", "lost", "hot", "/foresight", "chg/d"]);
    for (place, curve) in sweep.curves.iter().enumerate() {
        for point in &curve.points {
            let figures = &point.figures;
            let mark = if place == 0 { "▶ " } else { "" };
            let knob = match curve.knob {
                "budget" => format!("budget {}", chosen_percent(point.knob)),
                _ => format!("head-room {:+.0} %", 100.0 * point.knob),
            };
            table.add_row([
                comfy_table::Cell::new(format!("{mark}{}", curve.policy)),
                number(knob),
                number(percent(figures.over_capacity_share)),
                number(percent(figures.lost_share)),
                number(percent(figures.hot_share)),
                number(ratio(figures.cost_vs_foresight)),
                number(format!("{:.0}", figures.changes_per_day)),
            ]);
        }
    }
    let warning = if sweep.judged {
        ""
    } else {
        "warning: a step of more than half the lag leaks what comes next: these figures judge nobody.\n"
    };
    format!(
        "{}, lag {}; means over the traces\n{table}\n{}\n{warning}",
        sweep.traces.join(", "),
        super::table::seconds(sweep.lag_seconds as f64),
        super::table::LEGEND,
    )
}
