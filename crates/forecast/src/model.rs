//! A fitted model: fit and what it tells of itself.

use crate::{
    bases::{BASES, Base},
    calendar::Calendar,
    calibration::Calibration,
    clock::{Clock, DAY},
    config::Config,
    grid,
    past::BYTES_MAX,
    pool::{Kind, Pool},
    pooled::Pooled,
    series::Series,
    simple::Held,
    widening::MISSING_MAX,
};

/// Fewest known bins for a pool.
const BINS_MIN: usize = 48;
/// Seconds of history below which forecasts are not trusted.
const HISTORY_MIN: i64 = 7 * DAY / 2;
/// Least skill that is trusted.
pub(crate) const SKILL_MIN: f64 = 0.05;
/// Least share of P90s over a day that must hold.
pub(crate) const COVERAGE_MIN: f64 = 0.75;
/// Bins finer than this are averaged before the fit: nothing is gained and it would cost.
const STEP_MIN: i64 = 60;

/// A fitted model: fit seldom, predict at every tick.
///
/// It keeps what was learned, some 25 kB and at most 40, and not the history that it was learned from: a prediction is given that
/// anyway, and reads it again. [`crate::Unfolded`] is for those who have memory to spare.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) fitted_at: i64,
    /// Step of the series, and of the model: a multiple.
    pub(crate) step: i64,
    pub(crate) nonnegative: bool,
    pub(crate) skill: f64,
    /// Why it is not trusted.
    pub(crate) reasons: Vec<String>,
    /// Why its bands are wider than its errors were.
    pub(crate) degraded: Option<String>,
    pub(crate) held: Held,
    pub(crate) pooled: Option<Box<Pooled>>,
}

/// One member of the pool and what it counts for.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// What it is, for people.
    pub name: String,
    /// Share in the forecast an hour ahead, 0 to 1.
    pub weight_1h: f64,
    /// Share in the forecast a day ahead, 0 to 1.
    pub weight_24h: f64,
}

/// Fits a model to the bins of `series`, all of which are complete and known.
///
/// Total: a series too short, too empty or too constant gives a simple model that says so in its reasons.
#[must_use]
pub fn fit(series: &Series, calendar: &Calendar, config: &Config) -> Model {
    fit_within(series, calendar, config, BYTES_MAX)
}

/// As [`fit`], with another limit of what is kept of the past.
pub(crate) fn fit_within(
    series: &Series,
    calendar: &Calendar,
    config: &Config,
    past_bytes: usize,
) -> Model {
    let step = series.step.max(1);
    let coarse = step * (STEP_MIN + step - 1).div_euclid(step).max(1);
    let bins = (config.history_max.max(step) / coarse).max(1) as usize;
    let series = &crate::coarsen::to_step(series, coarse).tail(bins);
    let values = &series.values;
    let first = values.iter().position(|v| v.is_finite());
    let last = values.iter().rposition(|v| v.is_finite());
    let known = values.iter().filter(|v| v.is_finite()).count();
    let mut model = Model {
        fitted_at: series.end(),
        step: coarse,
        nonnegative: values.iter().all(|v| !v.is_finite() || *v >= 0.0),
        skill: f64::NAN,
        reasons: Vec::new(),
        degraded: None,
        held: Held::fit(values),
        pooled: None,
    };
    let (Some(first), Some(last)) = (first, last) else {
        model
            .reasons
            .push("nothing is known of the load".to_owned());
        return model;
    };
    let span = coarse * (last + 1 - first) as i64;
    let mut others = values[first..=last].iter().filter(|v| v.is_finite());
    let constant = others.all(|v| *v == values[first]);
    model.reasons = doubts(span, known, constant);
    if constant || known < BINS_MIN {
        return model;
    }
    let start = series.start + coarse * first as i64;
    let clock = Clock::new(start, coarse, calendar);
    let pooled = Pooled::fit(clock, &values[first..=last], config, past_bytes);
    model.skill = pooled.skill;
    if model.skill < SKILL_MIN {
        model.reasons.push(format!(
            "skill of {:.2} against seasonal-naive is below {SKILL_MIN}",
            model.skill
        ));
    }
    if !pooled.widening.is_none() {
        model.degraded = Some(format!(
            "more than {:.0} % of the newest {:.1} days, which tell the errors, are missing: bands are one level wider",
            100.0 * MISSING_MAX,
            pooled.validated_days
        ));
    }
    model.pooled = Some(Box::new(pooled));
    model
}

/// Why a history of so many seconds and known bins is not trusted.
fn doubts(span: i64, known: usize, constant: bool) -> Vec<String> {
    let mut doubts = Vec::new();
    if span < HISTORY_MIN {
        let days = span as f64 / DAY as f64;
        doubts.push(format!(
            "history of {days:.1} days is shorter than 3.5 days"
        ));
    }
    if constant && known > 1 {
        doubts.push("the load has never changed".to_owned());
    }
    if known < BINS_MIN && doubts.is_empty() {
        doubts.push(format!("{known} known bins are fewer than {BINS_MIN}"));
    }
    doubts
}

impl Model {
    /// End of the newest bin that the fit has seen: Unix seconds.
    #[must_use]
    pub fn fitted_at(&self) -> i64 {
        self.fitted_at
    }

    /// What the model is, for people: its name and what it put its weight on.
    #[must_use]
    pub fn summary(&self) -> String {
        let members = self.members();
        if members.is_empty() {
            return "last value".to_owned();
        }
        let named: Vec<String> = members
            .iter()
            .take(3)
            .map(|m| format!("{} {:.0} %", m.name, 100.0 * m.weight_1h.max(m.weight_24h)))
            .collect();
        format!("pool of {}: {}", members.len(), named.join("; "))
    }

    /// The members that count, heaviest first.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let Some(pooled) = &self.pooled else {
            return Vec::new();
        };
        let pool = &pooled.pool;
        let horizons = grid::horizons(pooled.clock.step, pooled.clock.day);
        let hour = grid::between(&horizons, pooled.clock.hour).1;
        let mut members: Vec<Member> = Vec::new();
        for (horizon, fitted) in [(hour, &pool.fitted[hour])]
            .into_iter()
            .chain(pool.fitted.last().map(|f| (usize::MAX, f)))
        {
            for &(kind, weight) in &fitted.weights {
                let weight = f64::from(weight);
                let name = name(pool, kind);
                let at = members
                    .iter()
                    .position(|m| m.name == name)
                    .unwrap_or_else(|| {
                        members.push(Member {
                            name,
                            weight_1h: 0.0,
                            weight_24h: 0.0,
                        });
                        members.len() - 1
                    });
                if horizon == usize::MAX {
                    members[at].weight_24h = weight;
                } else {
                    members[at].weight_1h = weight;
                }
            }
        }
        let heavier = |m: &Member| m.weight_1h + m.weight_24h;
        members.sort_by(|a, b| heavier(b).total_cmp(&heavier(a)));
        members
    }

    /// Why its bands are wider than its past errors were, in words, if they are.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// Skill against seasonal-naive on held-out history, as in [`crate::Forecast::skill`].
    #[must_use]
    pub fn skill(&self) -> f64 {
        self.skill
    }

    /// How many bins that it was fitted to are lost: neither in `series` nor among the oldest, which it keeps
    /// ([`Config::head`]). With any of them lost its forecasts say that they are not reliable: fit again. Cheap.
    #[must_use]
    pub fn lost_bins(&self, series: &Series) -> usize {
        let pooled = self.pooled.as_ref();
        pooled.map_or(0, |pooled| pooled.lost_bins(series))
    }

    /// Why a new fit is due before its time, if it is: what was learned online says that this one has lost its skill.
    /// Cheap; `now` in Unix seconds.
    #[must_use]
    pub fn refit_due(&self, now: i64, calibration: &Calibration) -> Option<String> {
        let pooled = self.pooled.as_ref()?;
        pooled.peaks.iter().find_map(|&window| {
            let coverage = calibration.coverage_p90(window, now)?;
            (coverage < COVERAGE_MIN).then(|| {
                let lead = window.lead;
                format!(
                    "P90 of the peak {lead} s ahead held in {:.0} % only",
                    100.0 * coverage
                )
            })
        })
    }
}

fn name(pool: &Pool, kind: Kind) -> String {
    let base = |s: u8| {
        let seasonal = pool.seasonals[usize::from(s)];
        let log = if seasonal.space == 1 { " (log)" } else { "" };
        format!("{}{log}", BASES[seasonal.base].name())
    };
    match kind {
        Kind::Corrected(s) => format!("{} corrected", base(s)),
        Kind::Plain(s) => base(s),
        Kind::HourLevel => "mean of the last hour".to_owned(),
        Kind::DayLevel => "mean of the last day".to_owned(),
        Kind::Last => "last value".to_owned(),
        Kind::Restart => {
            let base = pool.restart.map(|restart| BASES[restart.base]);
            format!("{} since the break", base.map_or("last value", Base::name))
        }
    }
}
