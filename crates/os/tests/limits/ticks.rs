//! Workers that live on and are ticked: lines on their standard input, answers over their notify socket.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode};
use soloist_os::guard::{Answer, Order, Report};

use crate::guarded::Guarded;

/// Notes each line that it reads, and its end.
const READER: &str = "while read -r line; do echo \"$line\" >>lines; done; echo end >>lines; sleep 300";

impl Guarded {
    fn tick(&self, tick: &str) {
        self.order(&Order::Tick { tick: tick.into(), line: format!("{{\"run\":\"{tick}\"}}") });
    }

    /// Waits for the answer to a tick.
    fn answer(&mut self, tick: &str) -> Answer {
        self.wait(&format!("{tick} is answered"), |report| match report {
            Report::Notified { notice, .. } => {
                notice.answers.iter().find(|answer| answer.tick == tick).cloned()
            }
            _ => None,
        })
    }

    /// How things stand now: the tick that is out, and the answers that come along.
    fn stand(&mut self) -> (Option<String>, Vec<Answer>) {
        self.forget_seen();
        self.order(&Order::Status);
        self.wait("it tells", |report| match report {
            Report::Status { tick, notice, .. } => Some((tick.clone(), notice.answers.clone())),
            _ => None,
        })
    }

    fn is_ticked(script: &str) -> Guarded {
        Guarded::running(script, |run| run.is_ticked = true)
    }
}

fn refused(answer: &Answer) -> &str {
    assert!(!answer.ok);
    answer.summary.as_deref().unwrap_or_default()
}

/// What a worker of the tests says to each tick: messages between `;`, in which `TICK` is its id.
const WORDS: &str = "SOLOIST_TEST_WORDS";

/// In the process that was started for it: the worker's life. It notes what it has taken and said, and says nothing
/// before it has read the file `go on`.
#[test]
fn the_worker_of_the_tests() {
    let Ok(words) = std::env::var(WORDS) else { return };
    let talk = std::os::unix::net::UnixDatagram::unbound().unwrap();
    talk.connect(std::env::var("NOTIFY_SOCKET").unwrap()).unwrap();
    let note = |name: &str, text: &str| {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(name).unwrap();
        file.write_all(format!("{text}\n").as_bytes()).unwrap();
    };
    for line in std::io::stdin().lines() {
        let tick: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let tick = tick["run"].as_str().unwrap();
        note("taken", tick);
        std::fs::read("go on").unwrap();
        for words in words.split(';') {
            talk.send(words.replace("TICK", tick).as_bytes()).unwrap();
        }
        note("said", tick);
    }
}

/// A guard of such a worker.
fn worker(words: &str) -> Guarded {
    Guarded::running("", |run| {
        let me = std::env::current_exe().unwrap().display().to_string();
        run.program.argv = [&me, "--exact", "ticks::the_worker_of_the_tests"].map(str::to_owned).into();
        run.program.env.push((WORDS.into(), words.into()));
        run.is_ticked = true;
    })
}

#[test]
fn lines_come_in_their_order_and_end_with_the_stop() {
    let mut guarded = Guarded::is_ticked(&format!("trap '' TERM; {READER}"));
    ["t1", "t2", "t3"].iter().for_each(|tick| guarded.tick(tick));
    let lines = guarded.lines("lines", 3);
    assert_eq!(lines, ["{\"run\":\"t1\"}", "{\"run\":\"t2\"}", "{\"run\":\"t3\"}"]);
    assert_eq!(guarded.stand(), (Some("t3".into()), vec![]));
    // The signal is not heard; the end of its input is.
    guarded.order(&Order::Stop { grace_ms: Some(20_000) });
    assert_eq!(guarded.lines("lines", 4)[3], "end");
    guarded.tick("late");
    assert_eq!(refused(&guarded.answer("late")), "its standard input takes no ticks");
}

#[test]
fn nobody_but_the_main_process_has_its_input_and_without_ticks_it_is_empty() {
    let mut guarded = Guarded::is_ticked(READER);
    guarded.exec(1, "! read -r line && [ ! -p /dev/stdin ]", 5000);
    assert_eq!(guarded.ended(1), Ok(()));
    guarded.tick("t1");
    assert_eq!(guarded.lines("lines", 1), ["{\"run\":\"t1\"}"]);

    let mut plain = Guarded::running(READER, |_| {});
    assert_eq!(plain.lines("lines", 1), ["end"]);
    plain.tick("t1");
    assert_eq!(refused(&plain.answer("t1")), "its standard input takes no ticks");
}

#[test]
fn a_worker_that_does_not_read_keeps_nobody_waiting() {
    let mut guarded = Guarded::is_ticked("exec sleep 300");
    let filler = "x".repeat(1023);
    let began = Instant::now();
    for number in 0..64 {
        guarded.order(&Order::Tick { tick: format!("t{number}"), line: filler.clone() });
    }
    guarded.order(&Order::Tick { tick: "one too many".into(), line: filler });
    assert_eq!(refused(&guarded.answer("one too many")), "it does not read its standard input");
    let said = guarded.remarks();
    assert!(said.len() == 1 && said[0].contains("does not read its standard input"), "{said:?}");
    guarded.exec(1, "true", 5000);
    assert_eq!(guarded.ended(1), Ok(()));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let long = Order::Tick { tick: "long".into(), line: "x".repeat(4096) };
    guarded.order(&long);
    assert!(refused(&guarded.answer("long")).contains("longer than a pipe takes"));
}

#[test]
fn a_worker_that_has_closed_its_input_is_told_and_lives() {
    let mut guarded = Guarded::is_ticked("exec </dev/null; echo closed >>lines; sleep 300; :");
    guarded.lines("lines", 1);
    guarded.tick("t1");
    assert_eq!(refused(&guarded.answer("t1")), "it has closed its standard input");
    guarded.tick("t2");
    guarded.answer("t2");
    assert_eq!(guarded.remarks().len(), 1, "once a run: {:?}", guarded.remarks());
    guarded.exec(1, "true", 5000);
    assert_eq!(guarded.ended(1), Ok(()), "the main process runs");
}

#[test]
fn an_answer_is_kept_until_it_is_heard() {
    let mut guarded = worker("X_SOLOIST_RUN=TICK\nX_SOLOIST_RESULT=ok\nX_SOLOIST_SUMMARY=did TICK");
    std::fs::write(guarded.folder().join("go on"), "").unwrap();
    guarded.tick("t1");
    let answer = guarded.answer("t1");
    assert_eq!(answer, Answer { tick: "t1".into(), ok: true, summary: Some("did t1".into()) });
    // Told, and yet nobody has said that it was heard: the daemon may have died over it.
    assert_eq!(guarded.stand(), (Some("t1".into()), vec![answer.clone()]));
    guarded.forget_seen();
    assert_eq!(guarded.answer("t1"), answer, "and told again to whoever asked");
    guarded.order(&Order::Heard { ticks: vec!["t1".into()] });
    assert_eq!(guarded.stand(), (None, vec![]));
    guarded.tick("t2");
    guarded.answer("t2");
}

#[test]
fn what_is_answered_without_a_daemon_waits_for_the_next_one() {
    let summary = "x".repeat(1000);
    let mut guarded =
        worker(&format!("X_SOLOIST_RUN=TICK\nX_SOLOIST_RESULT=error\nX_SOLOIST_SUMMARY={summary}"));
    let gate = guarded.folder().join("go on");
    rustix::fs::mknodat(rustix::fs::CWD, &gate, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let ticks = ["t1", "t2", "t3"];
    ticks.iter().for_each(|tick| guarded.tick(tick));
    guarded.lines("taken", 1);
    guarded.part();
    // It waits for the end of the pipe; the next time it finds a file.
    let opened = std::fs::OpenOptions::new().write(true).open(&gate).unwrap();
    std::fs::rename(guarded.folder().join("taken"), &gate).unwrap();
    drop(opened);
    assert_eq!(guarded.lines("said", 3), ticks);
    guarded.meet();
    assert_eq!(guarded.stand().0.as_deref(), Some("t3"));
    for tick in ticks {
        assert_eq!(refused(&guarded.answer(tick)), summary);
        guarded.order(&Order::Heard { ticks: vec![tick.into()] });
    }
    assert_eq!(guarded.stand(), (None, vec![]));
    // Its input was open all the while.
    guarded.tick("t4");
    guarded.answer("t4");
}

#[test]
fn an_answer_out_of_form_is_told_once_and_harms_nobody() {
    let odd = "X_SOLOIST_RUN=TICK\nX_SOLOIST_RESULT=fine;X_SOLOIST_RUN=\nX_SOLOIST_RESULT=ok;\
        X_SOLOIST_RUN=unknown\nX_SOLOIST_RESULT=ok";
    let mut guarded = worker(&format!(
        "{odd};{odd};X_SOLOIST_RUN=TICK\nX_SOLOIST_RESULT=ok\nX_SOLOIST_SUMMARY=\u{1b}[2Jdone"
    ));
    std::fs::write(guarded.folder().join("go on"), "").unwrap();
    guarded.tick("t1");
    assert_eq!(guarded.answer("t1").summary.as_deref(), Some("done"));
    let said = guarded.remarks();
    assert!(said.len() == 1 && said[0].contains("X_SOLOIST_RESULT= is neither ok nor error"), "{said:?}");
    assert!(guarded.seen().iter().all(|report| match report {
        Report::Notified { notice, .. } => notice.answers.iter().all(|answer| answer.tick == "t1"),
        _ => true,
    }));
}

#[test]
fn a_worker_of_another_user_may_open_its_input_anew() {
    let mut guarded = Guarded::new();
    guarded.spawn("while read -r line; do echo \"$line\"; done </dev/stdin", |run| {
        (run.is_ticked, run.program.dir, run.limits.user) = (true, "/".into(), Some(12345));
    });
    if !crate::is_root() {
        let said = guarded.refusal();
        return assert!(said.contains("only root may"), "{said}");
    }
    guarded.tick("t1");
    assert_eq!(guarded.lines("log", 1), ["{\"run\":\"t1\"}"]);
}
