//! The figures as pictures: one file for each experiment.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::conditions::{COLD, Loss, Pace};
use crate::first::Series;
use crate::goodput::{Course, END, LEAVES, NOTICE};
use crate::readiness::{PLAYS, Point, ROUND_TRIPS};
use crate::recovery::Tally;
use crate::reference;
use crate::statistics::{millis, percentile};
use crate::way::{Way, strategy};

type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 960;
const TITLE: u32 = 44;
const COLOURS: [RGBColor; 9] = [
    RGBColor(0x55, 0x55, 0x55),
    RGBColor(0x1b, 0x6c, 0xa8),
    RGBColor(0x2a, 0x9d, 0x4e),
    RGBColor(0xd9, 0x5f, 0x02),
    RGBColor(0x8e, 0x44, 0xad),
    RGBColor(0x00, 0x95, 0x9e),
    RGBColor(0x7a, 0x55, 0x2b),
    RGBColor(0xc0, 0x1f, 0x2e),
    RGBColor(0xe0, 0x9f, 0x1f),
];
/// What the thesis measured is drawn in this.
const THESIS: RGBColor = RGBColor(0xc0, 0x1f, 0x2e);
/// Room for the names of rows, in pixels.
const NAMES: i32 = 190;

/// Draws panels of this height one below the other.
fn page(
    path: &Path,
    title: &str,
    panels: usize,
    height: u32,
    draw: impl Fn(usize, &Area<'_>) -> Drawn,
) -> Drawn {
    let mut svg = String::new();
    {
        let size = (WIDTH, TITLE + height * u32::try_from(panels)?);
        let page = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        page.fill(&WHITE)?;
        let page = page.titled(title, ("sans-serif", 20))?;
        for (number, area) in page.split_evenly((panels, 1)).iter().enumerate() {
            draw(number, area)?;
        }
        page.present()?;
    }
    Ok(std::fs::write(path, svg)?)
}

/// How long the first request takes, a row for each way: the middle nine tenths thick, least and most thin, the median a
/// mark; upper half in rhythm, lower half at once; the thesis' median and maximum beside it.
pub fn of_first_requests(path: &Path, all: &[Series]) -> Drawn {
    let title = "First request after the move: median, 5 to 95 %, least to most";
    page(path, title, Loss::ALL.len(), 460, |number, area| {
        let loss = Loss::ALL[number];
        let rows = Way::ALL.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .caption(loss.name(), ("sans-serif", 16))
            .margin(8)
            .margin_right(20)
            .margin_left(NAMES)
            .x_label_area_size(36)
            .build_cartesian_2d((15.0..40_000.0).log_scale(), -rows..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_label_formatter(&|value| label(*value))
            .x_desc("milliseconds; upper bar: in rhythm, lower bar: at once, red: the thesis, in rhythm")
            .label_style(("sans-serif", 13))
            .draw()?;
        let plot = chart.plotting_area();
        for (row, way) in Way::ALL.into_iter().enumerate() {
            let middle = -(row as f64) - 0.5;
            let name = Text::new(way.to_string(), (-NAMES + 12, -7), ("sans-serif", 13));
            plot.draw(&(EmptyElement::at((15.0, middle)) + name))?;
            for (pace, offset, colour) in [(Pace::Steady, 0.2, COLOURS[1]), (Pace::Hasty, -0.2, COLOURS[4])] {
                let Some(series) = all.iter().find(|s| (s.way, s.loss, s.pace) == (way, loss, pace)) else {
                    continue;
                };
                let mut sorted = series.times();
                sorted.sort_unstable();
                let at = |percent| percentile(&sorted, percent).unwrap_or(15.0);
                let y = middle + offset;
                let line =
                    |from, to, width| PathElement::new([(from, y), (to, y)], colour.stroke_width(width));
                plot.draw(&line(at(0.0), at(100.0), 1))?;
                plot.draw(&line(at(5.0), at(95.0), 5))?;
                plot.draw(&Circle::new((at(50.0), y), 3, colour.filled()))?;
            }
            if let Some(thesis) = reference::first_request(way, loss) {
                let line = [(thesis.median, middle), (thesis.max, middle)];
                plot.draw(&PathElement::new(line, THESIS.mix(0.6)))?;
                plot.draw(&Circle::new((thesis.median, middle), 3, THESIS.stroke_width(1)))?;
            }
        }
        Ok(())
    })
}

/// How long a server prepares, over the number of its clients.
pub fn of_readiness(path: &Path, points: &[Point]) -> Drawn {
    page(
        path,
        "Notice to ready (lines that coincide hide each other)",
        ROUND_TRIPS.len(),
        280,
        |number, area| {
            let rtt = ROUND_TRIPS[number];
            let most = points.iter().map(|point| point.clients).max().unwrap_or(1).max(100) as f64;
            let mut chart = ChartBuilder::on(area)
                .caption(format!("{rtt:?} round trip"), ("sans-serif", 16))
                .margin(8)
                .margin_right(20)
                .x_label_area_size(36)
                .y_label_area_size(56)
                .build_cartesian_2d((0.9..most * 1.1).log_scale(), -3.0..millis(rtt) * 2.0 + 40.0)?;
            mesh(&mut chart, "clients", "milliseconds")?;
            for (play, colour) in PLAYS.into_iter().zip(&COLOURS[1..]) {
                let mine = points.iter().filter(|point| point.play == play && point.rtt == rtt);
                let line: Vec<_> =
                    mine.filter_map(|point| Some((point.clients as f64, millis(point.took?)))).collect();
                let dots = line.iter().map(|at| Circle::new(*at, 3, colour.filled()));
                chart.draw_series(dots)?;
                let colour = *colour;
                chart
                    .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
                    .label(strategy(play))
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
                let thesis = points.iter().filter(|point| point.play == play && point.rtt == rtt);
                let thesis: Vec<_> = thesis
                    .filter_map(|point| {
                        Some((point.clients as f64, reference::readiness(play, rtt, point.clients)?))
                    })
                    .collect();
                if !thesis.is_empty() {
                    chart
                        .draw_series(LineSeries::new(thesis, THESIS.stroke_width(1)))?
                        .label(format!("{}, the thesis", strategy(play)))
                        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], THESIS.stroke_width(1)));
                }
            }
            legend(&mut chart, SeriesLabelPosition::UpperRight)
        },
    )
}

/// A download through a move, megabits a second.
pub fn of_goodput(path: &Path, courses: &[Course]) -> Drawn {
    page(
        path,
        "A download through a move: what arrives in order, over 100 ms",
        Loss::ALL.len(),
        360,
        |number, area| {
            let loss = Loss::ALL[number];
            let mine = || courses.iter().filter(move |course| course.loss == loss);
            let most = mine().flat_map(|course| course.rates(5)).map(|(_, rate)| rate).fold(1.0, f64::max);
            let mut chart = ChartBuilder::on(area)
                .caption(loss.name(), ("sans-serif", 16))
                .margin(8)
                .margin_right(20)
                .x_label_area_size(36)
                .y_label_area_size(56)
                .build_cartesian_2d(0.0..END.as_secs_f64(), 0.0..most * 1.05)?;
            mesh(&mut chart, "seconds", "Mbit/s")?;
            for (course, colour) in mine().zip(COLOURS) {
                let line = course.rates(5).step_by(2).map(|(at, rate)| (at.as_secs_f64(), rate));
                chart
                    .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
                    .label(course.way.to_string())
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            }
            for (time, what) in [(NOTICE, "notice"), (LEAVES, "leaves"), (LEAVES + COLD, "is back")] {
                let at = Duration::as_secs_f64(&time);
                let plot = chart.plotting_area();
                plot.draw(&PathElement::new([(at, 0.0), (at, most)], BLACK.mix(0.4)))?;
                plot.draw(&Text::new(what, (at + 0.03, most * 1.03), ("sans-serif", 12)))?;
            }
            legend(&mut chart, SeriesLabelPosition::UpperLeft)
        },
    )
}

/// How many of very many requests take longer than so long.
pub fn of_recovery(path: &Path, tallies: &[Tally]) -> Drawn {
    page(path, "First request after the move, 1.5 % loss, all seeds", 1, 420, |_, area| {
        let runs = tallies.iter().map(|tally| tally.runs.len()).max().unwrap_or(1).max(10) as f64;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(20)
            .x_label_area_size(36)
            .y_label_area_size(64)
            .build_cartesian_2d((15.0..10_000.0).log_scale(), (0.8 / runs..1.0).log_scale())?;
        mesh(&mut chart, "milliseconds", "part of the requests that take longer")?;
        let colours = COLOURS.into_iter().cycle();
        for (tally, colour) in tallies.iter().zip(colours) {
            let dashed = tally.way.is_unheard();
            let width = if dashed { 1 } else { 2 };
            chart
                .draw_series(LineSeries::new(tail(&tally.sorted()), colour.stroke_width(width)))?
                .label(tally.way.to_string())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width)));
        }
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}

/// For how many it takes longer, at points that lie as close as a picture shows.
fn tail(sorted: &[Duration]) -> Vec<(f64, f64)> {
    let count = sorted.len() as f64;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (number, time) in sorted.iter().enumerate() {
        let point = (millis(*time), (count - number as f64) / count);
        let far = |last: &(f64, f64)| (point.0 / last.0).ln().abs() > 0.01 || (last.1 / point.1).ln() > 0.05;
        if points.last().is_none_or(far) {
            points.push(point);
        }
    }
    points
}

fn mesh<'a, X, Y>(chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>, x: &str, y: &str) -> Drawn
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .x_desc(x)
        .y_desc(y)
        .x_label_formatter(&|value| label(*value))
        .y_label_formatter(&|value| label(*value))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 13))
        .draw()?;
    Ok(())
}

/// A number on an axis: no more digits than it has.
fn label(value: f64) -> String {
    let digits = format!("{value:.4}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn legend<'a, X, Y>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    position: SeriesLabelPosition,
) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 12))
        .draw()?;
    Ok(())
}
