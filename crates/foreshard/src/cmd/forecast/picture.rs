//! A forecast for people: the last day and the band, and the figures beside it.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use comfy_table::{CellAlignment, Table, presets};
use foreshard_forecast::{Forecast, Series};
use rgb::RGB8;
use textplots::{Chart, ColorPlot as _, LabelBuilder as _, LabelFormat, Plot as _, Shape};

use super::question::show;
use crate::output;

/// History drawn before the forecast, in seconds.
const SHOWN_SECONDS: i64 = 86_400;
/// Rows of the table of bins; more are thinned out.
const ROWS_MAX: usize = 13;
/// Columns that the chart needs for its labels on the right.
const LABEL_COLUMNS: u32 = 12;
/// Chart height in dots, four to a line.
const HEIGHT_DOTS: u32 = 64;

const LOAD: RGB8 = RGB8 {
    r: 150,
    g: 150,
    b: 150,
};
const MEDIAN: RGB8 = RGB8 {
    r: 70,
    g: 130,
    b: 230,
};
const BAND: RGB8 = RGB8 {
    r: 230,
    g: 140,
    b: 40,
};

/// Everything that is printed without `--output json`.
pub(super) fn draw(history: &Series, forecast: &Forecast) -> String {
    let mut text = heading(forecast);
    if std::io::stdout().is_terminal() {
        text.push_str(&chart(history, forecast));
    }
    text.push_str(&bins(forecast));
    if !forecast.peaks.is_empty() {
        text.push_str(&peaks(forecast));
    }
    text
}

fn heading(forecast: &Forecast) -> String {
    let mut text = format!(
        "Forecast from {} by {}\n",
        show(forecast.issued_at),
        forecast.model
    );
    let skill = if forecast.skill.is_finite() {
        format!(
            "{:.0} % less loss than the seasonal-naive forecast",
            100.0 * forecast.skill
        )
    } else {
        "skill unknown".to_owned()
    };
    let verdict = if forecast.reliable {
        "reliable"
    } else {
        "not reliable"
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{verdict}: {skill}");
    for reason in &forecast.reasons {
        let _ = writeln!(text, "  - {reason}");
    }
    text
}

/// Hours from the moment of the forecast, and a value.
type Line = Vec<(f32, f32)>;

fn chart(history: &Series, forecast: &Forecast) -> String {
    let hours = |time: i64| (time - forecast.issued_at) as f32 / 3600.0;
    let points = |start: i64, step: i64, values: &[f64]| -> Line {
        let middles = values
            .iter()
            .enumerate()
            .map(|(i, value)| (hours(start + step * i as i64 + step / 2), *value as f32));
        middles.filter(|(_, value)| value.is_finite()).collect()
    };
    let shown = history.tail((SHOWN_SECONDS / history.step).max(1) as usize);
    let mut lines = vec![(points(shown.start, shown.step, &shown.values), LOAD)];
    let paths = forecast.levels.iter().zip(&forecast.paths);
    lines.extend(paths.map(|(level, path)| {
        let color = if *level == 0.5 { MEDIAN } else { BAND };
        (points(forecast.start, forecast.step, path), color)
    }));
    let values = || {
        lines
            .iter()
            .flat_map(|(line, _)| line.iter().map(|(_, value)| *value))
    };
    let (low, high) = (
        values().fold(f32::INFINITY, f32::min),
        values().fold(f32::NEG_INFINITY, f32::max),
    );
    if !(low.is_finite() && high.is_finite()) {
        return String::new();
    }
    // A constant load would have no height.
    let margin = ((high - low) * 0.05)
        .max(high.abs() * 0.01)
        .max(f32::MIN_POSITIVE);
    let bottom = if low >= 0.0 {
        (low - margin).max(0.0)
    } else {
        low - margin
    };
    let columns = terminal_size::terminal_size().map_or(100, |(width, _)| u32::from(width.0));
    let width = 2 * columns.saturating_sub(LABEL_COLUMNS).clamp(24, 160);
    let end = forecast.start + forecast.step * forecast.paths.first().map_or(0, Vec::len) as i64;
    let shapes: Vec<(Shape<'_>, RGB8)> = lines
        .iter()
        .map(|(line, color)| (Shape::Lines(line), *color))
        .collect();
    let mut chart = Chart::new_with_y_range(
        width,
        HEIGHT_DOTS,
        hours(shown.start),
        hours(end),
        bottom,
        high + margin,
    );
    let picture = paint(&mut chart, &shapes, output::colored());
    let names = forecast
        .levels
        .iter()
        .map(|level| format!("P{}", 100.0 * level));
    let names: Vec<String> = names.collect();
    format!(
        "{picture}\nload of the last day, then {}; hours from the forecast\n",
        names.join(", ")
    )
}

/// The chart's builder borrows itself for as long as the shapes live; hence all of it in one place.
fn paint<'a>(chart: &'a mut Chart<'a>, shapes: &'a [(Shape<'a>, RGB8)], colored: bool) -> String {
    let mut chart = chart.x_label_format(LabelFormat::Custom(Box::new(|hours| {
        format!("{hours:+.0} h")
    })));
    chart = chart.y_label_format(LabelFormat::Custom(Box::new(|value| {
        short(f64::from(value))
    })));
    for (shape, color) in shapes {
        chart = if colored {
            chart.linecolorplot(shape, *color)
        } else {
            chart.lineplot(shape)
        };
    }
    chart.axis();
    chart.figures();
    chart.to_string()
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn bins(forecast: &Forecast) -> String {
    let count = forecast.paths.first().map_or(0, Vec::len);
    let every = count.div_ceil(ROWS_MAX).max(1);
    let mut table = table();
    let levels = forecast
        .levels
        .iter()
        .map(|level| format!("P{}", 100.0 * level));
    table.set_header(std::iter::once("mean over the bin from".to_owned()).chain(levels));
    for i in (0..count).step_by(every) {
        let time = show(forecast.start + forecast.step * i as i64);
        let values = forecast.paths.iter().map(|path| short(path[i]));
        table.add_row(std::iter::once(time).chain(values));
    }
    format!("\n{}\n", right_aligned(table))
}

fn peaks(forecast: &Forecast) -> String {
    let mut table = table();
    let levels = forecast.levels.iter().map(|level| {
        let mark = if *level > forecast.calibrated_to {
            "*"
        } else {
            ""
        };
        format!("P{}{mark}", 100.0 * level)
    });
    table.set_header(std::iter::once("maximum over".to_owned()).chain(levels));
    for peak in &forecast.peaks {
        let (lead, end) = (peak.window.lead, peak.window.lead + peak.window.window);
        let values = peak.values.iter().map(|value| short(*value));
        table.add_row(std::iter::once(format!("{lead} s to {end} s from then")).chain(values));
    }
    let mut text = format!("\n{}\n", right_aligned(table));
    if forecast
        .levels
        .iter()
        .any(|level| *level > forecast.calibrated_to)
    {
        text.push_str("* beyond what the history can calibrate: an exponential tail\n");
    }
    text
}

fn right_aligned(mut table: Table) -> String {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// Four digits, or as many as the whole part has.
fn short(value: f64) -> String {
    let digits = if value == 0.0 {
        0
    } else {
        value.abs().log10().floor() as i32
    };
    format!("{value:.*}", (3 - digits).clamp(0, 6) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        for (value, text) in [
            (0.0, "0.000"),
            (1234567.0, "1234567"),
            (12.3456, "12.35"),
            (0.012_344, "0.01234"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
