//! The paragraph for every situation, whole: what a person reads is what is tested.

use std::time::Duration;

use soloist_api::error::Code;
use soloist_api::schedule::{Answer, ScheduleStatus};
use soloist_api::status::{ExitStatus, HolderStatus, Refusal, Said};
use soloist_core::plan::Kind;

use super::*;
use crate::history::blank;

const ADA: &str = "ada (`soloist start`, pid 9)";
const RUN: &str = "3f2a000000000000";
const OLDER: &str = "12ab000000000000";

/// A moment on the day of the stories: 14:03:11 is `at("14:03:11")`.
fn at(clock: &str) -> Timestamp {
    format!("2026-03-04T{clock}Z").parse().unwrap()
}

fn status(state: &str) -> ServiceStatus {
    ServiceStatus {
        tail: Vec::new(),
        name: "api".to_owned(),
        kind: "service".to_owned(),
        state: state.to_owned(),
        wanted: if matches!(state, "stopped" | "completed") { "down" } else { "up" }.to_owned(),
        ready: state == "ready",
        pid: None,
        run_id: None,
        since: None,
        restarts: 0,
        ports: vec![8001],
        cause: None,
        exit: None,
        said: Said::default(),
        stale: false,
        old_code: None,
        warnings: Vec::new(),
        note: None,
        refusal: None,
        next: None,
        revision: 0,
        command: vec!["uvicorn".to_owned()],
        holder: None,
        log: None,
        schedule: None,
    }
}

fn alive(state: &str) -> ServiceStatus {
    ServiceStatus { pid: Some(77), run_id: Some(RUN.to_owned()), ..status(state) }
}

fn job(state: &str) -> ServiceStatus {
    ServiceStatus { kind: "job".to_owned(), ..status(state) }
}

fn line(clock: &str, what: &str) -> Entry {
    blank(at(clock), "api", what.to_owned())
}

fn of(run: &str, clock: &str, what: &str) -> Entry {
    Entry { run_id: Some(run.to_owned()), ..line(clock, what) }
}

fn started(run: &str, clock: &str, cause: &str) -> Entry {
    Entry { cause: Some(cause.to_owned()), ..of(run, clock, "started") }
}

fn told(entry: Entry, detail: &str) -> Entry {
    Entry { detail: Some(detail.to_owned()), ..entry }
}

fn by(entry: Entry, cause: &str) -> Entry {
    Entry { cause: Some(cause.to_owned()), ..entry }
}

fn span_of(entry: Entry, ms: u64) -> Entry {
    Entry { duration_ms: Some(ms), ..entry }
}

/// Its main process and its tree ended.
fn ended(run: &str, clock: &str, exit: ExitStatus, ms: u64) -> Vec<Entry> {
    let exited = Entry { exit: Some(exit), ..of(run, clock, "exited") };
    vec![exited.clone(), Entry { what: "ended".to_owned(), duration_ms: Some(ms), ..exited }]
}

fn code(code: i32) -> ExitStatus {
    ExitStatus { code: Some(code), signal: None }
}

fn signal(signal: i32) -> ExitStatus {
    ExitStatus { code: None, signal: Some(signal) }
}

/// Told at 14:03:11 UTC.
fn tell(status: Option<&ServiceStatus>, plan: &Plan, past: &[Entry], lines: &[&str]) -> String {
    let last_lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let now = at("14:03:11");
    let plan = status.map(|_| plan);
    let account =
        Account { name: "api", status, plan, past, last_lines: &last_lines, now, zone: &TimeZone::UTC };
    why(&account)
}

#[track_caller]
fn says(status: &ServiceStatus, past: &[Entry], lines: &[&str], expected: &str) {
    assert_eq!(tell(Some(status), &Plan::default(), past, lines), expected);
}

// ---- up

#[test]
fn ready_since_a_start_by_a_user() {
    let past = [
        by(line("12:00:00", "wanted-up"), ADA),
        started(RUN, "12:00:00", ADA),
        span_of(of(RUN, "12:00:00", "ready"), 310),
    ];
    says(
        &alive("ready"),
        &past,
        &["not shown"],
        "api is ready. Its run 3f2a… (pid 77) began at 12:00:00, 2 h 3 min ago, started by ada (`soloist start`, pid \
         9), and was ready after 310 ms. If it falls, soloist starts it again.",
    );
}

#[test]
fn crashed_and_restarted() {
    let mut past = vec![started(OLDER, "14:00:00", ADA)];
    past.extend(ended(OLDER, "14:03:00", signal(11), 180_000));
    past.push(told(span_of(of(OLDER, "14:03:00", "restarting"), 0), "ended with signal 11"));
    past.push(started(RUN, "14:03:01", "crash"));
    let status = ServiceStatus { cause: Some("crash".to_owned()), restarts: 1, ..alive("ready") };
    says(
        &status,
        &past,
        &[],
        "api is ready. Its run 3f2a… (pid 77) began at 14:03:01, 10 s ago, started because the run before it had \
         fallen. The one before it, run 12ab…, started by ada (`soloist start`, pid 9), ended with signal 11 \
         (SIGSEGV) after 3 min at 14:03:00. If it falls, soloist starts it again.",
    );
}

#[test]
fn adopted_by_a_new_daemon() {
    let past = [started(RUN, "12:00:00", "dependency web"), of(RUN, "14:03:00", "adopted")];
    let said = Said { status: None, state: Some("scraping".to_owned()), progress: Some("12/50".to_owned()) };
    let status = ServiceStatus { said, stale: true, ..alive("ready") };
    says(
        &status,
        &past,
        &[],
        "api is ready. Its run 3f2a… (pid 77) began at 12:00:00, 2 h 3 min ago, started because of web. A new daemon \
         took it over alive at 14:03:00. It says of itself: scraping, 12/50. If it falls, soloist starts it again. \
         soloist.toml has changed since its run began; `soloist up` takes the change in.",
    );
}

#[test]
fn held_by_a_run() {
    let holder = HolderStatus {
        kind: "run".to_owned(),
        pid: Some(77),
        guard: Some(76),
        project: "/srv".to_owned(),
        ..HolderStatus::default()
    };
    let status = ServiceStatus { holder: Some(holder), since: Some(at("14:03:01")), ..alive("ready") };
    says(
        &status,
        &[],
        &[],
        "api is ready. Its run 3f2a… (pid 77) began at 14:03:01, 10 s ago. It belongs to the `soloist run` that started \
         it, and ends with that.",
    );
}

#[test]
fn unhealthy_by_a_probe() {
    let past = [started(RUN, "14:00:00", ADA), told(of(RUN, "14:02:00", "unhealthy"), "readiness: HTTP 503")];
    says(
        &alive("unhealthy"),
        &past,
        &[],
        "api is unhealthy since 14:02:00: readiness: HTTP 503. It runs on, and is ready again once its probe passes. \
         Its run 3f2a… (pid 77) began at 14:00:00, 3 min 11 s ago, started by ada (`soloist start`, pid 9). If it \
         falls, soloist starts it again.",
    );
}

#[test]
fn on_its_way_up_and_down() {
    let past = [by(line("14:03:10", "wanted-up"), ADA)];
    let status =
        ServiceStatus { note: Some("started by ada, waits for db".to_owned()), ..status("starting") };
    says(
        &status,
        &past,
        &[],
        "api is starting: started by ada, waits for db. It was asked for at 14:03:10 by ada (`soloist start`, pid 9). \
         It has 1 min to get ready.",
    );
    let past = [started(RUN, "14:00:00", ADA)];
    let status = ServiceStatus {
        note: Some("restarted by ada".to_owned()),
        wanted: "up".to_owned(),
        pid: None,
        ..alive("stopping")
    };
    says(
        &status,
        &past,
        &[],
        "api is stopping: restarted by ada. Its run 3f2a… began at 14:00:00, 3 min 11 s ago, started by ada (`soloist \
         start`, pid 9). What has not ended 5 s after it was asked to is killed. It is started again after that.",
    );
}

// ---- falling

/// Four falls within ten minutes, and one long before.
fn falls(last: &[Entry]) -> Vec<Entry> {
    let clocks = ["13:00:00", "14:00:00", "14:01:00", "14:02:00"];
    let mut past: Vec<Entry> = clocks.iter().map(|clock| line(clock, "restarting")).collect();
    past.extend_from_slice(last);
    past
}

#[test]
fn backoff_with_the_next_try() {
    let mut last = vec![started(RUN, "14:03:08", ADA)];
    last.extend(ended(RUN, "14:03:10", code(1), 2_100));
    last.push(told(span_of(of(RUN, "14:03:10", "restarting"), 8_800), "ended with exit code 1"));
    let next = Some("2026-03-04T14:03:18.800Z".parse().unwrap());
    let waiting = ServiceStatus { next, ..status("backoff") };
    says(
        &waiting,
        &falls(&last),
        &["ImportError: No module named 'fastapi'"],
        "api is in backoff: its run 3f2a…, started by ada (`soloist start`, pid 9), ended with exit code 1 after 2.1 s \
         at 14:03:10. It said last: `ImportError: No module named 'fastapi'`. It fell 4 times within 10 min. soloist \
         tries again in 7.8 s (at 14:03:18), and gives up after 10.",
    );
}

#[test]
fn backoff_after_soloist_ended_it_and_after_a_start_that_failed() {
    let mut last = vec![started(RUN, "14:02:10", "crash")];
    last.extend(ended(RUN, "14:03:10", signal(15), 60_000));
    last.push(told(of(RUN, "14:03:10", "restarting"), "was not ready in time"));
    let waiting = ServiceStatus { next: Some(at("14:03:13")), ..status("backoff") };
    says(
        &waiting,
        &last,
        &[],
        "api is in backoff: its run 3f2a…, started because the run before it had fallen, ended with signal 15 \
         (SIGTERM) after 1 min at 14:03:10; soloist ended it: was not ready in time. It fell once within 10 min. \
         soloist tries again in 2 s (at 14:03:13), and gives up after 10.",
    );
    let last = [
        told(of(RUN, "14:03:10", "not-started"), "no guard could be started: no memory."),
        told(of(RUN, "14:03:10", "restarting"), "no guard could be started: no memory."),
    ];
    says(
        &waiting,
        &last,
        &[],
        "api is in backoff: its run 3f2a… did not start at 14:03:10: no guard could be started: no memory. It fell \
         once within 10 min. soloist tries again in 2 s (at 14:03:13), and gives up after 10.",
    );
}

#[test]
fn failed_after_too_many() {
    let mut last = vec![started(RUN, "14:03:08", "crash")];
    last.extend(ended(RUN, "14:03:10", code(1), 2_000));
    let words = "ended with exit code 1; given up after 10 restarts within 600 s";
    last.push(told(of(RUN, "14:03:10", "failed"), words));
    says(
        &status("failed"),
        &last,
        &["Traceback (most recent call last):", "ValueError: no"],
        "api has failed: its run 3f2a…, started because the run before it had fallen, ended with exit code 1 after 2 s \
         at 14:03:10. It said last: `ValueError: no`. soloist gave up after 10 restarts within 600 s. Nothing more \
         happens by itself; `soloist start api` tries again.\n\nThe end of its log:\n  Traceback (most recent call \
         last):\n  ValueError: no",
    );
}

#[test]
fn failed_early_with_a_diagnosis() {
    let mut last = vec![started(RUN, "14:03:10", ADA)];
    let mut end = ended(RUN, "14:03:10", code(3), 90);
    end[0].detail = Some("port 8001 is taken by pid 17 (python server.py)".to_owned());
    last.extend(end);
    last.push(told(
        of(RUN, "14:03:10", "failed"),
        "ended with exit code 3: port 8001 is taken by pid 17 (python …)",
    ));
    says(
        &status("failed"),
        &last,
        &[],
        "api has failed: its run 3f2a…, started by ada (`soloist start`, pid 9), ended with exit code 3 after 90 ms at \
         14:03:10. Likely cause: port 8001 is taken by pid 17 (python server.py). Another try would end the same, so \
         there is none. Nothing more happens by itself; `soloist start api` tries again.",
    );
    let plan = Plan { restart: Restart::No, ..Plan::default() };
    let said = tell(Some(&status("failed")), &plan, &last[..3], &[]);
    assert!(said.contains(" It is declared not to be restarted. "), "{said}");
}

// ---- not up

#[test]
fn conflict_with_a_port_holder() {
    let past = [told(line("14:03:00", "conflict"), "port 8001 is taken by pid 17 (python server.py)")];
    let status = ServiceStatus { next: Some(at("14:03:15")), ..status("conflict") };
    says(
        &status,
        &past,
        &[],
        "api is in conflict: port 8001 is taken by pid 17 (python server.py). soloist starts nothing beside that, and \
         looks again in 4 s (at 14:03:15); `soloist free 8001 --force` ends who is there.",
    );
}

#[test]
fn standby_held_elsewhere() {
    let note = Some("held by pid 17 (soloist run): python, project /srv".to_owned());
    let status = ServiceStatus { note, next: Some(at("14:03:15")), ..status("standby") };
    says(
        &status,
        &[],
        &[],
        "api is on standby: exactly one may run, and it runs elsewhere (held by pid 17 (soloist run): python, project \
         /srv). soloist asks for it again in 4 s (at 14:03:15), and starts it once it is free.",
    );
}

#[test]
fn stopped_by_a_user_and_by_a_dependency() {
    let stopped_by = |cause: &str| {
        let mut past = vec![started(RUN, "12:00:00", ADA), by(of(RUN, "14:00:00", "wanted-down"), cause)];
        past.extend(ended(RUN, "14:00:01", signal(15), 7_201_000));
        tell(Some(&status("stopped")), &Plan::default(), &past, &["not shown"])
    };
    assert_eq!(
        stopped_by("bob (`soloist stop`, pid 11)"),
        "api is stopped: that was asked for at 14:00:00 by bob (`soloist stop`, pid 11). Its run 3f2a…, started by ada \
         (`soloist start`, pid 9), ended with signal 15 (SIGTERM) after 2 h at 14:00:01. It stays down until somebody \
         starts it; `soloist start api` does."
    );
    assert!(
        stopped_by("dependency db")
            .starts_with("api is stopped: that was asked for at 14:00:00 because of db.")
    );
    let removed = stopped_by("it is declared no more");
    assert!(removed.contains("at 14:00:00 because it is declared no more. Its run"), "{removed}");
}

#[test]
fn never_started_refused_and_ended_by_itself() {
    says(
        &status("stopped"),
        &[],
        &[],
        "api is stopped: it has never run here, as far as its history goes back. `soloist start api` starts it.",
    );
    let refusal = Some(Refusal { code: Code::ClaimHeld, detail: "held by pid 17.".to_owned() });
    says(
        &ServiceStatus { refusal, ..status("stopped") },
        &[],
        &[],
        "api is stopped: its start was refused, held by pid 17. Nothing more happens by itself; `soloist start api` \
         tries again.",
    );
    let mut past = vec![started(RUN, "14:00:00", ADA)];
    past.extend(ended(RUN, "14:01:00", code(0), 60_000));
    says(
        &status("stopped"),
        &past,
        &["bye"],
        "api is stopped: its run 3f2a…, started by ada (`soloist start`, pid 9), ended with exit code 0 after 1 min at \
         14:01:00, by itself, and nothing follows such an end. `soloist start api` starts it.",
    );
}

#[test]
fn wanted_without_a_daemon() {
    let mut past = vec![started(RUN, "12:00:00", ADA)];
    past.extend(ended(RUN, "12:01:00", signal(9), 60_000));
    past.iter_mut().for_each(|entry| entry.at -= Duration::from_secs(24 * 3600));
    let status = ServiceStatus { wanted: "up".to_owned(), ..status("stopped") };
    says(
        &status,
        &past,
        &[],
        "api is stopped: it is wanted up, but no daemon runs it. Its last run 3f2a…, started by ada (`soloist start`, \
         pid 9), ended with signal 9 (SIGKILL) after 1 min at 2026-03-03 12:01:00. `soloist up` starts it again.",
    );
}

#[test]
fn declared_no_more() {
    let mut past = vec![started(RUN, "12:00:00", ADA)];
    past.extend(ended(RUN, "12:01:00", code(0), 60_000));
    assert_eq!(
        tell(None, &Plan::default(), &past, &[]),
        "api is not declared here, and nothing of it runs. Its last run 3f2a…, started by ada (`soloist start`, pid 9), \
         ended with exit code 0 after 1 min at 12:01:00."
    );
}

// ---- jobs

#[test]
fn a_job_between_two_runs() {
    let waiting = ServiceStatus { next: Some(at("15:00:00")), ..job("scheduled") };
    let plan = Plan { kind: Kind::Job, ..Plan::default() };
    let ran = |exit: ExitStatus| {
        let mut past = vec![started(RUN, "14:00:00", "schedule")];
        past.extend(ended(RUN, "14:00:02", exit, 2_000));
        past
    };
    assert_eq!(
        tell(Some(&waiting), &plan, &ran(code(0)), &["done"]),
        "api is scheduled: its next run begins in 56 min 49 s (at 15:00:00). Its last run 3f2a…, started by its \
         schedule, ended with exit code 0 after 2 s at 14:00:02."
    );
    assert_eq!(
        tell(Some(&waiting), &plan, &ran(code(2)), &["no such table"]),
        "api is scheduled: its next run begins in 56 min 49 s (at 15:00:00). Its last run 3f2a…, started by its \
         schedule, ended with exit code 2 after 2 s at 14:00:02. It said last: `no such table`."
    );
    let mut past = ran(code(0));
    past.push(told(line("14:02:00", "skipped"), "held by pid 17"));
    assert_eq!(
        tell(Some(&waiting), &plan, &past, &[]),
        "api is scheduled: its next run begins in 56 min 49 s (at 15:00:00). Its turn at 14:02:00 was left out: held by \
         pid 17. Its last run 3f2a…, started by its schedule, ended with exit code 0 after 2 s at 14:00:02."
    );
    assert_eq!(
        tell(Some(&job("completed")), &plan, &ran(code(0)), &["done"]),
        "api is completed: it ran and ended as it should. Its last run 3f2a…, started by its schedule, ended with exit \
         code 0 after 2 s at 14:00:02. `soloist start api` runs it again."
    );
}

fn in_hours() -> ServiceStatus {
    let schedule = ScheduleStatus {
        triggers: vec!["every 10s".to_owned()],
        window: Some("NSE".to_owned()),
        open: Some(true),
        until: Some(at("15:00:00")),
        next: Some(at("14:03:15")),
        zone: Some("Asia/Kolkata".to_owned()),
        changed: Some(format!("every changed from 6s in soloist.toml, by {ADA}")),
        ..ScheduleStatus::default()
    };
    ServiceStatus { schedule: Some(schedule), ..job("scheduled") }
}

#[test]
fn a_schedule_that_was_changed() {
    let plan = Plan { kind: Kind::Job, ..Plan::default() };
    let mut past = vec![told(by(line("14:01:00", "rescheduled"), ADA), "every 6s → 10s")];
    past.push(told(
        Entry { count: Some(12), ..line("14:02:00", "skipped") },
        "missed while the machine slept",
    ));
    past.push(told(line("14:02:30", "skipped"), "the run before is still at work"));
    past.push(started(RUN, "14:03:00", "schedule"));
    past.extend(ended(RUN, "14:03:02", code(0), 2_000));
    assert_eq!(
        tell(Some(&in_hours()), &plan, &past, &[]),
        "api is scheduled: its next run begins in 4 s (at 19:33:15 IST); NSE is open until 20:30 IST; every 10s, changed \
         from 6s in soloist.toml, by ada (`soloist start`, pid 9) at 14:01:00. 13 runs were left out since 14:02:00, the last at 14:02:30: the run before is \
         still at work. Its last run 3f2a…, started by its schedule, ended with exit code 0 after 2 s at 14:03:02."
    );
}

#[test]
fn a_schedule_that_is_paused_and_hours_that_are_over() {
    let plan = Plan { kind: Kind::Job, ..Plan::default() };
    let of = |status: ServiceStatus, change: fn(&mut ScheduleStatus)| {
        let mut schedule =
            ScheduleStatus { changed: None, open: Some(false), ..in_hours().schedule.unwrap() };
        change(&mut schedule);
        ServiceStatus { schedule: Some(schedule), ..status }
    };
    let paused = of(job("scheduled"), |schedule| (schedule.paused, schedule.next) = (true, None));
    assert_eq!(
        tell(Some(&paused), &plan, &[told(by(line("14:01:00", "rescheduled"), ADA), "paused")], &[]),
        "api is scheduled: nothing is due as long as it is paused; NSE is closed until 20:30 IST. It was paused at \
         14:01:00 by ada (`soloist start`, pid 9)."
    );
    let closed = of(status("scheduled"), |schedule| schedule.triggers.clear());
    says(
        &closed,
        &[],
        &[],
        "api is scheduled: it is started next in 4 s (at 19:33:15 IST); NSE is closed until 20:30 IST.",
    );
    let open = of(alive("ready"), |schedule| {
        schedule.triggers.clear();
        (schedule.open, schedule.next) = (Some(true), None);
    });
    says(
        &open,
        &[],
        &[],
        "api is ready. Its run 3f2a… (pid 77) is under way. By its schedule NSE is open until 20:30 IST. If it falls, \
         soloist starts it again.",
    );
    let ticked = of(alive("ready"), |schedule| {
        (schedule.open, schedule.queued) = (Some(true), 2);
        schedule.answer = Some(Answer { ok: true, summary: Some("50 rows".to_owned()), ..Answer::default() });
    });
    says(
        &ticked,
        &[],
        &[],
        "api is ready. Its run 3f2a… (pid 77) is under way. By its schedule its next turn comes in 4 s (at 19:33:15 IST); \
         NSE is open until 20:30 IST; 2 runs wait for the one at work to end; its worker answered last: 50 rows. If it \
         falls, soloist starts it again.",
    );
}

#[test]
fn a_job_that_failed_is_not_said_to_have_been_restarted() {
    let mut past = vec![started(RUN, "14:00:00", ADA)];
    past.extend(ended(RUN, "14:00:02", code(2), 2_000));
    says(
        &job("failed"),
        &past,
        &[],
        "api has failed: its run 3f2a…, started by ada (`soloist start`, pid 9), ended with exit code 2 after 2 s at \
         14:00:02. Nothing more happens by itself; `soloist start api` tries again.",
    );
}

#[test]
fn every_state_has_its_own_words_and_none_needs_a_past() {
    for word in soloist_core::state::Word::ALL {
        let said = tell(Some(&status(&word.to_string())), &Plan::default(), &[], &[]);
        assert!(said.starts_with("api ") && said.contains(&word.to_string()), "{said}");
        assert!(!said.contains("  ") && !said.contains("..") && said.ends_with('.'), "{said}");
    }
}
