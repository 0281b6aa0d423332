//! The Pareto curve as a picture.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use plotters::coord::combinators::IntoLogRange as _;
use plotters::prelude::*;

use super::sweep::{Curve, Sweep};
use super::table::{chosen_percent, seconds};

const SIZE: (u32, u32) = (960, 600);
/// A share of time over capacity below this is drawn here, since a logarithm has no zero.
const LEAST_SHARE: f64 = 0.0001;
/// Labels are at least this share of the width apart.
const LABEL_SHARE: f64 = 0.06;
const FONT: &str = "sans-serif";
/// Colours that are told apart by people who see red and green alike.
const COLORS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(90, 90, 90),
];

/// Draws the curves of `sweep` to the SVG file `path`.
pub(crate) fn write(path: &Path, sweep: &Sweep) -> anyhow::Result<()> {
    let mut svg = String::new();
    draw(&mut svg, sweep).map_err(|error| anyhow!("drawing the curves: {error}"))?;
    std::fs::write(path, svg).with_context(|| format!("writing {}", path.display()))
}

/// What is drawn: cost over foresight, and time over capacity.
fn points(curve: &Curve) -> impl Iterator<Item = (f64, f64)> {
    curve.points.iter().map(|point| {
        let figures = &point.figures;
        (
            figures.cost_vs_foresight,
            figures.over_capacity_share.max(LEAST_SHARE),
        )
    })
}

/// The knob at each point that is at least `apart` in cost from the one labelled before it.
fn labels(curve: &Curve, apart: f64) -> impl Iterator<Item = (String, (f64, f64))> {
    let mut last = f64::INFINITY;
    curve
        .points
        .iter()
        .zip(points(curve))
        .filter_map(move |(point, at)| {
            if (last - at.0).abs() < apart {
                return None;
            }
            last = at.0;
            Some((chosen_percent(point.knob), at))
        })
}

/// The costs that are drawn: all of the user's policy, and of the others what lies near.
fn costs(sweep: &Sweep) -> std::ops::Range<f64> {
    let yours = sweep
        .curves
        .first()
        .into_iter()
        .flat_map(points)
        .map(|(cost, _)| cost);
    let (low, high) = yours.fold((1.0_f64, 1.0_f64), |(low, high), cost| {
        (low.min(cost), high.max(cost))
    });
    let margin = 0.15 * (high - low).max(0.2);
    low - margin..high + margin
}

fn shares(sweep: &Sweep) -> std::ops::Range<f64> {
    let all = sweep.curves.iter().flat_map(points).map(|(_, share)| share);
    LEAST_SHARE..(1.5 * all.fold(0.02, f64::max)).min(1.0)
}

fn draw(svg: &mut String, sweep: &Sweep) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (costs, shares) = (costs(sweep), shares(sweep));
    let traces = match sweep.traces.as_slice() {
        [one] => one.clone(),
        several => format!("mean of {} traces", several.len()),
    };
    let caption = format!(
        "Cost against harm: {traces}, lag {}",
        seconds(sweep.lag_seconds as f64)
    );
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, (FONT, 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(costs.clone(), shares.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(BLACK.mix(0.05))
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("cost over foresight (instances paid)")
        .y_desc("time over capacity (log; 0 is drawn at 0.01 %)")
        .x_label_formatter(&|cost| format!("{cost:.2}"))
        .y_label_formatter(&|share| chosen_percent(*share))
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 15))
        .draw()?;
    for (place, (curve, color)) in sweep.curves.iter().zip(COLORS).enumerate() {
        let width = if place == 0 { 3 } else { 2 };
        let inside: Vec<(f64, f64)> = points(curve)
            .filter(|(cost, _)| costs.contains(cost))
            .collect();
        chart
            .draw_series(LineSeries::new(
                inside.iter().copied(),
                color.stroke_width(width),
            ))?
            .label(match curve.knob {
                "budget" => format!("{} over budgets", curve.policy),
                _ => format!("{} over head-rooms", curve.policy),
            })
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 24, y)], color.stroke_width(width))
            });
        chart.draw_series(
            inside
                .iter()
                .map(|&point| Circle::new(point, width + 1, color.filled())),
        )?;
        if place == 0 {
            chart.draw_series(labels(curve, LABEL_SHARE * (costs.end - costs.start)).map(
                |(text, at)| {
                    let style = (FONT, 13).into_font().color(&color);
                    EmptyElement::at(at) + Text::new(text, (6, -16), style)
                },
            ))?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 15))
        .draw()?;
    root.present()?;
    Ok(())
}
