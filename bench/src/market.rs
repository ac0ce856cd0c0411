//! The workload of the project itself: processor time and peak memory of one cycle of `market process`, beside Python's
//! readers of workbooks and beside the least that any reader must do; for the sample, and for twenty thousand stocks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binaries::{Binaries, all, first_line};
use crate::figures::Figures;
use crate::report::Section;
use crate::{machine, peak};

pub mod books;
pub mod load;
mod ticked;

use ticked::Worker;

/// The day of the sample's sheets.
const TODAY: &str = "2025-11-24";
const STOCKS: usize = 20_000;
/// So many rounds of twenty thousand for each of the sample.
const FEWER_ROUNDS: usize = 7;
/// Until a file's look alone is trusted.
const SETTLE: Duration = Duration::from_secs(4);

/// A program that was started and ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder of the sample.
fn sample() -> Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/market/sample").canonicalize()?)
}

/// The list of a folder with one symbol less: all rows are made and stored anew, from the same workbooks.
fn fewer(books: &Path, folder: &Path) -> Result<PathBuf> {
    let symbols = std::fs::read_to_string(books.join("symbols.txt")).context("the books have no symbols")?;
    let path = folder.join("fewer.txt");
    std::fs::write(&path, symbols.trim_end().rsplit_once('\n').map_or("", |(all, _)| all))?;
    Ok(path)
}

/// Who makes a cycle, and what it took each time.
struct Contender {
    name: String,
    program: PathBuf,
    words: Vec<OsString>,
    /// A new database for each cycle: its place among the words.
    database: Option<usize>,
    taken: [Figures; 3],
}

/// Both sets of books, all contenders in turns.
pub fn measure(binaries: &Binaries, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-market-").tempdir()?;
    let script = scratch.path().join("cycle.py");
    std::fs::write(&script, include_str!("market/cycle.py"))?;
    let many = scratch.path().join("many");
    books::make(&many, STOCKS)?;
    let mut rows = Vec::new();
    for (books, stocks, rounds) in
        [(sample()?, "204", rounds), (many, "20,000", rounds.div_ceil(FEWER_ROUNDS))]
    {
        let folder = scratch.path().join(stocks);
        std::fs::create_dir(&folder)?;
        rows.extend(of_books(binaries, &books, stocks, rounds, &folder, &script)?);
    }
    Ok(Section {
        name: "market",
        words: vec![
            machine::line(binaries, &[], scratch.path()),
            format!(
                "One cycle: both workbooks to rows in SQLite. User and system time, wall time, and the largest resident \
                 set (KiB). 204 stocks: apps/market/sample; {STOCKS}: made up in its shape. Ticked: a turn of a worker \
                 that lives on (its wall time is not taken, its peak is that of all its turns). Python reads each book \
                 once and stores the same rows. The least: the day's sheets and texts inflated, each byte looked at."
            ),
        ],
        head: vec!["cycle", "runs", "CPU ms", "min", "max", "to all anew", "wall ms", "peak KiB"],
        rows,
    })
}

fn of_books(
    binaries: &Binaries,
    books: &Path,
    stocks: &str,
    rounds: usize,
    folder: &Path,
    script: &Path,
) -> Result<Vec<Vec<String>>> {
    let fewer = fewer(books, folder)?;
    let market = |name: &str, symbols: Option<&Path>, is_new: bool| {
        let mut words: Vec<OsString> = ["process", "--today", TODAY, "--dir"].map(Into::into).to_vec();
        words.extend([books.into(), "--database".into(), folder.join("market.db").into()]);
        words.extend(symbols.into_iter().flat_map(|list| ["--symbols".into(), list.into()]));
        let database = is_new.then_some(6);
        Contender {
            name: name.to_owned(),
            program: binaries.market.clone(),
            words,
            database,
            taken: Default::default(),
        }
    };
    let mut contenders = vec![
        market("market, all anew (other list)", Some(&fewer), false),
        market("market, new database", None, true),
        // The list of the cycle above it in the same database: what the next round changes again.
        market("market, back to the whole list", None, false),
        market("market, unchanged", None, false),
    ];
    let mut other = |name: &str, program: &Path, words: Vec<OsString>, database| {
        let (name, program) = (name.to_owned(), program.to_owned());
        contenders.push(Contender { name, program, words, database, taken: Default::default() });
    };
    for (kind, name, modules) in [
        ("pandas", "pandas + openpyxl", "pandas, openpyxl"),
        ("polars", "polars + fastexcel", "polars, fastexcel"),
    ] {
        let versions = format!("import {modules}; print(', '.join(m.__version__ for m in ({modules})))");
        let found = all("python3").find_map(|at| Some((first_line(&at, &["-c", &versions])?, at)));
        match found {
            Some((versions, python)) => {
                let words = [script.as_os_str(), kind.as_ref(), books.as_os_str(), "".as_ref()];
                let words = words.map(OsString::from).to_vec();
                other(&format!("{name} ({versions})"), &python, words, Some(3));
            }
            None => eprintln!(
                "SKIPPED: no python3 has {modules} (in a venv whose bin is in SOLOIST_BENCH_PEERS: pip install {})",
                modules.replace(',', "")
            ),
        }
    }
    // Also if this bench was built anew meanwhile.
    other("the least", "/proc/self/exe".as_ref(), vec![books::LIMIT.into(), books.into()], None);
    for round in 0..=rounds {
        for (at, contender) in contenders.iter_mut().enumerate() {
            eprintln!("market, {stocks} stocks, round {round}: {}", contender.name);
            if let Some(place) = contender.database {
                contender.words[place] = folder.join(format!("{at}-{round}.db")).into();
            }
            let taken = peak::of(&contender.program, &contender.words, folder)?;
            // The first round fills caches.
            if round > 0 {
                let figures = [taken.cpu_ms, taken.wall_ms, taken.peak_kib];
                contender.taken.iter_mut().zip(figures).for_each(|(all, one)| all.add(one));
            }
        }
    }
    let [live, unchanged, peak] = turns(binaries, books, rounds, folder)?;
    let all_anew = contenders[0].taken[0].clone();
    let mut rows = Vec::new();
    let mut row = |name: &str, cpu: &Figures, rest: [String; 2]| {
        let mut row = vec![format!("{stocks}: {name}"), cpu.count().to_string()];
        row.extend(cpu.cells(2));
        row.push(cpu.ratio_to(&all_anew));
        row.extend(rest);
        rows.push(row);
    };
    for Contender { name, taken: [cpu, wall, peak], .. } in &contenders {
        row(name, cpu, [format!("{:.1}", wall.median()), format!("{:.0}", peak.median())]);
    }
    let peak = format!("{:.0}", peak.max());
    row("market ticked, Live changed", &live, ["-".to_owned(), peak.clone()]);
    row("market ticked, unchanged", &unchanged, ["-".to_owned(), peak]);
    Ok(rows)
}

/// Turns of a worker: when Live alone has changed, and when nothing has; and its peak.
fn turns(binaries: &Binaries, books: &Path, rounds: usize, folder: &Path) -> Result<[Figures; 3]> {
    let copy = folder.join("books");
    std::fs::create_dir(&copy)?;
    for name in ["symbols.txt", books::NAMES[0], books::NAMES[1]] {
        std::fs::copy(books.join(name), copy.join(name))?;
    }
    let live = copy.join(books::NAMES[1]);
    let first = std::fs::read(&live)?;
    let versions = [books::changed(&first)?, first];
    let mut worker = Worker::start(&binaries.market, &copy, TODAY, folder)?;
    let mut figures: [Figures; 3] = Default::default();
    worker.tick()?;
    std::thread::sleep(SETTLE);
    worker.tick()?;
    for round in 0..rounds {
        std::fs::write(folder.join("aside"), &versions[round % 2])?;
        std::fs::rename(folder.join("aside"), &live)?;
        figures[0].add(worker.tick()?);
    }
    std::thread::sleep(SETTLE);
    worker.tick()?;
    for _ in 0..rounds {
        figures[1].add(worker.tick()?);
    }
    figures[2].add(worker.peak_kib());
    Ok(figures)
}
