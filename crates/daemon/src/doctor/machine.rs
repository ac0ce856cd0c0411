//! The machine: what of it a project needs and does not have. Facts are gathered first, so that each can be tried.

use std::fs;
use std::time::{Duration, SystemTime};

use soloist_core::schedule::Trigger;
use soloist_os::layout::Layout;
use soloist_os::machine::{Disk, descriptors};
use soloist_os::{FolderWatch, is_clock_kept, not_delegated, outlives_sessions, watches_most};

use super::{Finding, instances, section};
use crate::config::Config;
use crate::watch;

/// With less room than this, logs and history are soon not written.
const ROOM_LEAST: u64 = 256 << 20;
/// What a daemon has open for itself, and for each instance: claim, link and socket of its guard, and one to spare.
const DESCRIPTORS_OWN: u64 = 64;
const DESCRIPTORS_EACH: u64 = 4;
/// A file that is so much younger than now was written before somebody set the clock back.
const AHEAD_MOST: Duration = Duration::from_secs(120);

/// What there is.
#[derive(Clone, Debug)]
pub struct Facts {
    pub disk: Option<Disk>,
    /// Of the user's sessions; and what the user is called.
    pub outlives_sessions: bool,
    pub user: String,
    /// `None` where the kernel does not tell.
    pub is_clock_kept: Option<bool>,
    /// The ledger was written so long after now.
    pub ahead: Option<Duration>,
    /// Of each instance with limits, which the kernel would not keep.
    pub not_delegated: Vec<(usize, Vec<&'static str>)>,
    pub descriptors: u64,
    /// Why folders cannot be watched.
    pub no_watch: Option<String>,
    /// So many folders may be watched,
    pub watches_most: Option<usize>,
    /// and so many are to be.
    pub watches: usize,
    /// So many bytes all logs take.
    pub logs: u64,
}

impl Facts {
    pub fn gather(layout: &Layout, config: &Config) -> Facts {
        let folder = if layout.exists() { layout.state() } else { layout.root.clone() };
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
        let written = fs::metadata(layout.ledger()).and_then(|found| found.modified()).ok();
        let lacking = instances(config).enumerate().map(|(at, one)| (at, not_delegated(&one.program.limits)));
        Facts {
            disk: Disk::of(&folder).ok(),
            outlives_sessions: user.is_empty() || outlives_sessions(&user),
            user,
            is_clock_kept: is_clock_kept().ok(),
            ahead: written.and_then(|written| written.duration_since(SystemTime::now()).ok()),
            not_delegated: lacking.filter(|(_, lacking)| !lacking.is_empty()).collect(),
            descriptors: descriptors(),
            no_watch: FolderWatch::new(&[]).err().map(|e| e.to_string()),
            watches_most: watches_most(),
            watches: watch::folders(layout, instances(config)),
            logs: fs::read_dir(layout.logs()).map_or(0, |logs| {
                logs.flatten().filter_map(|log| log.metadata().ok()).map(|log| log.len()).sum()
            }),
        }
    }
}

/// What would bite, as these things are.
pub fn examine(facts: &Facts, config: &Config) -> Vec<Finding> {
    let root = config.root.display().to_string();
    let mut found = Vec::new();
    if let Some(kind) = facts.disk.and_then(|disk| disk.network) {
        found.push(
            Finding::error("network-file-system", &root, format!("the project lies on {kind}"))
                .because("locks there are not kept by this machine's kernel, so claims are refused")
                .do_this(
                    "keep the project on a local disk, or declare `scope = \"machine\"` for what runs here",
                ),
        );
    }
    if let Some(disk) = facts.disk.filter(|disk| disk.free < ROOM_LEAST) {
        found.push(
            Finding::warning("disk-full", &root, format!("{} MiB are left on the disk", disk.free >> 20))
                .because("logs and history are lost when it is full; services run on")
                .do_this("make room"),
        );
    }
    let more = config.log_total.saturating_sub(facts.logs);
    let is_logged = instances(config).next().is_some();
    if let Some(disk) = facts.disk.filter(|disk| is_logged && (ROOM_LEAST..more).contains(&disk.free)) {
        let what =
            format!("logs may take {} MiB more, {} MiB are left on the disk", more >> 20, disk.free >> 20);
        found.push(
            Finding::warning("logs-too-large", &root, what)
                .because("the oldest of them are removed only when all take as much as `total` allows")
                .do_this("declare less: `[project] log = { total = \"256MiB\" }`; or make room"),
        );
    }
    if !facts.outlives_sessions {
        found.push(
            Finding::warning("no-linger", "the machine", format!("{} does not linger", facts.user))
                .because("systemd may end what runs here with this user's last session (logind.conf(5))")
                .do_this(format!("loginctl enable-linger {}", facts.user)),
        );
    }
    let by_the_wall = instances(config).find(|one| {
        let schedule = one.plan.schedule.as_ref();
        schedule
            .is_some_and(|s| s.window.is_some() || s.triggers.iter().any(|t| !matches!(t, Trigger::Every(_))))
    });
    if let (Some(one), Some(false)) = (by_the_wall, facts.is_clock_kept) {
        found.push(
            Finding::warning("clock-not-kept", "the machine", "nothing keeps the clock right (adjtimex(2))")
                .because(format!("{} goes by the time of day", one.name))
                .do_this("run chrony, ntpd or systemd-timesyncd"),
        );
    }
    if let Some(ahead) = facts.ahead.filter(|ahead| *ahead > AHEAD_MOST) {
        let ahead = humantime::format_duration(Duration::from_secs(ahead.as_secs()));
        found.push(
            Finding::warning(
                "clock-set-back",
                "the machine",
                format!("the clock was set back by {ahead} or more"),
            )
            .because("runs that were due in that time are not due again, and times in the history overlap")
            .do_this("see that the clock is right (`date`)"),
        );
    }
    let instances: Vec<_> = instances(config).collect();
    for (at, lacking) in &facts.not_delegated {
        let Some(one) = instances.get(*at) else { continue };
        let what = format!(
            "the kernel does not keep its limits: no {} controller is delegated",
            lacking.join(" and no ")
        );
        found.push(
            Finding::warning("no-delegation", section(one), what)
                .because("memory is measured once a second instead, `cpu-max` is not kept")
                .do_this("start soloist in a unit with Delegate=yes and DelegateSubgroup= (systemd.resource-control(5))"),
        );
    }
    let needed = DESCRIPTORS_OWN + DESCRIPTORS_EACH * instances.len() as u64;
    if facts.descriptors < needed {
        let what = format!("{} open descriptors are allowed, {needed} are needed", facts.descriptors);
        found.push(
            Finding::error("few-descriptors", "the machine", what)
                .because(format!("the daemon has some for each of {} instances", instances.len()))
                .do_this(format!(
                    "raise the hard limit: `ulimit -Hn {needed}`, LimitNOFILE= or limits.conf(5)"
                )),
        );
    }
    if let Some(most) = facts.watches_most.filter(|most| *most < facts.watches) {
        let what = format!("{} folders are to be watched, {most} may be", facts.watches);
        found.push(
            Finding::warning("few-watches", "the machine", what)
                .because("the files that `watch` names are looked at again and again instead")
                .do_this(format!("sysctl fs.inotify.max_user_watches={}", 2 * facts.watches)),
        );
    }
    if let Some(why) = &facts.no_watch {
        found.push(
            Finding::warning("no-watch", "the machine", format!("no folder can be watched: {why}"))
                .because("a change of the time zone is noticed only by the next daemon")
                .do_this("raise fs.inotify.max_user_instances by sysctl(8)"),
        );
    }
    found
}
