//! How it went: harm and cost of each kind beside the replay's peers at its own lag.

use std::time::Duration;

use comfy_table::{Attribute, Cell, Table};
use foreshard_sim::cluster::KindReport;
use foreshard_sim::replay::{EQUAL_COST, MODEL, PolicyFigures, Report};
use serde::Serialize;

use crate::cmd::backtest::table::{LEGEND, number, percent, ratio, seconds, table};
use crate::output::{self, Format};

/// The result of the whole run.
pub(crate) struct Summary {
    pub(crate) reports: Vec<KindReport>,
    /// Real time that the run took.
    pub(crate) took: Duration,
}

#[derive(Serialize)]
struct Document<'a> {
    model: &'static str,
    took_seconds: f64,
    parts: Vec<PartDocument<'a>>,
}

#[derive(Serialize)]
struct PartDocument<'a> {
    part: &'a str,
    kind: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

impl Summary {
    pub(crate) fn print(&self, format: Format) -> anyhow::Result<()> {
        match format {
            Format::Json => output::json(&self.document()),
            Format::Table => output::text(&self.text()),
        }
    }

    fn document(&self) -> Document<'_> {
        let parts = self.reports.iter().map(|it| PartDocument {
            part: &it.part,
            kind: it.kind.name(),
            report: &it.report,
        });
        Document {
            model: MODEL,
            took_seconds: self.took.as_secs_f64(),
            parts: parts.collect(),
        }
    }

    fn text(&self) -> String {
        let mut out = String::from("Harm and cost of each kind, beside others at its own lag\n");
        let mut all = table(&[
            "",
            "over",
            "lost",
            "hot",
            "cost",
            "/foresight",
            "chg/d",
            "longest",
        ]);
        for it in &self.reports {
            part(&mut all, it);
        }
        out += &format!("{all}\n{LEGEND}\n\n");
        for it in &self.reports {
            out += &verdict(it);
        }
        if let Some(first) = self.reports.first() {
            let days = first
                .report
                .scored_to
                .duration_since(first.report.scored_from)
                .as_secs_f64()
                / 86_400.0;
            out += &format!(
                "{days:.1} days were lived through in {:.1} s.\n",
                self.took.as_secs_f64()
            );
        }
        out
    }
}

fn part(all: &mut Table, it: &KindReport) {
    let lag = seconds(it.report.lag_seconds as f64);
    let title = format!("{} ({}, lag {lag})", it.part, it.kind.name());
    all.add_row([Cell::new(title).add_attribute(Attribute::Bold)]);
    for (place, entry) in it.report.policies.iter().enumerate() {
        all.add_row(row(place, entry));
    }
}

fn row(place: usize, entry: &PolicyFigures) -> Vec<Cell> {
    let figures = &entry.figures;
    let name = if place == 0 {
        format!("▶ {}", entry.policy)
    } else {
        format!("  {}", entry.policy)
    };
    let numbers = [
        percent(figures.over_capacity_share),
        percent(figures.lost_share),
        percent(figures.hot_share),
        ratio(figures.cost),
        ratio(figures.cost_vs_foresight),
        format!("{:.0}", figures.changes_per_day),
        seconds(figures.longest_over_capacity_seconds),
    ];
    let cells = std::iter::once(Cell::new(name)).chain(numbers.map(number));
    let stands_out = place == 0 || entry.policy == EQUAL_COST;
    let bold = |cell: Cell| {
        if stands_out {
            cell.add_attribute(Attribute::Bold)
        } else {
            cell
        }
    };
    cells.map(bold).collect()
}

fn verdict(it: &KindReport) -> String {
    let Some(peer) = it.report.peer(EQUAL_COST) else {
        return String::new();
    };
    let (yours, theirs) = (&it.report.yours().figures, &peer.figures);
    let mut out = format!(
        "{}: over capacity {} of the time, {} where a reactive rule costs the same; {} of the cost with foresight.\n",
        it.part,
        percent(yours.over_capacity_share),
        percent(theirs.over_capacity_share),
        percent(yours.cost_vs_foresight),
    );
    if !it.report.judged {
        out += &format!(
            "  (The trace's step of {} is more than half of this lag, so its samples leak what comes next.)\n",
            seconds(it.report.step_seconds as f64),
        );
    }
    out
}
