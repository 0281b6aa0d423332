//! The rule: a plain function from forecast and state to a count; one configuration for every lag and load.
//!
//! Head-room is bought where it is cheap. A replica more saves the more time over capacity the denser the forecast's
//! distribution is at the capacity that it adds: for an exponential tail of scale `s` the density at the quantile
//! `1 - tail` is `tail / s`. To buy the same everywhere, the tail left uncovered must grow with the spread of the
//! forecast relative to its level. So a sharp forecast is covered far into its tail for little, and a vague one, where
//! cover is dear and saves little, less far.

/// Levels of which the rule asks the forecast, beside the one that the budget implies.
pub const LEVELS: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.97, 0.99, 0.995];
/// Seconds after the action can take effect over which the load must not rise again for a decrease to be worth it.
pub const WINDOW_SECONDS: f64 = 1800.0;

/// Relative spread (P90 over the median, less 1) at which exactly the budget's tail is left uncovered.
const USUAL_SPREAD: f64 = 0.03;
/// Least and most of the tail left uncovered, in units of the budget's.
const TAIL_BOUNDS: (f64, f64) = (0.5, 30.0);
/// No tail is left uncovered beyond this level's complement.
const TAIL_MAX: f64 = 0.5;
/// Past maxima above an exponential tail are not believed beyond this many budgets: one outage must not set the
/// quantile for weeks.
const BELIEVED_BUDGETS: f64 = 4.5;
/// Where between target and maximum the utilisation by the expected load may lie.
const EXPECTED_SHARE: f64 = 0.65;
/// Least and most share above what is needed that is kept rather than given back, to be asked for again; in between it
/// is the relative spread, by which a vague forecast moves without any news.
const SLACK: (f64, f64) = (0.04, 0.3);

/// What is known of the load of one signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load<'a> {
    /// The highest load per replica at which the service level holds, above 0.
    pub per_replica: f64,
    /// The forecast's levels, ascending.
    pub levels: &'a [f64],
    /// The most from now until an order can take effect for the next evaluation, at each level.
    pub until: &'a [f64],
    /// The most over the window after that, at each level.
    pub beyond: &'a [f64],
}

/// What the count of the part is and may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Ready or ordered.
    pub wanted: u32,
    /// What the reactive rule alone wants at the target utilisation.
    pub reactive: u32,
    /// The fewest allowed.
    pub min: u32,
    /// The most allowed.
    pub max: u32,
}

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aims {
    /// Utilisation that the reactive rule steers to.
    pub target_utilization: f64,
    /// Utilisation that the chosen quantile may not exceed.
    pub max_utilization: f64,
    /// The quantile level that the violation budget implies now.
    pub level: f64,
}

/// The count that is wanted, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// How many.
    pub count: u32,
    /// One sentence for people.
    pub reason: String,
    /// Numbers to chart.
    pub measures: Vec<(&'static str, f64)>,
}

/// What one maximum takes.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// Load that is covered.
    covered: f64,
    /// Level that this is meant to be.
    level: f64,
    /// Replicas, not rounded.
    replicas: f64,
    /// As many are kept, not rounded.
    keep: f64,
}

/// The rule; none when there is no usable forecast.
#[must_use]
pub fn rule(loads: &[Load<'_>], count: Count, aims: Aims) -> Option<Wanted> {
    let expected_utilization =
        aims.target_utilization + EXPECTED_SHARE * (aims.max_utilization - aims.target_utilization);
    let usable = aims.target_utilization > 0.0 && aims.max_utilization > 0.0;
    let mut most: Option<Need> = None;
    let mut later = 0.0_f64;
    for load in loads.iter().filter(|_| usable) {
        let need = need(load, aims, expected_utilization)?;
        later = later.max(need.keep);
        if most.is_none_or(|most| need.replicas > most.replicas) {
            most = Some(need);
        }
        let after = quantile(load.levels, load.beyond, 0.5)?;
        later = later.max(after / (expected_utilization * load.per_replica));
    }
    let most = most?;
    // HPA's rule at the maximum utilisation, with its tolerance and hold, is never undercut.
    let floor = f64::from(count.reactive) * aims.target_utilization / aims.max_utilization;
    let least = ceil(most.replicas.max(floor));
    let keep = ceil(later).max(least);
    let wanted = count.wanted.clamp(least, keep);
    let (min, max) = (count.min, count.max.max(count.min));
    let reason = format!(
        "up to {:.4} expected at level {:.3} before an order takes effect, {least} to {keep} serve it",
        Short(most.covered),
        most.level
    );
    Some(Wanted {
        count: wanted.clamp(min, max),
        reason,
        measures: vec![
            ("expected-peak", most.covered),
            ("level", most.level),
            ("least", f64::from(least)),
            ("keep", f64::from(keep)),
        ],
    })
}

fn need(load: &Load<'_>, aims: Aims, expected_utilization: f64) -> Option<Need> {
    let median = quantile(load.levels, load.until, 0.5)?;
    let spread = (quantile(load.levels, load.until, 0.9)? - median).max(0.0);
    let budget = (1.0 - aims.level).clamp(1e-4, TAIL_MAX);
    let relative = spread / median.abs().max(f64::MIN_POSITIVE);
    let times = (relative / USUAL_SPREAD).clamp(TAIL_BOUNDS.0, TAIL_BOUNDS.1);
    let tail = (budget * times).min(TAIL_MAX);
    let believed = median + spread * exponential((BELIEVED_BUDGETS * budget).min(TAIL_MAX));
    let covered = quantile(load.levels, load.until, 1.0 - tail)?
        .min(believed)
        .max(median);
    let replicas =
        (covered / aims.max_utilization).max(median / expected_utilization) / load.per_replica;
    replicas.is_finite().then_some(Need {
        covered,
        level: 1.0 - tail,
        replicas,
        keep: replicas * (1.0 + relative.clamp(SLACK.0, SLACK.1)),
    })
}

/// How far an exponential tail reaches that leaves `tail` uncovered, in units of the way from median to P90.
fn exponential(tail: f64) -> f64 {
    (0.5 / tail).ln() / 5_f64.ln()
}

/// The value at `level`: between the given levels by the straight line in the log of the tail, as an exponential has it.
fn quantile(levels: &[f64], values: &[f64], level: f64) -> Option<f64> {
    let depth = |level: f64| -(1.0 - level).max(1e-9).ln();
    let above = levels.iter().position(|&given| given >= level - 1e-9);
    let value = match above {
        None => *values.get(levels.len().checked_sub(1)?)?,
        Some(0) => *values.first()?,
        Some(at) => {
            let (low, high) = (*values.get(at - 1)?, *values.get(at)?);
            let (from, to) = (depth(levels[at - 1]), depth(levels[at]));
            low + (high - low) * ((depth(level) - from) / (to - from)).clamp(0.0, 1.0)
        }
    };
    value.is_finite().then_some(value)
}

fn ceil(replicas: f64) -> u32 {
    // A float cast saturates.
    (replicas - 1e-9).ceil() as u32
}

/// A load in few characters: 12.3k.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scales = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
        match scales.iter().find(|(scale, _)| self.0.abs() >= *scale) {
            Some((scale, unit)) => write!(to, "{:.1}{unit}", self.0 / scale),
            None => write!(to, "{:.1}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [f64; 3] = [0.5, 0.9, 0.99];
    const AIMS: Aims = Aims {
        target_utilization: 0.7,
        max_utilization: 0.9,
        level: 0.99,
    };

    fn count(wanted: u32) -> Count {
        Count {
            wanted,
            reactive: 2,
            min: 2,
            max: 80,
        }
    }

    fn asked(wanted: u32, until: [f64; 3], beyond: f64, aims: Aims) -> u32 {
        let load = Load {
            per_replica: 10.0,
            levels: &LEVELS,
            until: &until,
            beyond: &[beyond; 3],
        };
        rule(&[load], count(wanted), aims).unwrap().count
    }

    #[test]
    fn a_sharp_forecast_runs_hotter_than_a_vague_one() {
        // The median alone takes 200 / 8.3 = 24.1; 70 % would take 29.
        assert_eq!(asked(2, [200.0, 202.0, 204.0], 0.0, AIMS), 25);
        assert_eq!(asked(2, [200.0, 240.0, 280.0], 0.0, AIMS), 28);
    }

    #[test]
    fn one_outage_does_not_set_the_count() {
        assert_eq!(asked(2, [200.0, 210.0, 2000.0], 0.0, AIMS), 25);
    }

    #[test]
    fn what_is_needed_again_soon_is_kept() {
        assert_eq!(asked(40, [200.0, 202.0, 204.0], 330.0, AIMS), 40);
        assert_eq!(asked(40, [200.0, 202.0, 204.0], 250.0, AIMS), 31);
        assert_eq!(asked(26, [200.0, 202.0, 204.0], 0.0, AIMS), 26, "slack");
    }

    #[test]
    fn a_smaller_budget_never_asks_for_less() {
        let mut last = 0;
        for level in [0.9, 0.95, 0.98, 0.99, 0.995, 0.999] {
            let asked = asked(2, [200.0, 230.0, 260.0], 0.0, Aims { level, ..AIMS });
            assert!(asked >= last, "{asked} at {level}, {last} before");
            last = asked;
        }
        assert!(last > 26);
    }

    #[test]
    fn reacting_at_the_maximum_is_a_floor() {
        let load = Load {
            per_replica: 10.0,
            levels: &LEVELS,
            until: &[20.0; 3],
            beyond: &[20.0; 3],
        };
        let reactive = Count {
            reactive: 18,
            ..count(30)
        };
        assert_eq!(rule(&[load], reactive, AIMS).unwrap().count, 14);
    }

    #[test]
    fn nonsense_has_no_answer() {
        let load = |until: &'static [f64]| Load {
            per_replica: 10.0,
            levels: &LEVELS,
            until,
            beyond: &[1.0; 3],
        };
        assert_eq!(rule(&[], count(2), AIMS), None);
        assert_eq!(rule(&[load(&[])], count(2), AIMS), None);
        assert_eq!(rule(&[load(&[f64::NAN; 3])], count(2), AIMS), None);
    }
}
