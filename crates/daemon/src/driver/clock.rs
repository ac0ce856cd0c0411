//! The clocks around schedules: the core is told how the wall clock stands, at the start and whenever somebody sets it;
//! changed zone rules are taken in; and up to when schedules were followed is kept for the next daemon.

use std::path::Path;
use std::time::Duration;

use soloist_api::history::Entry;
use soloist_core::event::What;
use soloist_core::instance::Legacy;
use soloist_core::project::Orders;
use soloist_core::schedule::civil::{Clock, Moment};
use soloist_core::schedule::{Misfire, Overlap};
use soloist_core::time::Time;
use soloist_os::clock::{TEST_CLOCK, slept, test_clock, wall_ms};
use soloist_os::record::Record;
use soloist_os::watched::Watched;
use soloist_os::{ClockWatch, FolderWatch};

use super::{Driver, now};
use crate::convert::{clock, milliseconds, moment, since_boot};
use crate::history::blank;
use crate::history::read::Turns;
use crate::inbox::{Inbox, Input};
use crate::zones;

/// A smaller step of the wall clock is none: two readings are so far apart on a busy machine.
const STEP: u128 = 5_000_000;
/// A shorter sleep is not told.
const SLEEP: Duration = Duration::from_secs(1);
/// Zone rules come in hundreds of files: they are read once so long nothing has changed any more.
const QUIET: Duration = Duration::from_secs(1);

/// How the clocks stood when they were last looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) clock: Clock,
    slept: Duration,
}

impl Clocks {
    pub(super) fn read() -> Clocks {
        Clocks { clock: clock(), slept: slept() }
    }
}

impl Driver {
    /// Hears from now on when the clock is set or zone rules change. On a runtime only.
    pub fn watch_the_time(&mut self) {
        let (folder, entry) = zones::LOCAL_ENTRY;
        let local = (Path::new(folder), Some(entry));
        let zones: Vec<(&Path, Option<&str>)> =
            zones::folder().into_iter().map(|folder| (folder, None)).chain([local]).collect();
        let watches = [
            ClockWatch::new().and_then(Watched::new).map(|watch| {
                drop(tokio::spawn(watch_clock(watch, self.inbox.clone())));
            }),
            FolderWatch::new(&zones).and_then(Watched::new).map(|watch| {
                drop(tokio::spawn(watch_folders(watch, QUIET, self.inbox.clone(), || Input::ZonesChanged)));
            }),
            watch_test_clock(self.inbox.clone()),
        ];
        for e in watches.into_iter().filter_map(Result::err) {
            self.log.say(&format!("changes of the clock or of zone rules are not noticed: {e}"));
        }
        // It may have been set since it was read.
        self.look_at_clock();
    }

    /// Tells everybody if the wall clock was set, or the machine has slept: what was missed is looked for at once.
    pub(super) fn look_at_clock(&mut self) {
        let before = std::mem::replace(&mut self.clocks, Clocks::read());
        let slept = self.clocks.slept.saturating_sub(before.slept);
        let step = self.clocks.clock.boot_ns - before.clock.boot_ns;
        let is_set = step.unsigned_abs() >= STEP;
        if !is_set {
            self.clocks.clock = before.clock;
        }
        if slept >= SLEEP {
            self.log.say(&format!("the machine has slept for {}", words(slept)));
        } else if !is_set {
            return;
        }
        if is_set {
            self.tell_step(step);
        }
        let mut orders = Orders::new();
        self.project.set_clock(now(), self.clocks.clock, &mut orders);
        self.perform(orders);
    }

    fn tell_step(&self, step: i128) {
        let by = words(Duration::from_nanos(u64::try_from(step.unsigned_abs()).unwrap_or(u64::MAX)));
        let detail = format!("{by} {}", if step > 0 { "forward" } else { "back" });
        self.log.say(&format!("the clock was set {detail}"));
        if let Some(when) = moment(wall_ms()) {
            let line = Entry { detail: Some(detail), ..blank(when, "", What::ClockSet.to_string()) };
            self.history.add(vec![line]);
        }
    }

    /// Takes the zone rules in anew, and with them the schedules.
    pub(super) fn take_zones(&mut self) {
        zones::reset();
        self.daemon.zones = zones::source();
        let before: Vec<_> = self.services.iter().map(|s| s.declared.plan.schedule.clone()).collect();
        if let Err(problem) = self.reload() {
            self.log.say(&format!("zone rules have changed, and schedules follow the old ones: {problem}"));
            return;
        }
        self.log.say(&format!("zone rules were read again: {}", self.daemon.zones));
        let Some(when) = moment(wall_ms()) else { return };
        let is_other = |at: &usize| before[*at] != self.services[*at].declared.plan.schedule;
        let lines = (0..before.len()).filter(is_other).map(|at| Entry {
            detail: Some(format!("zone rules have changed: {}", self.daemon.zones)),
            ..blank(when, self.project.name(at), What::Rescheduled.to_string())
        });
        self.history.add(lines.collect());
    }

    pub(super) fn since_boot(&self, ms: u64) -> Time {
        since_boot(self.clocks.clock, ms)
    }

    // ---- up to when schedules were followed

    /// Keeps for the next daemon that all was followed up to now. What is due by now is done before.
    pub(super) fn leave_followed(&mut self) {
        let now = now();
        let mut orders = Orders::new();
        self.project.expire(now, &mut orders);
        self.perform(orders);
        let followed = self.clocks.clock.wall(now);
        self.ledger.follow_all(u64::try_from(followed.0).unwrap_or_default());
        self.write_ledger();
    }

    /// How far an earlier daemon has come with the schedule of an instance, as far as that is known. What was due up to
    /// then was done, left out, or waits.
    pub(super) fn legacy(&self, at: usize, record: Option<&Record>, turns: &Turns) -> Option<Legacy> {
        let name = self.project.name(at);
        let schedule = self.services[at].declared.plan.schedule.as_ref()?;
        let (wanted, noted) = self.ledger.followed(name)?;
        // A run that was skipped wrote nothing but the history, and one on a lane is told there.
        let lanes = schedule.lanes.iter().map(String::as_str);
        let told = lanes.chain([name]).filter_map(|name| turns.last(name, noted));
        let began = record.map(|record| record.since_ms);
        let last = told.chain(began).fold(noted, u64::max);
        let beat = turns.last_begun(name, wanted).into_iter().chain(began).fold(wanted, u64::max);
        let queue: Vec<Moment> = self.ledger.queued(name).iter().copied().map(Moment).collect();
        let moment = |ms: u64| i64::try_from(ms).ok().map(Moment);
        let followed = queue.iter().copied().fold(moment(last)?, Moment::max);
        Some(Legacy { followed, beat: moment(beat)?, queue })
    }

    /// Notes what waits for its turn; says whether that is news.
    pub(super) fn keep_queues(&mut self) -> bool {
        let mut is_news = false;
        for at in &self.queueing {
            let queue = self.project.instance(*at).queue().map(|due| due.0);
            is_news |= self.ledger.queue(self.project.name(*at), queue);
        }
        is_news
    }

    /// Finds whose runs may wait: with others nothing waits but for a moment.
    pub(super) fn find_queueing(&mut self) {
        let may_queue = |at: &usize| {
            let schedule = self.services[*at].declared.plan.schedule.as_ref();
            schedule.is_some_and(|s| s.overlap == Overlap::Queue || s.misfire == Misfire::RunAll)
        };
        self.queueing = (0..self.services.len()).filter(may_queue).collect();
    }
}

async fn watch_clock(watch: Watched<ClockWatch>, inbox: Inbox) {
    while let Ok(mut ready) = watch.readable().await {
        if watch.get().quiet().is_err() {
            return;
        }
        ready.clear_ready();
        if inbox.send(Input::ClockSet).is_err() {
            return;
        }
    }
}

/// Says what has changed once it is quiet again.
async fn watch_folders(watch: Watched<FolderWatch>, quiet: Duration, inbox: Inbox, input: fn() -> Input) {
    let mut has_changed = false;
    loop {
        // Without a change there is no timer.
        let limit = if has_changed { quiet } else { Duration::MAX };
        match tokio::time::timeout(limit, watch.readable()).await {
            Ok(Ok(mut ready)) => {
                has_changed |= watch.get().has_changed();
                ready.clear_ready();
            }
            Ok(Err(_)) => return,
            Err(_) => {
                has_changed = false;
                if inbox.send(input()).is_err() {
                    return;
                }
            }
        }
    }
}

fn watch_test_clock(inbox: Inbox) -> std::io::Result<()> {
    let Some(file) = test_clock() else { return Ok(()) };
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
        return Err(std::io::Error::other(format!("{TEST_CLOCK} names no file in a folder")));
    };
    let watch = Watched::new(FolderWatch::new(&[(folder, Some(name))])?)?;
    drop(tokio::spawn(watch_folders(watch, Duration::ZERO, inbox, || Input::ClockSet)));
    Ok(())
}

/// A span for people, to the millisecond.
fn words(span: Duration) -> String {
    let ms = milliseconds(span + Duration::from_micros(500));
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}
