//! A picture of bytes over time: one panel for each run, one line for each client, the moves marked.

use std::path::Path;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::prelude::*;

const WIDTH: u32 = 960;
const PANEL_HEIGHT: u32 = 260;
const TITLE_HEIGHT: u32 = 44;
/// What the lines are drawn in, again from the start when there are more.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x1b, 0x6c, 0xa8),
    RGBColor(0xd9, 0x5f, 0x02),
    RGBColor(0x2a, 0x9d, 0x4e),
    RGBColor(0x8e, 0x44, 0xad),
    RGBColor(0x7a, 0x55, 0x2b),
    RGBColor(0x00, 0x95, 0x9e),
];
const NOTICE: RGBColor = RGBColor(0x99, 0x99, 0x99);
const MOVE: RGBColor = RGBColor(0xc0, 0x1f, 0x2e);
/// Lines beyond these are drawn but have no entry in the legend.
const MOST_LEGENDS: usize = 6;

/// One run.
#[derive(Debug)]
pub struct Panel {
    /// What stands above it.
    pub title: String,
    /// When the server was told to prepare.
    pub notice: Option<Duration>,
    /// When the server was at its new address.
    pub moved: Option<Duration>,
    /// For each client: when, and how many bytes it had by then.
    pub lines: Vec<Vec<(Duration, u64)>>,
}

/// Draws the panels one below the other into an SVG file.
///
/// # Errors
///
/// The file cannot be written.
pub fn draw(path: &Path, title: &str, panels: &[Panel]) -> Result<(), Box<dyn std::error::Error>> {
    let count = u32::try_from(panels.len())?;
    let mut svg = String::new();
    {
        let size = (WIDTH, TITLE_HEIGHT + PANEL_HEIGHT * count);
        let page = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        page.fill(&WHITE)?;
        let page = page.titled(title, ("sans-serif", 22))?;
        for (area, panel) in page.split_evenly((panels.len(), 1)).iter().zip(panels) {
            draw_panel(area, panel)?;
        }
        page.present()?;
    }
    Ok(std::fs::write(path, svg)?)
}

fn draw_panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    panel: &Panel,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || panel.lines.iter().flatten();
    let end = points().map(|(at, _)| millis(*at)).fold(1.0, f64::max);
    let (unit, size) = unit(points().map(|(_, bytes)| *bytes).max().unwrap_or(0));
    let amount = |bytes: u64| float(bytes) / float(size);
    let top = points().map(|(_, bytes)| amount(*bytes)).fold(0.0, f64::max) * 1.02 + f64::MIN_POSITIVE;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 17))
        .margin(8)
        .margin_right(20)
        .x_label_area_size(38)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .x_desc("milliseconds since the start")
        .y_desc(format!("{unit} received"))
        .x_label_formatter(&|value| label(*value, end))
        .y_label_formatter(&|value| label(*value, top))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 13))
        .draw()?;
    for (number, line) in panel.lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points = line.iter().map(|(at, bytes)| (millis(*at), amount(*bytes)));
        let drawn = chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        if number < MOST_LEGENDS {
            drawn.label(format!("client {}", number + 1)).legend(move |(x, y)| sample(x, y, colour));
        }
    }
    for (at, what, colour) in [(panel.notice, "notice", NOTICE), (panel.moved, "the move", MOVE)] {
        if let Some(at) = at.map(millis) {
            let upright = [(at, 0.0), (at, top)];
            chart
                .draw_series(LineSeries::new(upright, colour.stroke_width(2)))?
                .label(format!("{what}, {at:.1} ms"))
                .legend(move |(x, y)| sample(x, y, colour));
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}

/// The stroke before an entry of the legend.
fn sample(x: i32, y: i32, colour: RGBColor) -> PathElement<(i32, i32)> {
    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
}

fn millis(at: Duration) -> f64 {
    at.as_secs_f64() * 1e3
}

/// The unit in which up to `most` bytes are told, and its size in bytes.
fn unit(most: u64) -> (&'static str, u64) {
    match most {
        0..=9_999 => ("bytes", 1),
        10_000..=9_999_999 => ("KiB", 1 << 10),
        10_000_000..=9_999_999_999 => ("MiB", 1 << 20),
        _ => ("GiB", 1 << 30),
    }
}

/// A number on an axis that ends at `end`.
fn label(value: f64, end: f64) -> String {
    if end > 9.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[expect(clippy::cast_precision_loss, reason = "a picture has a thousand pixels")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}
