//! Leftovers: processes of runs that are over, and records that name nobody. Found, told, ended. An instance whose
//! claim is held has none: its guard lives.

use std::time::Duration;

use serde::Serialize;
use soloist_api::error::{Code, Problem};
use soloist_os::claim::Claim;
use soloist_os::layout::{Layout, Place};
use soloist_os::record::{Record, all};
use soloist_os::{Survivor, Traces};

use crate::convert::command_line;
use crate::foreground::{Settled, settle};
use crate::runs::stuck_words;

/// What a clean-up found and did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cleaned {
    /// Leftover processes, ended (or, in a dry run, to be ended), in words.
    pub ended: Vec<String>,
    /// Stale records and PID files removed or corrected (or to be), in words.
    pub cleared: Vec<String>,
    /// Processes that could not be ended, in words.
    pub stuck: Vec<String>,
    /// Instances that are held, and so left alone.
    pub held: Vec<String>,
}

/// Looks at every instance this project ever ran, and ends what is left of those that nobody holds.
pub fn clean(layout: &Layout, grace: Duration, is_dry: bool) -> Result<Cleaned, Problem> {
    let mut cleaned = Cleaned::default();
    for record in all(&layout.state()) {
        let place = layout.place(&record.instance);
        // The claim is taken, not tested: while we look, nothing can start.
        let Some(_claim) = Claim::take(&place.claim())? else {
            cleaned.held.push(record.instance);
            continue;
        };
        clean_one(&place, record, grace, is_dry, &mut cleaned);
    }
    Ok(cleaned)
}

/// Where an instance of this name may have left something: its guard is gone, and its tree was not seen empty.
pub fn abandoned(layout: &Layout, name: &str) -> Option<Place> {
    let machine = Place::machine(name).ok();
    let is_ours = |place: &Place| Record::read(&place.record()).is_some_and(|r| r.project == layout.root);
    [Some(layout.place(name)), machine]
        .into_iter()
        .flatten()
        .find(|place| is_ours(place) && abandoned_at(place))
}

/// Whether the guard of the instance at this place is gone without having seen its tree empty.
pub fn abandoned_at(place: &Place) -> bool {
    Record::read(&place.record()).is_some_and(|record| !record.ended && !record.is_guarded())
}

/// Ends what is left of one instance; an error if somebody holds it or something does not end.
pub fn end_abandoned(place: &Place) -> Result<(), Problem> {
    let Some(record) = Record::read(&place.record()) else { return Ok(()) };
    let _claim = match settle(place)? {
        Settled::Ours(claim) => claim,
        Settled::Theirs(who) => {
            return Err(Problem::new(Code::ClaimHeld, format!("{}: {who}", place.instance)));
        }
    };
    let mut cleaned = Cleaned::default();
    let grace = Duration::from_millis(record.stop_grace_ms);
    clean_one(place, record, grace, false, &mut cleaned);
    if cleaned.stuck.is_empty() { Ok(()) } else { Err(Problem::new(Code::Error, cleaned.stuck.join("; "))) }
}

fn clean_one(place: &Place, record: Record, grace: Duration, is_dry: bool, cleaned: &mut Cleaned) {
    let name = record.instance.clone();
    let traces =
        Traces { claim: place.claim(), record: Some(record.clone()), zygote: None, spare: Vec::new() };
    let words = |s: &Survivor| format!("{name}: pid {} `{}`", s.identity.pid, command_line(&s.command));
    if is_dry {
        cleaned.ended.extend(soloist_os::survivors(&traces).iter().map(words));
    } else {
        let swept = soloist_os::end_survivors(&traces, soloist_os::identity::SIGNAL_TERMINATE, grace);
        cleaned.ended.extend(swept.ended.iter().map(words));
        if !swept.stuck.is_empty() {
            cleaned.stuck.push(format!("{name}: {}", stuck_words(&swept.stuck)));
            return;
        }
    }
    if !record.ended {
        cleaned.cleared.push(format!("{name}: the record of a run that is over (pid {})", main_pid(&record)));
        if !is_dry {
            let _ = Record { ended: true, ..record.clone() }.write(place);
        }
    }
    if let Some(pid_file) = record.pid_file.filter(|path| path.exists()) {
        cleaned.cleared.push(format!("{name}: the PID file {}", pid_file.display()));
        if !is_dry {
            let _ = std::fs::remove_file(pid_file);
        }
    }
}

fn main_pid(record: &Record) -> u32 {
    record.main.as_ref().unwrap_or(&record.guard).pid
}
