//! Readers beside writers: whoever looks sees the rows of one cycle, whole.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::stage::Stage;

const CYCLES: usize = 12;
const DAYS: [&str; 2] = ["2025-11-24", "2025-11-21"];

/// Two writers change the stored day in turns while one reader looks into the tables and one asks the server.
#[test]
fn no_reader_ever_sees_a_torn_empty_or_doubled_snapshot() {
    let stage = Stage::with_sample();
    let server = stage.serve();
    let path = "/api/v1/stocks/ABB";
    let asked = |answer: &Value| (answer["historical"].clone(), answer["live"].clone());
    let whole: Vec<_> = (1..)
        .zip(DAYS)
        .map(|(revision, day)| {
            assert!(stage.process_as_of(day).status.success());
            let answer = server.wait_for(path, |(_, answer)| answer["revision"] == revision);
            (stage.rows(), asked(&answer))
        })
        .collect();
    assert!(whole[0] != whole[1], "the two days must differ");

    let done = AtomicUsize::new(0);
    let is_over = || done.load(Ordering::SeqCst) == 2;
    thread::scope(|scope| {
        for first in 0..2 {
            let (stage, done) = (&stage, &done);
            scope.spawn(move || {
                for cycle in first..first + CYCLES {
                    let output = stage.process_as_of(DAYS[cycle % 2]);
                    if !output.status.success() {
                        done.store(2, Ordering::SeqCst);
                        panic!("{output:?}");
                    }
                }
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        let asking = scope.spawn(|| {
            let mut looks = 0;
            while !is_over() {
                let (status, answer) = server.json(path);
                assert_eq!(status, 200, "{answer}");
                assert!(whole.iter().any(|(_, right)| *right == asked(&answer)), "{answer}");
                looks += 1;
            }
            looks
        });
        let mut looks = 0;
        while !is_over() {
            let rows = stage.rows();
            let counts = (rows.0.len(), rows.1.len());
            assert!(
                whole.iter().any(|(right, _)| *right == rows),
                "a snapshot of {counts:?} rows is of no cycle"
            );
            looks += 1;
        }
        let asked = asking.join().expect("the asking reader is well");
        assert!(looks > 0 && asked > 0, "nobody looked");
    });
    assert!(whole.iter().any(|(right, _)| *right == stage.rows()));
}

/// All begin together on a folder without a database: one makes it, all succeed, the rows are there once.
#[test]
fn first_runs_at_once_store_the_rows_once() {
    let stage = Stage::with("tests/oddities");
    thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| stage.process())).collect();
        for run in runs {
            let output = run.join().expect("a run");
            assert!(output.status.success(), "{output:?}");
        }
    });
    assert!(stage.rows() == crate::stage::expected("oddities"));
}
