//! The rule: a plain function from forecast and state to a count.

/// Levels of which the rule asks the forecast, beside the one that the budget implies.
pub const LEVELS: [f64; 3] = [0.5, 0.9, 0.99];
/// Seconds after the action can take effect over which the load must not rise again for a decrease to be worth it.
pub const WINDOW_SECONDS: f64 = 1800.0;

/// What is known of the load of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The highest load per replica at which the service level holds.
    pub per_replica: f64,
    /// The newest live value.
    pub seen: Option<f64>,
    /// The most from now until an order can take effect for the next evaluation.
    pub until: Quantiles,
    /// The most over the window after that.
    pub beyond: Quantiles,
}

/// One maximum at three levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// At 0.5.
    pub median: f64,
    /// At the level that the budget implies.
    pub budget: f64,
    /// At 0.99.
    pub high: f64,
}

/// What the count of the part is and may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// Ready or ordered.
    pub wanted: u32,
    /// The fewest allowed.
    pub min: u32,
    /// The most allowed.
    pub max: u32,
}

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aims {
    /// Utilisation that is aimed at for the expected load.
    pub target_utilization: f64,
    /// Utilisation that the chosen quantile may not exceed.
    pub max_utilization: f64,
    /// Share of time that demand may exceed capacity.
    pub violation_budget: f64,
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

/// Knobs.
#[derive(Clone, Copy, Debug)]
pub struct Knobs {
    pub util_budget: f64,
    pub util_median: f64,
    pub util_high: f64,
    pub slack: f64,
    pub beyond_level: f64,
}
impl Default for Knobs {
    fn default() -> Self {
        let get = |name: &str, or: f64| {
            std::env::var(name)
                .ok()
                .and_then(|v| v.parse().ok())
                .unwrap_or(or)
        };
        Self {
            util_budget: get("UB", 0.85),
            util_median: get("UM", 0.75),
            util_high: get("UH", 0.95),
            slack: get("SL", 0.05),
            beyond_level: get("BL", 0.0),
        }
    }
}

/// The rule.
pub fn rule(loads: &[Load], count: Count, aims: Aims, knobs: &Knobs) -> Option<Wanted> {
    let _ = aims;
    let need = |pick: fn(&Load) -> Quantiles, slack: f64| -> f64 {
        loads
            .iter()
            .map(|l| {
                let q = pick(l);
                let c = l.per_replica;
                (q.budget / knobs.util_budget)
                    .max(q.median / knobs.util_median)
                    .max(q.high / knobs.util_high)
                    / c
                    * slack
            })
            .fold(0.0, f64::max)
    };
    if loads.is_empty() {
        return None;
    }
    let until = need(|l| l.until, 1.0);
    let beyond = need(
        |l| Quantiles {
            budget: l.beyond.median,
            high: l.beyond.median,
            ..l.beyond
        },
        1.0,
    );
    let low = ceil(until);
    let keep = ceil((until * (1.0 + knobs.slack)).max(beyond));
    let wanted = count.wanted.clamp(low, keep.max(low));
    Some(Wanted {
        count: wanted,
        reason: String::new(),
        measures: vec![],
    })
}

fn ceil(x: f64) -> u32 {
    (x - 1e-9).ceil() as u32
}
