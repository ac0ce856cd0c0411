//! Changes of schedules and windows: what is refused and in which words, what is kept, and what is told of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use soloist_api::error::{Code, Problem};
use soloist_api::schedule::{Clear, Edit};
use soloist_core::schedule::calendar::{Calendar, SessionKind};
use soloist_os::layout::Layout;

use super::edit::{Done, clear, edit, override_hours};
use super::*;
use crate::changes;
use crate::config::Config;
use crate::zones;

/// 2026-03-04, a Wednesday, 12:00 in Kolkata.
const NOON: Moment = Moment(1_772_605_800_000);
const HOUR: i64 = 3_600_000;

const FILE: &str = r#"
[jobs.scan]
command = ["true"]
every = "6s"
window = "market"
[jobs.nightly]
command = ["true"]
cron = "30 2 * * *"
[services.feed]
command = ["true"]
window = "market"
[services.scraper]
command = ["true"]
instances = ["antica", "bona"]
window = "market"
trigger = "stdin"
every = "1m"
[services.api]
command = ["true"]
[windows.market]
timezone = "Asia/Kolkata"
days = "mon-fri"
open = "09:15"
close = "15:30"
"#;

struct Stage {
    layout: Layout,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("soloist.toml"), FILE).unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        Stage { layout, _folder: folder }
    }

    fn edit(&self, name: &str, how: Edit) -> Result<Done, Problem> {
        edit(&self.layout, name, &Edit { who: Some("ada".to_owned()), ..how }, NOON)
    }

    fn every(&self, name: &str, every: &str) -> Result<Done, Problem> {
        self.edit(name, Edit { every: Some(every.to_owned()), ..Edit::default() })
    }

    fn pause(&self, name: &str, paused: bool) -> Result<Done, Problem> {
        self.edit(name, Edit { paused: Some(paused), ..Edit::default() })
    }

    /// From and until in hours after noon.
    fn order(&self, of: &str, open: bool, from: Option<i64>, until: Option<i64>) -> Result<Done, Problem> {
        let moment = |hours: i64| timestamp(Moment(NOON.0 + hours * HOUR)).unwrap();
        let (from, until) = (from.map(moment), until.map(moment));
        let hours = Override { of: of.to_owned(), open, from, until, who: Some("ada".to_owned()) };
        override_hours(&self.layout, &hours, NOON)
    }

    fn told(&self, name: &str) -> ScheduleStatus {
        of(&changes::config(&self.layout).unwrap(), name)
    }
}

fn of(config: &Config, name: &str) -> ScheduleStatus {
    told(config.declared.iter().find(|d| d.name == name).unwrap(), None, NOON).unwrap()
}

#[track_caller]
fn refused(result: Result<Done, Problem>, expected: &[&str]) {
    let problem = result.unwrap_err();
    let said = problem.to_string();
    for words in expected {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    assert_eq!(problem.detail.lines().count(), 1, "{said}");
    assert!(problem.hint.is_some(), "{said}");
}

#[test]
fn an_interval_is_set_kept_and_reset() {
    let stage = Stage::new();
    let done = stage.every("scan", "10s").unwrap();
    assert_eq!(done.text, "scan: every 6s → 10s");
    assert_eq!(done.told, [("scan".to_owned(), "every 6s → 10s".to_owned())]);
    let now = stage.told("scan");
    assert_eq!(now.triggers, ["every 10s"]);
    assert_eq!(now.changed.as_deref(), Some("every changed from 6s in soloist.toml, by ada"));
    assert_eq!(stage.every("scan", "10s").unwrap().text, "scan: nothing changed");
    assert_eq!(stage.pause("scan", true).unwrap().text, "scan: paused");
    assert!(stage.told("scan").paused);
    assert_eq!(stage.told("scan").triggers, ["every 10s"], "a pause leaves the interval");
    let reset = stage.edit("scan", Edit { reset: true, ..Edit::default() }).unwrap();
    assert_eq!(reset.text, "scan: reset to soloist.toml: every 10s → 6s, resumed");
    let now = stage.told("scan");
    assert_eq!((now.triggers, now.changed, now.paused), (vec!["every 6s".to_owned()], None, false));
    assert_eq!(changes::read(&stage.layout).unwrap(), Changes::default(), "nothing is left of it");
}

#[test]
fn the_interval_of_soloist_toml_is_no_change() {
    let stage = Stage::new();
    stage.every("scan", "10s").unwrap();
    assert_eq!(stage.every("scan", "6000ms").unwrap().text, "scan: every 10s → 6s");
    assert_eq!(stage.told("scan").changed, None);
    assert_eq!(stage.every("nightly", "1h").unwrap().text, "nightly: every 1h added");
    assert_eq!(stage.told("nightly").triggers, ["every 1h", "cron 30 2 * * *"]);
}

#[test]
fn a_keyed_name_means_all_its_instances_and_an_instance_itself() {
    let stage = Stage::new();
    assert_eq!(stage.every("scraper", "5m").unwrap().text, "scraper: every 1m → 5m");
    assert_eq!(stage.every("scraper@bona", "7m").unwrap().text, "scraper@bona: every 5m → 7m");
    let triggers = |name: &str| stage.told(name).triggers;
    assert_eq!(
        (triggers("scraper@antica"), triggers("scraper@bona")),
        (vec!["every 5m".into()], vec!["every 7m".into()])
    );
    assert_eq!(
        stage.edit("scraper", Edit { reset: true, ..Edit::default() }).unwrap().text,
        "scraper@antica: reset to soloist.toml: every 5m → 1m; scraper@bona: reset to soloist.toml: every 7m → 1m"
    );
}

#[test]
fn what_cannot_be_is_refused_in_one_line_and_changes_nothing() {
    let stage = Stage::new();
    for (every, words) in [
        ("0s", "`0s` is too short"),
        ("-1s", "`-1s` is negative"),
        ("1 fortnight", "`fortnight` is no unit"),
        ("10", "the unit is missing"),
        ("", "is not a duration"),
        ("4000d", "ten years are the most"),
    ] {
        refused(stage.every("scan", every), &["every", words]);
    }
    refused(stage.every("scna", "6s"), &["`scna`", "did you mean `scan`?"]);
    refused(stage.every("api", "6s"), &["api has no schedule", "soloist.toml"]);
    refused(stage.pause("api", true), &["api has no schedule"]);
    refused(stage.every("feed", "6s"), &["feed runs in the hours of its window"]);
    refused(stage.edit("scan", Edit::default()), &["nothing is to be changed"]);
    assert_eq!(stage.every("scna", "6s").unwrap_err().code, Code::UnknownService);
    assert!(!stage.layout.schedules().exists());
}

#[test]
fn an_override_closes_and_opens_and_is_taken_back() {
    let stage = Stage::new();
    let open = |name: &str| (stage.told(name).open, stage.told(name).until.map(|at| at.to_string()));
    assert_eq!(open("scan"), (Some(true), Some("2026-03-04T10:00:00Z".to_owned())));
    let done = stage.order("market", false, None, Some(1)).unwrap();
    assert_eq!(done.text, "market is closed until 13:00 IST: scan, feed, scraper@antica, scraper@bona");
    assert_eq!(done.told[0], ("scan".to_owned(), "market is closed until 13:00 IST".to_owned()));
    assert_eq!(open("scan"), (Some(false), Some("2026-03-04T07:30:00Z".to_owned())));
    // Of two the later holds.
    let done = stage.order("market", true, Some(0), Some(24)).unwrap();
    assert_eq!(done.told[0].1, "market is open until Thu 2026-03-05 12:00 IST");
    assert_eq!(open("feed"), (Some(true), Some("2026-03-05T10:00:00Z".to_owned())));
    let cleared = clear(&stage.layout, &Clear { of: "market".to_owned(), who: None }, NOON).unwrap();
    assert_eq!(cleared.told[0].1, "market goes by its rule again");
    assert_eq!(open("scan").1.as_deref(), Some("2026-03-04T10:00:00Z"));
    let again = clear(&stage.layout, &Clear { of: "market".to_owned(), who: None }, NOON).unwrap();
    assert_eq!((again.text.as_str(), again.told.len()), ("market has no override", 0));
}

#[test]
fn an_override_that_cannot_be_is_refused() {
    let stage = Stage::new();
    refused(stage.order("market", false, None, None), &["must end", "until when"]);
    refused(
        stage.order("market", false, None, Some(-1)),
        &["over already", "11:00 IST", "it is 12:00 IST now"],
    );
    refused(
        stage.order("market", false, Some(3), Some(2)),
        &["would end at 14:00 IST, before it begins at 15:00 IST"],
    );
    refused(stage.order("markte", false, None, Some(1)), &["`markte`", "did you mean `market`?"]);
    let ghost = Clear { of: "ghost".to_owned(), who: None };
    refused(clear(&stage.layout, &ghost, NOON), &["no window or calendar is called `ghost`"]);
    assert!(!stage.layout.schedules().exists());
}

#[test]
fn an_override_that_is_over_is_dropped_when_something_is_written() {
    let stage = Stage::new();
    stage.order("market", false, None, Some(1)).unwrap();
    let all = |now: i64| overrides(&changes::read(&stage.layout).unwrap(), Moment(NOON.0 + now * HOUR)).len();
    assert_eq!((all(0), all(1)), (1, 0));
    edit(&stage.layout, "scan", &Edit { paused: Some(true), ..Edit::default() }, Moment(NOON.0 + 2 * HOUR))
        .unwrap();
    assert_eq!(all(0), 0);
    assert!(stage.told("scan").paused);
}

#[test]
fn what_comes_next_is_told_from_the_file() {
    let stage = Stage::new();
    let next = |name: &str, now: Moment| {
        let config = changes::config(&stage.layout).unwrap();
        upcoming(config.declared.iter().find(|d| d.name == name).unwrap(), 2, now)
    };
    let closed = Moment(NOON.0 + 6 * HOUR);
    let found = next("scan", closed).unwrap();
    assert_eq!(
        found.next.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["2026-03-05T03:45:00Z", "2026-03-05T03:45:06Z"]
    );
    assert_eq!(found.notes, ["market is closed until Thu 2026-03-05 09:15 IST"]);
    assert_eq!(next("feed", NOON).unwrap().next[0].to_string(), "2026-03-05T03:45:00Z");
    assert_eq!(next("api", NOON), None);
    stage.pause("scan", true).unwrap();
    let paused = next("scan", NOON).unwrap();
    assert!(paused.next.is_empty() && paused.notes[0].contains("paused"), "{paused:?}");
}

#[test]
fn a_calendar_that_ends_within_sixty_days_is_warned_of_once() {
    let zone = zones::named("Asia/Kolkata").unwrap();
    let told = |ahead: i32, beyond: Beyond| {
        let calendar = Calendar {
            name: "NSE".to_owned(),
            zone: zone.clone(),
            regimes: Vec::new(),
            exceptions: BTreeMap::new(),
            valid_through: zone.date(NOON).plus(ahead),
        };
        let rule = Rule::Calendar { calendar: Arc::new(calendar), session: SessionKind::Regular };
        let (dates, overrides) = (BTreeMap::new(), Vec::new());
        warning(
            &Window { name: "market".to_owned(), zone: zone.clone(), rule, beyond, dates, overrides },
            NOON,
        )
    };
    assert_eq!(told(61, Beyond::Closed), None);
    let said = told(60, Beyond::Closed).unwrap();
    assert!(
        said.starts_with("calendar NSE knows no day after 2026-05-03 (60 days left): closed from then on; ")
    );
    assert!(
        told(0, Beyond::WeeklyRule)
            .unwrap()
            .contains("2026-03-04 (today): only its weekly rule from then on")
    );
    assert!(told(-1, Beyond::Closed).unwrap().contains("2026-03-03 (over)"));
    let one = ScheduleStatus { warning: Some(said.clone()), ..ScheduleStatus::default() };
    assert_eq!(warnings([&one, &ScheduleStatus::default(), &one]), [said]);
}

#[test]
fn the_hours_around_now_are_told_once_a_window_with_what_is_ordered_in_them() {
    let stage = Stage::new();
    stage.order("market", false, Some(1), Some(2)).unwrap();
    let told = hours(&changes::config(&stage.layout).unwrap().declared, NOON);
    assert_eq!(told.iter().map(|one| one.window.as_str()).collect::<Vec<_>>(), ["market"]);
    let minutes = |at: Timestamp| (at.as_millisecond() - NOON.0) / 60_000;
    let sessions = told[0].sessions.iter();
    let seen: Vec<_> = sessions.map(|one| (minutes(one.open), one.close.map(minutes))).collect();
    let day = |days: i64, from: i64, to: i64| (days * 1440 + from, Some(days * 1440 + to));
    // 09:15 is 165 minutes before noon, 15:30 is 210 after it; for an hour of today it is closed by order.
    let today = [day(0, -165, 60), day(0, 120, 210)];
    assert_eq!(seen, [day(-1, -165, 210), today[0], today[1], day(1, -165, 210), day(2, -165, 210)]);
}
