//! The course as a picture: what was needed, and what the four had.

use std::path::Path;

use plotters::prelude::*;

use crate::course::Course;
use crate::scene::{CAPACITY, REPLICAS_MAX, Scene};
use crate::stage::ALL;

const SIZE: (u32, u32) = (960, 560);
const FONT: &str = "sans-serif";
/// Colors that are told apart by people who see red and green alike.
const COLORS: [RGBColor; 4] = [
    RGBColor(150, 150, 150),
    RGBColor(204, 121, 167),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
];

/// Writes the SVG file.
pub(crate) fn write(path: &Path, scene: &Scene, course: &Course) {
    let mut svg = String::new();
    draw(&mut svg, scene, course).unwrap();
    std::fs::write(path, svg).unwrap();
}

fn draw(
    svg: &mut String,
    scene: &Scene,
    course: &Course,
) -> Result<(), Box<dyn std::error::Error>> {
    let minute = |at: i64| (at - scene.rise()) as f64 / 60.0;
    let looks = &course.looks;
    let from = looks.first().map_or(-1.0, |look| minute(look.at));
    let to = looks.last().map_or(1.0, |look| minute(look.at));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "Ready replicas before, in and after the rise of a real load",
            (FONT, 20),
        )
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(from..to, 0.0..f64::from(REPLICAS_MAX) + 1.0)?;
    chart
        .configure_mesh()
        .light_line_style(BLACK.mix(0.03))
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("minutes after the load went beyond what three replicas serve")
        .y_desc("replicas")
        .x_label_formatter(&|minute| format!("{minute:.0}"))
        .y_label_formatter(&|count| format!("{count:.0}"))
        .label_style((FONT, 14))
        .axis_desc_style((FONT, 15))
        .draw()?;
    let needed = looks
        .iter()
        .map(|look| (minute(look.at), look.load / CAPACITY));
    chart
        .draw_series(LineSeries::new(needed, BLACK.mix(0.3).stroke_width(5)))?
        .label("needed")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], BLACK.mix(0.3).stroke_width(5)));
    for (place, (name, color)) in ALL.iter().zip(COLORS).enumerate() {
        // Lines that lie on each other are still seen side by side.
        let aside = (place as f64 - 1.5) * 0.04;
        let ready = looks
            .iter()
            .map(|look| (minute(look.at), f64::from(look.counts[place].1) + aside));
        let style = color.stroke_width(2);
        chart
            .draw_series(LineSeries::new(ready, style))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 15))
        .draw()?;
    root.present()?;
    Ok(())
}
