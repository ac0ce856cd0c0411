//! The report: a section a measurement, printed and kept in `results.md`. A section that was not measured anew stays as
//! it was, with its own date.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

const HEAD: &str = "# Results\n\n\
    Written by `cargo xtask bench`; a section alone by its name. Figures are median, min and max of \
    runs that were interleaved; a ratio is of the medians, in brackets of the minima, which other load disturbs least. \
    Compare figures of one section only.\n";
/// The order of the sections.
const ORDER: [&str; 17] = [
    "run",
    "restart",
    "handover",
    "scale",
    "growth",
    "status",
    "memory",
    "lateness",
    "waiting",
    "who",
    "logs",
    "tree",
    "death",
    "twice",
    "singleton",
    "market",
    "market-api",
];

/// One measurement.
#[derive(Debug)]
pub struct Section {
    /// `run`, `restart`, …
    pub name: &'static str,
    /// Where and when it was measured, and what it means.
    pub words: Vec<String>,
    /// The table's head.
    pub head: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n", self.name)?;
        self.words.iter().try_for_each(|words| writeln!(f, "{words}\n"))?;
        let all =
            || std::iter::once(self.head.iter().map(ToString::to_string).collect()).chain(self.rows.clone());
        let widths: Vec<usize> = (0..self.head.len())
            .map(|at| {
                all().filter_map(|row: Vec<String>| row.get(at).map(|c| c.chars().count())).max().unwrap_or(0)
            })
            .collect();
        let line = |f: &mut fmt::Formatter<'_>, row: &[String]| {
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Names to the left, figures to the right.
                if at == 0 { write!(f, "| {cell:<width$} ")? } else { write!(f, "| {cell:>width$} ")? }
            }
            writeln!(f, "|")
        };
        let mut rows = all();
        line(f, &rows.next().unwrap_or_default())?;
        for (at, width) in widths.iter().enumerate() {
            let (rule, end) = if at == 0 { ("-".repeat(*width), "-") } else { ("-".repeat(*width), ":") };
            write!(f, "|-{rule}{end}")?;
        }
        writeln!(f, "|")?;
        rows.try_for_each(|row| line(f, &row))
    }
}

/// Keeps sections in `results.md` beside this crate's manifest.
pub fn keep(sections: &[Section]) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results.md");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for text in before.split("\n## ").skip(1) {
        let name = text.lines().next().unwrap_or_default().to_owned();
        texts.insert(name, format!("## {}\n", text.trim_end()));
    }
    for section in sections {
        texts.insert(section.name.to_owned(), section.to_string());
    }
    let mut text = HEAD.to_owned();
    for name in ORDER {
        if let Some(section) = texts.get(name) {
            text.push('\n');
            text.push_str(section);
        }
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("kept in {}", path.display());
    Ok(())
}
