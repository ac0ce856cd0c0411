//! What the keys of schedules and windows give.

use std::sync::Arc;

use soloist_core::schedule::calendar::{Session, SessionKind};
use soloist_core::schedule::civil::{Date, Days, Moment, TimeOfDay, Weekday};
use soloist_core::schedule::window::{Beyond, Hours, Override, Rule, Window};
use soloist_core::schedule::{Misfire, OnClose, Overlap, Schedule, Trigger};

use super::super::*;

fn parse(text: &str, changes: &Changes) -> Config {
    Config::parse_with(text, Path::new("/"), FILE_NAME, changes).unwrap_or_else(|error| panic!("{error}"))
}

/// The first declaration of this file.
fn first(text: &str) -> Declared {
    parse(text, &Changes::default()).declared.remove(0)
}

fn job(lines: &str) -> Schedule {
    first(&format!("[jobs.a]\ncommand = 'a'\n{lines}")).plan.schedule.expect("it has a schedule")
}

fn seconds(count: u64) -> std::time::Duration {
    std::time::Duration::from_secs(count)
}

fn time(text: &str) -> TimeOfDay {
    TimeOfDay::parse(text).expect("a time of day")
}

fn day(text: &str) -> Date {
    Date::parse(text).expect("a day")
}

fn session(open: &str, close: &str) -> Session {
    Session { open: time(open), close: time(close) }
}

const HOURS: &str =
    "[windows.w]\ntimezone = 'Asia/Kolkata'\ndays = 'mon-fri'\nopen = '09:15'\nclose = '15:30'\n";

#[test]
fn a_job_has_its_triggers_and_rules() {
    let schedule = job(&format!(
        "every = '6s'\ncron = ['*/5 9-15 * * mon-fri', '0 4 * * *']\nat = ['15:31', '9:15']\n\
         timezone = 'europe/london'\nwindow = 'w'\njitter = '500ms'\nrun-on-start = false\noverlap = 'queue'\n\
         misfire = 'run-once'\nmisfire-grace = '1m'\non-close = 'drain'\nfinal-run = true\n{HOURS}"
    ));
    let [
        Trigger::Every(every),
        Trigger::Cron { cron, zone },
        Trigger::Cron { .. },
        Trigger::At { times, .. },
    ] = &schedule.triggers[..]
    else {
        panic!("{schedule:?}")
    };
    assert_eq!((*every, cron.text(), zone.name()), (seconds(6), "*/5 9-15 * * mon-fri", "Europe/London"));
    assert_eq!(*times, [time("09:15"), time("15:31")]);
    let expected = Schedule {
        triggers: schedule.triggers.clone(),
        window: schedule.window.clone(),
        jitter: std::time::Duration::from_millis(500),
        overlap: Overlap::Queue,
        misfire: Misfire::RunOnce,
        misfire_grace: seconds(60),
        on_close: OnClose::Drain,
        has_final_run: true,
        ..Schedule::default()
    };
    assert_eq!(schedule, expected);
    assert_eq!(schedule.window.expect("it has a window").name, "w");
}

#[test]
fn what_is_not_said_has_its_default() {
    let standard = Schedule { on_close: OnClose::Finish, ..Schedule::every(seconds(6)) };
    assert_eq!(job("every = '6s'"), standard);
    assert!(!job("at = '09:15'").run_on_start && !job("cron = '* * * * *'").run_on_start);
    assert!(job("at = '09:15'\nevery = '1h'").run_on_start);
    let zone = |lines: &str| match &job(lines).triggers[..] {
        [Trigger::At { zone, .. }] => zone.name().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(zone("at = '09:15'"), crate::zones::local().name());
    assert_eq!(zone(&format!("at = '09:15'\nwindow = 'w'\n{HOURS}")), "Asia/Kolkata");
    assert_eq!(zone(&format!("at = '09:15'\ntimezone = 'UTC'\nwindow = 'w'\n{HOURS}")), "UTC");
    assert_eq!(first("[jobs.a]\ncommand = 'a'").plan.schedule, None);
}

#[test]
fn a_service_keeps_hours_or_is_ticked() {
    let service = |lines: &str| first(&format!("[services.a]\ncommand = 'a'\n{lines}\n{HOURS}"));
    let schedule = service("window = 'w'\non-close = 'drain'\ndrain-timeout = '1m'").plan.schedule;
    let schedule = schedule.expect("it has a schedule");
    assert_eq!((schedule.on_close, schedule.drain_timeout), (OnClose::Drain, seconds(60)));
    assert!(schedule.triggers.is_empty() && !schedule.is_ticked && !schedule.run_on_start);

    let ticked = service("trigger = 'stdin'\nevery = '6s'\noverlap = 'allow'\nwindow = 'w'");
    let schedule = ticked.plan.schedule.clone().expect("it has a schedule");
    assert!(schedule.is_ticked && schedule.run_on_start && schedule.lanes.is_empty());
    assert_eq!(schedule.on_close, OnClose::Stop);
    // Its standard input is another one, so it needs a new run; all else changes under a living one.
    assert_ne!(ticked.print(), service("").print());
    assert_eq!(ticked.print(), service("trigger = 'stdin'\nat = '09:15'").print());
    assert_eq!(service("window = 'w'").print(), service("").print());
}

#[test]
fn runs_that_may_overlap_have_lanes() {
    let text = "[services.db]\ncommand = 'db'\n[jobs.a]\ncommand = './a {instance}'\ninstances = ['x', 'y']\n\
                every = '1s'\noverlap = 'allow'\nmax-overlap = 3\ndepends-on = ['db']\n\
                [services.b]\ncommand = 'b'\ndepends-on = ['a']\n";
    let config = parse(text, &Changes::default());
    let names: Vec<_> = config.declared.iter().map(|declared| declared.name.as_str()).collect();
    assert_eq!(names, ["db", "a@x", "a@x~2", "a@x~3", "a@y", "a@y~2", "a@y~3", "b"]);
    let [base, lane] = [1, 2].map(|at| &config.declared[at]);
    assert_eq!(
        base.plan.schedule.as_ref().map(|s| &s.lanes[..]),
        Some(&["a@x~2", "a@x~3"].map(str::to_owned)[..])
    );
    assert_eq!(
        (lane.lane_of.as_deref(), lane.service.as_str(), lane.key.as_deref()),
        (Some("a@x"), "a", Some("x"))
    );
    assert_eq!((&lane.plan.schedule, lane.plan.needs.len(), &lane.rota), (&None, 0, &None));
    assert_eq!((&lane.program, lane.print()), (&base.program, base.print()));
    assert_eq!(config.instances_of("a").map(|found| found.name.as_str()).collect::<Vec<_>>(), ["a@x", "a@y"]);
    let needs: Vec<_> = config.declared[7].plan.needs.iter().map(|need| need.on.as_str()).collect();
    assert_eq!(needs, ["a@x", "a@y"]);
    assert_eq!(job("every = '1s'\noverlap = 'allow'").lanes, ["a~2", "a~3", "a~4"]);
    assert!(is_name("a~2").is_err(), "no declaration can be called like a lane");
}

/// A file with this window alone.
fn window(lines: &str) -> Arc<Window> {
    parse(&format!("[windows.w]\n{lines}"), &Changes::default()).windows.remove(0)
}

#[test]
fn hours_are_written_by_hand() {
    let weekly = |lines: &str| match &window(lines).rule {
        Rule::Weekly(hours) => hours.clone(),
        other => panic!("{other:?}"),
    };
    let hours = |days: Days, sessions: Vec<Session>| Hours { from: None, days, sessions };
    let plain = weekly("timezone = 'Asia/Kolkata'\ndays = 'mon-fri'\nopen = '9:15'\nclose = '15:30'");
    assert_eq!(plain, [hours(Days::workdays(), vec![session("09:15", "15:30")])]);
    let several = weekly("sessions = ['12:30-15:00', '09:00 - 11:30']");
    assert_eq!(several, [hours(Days::all(), vec![session("09:00", "11:30"), session("12:30", "15:00")])]);
    let night = weekly("days = ['Sun-tue', 'thu']\nopen = '22:00'\nclose = '26:00'");
    let days = Days::of(&[Weekday::Sunday, Weekday::Monday, Weekday::Tuesday, Weekday::Thursday]);
    assert_eq!(night, [hours(days, vec![session("22:00", "26:00")])]);
    assert_eq!(weekly("days = 'sat, sun'\nsessions = '00:00-24:00'")[0].days, {
        Days::of(&[Weekday::Saturday, Weekday::Sunday])
    });
    // Sessions that touch do not overlap, also over midnight.
    assert_eq!(weekly("sessions = ['09:00-12:00', '12:00-33:00']").len(), 1);

    let regimes = "days = 'mon-fri'\nopen = '09:15'\nclose = '15:30'\n\
        [[windows.w.regimes]]\nfrom = '2027-01-01'\ndays = 'mon-thu'\nsessions = ['10:00-12:00']\n\
        [[windows.w.regimes]]\nfrom = '2026-08-03'\nopen = '09:15'\nclose = '15:40'\n\
        [windows.w.dates]\n2026-11-08 = '18:00-19:15'\n'2026-12-25' = 'closed'\n'2026-12-31' = ['09:15-10:00', '11:00-12:00']\n";
    let window = window(regimes);
    let Rule::Weekly(parts) = &window.rule else { panic!("{window:?}") };
    let from: Vec<_> = parts.iter().map(|hours| (hours.from, hours.days == Days::workdays())).collect();
    assert_eq!(from, [(None, true), (Some(day("2026-08-03")), true), (Some(day("2027-01-01")), false)]);
    assert_eq!(parts[1].sessions, [session("09:15", "15:40")]);
    let dates: Vec<_> = window.dates.iter().map(|(date, sessions)| (*date, sessions.len())).collect();
    assert_eq!(dates, [(day("2026-11-08"), 1), (day("2026-12-25"), 0), (day("2026-12-31"), 2)]);
    assert_eq!((window.beyond, window.zone.name()), (Beyond::Closed, crate::zones::local().name()));
}

#[test]
fn a_window_is_shared_by_all_that_name_it() {
    let mut text = HOURS.to_owned();
    for number in 0..50 {
        text.push_str(&format!(
            "[jobs.j{number}]\ncommand = 'a'\nevery = '6s'\nat = '09:15'\nwindow = 'w'\n"
        ));
    }
    let config = parse(&text, &Changes::default());
    let [window] = &config.windows[..] else { panic!("{:?}", config.windows) };
    let shared =
        config.declared.iter().filter_map(|declared| declared.plan.schedule.as_ref()?.window.as_ref());
    assert_eq!(shared.filter(|found| Arc::ptr_eq(found, window)).count(), 50);
    assert_eq!(Arc::strong_count(window), 51);
    assert_eq!(config.windows_of("w").count(), 1);
    assert_eq!(config.windows_of("v").count(), 0);
}

#[test]
fn a_schedule_is_told_in_words() {
    let rota = |lines: &str| first(&format!("[jobs.a]\ncommand = 'a'\n{lines}\n{HOURS}")).rota;
    let found = rota("every = '90s'\ncron = '*/5 9-15 * * mon-fri'\nat = ['15:31', '9:15']\nwindow = 'w'");
    let triggers = ["every 1m 30s", "cron */5 9-15 * * mon-fri", "at 09:15, 15:31"].map(str::to_owned);
    let expected = Rota { triggers: triggers.to_vec(), window: Some("w".to_owned()), changed: None };
    assert_eq!(found, Some(expected));
    assert_eq!(rota(""), None);
}

#[test]
fn what_was_changed_since_wins_over_the_file() {
    let text = format!(
        "[jobs.a]\ncommand = 'a'\nevery = '6s'\njitter = '1s'\n[jobs.b]\ncommand = 'b'\nat = '09:15'\n\
         [jobs.c]\ncommand = 'c'\n[services.d]\ncommand = 'd'\nwindow = 'w'\n{HOURS}"
    );
    let changed = |every: Option<&str>, paused: bool, who: &str| {
        let change =
            ScheduleChange { every: every.map(str::to_owned), paused, who: who.to_owned(), at_ms: 1 };
        let names = ["a", "b", "c", "d", "gone"].map(str::to_owned);
        let schedules = names.into_iter().map(|name| (name, change.clone())).collect();
        parse(&text, &Changes { schedules, ..Changes::default() }).declared
    };
    let [a, b, c, d] = &changed(Some("10s"), true, "ann")[..] else { panic!("four are declared") };
    let words = |declared: &Declared| declared.rota.clone().unwrap_or_default();
    assert_eq!(a.plan.interval(), Some(seconds(10)));
    assert_eq!(words(a).triggers, ["every 10s"]);
    assert_eq!(words(a).changed.as_deref(), Some("every changed from 6s in soloist.toml, by ann"));
    assert_eq!(words(b).triggers, ["every 10s", "at 09:15"]);
    assert_eq!(words(b).changed.as_deref(), Some("every added to what soloist.toml says, by ann"));
    let is_paused = |declared: &Declared| declared.plan.schedule.as_ref().map(|schedule| schedule.is_paused);
    assert_eq!([a, b, c, d].map(is_paused), [Some(true), Some(true), None, Some(true)]);
    assert_eq!((words(c), words(d).triggers, words(d).changed), (Rota::default(), Vec::new(), None));
    // What does not fit, or says what the file says, changes nothing.
    for every in [None, Some("0s"), Some("soon"), Some("-1s"), Some("6s"), Some("11y"), Some("1ms")] {
        let now = changed(every, false, "");
        assert_eq!((now[0].plan.interval(), words(&now[0]).changed), (Some(seconds(6)), None), "{every:?}");
    }
    assert_eq!(
        changed(Some("500ms"), false, "")[0].plan.interval(),
        Some(seconds(1) / 2),
        "shorter than its jitter"
    );
}

#[test]
fn an_override_goes_to_its_window() {
    let order = |of: &str, open: bool, from_ms: i64, until_ms: i64| OverrideChange {
        of: of.to_owned(),
        open,
        from_ms,
        until_ms,
        who: String::new(),
    };
    let overrides = vec![
        order("w", true, 1, 5),
        order("v", false, 1, 5),
        order("w", false, 2, 3),
        order("w", true, 3, 3),
    ];
    let config = parse(HOURS, &Changes { overrides, ..Changes::default() });
    let of =
        |from: i64, until: i64, is_open: bool| Override { from: Moment(from), until: Moment(until), is_open };
    assert_eq!(config.windows[0].overrides, [of(1, 5, true), of(2, 3, false)]);
}

#[test]
fn an_interval_is_checked_in_one_line() {
    assert_eq!(interval(" 1m 30s "), Ok(seconds(90)));
    for (text, part) in [
        ("0s", "`0s` is too short"),
        ("9ms", "10ms"),
        ("-1s", "`-1s` is negative"),
        ("1 fortnight", "`fortnight` is no unit"),
        ("6", "the unit is missing"),
        ("11y", "ten years"),
        ("", "it is empty"),
    ] {
        let said = interval(text).expect_err(text);
        assert!(said.contains(part), "{text}: {said}");
    }
}

#[test]
fn hours_of_an_exchange_come_from_its_calendar() {
    let text = "[windows.us]\ncalendar = 'NYSE'\nsession = 'extended'\nbeyond = 'weekly-rule'\n\
                [jobs.a]\ncommand = 'a'\nat = '09:15'\nwindow = 'NSE'\n[services.b]\ncommand = 'b'\nwindow = 'us'\n\
                [jobs.c]\ncommand = 'c'\nevery = '6s'\nwindow = 'NSE'\n";
    let order = |of: &str| OverrideChange { of: of.to_owned(), until_ms: 5, ..OverrideChange::default() };
    let overrides = vec![order("XNYS"), order("NYSE"), order("us"), order("NSE"), order("BSE")];
    let config = parse(text, &Changes { overrides, ..Changes::default() });
    let told = |window: &Window| match &window.rule {
        Rule::Calendar { calendar, session } => {
            (window.name.clone(), calendar.name.clone(), *session, window.beyond, window.overrides.len())
        }
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = config.windows.iter().map(|window| told(window)).collect();
    let nse = ("NSE".to_owned(), "NSE".to_owned(), SessionKind::Regular, Beyond::Closed, 1);
    let us = ("us".to_owned(), "XNYS".to_owned(), SessionKind::Extended, Beyond::WeeklyRule, 3);
    assert_eq!(told, [nse, us]);
    let [a, b, c] = [0, 1, 2].map(|at| config.declared[at].plan.schedule.clone().expect("it has a schedule"));
    assert!(matches!(&a.triggers[..], [Trigger::At { zone, .. }] if zone.name() == "Asia/Kolkata"));
    let shared = (a.window.expect("hours"), c.window.expect("hours"));
    assert!(Arc::ptr_eq(&shared.0, &shared.1));
    assert_eq!(b.window.expect("hours").zone.name(), "America/New_York");
    for (name, windows) in [("NYSE", 1), ("XNYS", 1), ("us", 1), ("NSE", 1), ("BSE", 0)] {
        assert_eq!(config.windows_of(name).count(), windows, "{name}");
    }
}
