//! What the terminal shows: drawn in place where standard error is a terminal, a line for each virtual day elsewhere.

use std::net::SocketAddr;

use foreshard_decide::contract::Forecast;
use foreshard_engine::Outcome;
use foreshard_sim::cluster::{ClusterPart, UNIT};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::stage::{BAND, Stage};
use crate::cmd::backtest::table::percent;

const DAY_SECONDS: i64 = 86_400;
/// Ticks between two drawings.
const SHOWN_TICKS: usize = 8;
/// Names of parts are shown this wide.
const NAME_WIDTH: usize = 24;

/// Where the run is shown.
pub(crate) struct Screen {
    address: Option<SocketAddr>,
    place: Place,
    /// The newest decision that changed something.
    last: String,
    shown: usize,
}

enum Place {
    Terminal(Box<Lines>),
    Plain { day: Option<i64> },
}

/// The lines that are drawn in place.
struct Lines {
    all: MultiProgress,
    progress: ProgressBar,
    policy: ProgressBar,
    parts: Vec<ProgressBar>,
    last: ProgressBar,
    /// Lines that never change; they vanish with their handles.
    _fixed: [ProgressBar; 2],
}

impl Screen {
    /// A screen that says where API and console are.
    pub(crate) fn new(address: Option<SocketAddr>) -> Self {
        let all = MultiProgress::new();
        let place = if all.is_hidden() {
            Place::Plain { day: None }
        } else {
            Place::Terminal(Box::new(Lines::new(all, address)))
        };
        if let (Place::Plain { .. }, Some(address)) = (&place, address) {
            eprintln!("{}", where_served(address));
        }
        Self {
            address,
            place,
            last: "none yet".to_owned(),
            shown: 0,
        }
    }

    /// Shows one evaluation.
    pub(crate) fn show(&mut self, stage: &Stage, outcome: &Outcome) {
        let now = stage.cluster().now();
        if !outcome.record.plan.is_empty() {
            self.last = decision(now, outcome);
        }
        self.shown += 1;
        match &mut self.place {
            Place::Terminal(lines) => {
                if self.shown % SHOWN_TICKS == 1 {
                    lines.draw(stage, outcome, &self.last);
                }
            }
            Place::Plain { day } => {
                let today = now.div_euclid(DAY_SECONDS);
                if *day != Some(today) {
                    *day = Some(today);
                    let parts = stage
                        .cluster()
                        .parts()
                        .iter()
                        .map(|part| line(part, forecast(part, outcome)));
                    let parts: Vec<String> = parts.collect();
                    eprintln!(
                        "{}  {}\n  last decision: {}",
                        time(now),
                        parts.join("\n  "),
                        self.last
                    );
                }
            }
        }
    }

    /// Leaves the terminal to what comes after.
    pub(crate) fn end(&mut self) {
        if let Place::Terminal(lines) = &self.place {
            // What can't be cleared any more is not there any more.
            let _ = lines.all.clear();
            if let Some(address) = self.address {
                eprintln!("{}", where_served(address));
            }
        }
    }
}

impl Lines {
    fn new(all: MultiProgress, address: Option<SocketAddr>) -> Self {
        let text = |template: &str| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(0).with_style(style))
        };
        let progress = text("{msg} {wide_bar:.cyan/dim} {percent:>3} %");
        let served = text("{wide_msg:.dim}");
        served.set_message(address.map_or_else(|| "Nothing is served.".to_owned(), where_served));
        let policy = text("{wide_msg}");
        let head = text("{wide_msg:.dim}");
        head.set_message(format!(
            "{:NAME_WIDTH$} {:>10} {:>22} {:>10} {:>7}   {UNIT}",
            "part", "load", "forecast at its lag", "capacity", "used"
        ));
        let parts = (0..3).map(|_| text("{wide_msg}")).collect();
        let last = text("{wide_msg}");
        Self {
            all: all.clone(),
            progress,
            policy,
            parts,
            last,
            _fixed: [served, head],
        }
    }

    fn draw(&self, stage: &Stage, outcome: &Outcome, last: &str) {
        let cluster = stage.cluster();
        let (behind, all) = cluster.progress();
        self.progress.set_length(all as u64);
        self.progress.set_position(behind as u64);
        self.progress
            .set_message(format!("{} UTC", time(cluster.now())));
        self.policy.set_message(policy(stage, outcome));
        for (bar, part) in self.parts.iter().zip(cluster.parts()) {
            bar.set_message(line(part, forecast(part, outcome)));
        }
        self.last.set_message(format!("last decision  {last}"));
    }
}

fn where_served(address: SocketAddr) -> String {
    format!(
        "Console at http://{address}/, API at http://{address}/api/v1/openapi.json; Ctrl-C ends."
    )
}

fn policy(stage: &Stage, outcome: &Outcome) -> String {
    let objective = &outcome.record.context.objective;
    format!(
        "policy {}; {} of the budget ({} of the time over capacity) is spent; planned for P{:.1}",
        stage.binding().name,
        percent(objective.budget_spent),
        percent(objective.violation_budget),
        100.0 * objective.level,
    )
}

fn forecast<'a>(part: &ClusterPart, outcome: &'a Outcome) -> Option<&'a Forecast> {
    outcome
        .record
        .context
        .forecasts
        .iter()
        .find(|forecast| forecast.part == part.id())
}

/// One part in a line.
fn line(part: &ClusterPart, forecast: Option<&Forecast>) -> String {
    let view = part.view();
    let capacity = f64::from(view.ready) * view.capacity;
    let load = view.seen.map(|sample| sample.value);
    let used = load.map_or("-".to_owned(), |load| {
        percent(load / capacity.max(f64::MIN_POSITIVE))
    });
    let counts = if view.wanted == view.ready {
        format!("{} ready", view.ready)
    } else {
        format!("{} ready → {}", view.ready, view.wanted)
    };
    format!(
        "{:NAME_WIDTH$} {:>10} {:>22} {:>10} {used:>7}   {counts}",
        part.id(),
        load.map_or("missing".to_owned(), amount),
        forecast.map_or("none".to_owned(), |forecast| coming(
            forecast,
            view.lag_seconds
        )),
        amount(capacity),
    )
}

/// The load expected in one lag, and what it will hardly exceed.
fn coming(forecast: &Forecast, lag_seconds: i64) -> String {
    let bin = ((forecast.issued_at + lag_seconds as f64 - forecast.start) / forecast.step).max(0.0)
        as usize;
    let at = |level: f64| {
        let row = forecast
            .levels
            .iter()
            .position(|known| (known - level).abs() < 1e-9)?;
        forecast.paths.get(row)?.get(bin).copied()
    };
    match (at(BAND[0]), at(BAND[1])) {
        (Some(middle), Some(high)) => {
            let demoted = if forecast.reliable { "" } else { " demoted" };
            format!("{}..{}{demoted}", amount(middle), amount(high))
        }
        _ => "none".to_owned(),
    }
}

fn decision(now: i64, outcome: &Outcome) -> String {
    let parts = outcome.record.explanation.parts.iter();
    let changed = parts.filter(|part| part.before != part.wanted);
    let changed: Vec<String> = changed
        .map(|part| format!("{}: {}", part.part, part.summary))
        .collect();
    format!("{}  {}", time(now), changed.join("; "))
}

fn time(now: i64) -> String {
    Timestamp::from_second(now).map_or_else(
        |_| now.to_string(),
        |now| now.strftime("%a %d %b %H:%M").to_string(),
    )
}

/// A load with the digits that matter.
fn amount(load: f64) -> String {
    let digits = if load.abs() >= 100.0 { 0 } else { 2 };
    format!("{load:.digits$}")
}
