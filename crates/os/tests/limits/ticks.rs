//! Workers that live on and are ticked: lines on their standard input, answers over their notify socket.

use std::time::{Duration, Instant};

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

/// A shell that answers, by the interpreter that the stories of sd_notify use too.
fn speaker(script: &str) -> Option<String> {
    let has_python = std::process::Command::new("python3").arg("-V").output().is_ok();
    if !has_python {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci.is_empty()),
            "nothing is skipped in CI: no python3"
        );
        eprintln!("SKIPPED: python3 is not installed");
        return None;
    }
    let prelude = "import os, socket, sys, json, time\n\
        talk = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
        talk.connect(os.environ['NOTIFY_SOCKET'])\n\
        def answer(tick, words): talk.send(('X_SOLOIST_RUN=%s\\n%s' % (tick, words)).encode())\n\
        def ticks():\n    for line in sys.stdin: yield json.loads(line)['run']\n";
    Some(format!("exec python3 -c '{}\n{}'", prelude.replace('\'', "\""), script.replace('\'', "\"")))
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
    let Some(script) = speaker(
        "for tick in ticks():\n    answer(tick, 'X_SOLOIST_RESULT=ok\\nX_SOLOIST_SUMMARY=did ' + tick)",
    ) else {
        return;
    };
    let mut guarded = Guarded::is_ticked(&script);
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
    let Some(script) = speaker(
        "given = ticks()\nfirst = [next(given) for _ in range(3)]\nopen('taken', 'w').write('taken\\n')\n\
         while not os.path.exists('go on'): time.sleep(0.01)\n\
         for tick in first: answer(tick, 'X_SOLOIST_RESULT=ok\\nX_SOLOIST_SUMMARY=' + 'x' * 1000)\n\
         open('said', 'w').write('said\\n')\nfor tick in given: answer(tick, 'X_SOLOIST_RESULT=error')",
    ) else {
        return;
    };
    let mut guarded = Guarded::is_ticked(&script);
    ["t1", "t2", "t3"].iter().for_each(|tick| guarded.tick(tick));
    guarded.lines("taken", 1);
    guarded.part();
    std::fs::write(guarded.folder().join("go on"), "").unwrap();
    guarded.lines("said", 1);
    guarded.meet();
    assert_eq!(guarded.stand().0.as_deref(), Some("t3"));
    for tick in ["t1", "t2", "t3"] {
        assert!(guarded.answer(tick).ok);
        guarded.order(&Order::Heard { ticks: vec![tick.into()] });
    }
    assert_eq!(guarded.stand(), (None, vec![]));
    // Its input was open all the while.
    guarded.tick("t4");
    assert!(!guarded.answer("t4").ok);
}

#[test]
fn an_answer_out_of_form_is_told_once_and_harms_nobody() {
    let Some(script) = speaker(
        "for tick in ticks():\n    for _ in range(3):\n        answer(tick, 'X_SOLOIST_RESULT=fine')\n        answer('', 'X_SOLOIST_RESULT=ok')\n        answer('unknown', 'X_SOLOIST_RESULT=ok')\n    answer(tick, 'X_SOLOIST_RESULT=ok\\nX_SOLOIST_SUMMARY=\\x1b[2Jdone')",
    ) else {
        return;
    };
    let mut guarded = Guarded::is_ticked(&script);
    guarded.tick("t1");
    assert_eq!(guarded.answer("t1").summary.as_deref(), Some("done"));
    let said = guarded.remarks();
    assert!(said.len() == 1 && said[0].contains("X_SOLOIST_RESULT= is neither ok nor error"), "{said:?}");
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
