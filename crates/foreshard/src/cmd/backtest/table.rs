//! Results for people.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle,
};
use foreshard_sim::replay::{EQUAL_COST, Figures, PolicyFigures, Ratio, Report, Summary};

use super::Judged;

/// What the columns mean.
pub(crate) const LEGEND: &str = "\
over: share of time above capacity   lost: share of the load above capacity   hot: share of time above 90 % of it
cost: instances paid over what 70 % utilisation takes   /foresight: over the best at 70 % that knows the future
chg/d: changes of the wanted count a day   worst: over, on the worst day   longest: longest time above capacity";

/// Lines above, below and under the header, none between rows.
const STYLE: TableStyle = {
    let line = LineStyle::none().fill('─').junction('─');
    TableStyle::new()
        .top_border(line)
        .header_separator(line)
        .bottom_border(line)
};

const HEADER: [&str; 9] = [
    "policy",
    "over",
    "lost",
    "hot",
    "cost",
    "/foresight",
    "chg/d",
    "worst",
    "longest",
];

/// One trace: the policies, how yours compares, and what to keep in mind.
pub(crate) fn one(result: &Judged) -> String {
    let report = &result.report;
    let mut out = format!(
        "{}: lag {}, {} per instance, scored {} to {} ({:.1} days)\n",
        report.trace,
        seconds(report.lag_seconds as f64),
        significant(report.capacity),
        report.scored_from,
        report.scored_to,
        report
            .scored_to
            .duration_since(report.scored_from)
            .as_secs_f64()
            / 86_400.0,
    );
    let mut table = table(&HEADER);
    for (place, entry) in report.policies.iter().enumerate() {
        table.add_row(row(place, entry));
    }
    out += &format!("{table}\n{LEGEND}\n\n");
    out += &verdict(report);
    out += &notes(result);
    out
}

/// Several traces: means, how yours compares, and each trace in a line.
pub(crate) fn several(results: &[Judged], summary: &Summary) -> String {
    let lag = results
        .first()
        .map_or(0, |result| result.report.lag_seconds);
    let mut out = format!("{} traces, lag {}\n", summary.traces, seconds(lag as f64));
    let mut each = table(&[
        "trace",
        "over",
        "lost",
        "cost",
        "equal cost: over",
        "lost",
        "no worse",
        "forecast acted",
    ]);
    for result in results {
        let (yours, Some(peer)) = (result.report.yours(), result.report.peer(EQUAL_COST)) else {
            continue;
        };
        let better = yours.figures.no_worse_than(&peer.figures);
        let unjudged = if result.report.judged {
            ""
        } else {
            " (not judged)"
        };
        each.add_row([
            Cell::new(format!("{}{unjudged}", result.report.trace)),
            number(percent(yours.figures.over_capacity_share)),
            number(percent(yours.figures.lost_share)),
            number(ratio(yours.figures.cost_vs_foresight)),
            number(percent(peer.figures.over_capacity_share)),
            number(percent(peer.figures.lost_share)),
            Cell::new(if better { "yes" } else { "no" }).fg(if better {
                Color::Green
            } else {
                Color::Red
            }),
            number(format!("{:.0} %", 100.0 * result.acted_share)),
        ]);
    }
    out += &format!("{each}\n\nMeans over the traces\n");
    let mut means = table(&HEADER);
    for (place, entry) in summary.policies.iter().enumerate() {
        means.add_row(row(
            place,
            &PolicyFigures {
                policy: entry.policy.clone(),
                figures: entry.mean,
                headroom: None,
                rule: None,
            },
        ));
    }
    out += &format!("{means}\n{LEGEND}\n\n");
    if let Some(equal) = summary
        .policies
        .iter()
        .find(|entry| entry.policy == EQUAL_COST)
        && let Some(ratios) = equal.yours_over_this
    {
        out += &format!(
            "Yours over {EQUAL_COST}: time over capacity {}, lost load {}.\n",
            joined(&ratios.over_capacity),
            joined(&ratios.lost),
        );
        out += &format!(
            "No worse in both on {} of {} traces.\n",
            summary.policies[0].no_worse_traces, summary.traces
        );
    }
    if summary.judged < summary.traces {
        out += &format!(
            "warning: {} traces have a step of more than half the lag: they judge nobody.\n",
            summary.traces - summary.judged
        );
    }
    out
}

/// A ratio of several traces: of the means, and the geometric mean with its range.
fn joined(ratio: &Ratio) -> String {
    let of_means = ratio
        .of_means
        .map_or("-".to_owned(), |ratio| format!("{ratio:.2}x"));
    format!(
        "{of_means} by means, {:.2}x by geometric mean ({:.2} to {:.2} without any one trace)",
        ratio.geometric_mean, ratio.lowest_without_one, ratio.highest_without_one
    )
}

fn row(place: usize, entry: &PolicyFigures) -> Vec<Cell> {
    let figures = &entry.figures;
    let name = match (place, entry.rule, entry.headroom) {
        (0, ..) => format!("▶ {}", entry.policy),
        (_, Some(rule), Some(headroom)) => {
            format!(
                "{}\n  ({}, {:+.0} %)",
                entry.policy,
                rule.name(),
                100.0 * headroom
            )
        }
        _ => entry.policy.clone(),
    };
    let mut cells = vec![Cell::new(name)];
    cells.extend(
        [
            percent(figures.over_capacity_share),
            percent(figures.lost_share),
            percent(figures.hot_share),
            ratio(figures.cost),
            ratio(figures.cost_vs_foresight),
            format!("{:.0}", figures.changes_per_day),
            percent(figures.worst_day_over_capacity_share),
            seconds(figures.longest_over_capacity_seconds),
        ]
        .map(number),
    );
    let yours = |cell: Cell| cell.add_attribute(Attribute::Bold).fg(Color::Cyan);
    match entry.policy.as_str() {
        _ if place == 0 => cells.into_iter().map(yours).collect(),
        EQUAL_COST => cells
            .into_iter()
            .map(|cell| cell.add_attribute(Attribute::Bold))
            .collect(),
        _ => cells,
    }
}

/// How the user's policy compares with the peer that counts.
fn verdict(report: &Report) -> String {
    let Some(peer) = report.peer(EQUAL_COST) else {
        return String::new();
    };
    let (yours, theirs) = (&report.yours().figures, &peer.figures);
    let compared = |name: &str, figure: fn(&Figures) -> f64| {
        let (ours, theirs) = (figure(yours), figure(theirs));
        if theirs > 0.0 {
            format!("{name} {:.2}x", ours / theirs)
        } else {
            format!("{name} {} against none", percent(ours))
        }
    };
    format!(
        "Yours over {EQUAL_COST}: {}, {}, {}.\n",
        compared("time over capacity", |figures| figures.over_capacity_share),
        compared("lost load", |figures| figures.lost_share),
        compared("changes", |figures| figures.changes_per_day),
    )
}

/// What to keep in mind.
fn notes(result: &Judged) -> String {
    let report = &result.report;
    let mut out = format!(
        "The forecast was let act in {:.0} % of the evaluations; in the others plain HPA at 70 % was the floor.\n",
        100.0 * result.acted_share
    );
    if !result.predictable {
        out += "The skill gate calls this load unpredictable";
        out += &match result.advised_headroom {
            Some(headroom) => format!(
                ": reactive scaling needs {:.0} % of head-room to keep the budget at this lag.\n",
                100.0 * headroom
            ),
            None => ".\n".to_owned(),
        };
    }
    if let Some(peer) = report.peer(EQUAL_COST)
        && (peer.figures.cost / report.yours().figures.cost - 1.0).abs() > 0.01
    {
        out += "warning: no head-room makes the reactive rules cost the same: compare with care.\n";
    }
    if !report.judged {
        out += &format!(
            "warning: a step of {} is more than half the lag of {}, so samples leak what comes next: these figures \
             judge nobody. Give a finer trace or a longer --lag.\n",
            seconds(report.step_seconds as f64),
            seconds(report.lag_seconds as f64),
        );
    }
    out
}

/// An empty table with a header, numbers to the right.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut cells = header.iter();
    let first = cells.next().map(Cell::new);
    let others = cells.map(|name| Cell::new(name).set_alignment(CellAlignment::Right));
    table.set_header(first.into_iter().chain(others));
    table
}

/// A cell with a number.
pub(crate) fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// A share in percent, with the digits that matter.
pub(crate) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent == 0.0 {
        "0".to_owned()
    } else if percent < 0.0995 {
        format!("{percent:.3} %")
    } else if percent < 9.95 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A share that somebody chose, in percent, without needless digits.
pub(crate) fn chosen_percent(share: f64) -> String {
    format!("{} %", (share * 1e8).round() / 1e6)
}

/// A ratio.
pub(crate) fn ratio(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// Four significant digits.
fn significant(value: f64) -> String {
    let digits = 3 - value.abs().max(f64::MIN_POSITIVE).log10().floor() as i32;
    format!("{value:.*}", digits.clamp(0, 12) as usize)
}

/// A span: `45 s`, `10 min`, `2 h 5 min`.
pub(crate) fn seconds(seconds: f64) -> String {
    let seconds = seconds.round() as i64;
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests;
