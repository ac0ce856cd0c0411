//! Producers of every habit beside a processor that runs again and again and twenty readers: whoever looks sees one of the
//! producer's versions, whole, never an older one than before, and in the end the newest.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::stage::{Fields, Stage, TODAY, table, workbook};
use crate::ticks::Worker;

const STOCKS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(60);
/// Room at the end of each workbook, so that all versions have one size.
const SIZE: usize = 6_000;

/// Both workbooks of a version: its number is in every cell that holds open interest.
pub fn version(number: usize) -> [(&'static str, Vec<u8>); 2] {
    let oi = (1_000 + number).to_string();
    let names: Vec<String> = (0..STOCKS).map(|at| format!("S{at}")).collect();
    let heading: &[&str] = &[
        "Stock",
        "Category",
        "Strike",
        "Prev_OI",
        "Latest_OI",
        "Call_OI_Difference",
        "Put_OI_Difference",
        "LTP",
        "Additional_Strike",
    ];
    let (mut historical, mut live) = (vec![heading.to_vec()], Vec::new());
    let headings = names.iter().map(|name| format!("OPT_{name}")).collect::<Vec<_>>();
    for (name, block) in names.iter().zip(&headings) {
        for strike in ["90", "100"] {
            historical.push(vec![name, "Call Resistance", strike, &oi, &oi, "0", "", "95", ""]);
        }
        live.push(vec![block.as_str()]);
        live.push(vec!["Call Resistance"]);
        live.extend(["90", "100"].map(|strike| vec!["Resistance1", &oi, strike]));
    }
    [("Historical.xlsx", historical), ("Live.xlsx", live)].map(|(name, rows)| {
        let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
        let mut bytes = workbook(&[(TODAY, &table(&rows))]);
        // The comment at the end of a zip: its length, then itself.
        let room = SIZE.checked_sub(bytes.len()).expect("a workbook that fits");
        let at = bytes.len() - 2;
        bytes[at..].copy_from_slice(&u16::try_from(room).expect("a short comment").to_le_bytes());
        bytes.resize(SIZE, b' ');
        (name, bytes)
    })
}

/// The version that all these cells tell.
fn one<'a>(cells: impl Iterator<Item = &'a str>) -> usize {
    let mut cells: Vec<&str> = cells.collect();
    cells.dedup();
    assert_eq!(cells.len(), 1, "torn: {cells:?}");
    cells[0].replace(',', "").parse::<usize>().expect("a number") - 1_000
}

/// The versions of both tables, from all of their rows.
pub fn of_rows((historical, live): &(Vec<Fields>, Vec<Fields>)) -> [usize; 2] {
    assert_eq!((historical.len(), live.len()), (2 * STOCKS, 2 * STOCKS), "not whole");
    let numbers = historical.iter().flat_map(|row| [&*row[3], &row[4]]);
    let versions = [one(numbers), one(live.iter().map(|row| &*row[3]))];
    let difference = (versions[1] as i64 - versions[0] as i64).to_string();
    assert!(
        live.iter().all(|row| row[5] == difference),
        "live was measured against another version: {live:?}"
    );
    versions
}

/// The same from what the server tells of one stock.
pub fn of_answer((status, answer): &(u16, Value)) -> [usize; 2] {
    assert_eq!(*status, 200, "{answer}");
    let rows =
        |table: &str| answer[table].as_array().filter(|rows| rows.len() == 2).expect("two rows").iter();
    let text = |row: &'_ Value| row["Prev_OI"].as_str().expect("a text").to_owned();
    [rows("historical"), rows("live")].map(|rows| {
        let cells: Vec<String> = rows.map(text).collect();
        one(cells.iter().map(String::as_str))
    })
}

/// How a producer writes a file.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Rename,
    InPlace,
    DeleteCreate,
    /// Piece by piece, a cycle between them.
    Slowly,
    /// In place, and the time of the last change set back.
    SameTime,
    /// Renamed, and some cycles between the two files.
    Skewed,
}

fn write(stage: &Stage, habit: Habit, name: &str, bytes: &[u8], after_a_cycle: &dyn Fn()) {
    let path = stage.dir().join(name);
    match habit {
        Habit::Rename => stage.put(name, bytes),
        Habit::InPlace => std::fs::write(path, bytes).expect("a file written"),
        Habit::DeleteCreate => {
            std::fs::remove_file(&path).expect("a file removed");
            after_a_cycle();
            std::fs::write(path, bytes).expect("a file written");
        }
        Habit::Slowly => {
            let mut file = File::create(path).expect("a file");
            for piece in bytes.chunks(SIZE / 3) {
                file.write_all(piece).expect("a piece written");
                after_a_cycle();
            }
        }
        Habit::SameTime => {
            let mut file = File::options().write(true).open(path).expect("the file");
            let time = file.metadata().and_then(|metadata| metadata.modified()).expect("its time");
            let (first, rest) = bytes.split_at(SIZE / 2);
            file.write_all(first).expect("a half written");
            file.set_modified(time).expect("its time set back");
            after_a_cycle();
            file.write_all(rest).expect("the rest written");
            file.set_modified(time).expect("its time set back");
        }
        Habit::Skewed => {
            after_a_cycle();
            after_a_cycle();
            stage.put(name, bytes);
        }
    }
}

/// Ends the others when one of them fails.
pub struct Bell<'a>(pub &'a AtomicBool);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// `cycle` runs one cycle, well or not, and is called again and again.
fn nobody_sees_anything_torn(stage: &Stage, mut cycle: impl FnMut() + Send) {
    for (name, bytes) in version(0) {
        stage.put(name, &bytes);
    }
    stage.process_well();
    let server = stage.serve();
    let (is_over, cycles) = (&AtomicBool::new(false), &AtomicUsize::new(0));
    let read = |look: &dyn Fn(usize) -> [usize; 2]| {
        let (_bell, mut last, mut looks) = (Bell(is_over), [0; 2], 0);
        while !is_over.load(Ordering::SeqCst) {
            let [historical, live] = look(looks);
            // The producer writes Historical first, so Live may be one behind.
            assert!(historical == live || historical == live + 1, "{historical} beside {live}");
            assert!(historical >= last[0] && live >= last[1], "{historical} and {live} after {last:?}");
            (last, looks) = ([historical, live], looks + 1);
            thread::sleep(Duration::from_millis(5));
        }
        assert!(looks > 0, "nobody looked");
    };
    thread::scope(|scope| {
        for reader in 0..10 {
            let (server, read) = (&server, &read);
            scope.spawn(move || read(&|_| of_rows(&stage.rows())));
            scope.spawn(move || {
                read(&|look| {
                    of_answer(&server.json(&format!("/api/v1/stocks/S{}", (look + reader) % STOCKS)))
                })
            });
        }
        scope.spawn(|| {
            let _bell = Bell(is_over);
            while !is_over.load(Ordering::SeqCst) {
                cycle();
                cycles.fetch_add(1, Ordering::SeqCst);
            }
        });
        let _bell = Bell(is_over);
        let is_in_time = |what: &str, is_so: &dyn Fn() -> bool| {
            let since = Instant::now();
            while !is_so() && !is_over.load(Ordering::SeqCst) {
                assert!(since.elapsed() < PATIENCE, "waited in vain for {what}");
                thread::sleep(Duration::from_millis(1));
            }
        };
        let after_a_cycle = || {
            let before = cycles.load(Ordering::SeqCst);
            is_in_time("a cycle", &|| cycles.load(Ordering::SeqCst) > before);
        };
        let habits = [
            Habit::Rename,
            Habit::InPlace,
            Habit::DeleteCreate,
            Habit::Slowly,
            Habit::SameTime,
            Habit::Skewed,
        ];
        let mut newest = 0;
        for habit in habits {
            for _ in 0..3 {
                newest += 1;
                for (name, bytes) in version(newest) {
                    write(stage, habit, name, &bytes, &after_a_cycle);
                }
            }
            is_in_time(&format!("version {newest} after {habit:?}"), &|| {
                of_rows(&stage.rows()) == [newest; 2]
            });
        }
        let path = format!("/api/v1/stocks/S{}", STOCKS - 1);
        is_in_time("the newest version to be served", &|| of_answer(&server.json(&path)) == [newest; 2]);
    });
}

#[test]
fn no_habit_of_a_producer_lets_anybody_see_a_torn_snapshot() {
    let stage = Stage::empty();
    nobody_sees_anything_torn(&stage, || _ = stage.process());
}

#[test]
fn no_habit_of_a_producer_misleads_a_worker_that_is_ticked() {
    let stage = Stage::empty();
    let mut worker = Worker::start(&stage, |_| {});
    nobody_sees_anything_torn(&stage, || _ = worker.tick());
}
