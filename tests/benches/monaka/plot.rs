//! Plots as SVG.

use plotters::prelude::*;

use crate::home::Home;
use crate::report::{Plot, Series};

const SIZE: (u32, u32) = (860, 400);

/// How much of the width the plot has; names of series stand beside it.
const WIDTH: u32 = 720;

/// Colours that are told apart without seeing all of them, of Okabe and Ito.
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(150, 150, 150),
];

/// A plot, drawn.
pub(crate) fn svg(plot: &Plot) -> String {
    let mut text = String::new();
    draw(plot, &mut text).unwrap_or_else(|error| panic!("{}: {error}", plot.name));
    text
}

fn draw(plot: &Plot, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let (x, y) = (
        range(points().map(|point| point.0)),
        range(points().map(|point| point.1)),
    );
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(WIDTH);
    let mut chart = ChartBuilder::on(&left)
        .caption(&plot.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((x.0..x.1).log_scale(), (y.0..y.1).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(&plot.x)
        .y_desc(&plot.y)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .light_line_style(WHITE)
        .draw()?;
    for (nth, series) in plot.series.iter().enumerate() {
        let style = color(nth, series).stroke_width(2);
        let points = series.points.iter().copied();
        chart.draw_series(LineSeries::new(points, style).point_size(3))?;
        let at = 50 + 22 * i32::try_from(nth)?;
        right.draw(&PathElement::new([(4, at), (24, at)], style))?;
        let name = Text::new(series.name.clone(), (30, at - 6), ("sans-serif", 13));
        right.draw(&name)?;
    }
    area.present()?;
    Ok(())
}

/// A home has the same colour in all plots.
fn color(nth: usize, series: &Series) -> RGBColor {
    let home = Home::ALL.iter().position(|home| home.name() == series.name);
    COLORS[home.unwrap_or(nth) % COLORS.len()]
}

/// From a little below the least to a little above the greatest.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, 0.0_f64);
    let (least, most) = values.fold(start, |(least, most), value| {
        (least.min(value), most.max(value))
    });
    (least / 1.3, most * 1.3)
}

/// 1500000 as 1.5M.
fn short(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e9 => (v / 1e9, "G"),
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e3 => (v / 1e3, "k"),
        v => (v, ""),
    };
    let text = format!("{value:.6}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}
