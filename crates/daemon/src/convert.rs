//! The same thing in the words of two rooms: core's exits and states, os's records, api's shapes.

use std::time::Duration;

use jiff::Timestamp;
use soloist_api::error::Code;
use soloist_api::status::{ExitStatus, HolderStatus, Refusal, Said, ServiceStatus};
use soloist_core::event::{Answer, Cause, Exit, Notice as CoreNotice, Said as CoreSaid, Watchdog};
use soloist_core::id::TickId;
use soloist_core::plan::Kind;
use soloist_core::schedule::civil::{Clock, Moment};
use soloist_core::state::{Refusal as CoreRefusal, Status};
use soloist_core::time::Time;
use soloist_os::claim::HeldBy;
use soloist_os::guard::Notice;
use soloist_os::identity::Exit as OsExit;
use soloist_os::record::Holder;

/// An exit, for the core.
pub fn exit_to_core(exit: OsExit) -> Exit {
    match exit {
        OsExit::Code(code) => Exit::Code(code),
        OsExit::Signal(signal) => Exit::Signal(signal),
    }
}

/// An exit, for clients.
pub fn exit_to_api(exit: OsExit) -> ExitStatus {
    match exit {
        OsExit::Code(code) => ExitStatus { code: Some(code), signal: None },
        OsExit::Signal(signal) => ExitStatus { code: None, signal: Some(signal) },
    }
}

/// An exit of the core, for clients.
pub fn core_exit_to_api(exit: Exit) -> ExitStatus {
    match exit {
        Exit::Code(code) => ExitStatus { code: Some(code), signal: None },
        Exit::Signal(signal) => ExitStatus { code: None, signal: Some(signal) },
    }
}

/// Why a run was started, from a record; nothing if it was not written down.
pub fn cause_to_core(text: &str) -> Option<Cause> {
    let plain = [Cause::Crash, Cause::Schedule, Cause::Takeover];
    let known = plain.into_iter().find(|cause| cause.to_string() == text);
    known.or_else(|| (!text.is_empty()).then(|| Cause::User(text.to_owned())))
}

/// What a service said of itself, for the core; `main` is the main process it has named.
pub fn notice_to_core(notice: Notice, main: Option<u32>) -> CoreNotice {
    let watchdog = match (notice.trigger, notice.alive) {
        (true, _) => Some(Watchdog::Trigger),
        (false, true) => Some(Watchdog::Alive),
        (false, false) => None,
    };
    CoreNotice {
        is_ready: notice.ready,
        is_reloading: notice.reloading,
        is_stopping: notice.stopping,
        main,
        watchdog,
        watchdog_every: notice.watchdog_usec.map(Duration::from_micros),
        extend: notice.extend_usec.map(Duration::from_micros),
        answers: notice.answers.into_iter().filter_map(answer).collect(),
        said: CoreSaid { status: notice.status, state: notice.state, progress: notice.progress },
    }
}

fn answer(answer: soloist_os::guard::Answer) -> Option<Answer> {
    let tick = TickId::parse(&answer.tick)?;
    Some(Answer { tick, is_ok: answer.ok, summary: answer.summary })
}

/// Milliseconds since 1970 as a moment for people.
pub fn moment(ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}

/// How the wall clock stands to the boot clock now.
pub fn clock() -> Clock {
    Clock { boot_ns: soloist_os::clock::wall_at_boot() }
}

/// A moment on the boot clock as one on the wall, by a clock that was read once: two readings are some microseconds apart,
/// and what is due at noon would be due a millisecond before.
pub fn wall(clock: Clock, at: Time) -> Option<Timestamp> {
    moment(u64::try_from(clock.wall(at).0).ok()?)
}

/// A moment on the wall as one on the boot clock; a moment before the boot is the boot.
pub fn since_boot(clock: Clock, ms: u64) -> Time {
    clock.boot(Moment(i64::try_from(ms).unwrap_or(i64::MAX)))
}

/// The word for a kind of holder.
pub fn holder_word(holder: Holder) -> &'static str {
    match holder {
        Holder::Daemon => "daemon",
        Holder::Run => "run",
    }
}

/// Who holds a claim, for clients.
pub fn holder_to_api(held: &HeldBy) -> HolderStatus {
    HolderStatus {
        kind: holder_word(held.holder).to_owned(),
        pid: Some(held.pid),
        guard: Some(held.guard.pid),
        since: moment(held.since_ms),
        command: held.command.clone(),
        project: held.project.display().to_string(),
        ..HolderStatus::default()
    }
}

/// Who holds a claim, in one line for people.
pub fn holder_to_text(held: &HeldBy) -> String {
    let kind = match held.holder {
        Holder::Daemon => "a soloist daemon",
        Holder::Run => "soloist run",
    };
    let since = moment(held.since_ms).map_or(String::new(), |at| format!(" since {}", short(at)));
    let command = command_line(&held.command);
    format!("held by pid {}{since} ({kind}): {command}, project {}", held.pid, held.project.display())
}

/// In milliseconds.
pub fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A moment without its fractions of a second.
pub fn short(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A command as one could type it.
pub fn command_line(words: &[String]) -> String {
    if words.is_empty() { "nothing yet".to_owned() } else { shell_words::join(words) }
}

/// What an instance is besides its state.
pub struct Face<'a> {
    /// How the clocks stand.
    pub clock: Clock,
    /// Its name.
    pub name: &'a str,
    /// Service or job.
    pub kind: Kind,
    /// Its ports.
    pub ports: &'a [u16],
    /// What it runs.
    pub command: &'a [String],
    /// Where it writes.
    pub log: String,
    /// Who holds its claim.
    pub holder: Option<HolderStatus>,
    /// Its last lines, if they tell why it is as it is.
    pub tail: Vec<String>,
}

/// An instance, for clients.
pub fn service(face: Face<'_>, status: Status) -> ServiceStatus {
    let kind = match face.kind {
        Kind::Service => "service",
        Kind::Job => "job",
    };
    let state = status.state.to_string();
    ServiceStatus {
        name: face.name.to_owned(),
        kind: kind.to_owned(),
        ready: state == "ready",
        state,
        wanted: status.wanted.to_string(),
        pid: status.pid,
        run_id: status.run.map(|run| run.to_string()),
        since: wall(face.clock, status.since),
        restarts: status.restarts,
        ports: face.ports.to_vec(),
        cause: status.cause.map(|cause| cause.to_string()),
        exit: status.exit.map(core_exit_to_api),
        said: Said { status: status.said.status, state: status.said.state, progress: status.said.progress },
        stale: status.is_stale,
        old_code: None,
        warnings: Vec::new(),
        note: status.note,
        refusal: status.refusal.map(refusal),
        next: status.next.and_then(|next| wall(face.clock, next)),
        schedule: None,
        revision: status.revision,
        command: face.command.to_vec(),
        holder: face.holder,
        log: Some(face.log),
        tail: face.tail,
    }
}

fn refusal(refusal: CoreRefusal) -> Refusal {
    match refusal {
        CoreRefusal::Held(detail) => Refusal { code: Code::ClaimHeld, detail },
        CoreRefusal::Ports(strangers) => Refusal { code: Code::PortHeld, detail: strangers.join("; ") },
        CoreRefusal::NotReady(detail) => Refusal { code: Code::NotReady, detail },
        CoreRefusal::Error(detail) => Refusal { code: Code::Error, detail },
    }
}

/// `612 MiB of 512 MiB`; what an older guard does not tell is left out.
pub fn memory_words(kib: u64, max_kib: u64) -> String {
    let amount =
        |kib: u64| if kib < 10 * 1024 { format!("{kib} KiB") } else { format!("{} MiB", kib / 1024) };
    match max_kib {
        0 => amount(kib),
        max => format!("{} of {}", amount(kib), amount(max)),
    }
}

#[cfg(test)]
mod tests {
    use super::memory_words;

    #[test]
    fn memory_is_told_in_a_unit_that_people_read() {
        assert_eq!(memory_words(612 * 1024, 512 * 1024), "612 MiB of 512 MiB");
        assert_eq!(memory_words(8300, 8192), "8300 KiB of 8192 KiB");
        assert_eq!(memory_words(20 * 1024, 0), "20 MiB");
    }
}
