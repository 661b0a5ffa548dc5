//! A bar for each library, as long as its packet costs, cut into the parts of the work.

use std::path::Path;

use plotters::prelude::*;

use super::part::Part;
use super::profile::Profile;

const WIDTH: i32 = 960;
const TOP: i32 = 84;
const BAR: i32 = 46;
const STEP: i32 = 74;
const LEFT: i32 = 130;
const RIGHT: i32 = 90;

fn colour(part: Part) -> RGBColor {
    match part {
        Part::Cryptography => RGBColor(0x1b, 0x6c, 0xa8),
        Part::Copies => RGBColor(0x00, 0x95, 0x9e),
        Part::Sending => RGBColor(0xd9, 0x5f, 0x02),
        Part::Receiving => RGBColor(0x2a, 0x9d, 0x4e),
        Part::Allocation => RGBColor(0xc0, 0x1f, 0x2e),
        Part::Rest => RGBColor(0x99, 0x99, 0x99),
    }
}

/// Draws the bars into an SVG file.
///
/// # Errors
///
/// The file cannot be written.
pub fn draw(path: &Path, profiles: &[Profile]) -> Result<(), Box<dyn std::error::Error>> {
    let height = TOP + STEP * i32::try_from(profiles.len())?;
    let mut svg = String::new();
    {
        let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
        let page = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        page.fill(&WHITE)?;
        let title = "Where the nanoseconds of a packet go, both ends together";
        page.draw(&Text::new(title, (16, 14), ("sans-serif", 20)))?;
        draw_legend(&page)?;
        let longest = profiles.iter().map(|profile| profile.nanoseconds).fold(1.0, f64::max);
        let scale = f64::from(WIDTH - LEFT - RIGHT) / longest;
        for (profile, top) in profiles.iter().zip((TOP..).step_by(STEP.unsigned_abs() as usize)) {
            draw_bar(&page, profile, top, scale)?;
        }
        page.present()?;
    }
    Ok(std::fs::write(path, svg)?)
}

type Page<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_legend(page: &Page<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let mut x = 16;
    for part in Part::ALL {
        page.draw(&Rectangle::new([(x, 50), (x + 14, 64)], colour(part).filled()))?;
        page.draw(&Text::new(part.name(), (x + 20, 49), ("sans-serif", 14)))?;
        x += 44 + 7 * i32::try_from(part.name().len())?;
    }
    Ok(())
}

fn draw_bar(
    page: &Page<'_>,
    profile: &Profile,
    top: i32,
    scale: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    page.draw(&Text::new(profile.name.clone(), (16, top + BAR / 2 - 8), ("sans-serif", 16)))?;
    let mut at = 0.0;
    for (part, nanoseconds) in profile.parts() {
        let edge = |at: f64| LEFT + pixels(at * scale);
        let corners = [(edge(at), top), (edge(at + nanoseconds), top + BAR)];
        page.draw(&Rectangle::new(corners, colour(part).filled()))?;
        // A number where there is room for one.
        if nanoseconds * scale > 34.0 {
            let place = (edge(at) + 5, top + BAR / 2 - 7);
            page.draw(&Text::new(
                format!("{nanoseconds:.0}"),
                place,
                ("sans-serif", 14).into_font().color(&WHITE),
            ))?;
        }
        at += nanoseconds;
    }
    let end = (LEFT + pixels(at * scale) + 8, top + BAR / 2 - 8);
    page.draw(&Text::new(format!("{:.0} ns", profile.nanoseconds), end, ("sans-serif", 16)))?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "a picture has a thousand pixels")]
fn pixels(length: f64) -> i32 {
    length.round() as i32
}
