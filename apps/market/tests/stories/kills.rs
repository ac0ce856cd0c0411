//! SIGKILL at any moment, five hundred times, while a server serves: what is stored is one version, whole, each time, and
//! no reader ever hears of it. `MARKET_SEED` repeats the moments as far as the machine lets them be repeated.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::producers::{of_answer, of_rows, version};
use crate::stage::{Random, Stage, TODAY, query};
use crate::ticks::Worker;

const KILLS: usize = 500;

#[test]
fn five_hundred_kills_leave_one_whole_version_each_time() {
    let stage = Stage::empty();
    let versions: Vec<_> = (0..4).map(version).collect();
    let put = |number: usize| versions[number].iter().for_each(|(name, bytes)| stage.put(name, bytes));
    put(0);
    stage.process_well();
    put(1);
    let began = Instant::now();
    stage.process_well();
    // Some live to their end.
    let whole_run = began.elapsed().mul_f64(1.2).as_micros() as usize;
    let server = stage.serve();
    let mut random = Random::new();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let [historical, live] = of_answer(&server.json("/api/v1/stocks/S3"));
                assert_eq!(historical, live);
                thread::yield_now();
            }
        });
        let (mut stored, mut finished) = (1, 0);
        for kill in 0..KILLS {
            let next = (stored + 1 + random.below(3)) % 4;
            put(next);
            let moment = Duration::from_micros(random.below(whole_run) as u64);
            // One in four is a worker in its turn.
            let mut ticked = (kill % 4 == 0).then(|| Worker::start(&stage, |_| {}));
            ticked.iter_mut().for_each(|worker| worker.write("{\"run\":\"1\"}"));
            let once = ticked.is_none().then(|| {
                let mut command = stage.command(&["--today", TODAY]);
                command.stdout(Stdio::null()).spawn().expect("the program runs")
            });
            thread::sleep(moment);
            drop(ticked);
            if let Some(mut child) = once {
                child.kill().expect("the run is ended");
                child.wait().expect("the run is waited for");
            }
            let versions = of_rows(&stage.rows());
            assert!(versions == [stored; 2] || versions == [next; 2], "seed {}, kill {kill}", random.seed);
            finished += usize::from(versions == [next; 2]);
            stored = versions[0];
            assert!(!reader.is_finished(), "seed {}, kill {kill}", random.seed);
        }
        is_over.store(true, Ordering::SeqCst);
        // Else the moments were all before or all after the commit.
        assert!((1..KILLS).contains(&finished), "{finished} of {KILLS} were stored");
    });
    let connection = stage.connection();
    assert_eq!(query(&connection, "PRAGMA integrity_check"), [["ok"]]);
    let count = "SELECT CAST(row_count AS TEXT) FROM snapshot_source WHERE row_count = \
                 (SELECT count(*) FROM historical_data) + (SELECT count(*) FROM live_data)";
    assert_eq!(query(&connection, count).len(), 1);
}
