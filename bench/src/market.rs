//! The workload of the project itself: processor time and peak memory of `market process` on its sample, when the
//! database is new, when the rows are rewritten, and when nothing changed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::binaries::Binaries;
use crate::figures::Figures;
use crate::report::Section;
use crate::{machine, peak};

/// The day of the sample's sheets.
const TODAY: &str = "2025-11-24";
const STAGES: [&str; 3] = ["first (new database)", "rewritten (another list of symbols)", "unchanged"];

/// All three stages on a fresh database, again and again.
pub fn measure(binaries: &Binaries, rounds: usize) -> Result<Section> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/market/sample").canonicalize()?;
    let scratch = tempfile::Builder::new().prefix("soloist-bench-market-").tempdir()?;
    let folder = scratch.path();
    // One symbol less: another fingerprint, so that all rows are made and stored anew, from the same workbooks.
    let symbols = std::fs::read_to_string(sample.join("symbols.txt")).context("the sample has no symbols")?;
    let fewer = folder.join("fewer.txt");
    std::fs::write(&fewer, symbols.trim_end().rsplit_once('\n').map_or("", |(all, _)| all))?;
    let mut figures: [[Figures; 3]; 3] = Default::default();
    for round in 0..=rounds {
        let database = folder.join(format!("{round}.db"));
        let lists: [Option<&PathBuf>; 3] = [None, Some(&fewer), Some(&fewer)];
        for (stage, list) in lists.into_iter().enumerate() {
            let mut words: Vec<OsString> = vec!["process".into(), "--dir".into(), sample.clone().into()];
            words.extend(["--database".into(), database.clone().into(), "--today".into(), TODAY.into()]);
            words.extend(list.into_iter().flat_map(|list| ["--symbols".into(), list.into()]));
            let taken = peak::of(&binaries.market, &words, folder)?;
            // The first round fills caches.
            if round > 0 {
                for (figures, figure) in
                    figures[stage].iter_mut().zip([taken.cpu_ms, taken.wall_ms, taken.peak_kib])
                {
                    figures.add(figure);
                }
            }
        }
    }
    let rows = STAGES.iter().zip(&figures).map(|(stage, [cpu, wall, peak])| {
        let mut row = vec![(*stage).to_owned(), cpu.count().to_string()];
        row.extend(cpu.cells(1));
        row.push(cpu.ratio_to(&figures[0][0]));
        row.push(format!("{:.1}", wall.median()));
        row.push(format!("{:.0}", peak.median()));
        row
    });
    Ok(Section {
        name: "market",
        words: vec![
            machine::line(binaries, &[], folder),
            format!(
                "`market process --today {TODAY}` on apps/market/sample: user and system time, wall time, and the \
                 largest resident set (KiB)."
            ),
        ],
        head: vec!["run", "runs", "CPU ms", "min", "max", "to first", "wall ms", "peak KiB"],
        rows: rows.collect(),
    })
}
