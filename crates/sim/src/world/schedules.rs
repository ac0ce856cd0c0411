//! What a seed schedules: rhythms of seconds, and sessions so short that a life sees many of them. Their wall clock is
//! UTC, and all their moments are whole seconds.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use soloist_core::schedule::calendar::Session;
use soloist_core::schedule::civil::{Date, Days, Moment, TimeOfDay};
use soloist_core::schedule::cron::Cron;
use soloist_core::schedule::window::{Beyond, Hours, Rule, Window};
use soloist_core::schedule::zone::Zone;
use soloist_core::schedule::{Misfire, OnClose, Overlap, Schedule, Trigger};

use super::random::Random;

/// When a life begins, in seconds after midnight. Around it things are dense, as long as a life lasts.
const NOON: u32 = 12 * 3600;
const DENSE: Range<u32> = NOON - 120..NOON + 900;

/// What the wall clock says when a life begins: 2026-03-04T12:00:00Z and some milliseconds.
pub fn first_moment(random: &mut Random) -> Moment {
    let date = Date::new(2026, 3, 4).unwrap_or_default();
    Moment((i64::from(date.0) * 24 * 3600 + i64::from(NOON)) * 1000 + random.below(60_000) as i64)
}

/// Of a job, or of a worker that lives on and is ticked.
pub fn draw_rhythm(random: &mut Random, is_ticked: bool) -> Schedule {
    let triggers = match random.below(10) {
        0..=5 => vec![every(random)],
        6 | 7 => vec![cron(random)],
        8 => vec![times(random)],
        _ => vec![every(random), times(random)],
    };
    let overlap = match random.below(4) {
        0 => Overlap::Skip,
        1 => Overlap::Queue,
        2 if is_ticked => Overlap::Queue,
        2 => Overlap::Replace,
        _ => Overlap::Allow,
    };
    Schedule {
        triggers,
        window: random.percent(50).then(|| draw_window(random)),
        jitter: if random.percent(25) { random.span(1, 1500) } else { Duration::ZERO },
        run_on_start: random.percent(60),
        overlap,
        misfire: random.pick(&[Misfire::Skip, Misfire::RunOnce, Misfire::RunAll]),
        misfire_grace: random.pick(&[Duration::ZERO, Duration::from_secs(1), Duration::from_secs(10)]),
        on_close: random.pick(&[OnClose::Stop, OnClose::Drain, OnClose::Finish]),
        drain_timeout: random.span(500, 20_000),
        has_final_run: random.percent(25),
        is_paused: random.percent(5),
        is_ticked,
        lanes: Vec::new(),
    }
}

/// Of a service that only keeps hours.
pub fn draw_hours(random: &mut Random) -> Schedule {
    Schedule {
        window: Some(draw_window(random)),
        on_close: random.pick(&[OnClose::Stop, OnClose::Stop, OnClose::Drain, OnClose::Finish]),
        drain_timeout: random.span(500, 20_000),
        is_paused: random.percent(5),
        ..Schedule::default()
    }
}

pub fn every(random: &mut Random) -> Trigger {
    Trigger::Every(random.span(1500, 15_000))
}

fn cron(random: &mut Random) -> Trigger {
    let text = random.pick(&["*/7 * * * * *", "*/10 * * * * *", "3,4,20-25/2,50 * * * * *", "0 * * * * *"]);
    match Cron::parse(text) {
        Ok(cron) => Trigger::Cron { cron, zone: Arc::new(Zone::utc()) },
        Err(_) => every(random),
    }
}

fn times(random: &mut Random) -> Trigger {
    let apart = 20 + random.below(60);
    let sparse = (0..8).map(|part| part * 10_800 + 1234).filter(|at| !DENSE.contains(at));
    let times = DENSE.step_by(apart).chain(sparse).filter_map(TimeOfDay::new);
    let mut times: Vec<TimeOfDay> = times.collect();
    times.sort();
    Trigger::At { times, zone: Arc::new(Zone::utc()) }
}

/// Sessions of half a minute or so around noon, and of nearly an hour every three hours.
fn draw_window(random: &mut Random) -> Arc<Window> {
    let apart = 25 + random.below(60) as u32;
    let length = 4 + random.below(apart as usize - 4) as u32;
    let sparse = (0..8).map(|part| (part * 10_800 + 1900, 3000)).filter(|(open, _)| !DENSE.contains(open));
    let dense = DENSE.step_by(apart as usize).map(|open| (open, length));
    let session =
        |(open, length)| Some(Session { open: TimeOfDay::new(open)?, close: TimeOfDay::new(open + length)? });
    let mut sessions: Vec<Session> = sparse.chain(dense).filter_map(session).collect();
    sessions.sort();
    Arc::new(Window {
        name: "hours".to_owned(),
        zone: Arc::new(Zone::utc()),
        rule: Rule::Weekly(vec![Hours { from: None, days: Days::all(), sessions }]),
        beyond: Beyond::default(),
        dates: BTreeMap::new(),
        overrides: Vec::new(),
    })
}
