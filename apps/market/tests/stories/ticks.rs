//! The processor as a worker that is ticked: it answers each tick, reads only what has changed, and misses no change.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::stage::{Stage, TODAY, query, table, wait_until, workbook};

const PATIENCE: Duration = Duration::from_secs(20);
/// No workbook of these stories is smaller, and no tick is longer.
const FEW: u64 = 1_000;

/// A running worker; it ends with the story.
pub struct Worker {
    child: Child,
    heard: UnixDatagram,
    ticks: u32,
}

impl Worker {
    pub fn start(stage: &Stage, with: impl FnOnce(&mut Command)) -> Self {
        let socket = stage.dir().join("notify");
        let _ = std::fs::remove_file(&socket);
        let heard = UnixDatagram::bind(&socket).expect("a socket");
        heard.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut command = stage.command(&["--ticked", "--today", TODAY]);
        command
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        with(&mut command);
        let child = command.spawn().expect("the worker starts");
        let worker = Self { child, heard, ticks: 0 };
        assert_eq!(worker.hear(), "READY=1");
        worker
    }

    fn hear(&self) -> String {
        let mut message = [0; 4096];
        let length = self.heard.recv(&mut message).expect("a message in time");
        String::from_utf8(message[..length].to_vec()).expect("text")
    }

    pub fn write(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, "{line}").expect("a line written");
    }

    /// Gives it a tick and returns its answer: whether it went well, and the summary.
    pub fn tick(&mut self) -> (bool, String) {
        self.ticks += 1;
        let run = format!("run{}", self.ticks);
        self.write(&format!("{{\"run\":\"{run}\",\"scheduled_at\":\"2025-11-24T03:45:06.000Z\"}}"));
        loop {
            let message = self.hear();
            let Some(answer) = message.strip_prefix("X_SOLOIST_RUN=") else { continue };
            let (id, rest) = answer.split_once("\nX_SOLOIST_RESULT=").expect("a result");
            let (result, summary) = rest.split_once("\nX_SOLOIST_SUMMARY=").expect("a summary");
            assert_eq!(id, run);
            return (result == "ok", summary.to_owned());
        }
    }

    fn tick_well(&mut self) -> String {
        let (is_ok, summary) = self.tick();
        assert!(is_ok, "{summary}");
        summary
    }

    /// How many bytes it has read so far (proc_pid_io(5)).
    fn bytes_read(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).expect("its counts");
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a count").parse().expect("a number")
    }

    /// Ticks until a tick reads nothing: the files are old enough to be known by their looks.
    fn settle(&mut self) {
        wait_until("a tick reads nothing", || {
            let before = self.bytes_read();
            self.tick_well();
            let read = self.bytes_read() - before;
            if read < FEW { Ok(()) } else { Err(format!("{read} bytes read")) }
        });
    }

    fn end(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        wait_until("it ends with its input", || {
            self.child.try_wait().expect("its state").ok_or("it runs".to_owned())
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The open interest of the first live row.
fn stored(stage: &Stage) -> String {
    stage.rows().1[0][3].clone()
}

/// A pair of small workbooks, whose live open interest is `oi`.
fn live(oi: u32) -> Vec<u8> {
    let oi = oi.to_string();
    let rows = table(&[&["OPT_ABB"], &["Call Support", "OI", "Strike"], &["Support1", &oi, "50"]]);
    workbook(&[(TODAY, &rows)])
}

#[test]
fn each_tick_is_answered_and_only_what_has_changed_is_read() {
    let stage = Stage::with_sample();
    let mut worker = Worker::start(&stage, |_| {});
    let summary = worker.tick_well();
    assert!(summary.starts_with("processed 105/204 stocks in "), "{summary}");
    let summary = worker.tick_well();
    assert!(summary.ends_with(", workbooks unchanged"), "{summary}");
    worker.settle();
    assert!(worker.tick_well().ends_with(", workbooks unchanged"));
    let run = query(&stage.connection(), "SELECT run_id FROM processing_metadata WHERE id = 1");
    assert_eq!(run, [["run1"]]);

    // Historical, fifteen times as large, is kept as it was read.
    let before = worker.bytes_read();
    stage.put("Live.xlsx", &live(7));
    assert!(worker.tick_well().starts_with("processed "));
    assert!(worker.bytes_read() - before < 200_000, "{} bytes read", worker.bytes_read() - before);
    assert_eq!(stored(&stage), "7");
    assert_eq!(stage.rows().0.len(), 727);

    stage.put("symbols.txt", b"ABB\n");
    assert!(worker.tick_well().starts_with("processed 1/1 stocks"));
    assert!(stage.rows().0.iter().all(|row| row[0] == "ABB"));

    let historical = stage.get("Historical.xlsx");
    stage.remove("Historical.xlsx");
    for _ in 0..2 {
        let (is_ok, why) = worker.tick();
        assert!(!is_ok && why.contains("Historical.xlsx: there is no such file"), "{why}");
    }
    stage.put("Historical.xlsx", &historical);
    worker.tick_well();
    // A refusal that lasts is told once.
    let statuses: Vec<_> = stage.runs().into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses[statuses.len() - 3..], ["success", "error", "success"]);
    assert!(worker.end().success());
}

#[test]
fn a_rewrite_in_place_that_keeps_size_and_time_is_seen() {
    let stage = Stage::with_sample();
    stage.put("symbols.txt", b"ABB\n");
    let first = live(11);
    let (oi, second) = (12..1_000)
        .map(|oi| (oi, live(oi)))
        .find(|(_, bytes)| bytes.len() == first.len())
        .expect("another workbook of the same size");
    stage.put("Live.xlsx", &first);
    let mut worker = Worker::start(&stage, |_| {});
    worker.tick_well();
    let rewrite = |bytes: &[u8]| {
        let mut file = File::options().write(true).open(stage.dir().join("Live.xlsx")).expect("the file");
        let time = file.metadata().and_then(|metadata| metadata.modified()).expect("its time");
        file.write_all(bytes).expect("the file written");
        file.set_modified(time).expect("its time set back");
    };
    // At once, while the clock of the file system may stand still, and when the look alone is trusted.
    rewrite(&second);
    worker.tick_well();
    assert_eq!(stored(&stage), oi.to_string());
    worker.settle();
    rewrite(&first);
    worker.tick_well();
    assert_eq!(stored(&stage), "11");

    worker.settle();
    rewrite(&second);
    stage.process_well();
    assert_eq!(stored(&stage), oi.to_string());
}

#[test]
fn a_tick_finds_rows_that_somebody_else_took_away() {
    let stage = Stage::with("tests/oddities");
    let mut worker = Worker::start(&stage, |_| {});
    worker.tick_well();
    worker.settle();
    let right = stage.rows();
    let connection = rusqlite::Connection::open(stage.database()).expect("the database opens");
    connection.execute_batch("DELETE FROM live_data; DELETE FROM snapshot_source;").expect("rows taken away");
    drop(connection);
    worker.tick_well();
    assert!(stage.rows() == right);

    for end in ["", "-wal", "-shm"] {
        let mut path = stage.database().into_os_string();
        path.push(end);
        let _ = std::fs::remove_file(path);
    }
    worker.tick_well();
    assert!(stage.rows() == right);
}

#[test]
fn a_line_that_is_no_tick_is_passed_over() {
    let stage = Stage::with("tests/oddities");
    let mut worker = Worker::start(&stage, |_| {});
    for line in ["", "{}", "tick", "[1]", "{\"run\":7}"] {
        worker.write(line);
    }
    worker.tick_well();
    assert!(worker.end().success());
}

#[test]
fn a_worker_that_was_put_aside_changes_nothing() {
    let stage = Stage::with("tests/oddities");
    let mut old = Worker::start(&stage, |command| _ = command.env("SOLOIST_TOKEN", "6"));
    old.tick_well();
    let mut new = stage.command(&["--today", TODAY]);
    assert!(new.env("SOLOIST_TOKEN", "7").status().expect("the program runs").success());
    stage.put("symbols.txt", b"TCS\n");
    let good = stage.rows();
    let (is_ok, why) = old.tick();
    assert!(!is_ok && why.contains("put aside") && why.contains('7'), "{why}");
    assert!(stage.rows() == good);
}

#[test]
fn a_signal_ends_a_worker_between_ticks() {
    let stage = Stage::with("tests/oddities");
    let mut worker = Worker::start(&stage, |_| {});
    worker.tick_well();
    let pid = worker.child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().expect("kill runs").success());
    let status = worker.child.wait().expect("its end");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
}
