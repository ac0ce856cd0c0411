//! The curve of growth as a picture: both axes logarithmic, each figure as a multiple of what it is with the fewest
//! services, beside the line that linear growth would be.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::{FIGURES, Size};

const COLOURS: [&str; FIGURES.len()] = ["#1b6ca8", "#c1440e", "#2e8b57", "#8b5fbf", "#b8860b", "#555555"];
const PLOT: (f64, f64) = (520.0, 320.0);
const LEFT: f64 = 50.0;
const TOP: f64 = 20.0;

/// Writes it to docs/images/growth.svg.
pub(super) fn draw(sizes: &[Size]) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images/growth.svg");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, svg(sizes)).with_context(|| format!("cannot write {}", path.display()))
}

fn svg(sizes: &[Size]) -> String {
    let most = |size: &Size| size.services as f64 / sizes[0].services as f64;
    let decades = sizes.iter().map(most).fold(1.0, f64::max).log10();
    let place = |services: f64, multiple: f64| {
        (
            LEFT + services.log10() / decades * PLOT.0,
            TOP + PLOT.1 - multiple.max(1.0).log10() / decades * PLOT.1,
        )
    };
    let mut text = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 380\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"720\" height=\"380\" fill=\"white\"/>\n",
    );
    let mut line = |points: &[(f64, f64)], colour: &str, more: &str| {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{more}/>",
            points.join(" ")
        );
    };
    let last = sizes.iter().map(most).fold(1.0, f64::max);
    line(&[place(1.0, 1.0), place(last, last)], "#aaaaaa", " stroke-dasharray=\"5 5\"");
    line(&[(LEFT, TOP), (LEFT, TOP + PLOT.1), (LEFT + PLOT.0, TOP + PLOT.1)], "black", "");
    for (at, colour) in COLOURS.iter().enumerate() {
        let multiple = |size: &Size| size.figures[at] / sizes[0].figures[at];
        let points: Vec<_> = sizes.iter().map(|size| place(most(size), multiple(size))).collect();
        line(&points, colour, "");
    }
    let mut word = |x: f64, y: f64, colour: &str, words: &str| {
        let _ = writeln!(text, "<text x=\"{x:.0}\" y=\"{y:.0}\" fill=\"{colour}\">{words}</text>");
    };
    for size in sizes {
        let (x, y) = place(most(size), 1.0);
        word(x - 10.0, y + 18.0, "black", &size.services.to_string());
        word(8.0, place(1.0, most(size)).1 + 4.0, "black", &format!("× {}", most(size)));
    }
    for (at, (name, colour)) in FIGURES.iter().zip(COLOURS).enumerate() {
        word(LEFT + PLOT.0 + 20.0, TOP + 40.0 + 20.0 * at as f64, colour, &name.replace('`', ""));
    }
    word(LEFT + PLOT.0 + 20.0, TOP + 20.0, "#777777", "dashed: linear");
    text.push_str("</svg>\n");
    text
}
